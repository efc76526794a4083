"""The graph below a loss as boxes and arrows, before anybody draws it; ``draw.py`` draws.

An operation that uses parameters stands in their module. One without parameters stands in the
smallest module that holds both what it comes from and what takes its result; a parameter-free layer
of a Sequential (Sigmoid, say) is found by its place and its class. Within ``detect_anomaly`` each
operation remembers the module in which it ran, and then that counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from ..core.graph import oldest_first
from ..nn import Module, Sequential
from ..tensor import Tensor
from .explain import host, named, shown_shape

SMALL = 6
"""So many numbers, at most, are written into a box; of more, the norm of a gradient."""

LONGEST = 4
"""A pattern of so many boxes, at most, is seen when it repeats."""


@dataclass
class Box:
    """What is drawn as one: an operation, a leaf, a constant, a folded module, or many of these."""

    kind: str
    """"operation", "module", "parameter" or "constant"."""
    title: str
    place: str
    """The module that it stands in, by its path; "" outside of all."""
    lines: list[str] = field(default_factory=list)
    signature: tuple[Any, ...] = ()
    """Equal for boxes that do the same work on the same shapes."""
    gradients: dict[str, float] = field(default_factory=dict)
    """In a folded box: the norm of the gradient of each parameter that has one."""


@dataclass
class Graph:
    """Boxes by their keys, and arrows between them from what is used to what uses it."""

    boxes: dict[int, Box]
    arrows: list[tuple[int, int]]


class Reader:
    """What is known of the graph below ``loss``: names, places, values."""

    def __init__(self, loss: Tensor, model: Module | Mapping[str, Tensor] | None) -> None:
        self.names = named(loss, model)
        self.nodes = oldest_first([loss.grad_fn])
        self.modules = dict(model.named_modules()) if isinstance(model, Module) else {}
        known = model if isinstance(model, Mapping) else {}
        known = dict(model.named_buffers()) if isinstance(model, Module) else known
        self.constants = {id(tensor.array): name for name, tensor in known.items()}
        self.values = {id(loss.grad_fn): loss.array}
        self.users: dict[int, list[Any]] = {}
        for node in self.nodes:
            if isinstance(node.saved[0], type(loss.array)):
                self.values[id(node)] = node.saved[0]
            for parent, value in zip(node.parents, node.saved[1:], strict=True):
                self.users.setdefault(id(parent), []).append(node)
                if parent is not None and hasattr(value, "dtype"):
                    self.values[id(parent)] = value
        owners = {
            id(parameter): path
            for path, module in self.modules.items()
            for _, parameter in module.members_of("parameter")
        }
        self.owner = {id(leaf): owners[id(leaf)] for leaf in self.leaves() if id(leaf) in owners}
        self.places: dict[int, str | None] = {id(n): self.known_place(n) for n in self.nodes}
        self.fill_places()

    def leaves(self) -> Iterator[Any]:
        """The leaves, each once, in the order of their first use."""
        found = [p for n in self.nodes for p in n.parents if p is not None and not p.order]
        yield from dict.fromkeys(found)

    def known_place(self, node: Any) -> str | None:
        """The module of an operation, where it is certain."""
        path = (node.made_at or ("",))[0].rpartition(".")[0]
        if path and path in self.modules:
            return path
        used = [self.owner[id(p)] for p in node.parents if id(p) in self.owner]
        return common(used) if used else None

    def fill_places(self) -> None:
        """The module of the other operations, from what stands before and behind them."""
        behind: dict[int, list[str]] = {}
        for node in reversed(self.nodes):
            users = self.users.get(id(node), [])
            found = [self.places[id(u)] for u in users]
            near = [
                p for u, p in zip(users, found, strict=True) if p is None for p in behind[id(u)]
            ]
            behind[id(node)] = [*(p for p in found if p is not None), *near][:8]
        for node in self.nodes:
            if self.places[id(node)] is not None:
                continue
            before = [self.places[id(p)] or "" for p in node.parents if p is not None and p.order]
            both = common([*before, *behind[id(node)]]) if before and behind[id(node)] else ""
            self.places[id(node)] = self.next_layer(node, before) or both

    def next_layer(self, node: Any, before: list[str]) -> str:
        """The layer without parameters that follows in a Sequential, if it is of this class."""
        if len(before) != 1:
            return ""
        outer, _, last = before[0].rpartition(".")
        container = self.modules.get(outer)
        if not before[0] or not isinstance(container, Sequential):
            return ""
        children = list(container.named_children())
        names = [name for name, _ in children]
        rest = children[names.index(last) + 1 :] if last in names else []
        for name, module in takewhile(lambda c: next(c[1].parameters(), None) is None, rest):
            if type(module).__name__ == node.name:
                return f"{outer}.{name}" if outer else name
        return ""

    # ------------------------------------------------------------------------- in words

    def lines_of(self, node: Any) -> list[str]:
        """Shape, value and gradient of an operation's output, or of a leaf."""
        shape = tuple(node.saved[0].shape) if node.order else node.shape
        lines = [shown_shape(shape)] if shape else []
        value = self.values.get(id(node)) if node.order else node.array
        if value is not None and value.size <= SMALL:
            lines += f"= {numbers(value)}".split("\n")
        gradient = self.gradient(node)
        if gradient is not None:
            lines += f"grad {measure(gradient)}".split("\n")
        return lines

    def gradient(self, node: Any) -> np.ndarray[Any, Any] | None:
        """What lies in ``.grad``, on the host."""
        holder = node if not node.order else node.retained_by and node.retained_by()
        kept = None if holder is None else holder._grad
        return None if kept is None else host(kept.array)


def common(paths: list[str]) -> str:
    """The smallest module that holds all of ``paths``."""
    split = [path.split(".") for path in paths]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*split, strict=False))
    return ".".join(names[0] for names in same)


def numbers(value: Any) -> str:
    """A few numbers, a row of a matrix in each line."""
    text = np.array2string(host(value), precision=4, suppress_small=True, separator=", ")
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def measure(gradient: np.ndarray[Any, Any]) -> str:
    """A small gradient in numbers, a large one by its norm."""
    if gradient.size <= SMALL:
        return numbers(gradient)
    return f"of norm {np.linalg.norm(gradient.astype(np.float64)):.3g}"


# ------------------------------------------------------------------------------ open and folded


def opened(reader: Reader) -> Graph:
    """Each operation, leaf and constant as a box of its own."""
    boxes: dict[int, Box] = {}
    arrows: list[tuple[int, int]] = []
    for node in reader.nodes:
        place = reader.places[id(node)] or ""
        for parent, value in zip(node.parents, node.saved[1:], strict=True):
            key = id(value if parent is None else parent)
            if parent is None and not hasattr(value, "dtype"):  # not kept: a box for each use
                key = -len(arrows) - 1
            if key not in boxes and parent is None:
                title = reader.constants.get(id(value), "constant")
                lines = [shown_shape(tuple(value.shape))] if value.shape else []
                if hasattr(value, "dtype") and value.size <= SMALL:
                    lines += f"= {numbers(value)}".split("\n")
                boxes[key] = Box("constant", title, "", lines)
            elif key not in boxes:
                own, title = reader.owner.get(id(parent), ""), reader.names[id(parent)]
                boxes[key] = Box("parameter", title, own, reader.lines_of(parent))
            arrows.append((key, id(node)))
        boxes[id(node)] = Box("operation", reader.names[id(node)], place, reader.lines_of(node))
    return Graph(boxes, arrows)


def folded(reader: Reader, depth: int) -> Graph:
    """Modules of ``depth`` as one box each, with their parameters in it; then what repeats in a
    chain as one box."""
    groups: dict[Any, list[Any]] = {}
    key_of: dict[int, Any] = {}
    for node in reader.nodes:
        place = reader.places[id(node)] or ""
        path = ".".join(place.split(".")[:depth]) if place else ""
        key_of[id(node)] = path or id(node)
        groups.setdefault(key_of[id(node)], []).append(node)
    number = {key: i for i, key in enumerate(groups)}
    boxes: dict[int, Box] = {}
    arrows: dict[tuple[int, int], None] = {}
    for key, nodes in groups.items():
        boxes[number[key]] = closed(reader, key if isinstance(key, str) else "", nodes)
        for node in nodes:
            for parent in node.parents:
                if parent is not None and parent.order and key_of[id(parent)] != key:
                    arrows[number[key_of[id(parent)]], number[key]] = None
    return repeated(Graph(boxes, list(arrows)))


def closed(reader: Reader, path: str, nodes: list[Any]) -> Box:
    """A module, or an operation outside of all, with the leaves that it uses."""
    last = nodes[-1]
    shape = tuple(last.saved[0].shape)
    leaves = dict.fromkeys(p for n in nodes for p in n.parents if p is not None and not p.order)
    kind = type(reader.modules[path]).__name__ if path else last.name
    lines = reader.lines_of(last) or ["()"]
    gradients = {}
    for leaf in leaves:
        name = reader.names[id(leaf)]
        name = name.removeprefix(f"{path}.") if path else name
        text, gradient = f"{name} {shown_shape(leaf.shape)}", reader.gradient(leaf)
        if name.startswith("leaf "):
            text = f"leaf {shown_shape(leaf.shape)}"
        if gradient is not None:
            size = float(np.linalg.norm(gradient.astype(np.float64)))
            text += f", grad {size:.2g}"
            gradients[name] = size
        lines.append(text)
    signature = (kind, shape, tuple(leaf.shape for leaf in leaves), len(nodes))
    title = f"{path}  {kind}" if path else reader.names[id(last)]
    return Box("module" if path else "operation", title, path, lines, signature, gradients)


def repeated(graph: Graph) -> Graph:
    """The same graph, where a pattern that comes three times or more in a chain is one box."""
    boxes, arrows = dict(graph.boxes), list(graph.arrows)
    after: dict[int, list[int]] = {key: [] for key in boxes}
    before: dict[int, list[int]] = {key: [] for key in boxes}
    for a, b in arrows:
        after[a].append(b)
        before[b].append(a)

    def chained(a: int, b: int) -> bool:
        return after[a] == [b] and before[b] == [a]

    keys, at = list(boxes), 0
    stands_for: dict[int, int] = {}
    while at < len(keys):
        best, period = 0, 1
        for length in range(1, LONGEST + 1):
            end = at + length
            while (
                end < len(keys)
                and chained(keys[end - 1], keys[end])
                and boxes[keys[end]].signature == boxes[keys[end - length]].signature
            ):
                end += 1
            times = (end - at) // length
            if times >= 3 and times * length > best:
                best, period = times * length, length
        if best:
            run = keys[at : at + best]
            stands_for.update(dict.fromkeys(run, run[0]))
            graph.boxes[run[0]] = together([boxes[key] for key in run], period)
            for key in run[1:]:
                del graph.boxes[key]
        at += best or 1
    ends = [(stands_for.get(a, a), stands_for.get(b, b)) for a, b in arrows]
    return Graph(graph.boxes, list(dict.fromkeys(pair for pair in ends if pair[0] != pair[1])))


def together(run: list[Box], period: int) -> Box:
    """One box for a pattern that repeats, with the range of the gradients in it."""
    pattern = run[:period]
    times, kinds = len(run) // period, " > ".join(box.signature[0] for box in pattern)
    lines = [f"{run[0].title.split('  ')[0]} to {run[-1].title.split('  ')[0]}", run[-1].lines[0]]
    for i, box in enumerate(pattern):
        for name in box.gradients:
            sizes = [same.gradients[name] for same in run[i::period] if name in same.gradients]
            if len(sizes) == times:
                lines.append(f"grad of {name}: {sizes[0]:.2g} to {sizes[-1]:.2g}")
    return Box(run[0].kind, f"{times} times {kinds}", run[0].place, lines)

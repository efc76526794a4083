"""``explain(loss)``: the backward pass, step by step, before it is made.

The steps are those of the walk in ``core/graph.py``, the newest operation first. Each shows the
operation with its formula, what arrives from above, and what is sent to each input. The formulas
are the docstrings in ``ops/``, so they are those that a test holds to the code.
"""

import html
import inspect
import os
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import CPU, to_device
from ..core.autograd import pull_back
from ..core.gradmode import grad_mode
from ..core.graph import backpropagate, oldest_first
from ..core.op import Op
from ..nn.module import Module
from ..tensor import Tensor

SMALL = 12
"""So many numbers, at most, are printed; of more, the shape and the norm."""


@dataclass(frozen=True)
class Sent:
    """A gradient on its way to one input."""

    to: str
    """The name of what made the input: an operation, a parameter, or a leaf."""
    gradient: np.ndarray[Any, Any] | None
    """None where the input needs no gradient, or the derivative is 0 everywhere."""
    total: np.ndarray[Any, Any] | None
    """The sum so far, where paths meet here and something had arrived before; else None."""


@dataclass(frozen=True)
class Step:
    """The backward pass through one operation."""

    name: str
    """The operation, with its number in the order of the forward pass: "Sigmoid 3"."""
    derivation: str
    """Its formula and how its gradients follow, from its docstring."""
    shape: tuple[int, ...]
    """The shape of its output, and of what arrives."""
    inputs: tuple[tuple[str, tuple[int, ...] | None], ...]
    """Name and shape of each input; None where nobody needs the shape any more."""
    arrives: np.ndarray[Any, Any]
    """dL/d(output): the sum over all that use the output."""
    sends: tuple[Sent, ...]

    def __str__(self) -> str:
        lines = [f"{self.name}   output {shown_shape(self.shape)}"]
        lines += [f"    {line}".rstrip() for line in self.derivation.splitlines()]
        lines.append(f"  arrives  {shown(self.arrives)}")
        for sent in self.sends:
            gradient = "nothing" if sent.gradient is None else shown(sent.gradient)
            lines.append(f"  sends    to {sent.to}: {gradient}")
            if sent.total is not None:
                lines.append(f"           paths meet: the sum so far is {shown(sent.total)}")
        return "\n".join(lines)


class Explanation:
    """The steps of one backward pass. ``print`` writes them all; a notebook shows one at a time,
    with buttons and arrow keys; ``show()`` waits for Enter after each."""

    def __init__(self, steps: list[Step], leaves: list[tuple[str, np.ndarray[Any, Any]]]) -> None:
        self.steps, self.leaves = steps, leaves

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]

    def pages(self) -> list[str]:
        """Each step as text, and at the end what the leaves have got."""
        count = len(self.steps)
        pages = [f"Step {i} of {count}: {step}" for i, step in enumerate(self.steps, 1)]
        got = [f"  {name}.grad gets {shown(gradient)}" for name, gradient in self.leaves]
        return [*pages, "\n".join(["The end: the gradients of the leaves", *got])]

    def __str__(self) -> str:
        return "\n\n".join(self.pages())

    def __repr__(self) -> str:
        return f"<Explanation of {len(self.steps)} steps; print it>"

    def show(self) -> None:
        """Print one step, wait for Enter, and go on; ``q`` ends it."""
        for page in self.pages():
            print(f"\n{page}")
            if input("\nEnter: the next step, q: stop  ").strip().lower() == "q":
                return

    def _repr_html_(self) -> str:
        """A part of a page that needs nothing else: no network, no library."""
        boxes = "".join(
            f'<pre class="page"{"" if i == 0 else " hidden"}>{html.escape(page)}</pre>'
            for i, page in enumerate(self.pages())
        )
        return (
            '<div class="minigrad-steps" tabindex="0">'
            '<button type="button">&larr;</button> <button type="button">&rarr;</button> '
            f"<span>1 / {len(self.steps) + 1}</span>{boxes}<script>{SCRIPT}</script></div>"
        )

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the steps as a page of its own."""
        text = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>The backward pass, '
            "step by step</title><style>body { font: 16px/1.5 sans-serif; margin: 2em } "
            "pre { white-space: pre-wrap }</style></head>"
            f"<body><h1>The backward pass, step by step</h1>{self._repr_html_()}</body></html>\n"
        )
        Path(path).write_text(text, encoding="utf-8")


SCRIPT = """
(function () {
  const box = document.currentScript.parentElement;
  const pages = box.querySelectorAll("pre.page");
  const [back, on] = box.querySelectorAll("button");
  let now = 0;
  function go(step) {
    pages[now].hidden = true;
    now = Math.min(Math.max(now + step, 0), pages.length - 1);
    pages[now].hidden = false;
    box.querySelector("span").textContent = (now + 1) + " / " + pages.length;
  }
  back.addEventListener("click", () => go(-1));
  on.addEventListener("click", () => go(1));
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
})();
"""


def explain(loss: Tensor, model: Module | Mapping[str, Tensor] | None = None) -> Explanation:
    """The steps that ``loss.backward()`` would make. Nothing changes: no ``.grad``, no graph, and
    ``backward()`` can follow.

    Args:
        loss: a single number, computed from tensors that require a gradient.
        model: whose parameters shall be called by their names; or a dict of Tensors by name.

    Raises:
        TypeError: the loss is no Tensor, or the model neither a Module nor a dict.
        ValueError: it is not a single number, or there is nothing to differentiate.
        RuntimeError: the graph is gone, or a value that a rule needs was changed in place.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"explain: got a {type(loss).__name__}, expected a Tensor")
    if model is not None and not isinstance(model, Module | Mapping):
        raise TypeError(f"explain: model is a {type(model).__name__}, expected a Module or a dict")
    if loss.grad_fn is None or loss.numel() != 1:
        raise ValueError(
            f"explain: got a Tensor of shape {loss.shape} that came from {loss.grad_fn!r}, "
            f"expected a single number that was computed from tensors with requires_grad"
        )
    names = named(loss, model)
    steps: list[Step] = []
    grads: dict[Any, Any] = {}

    def record(node: Op, grad: Any) -> tuple[Any, ...]:
        contributions = pull_back(node, grad)
        sent = []
        for parent, part in zip(node.parents, contributions, strict=True):
            before = grads.get(id(parent))
            if parent is not None and part is not None:
                grads[id(parent)] = part if before is None else before + part
            met = before is not None and part is not None and parent is not None
            sent.append(
                Sent(
                    names.get(id(parent), "an input that needs no gradient"),
                    None if part is None or parent is None else host(part),
                    host(grads[id(parent)]) if met else None,
                )
            )
        inputs = tuple(
            (names.get(id(parent), "a constant"), tuple(value.shape))
            for parent, value in zip(node.parents, (node.saved or ())[1:], strict=True)
        )
        arrived = host(grad)
        steps.append(
            Step(names[id(node)], derivation_of(node), arrived.shape, inputs, arrived, tuple(sent))
        )
        return contributions

    def run() -> dict[Any, Any]:
        grad_mode.set(False)
        np.seterr(all="ignore")
        return backpropagate({loss.grad_fn: np.ones_like(loss.array)}, record)

    found = copy_context().run(run)
    leaves = [(names[id(leaf)], host(gradient)) for leaf, gradient in found.items()]
    return Explanation(steps, sorted(leaves, key=lambda pair: pair[0]))


def named(loss: Tensor, model: Module | Mapping[str, Tensor] | None) -> dict[int, str]:
    """A name for each node below ``loss``, by its id: operations are numbered as they ran, leaves
    are called as the model does, or by their shapes."""
    nodes = oldest_first([loss.grad_fn])
    names = {id(node): f"{node.name} {i}" for i, node in enumerate(nodes, 1)}
    known = model.named_parameters() if isinstance(model, Module) else (model or {}).items()
    parameters = {id(tensor): name for name, tensor in known}
    leaves = [p for node in nodes for p in node.parents if p is not None and not p.order]
    for i, leaf in enumerate(dict.fromkeys(leaves), 1):
        names[id(leaf)] = parameters.get(id(leaf), f"leaf {i} {shown_shape(leaf.shape)}")
    return names


def derivation_of(node: Op) -> str:
    """The docstring of the operation: its formula and its derivation."""
    return inspect.cleandoc(type(node).__doc__ or type(node).__name__)


def host(array: Any) -> np.ndarray[Any, Any]:
    """A copy of an array, on the host."""
    return np.array(to_device(np.asarray(array) if np.isscalar(array) else array, CPU))


def shown(array: np.ndarray[Any, Any]) -> str:
    """The numbers of a small array; of a large one its shape and its norm."""
    if array.size <= SMALL:
        text = np.array2string(array, precision=4, suppress_small=True, separator=", ")
        return f"{shown_shape(array.shape)} {text}".replace("\n", " ")
    return f"{shown_shape(array.shape)} of norm {np.linalg.norm(array.astype(np.float64)):.3g}"


def shown_shape(shape: tuple[int, ...]) -> str:
    """A shape as text."""
    return "(" + ", ".join(map(str, shape)) + ")"

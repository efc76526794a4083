"""``draw(loss)``: the graph that a backward pass would walk, as a picture.

Graphviz lays it out where its program ``dot`` is installed. Otherwise the picture is Mermaid's
text, which GitHub, GitLab and many notebooks draw.
"""

import html
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..core.graph import oldest_first
from ..nn import Module
from ..tensor import Tensor
from .graph import Box, Graph, Reader, folded, opened

with suppress(ImportError):  # a browser, where the lab's pages run too, has no processes and no dot
    import subprocess

FEW = 12
"""A graph of so many operations is drawn whole; a larger one is folded as far as it takes."""

MOST = 400
"""More boxes are not laid out: nobody could read them, and dot would take minutes."""

# Fills are light and letters on them dark, so that a picture can be read on a dark page too.
LOOKS = {
    "operation": ("#D6EAF5", "box", "filled"),
    "module": ("#CDEBDD", "box", "filled,rounded"),
    "parameter": ("#FBE5C0", "box", "filled,rounded"),
    "constant": ("#FFFFFF", "box", "filled,dashed"),
}


class Drawing:
    """What ``draw`` returns. A notebook shows it; ``print`` writes Mermaid's text."""

    def __init__(self, shown: Graph, whole: Graph) -> None:
        self.shown, self.whole = shown, whole
        """The boxes and arrows of the picture, and those of all operations."""

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.shown.boxes)} boxes; use to_html, to_svg or print>"

    def __str__(self) -> str:
        return self.mermaid()

    def mermaid(self) -> str:
        """The picture as Mermaid's text."""
        boxes = self.shown.boxes
        number = {key: f"n{i}" for i, key in enumerate(boxes)}
        lines = ["graph TD"]
        for key, box in boxes.items():
            text = "<br/>".join(map(_for_mermaid, [box.title, *box.lines]))
            ends = ("[", "]") if box.kind == "operation" else ("([", "])")
            lines.append(f'  {number[key]}{ends[0]}"{text}"{ends[1]}')
        lines += [f"  {number[a]} --> {number[b]}" for a, b in self.shown.arrows]
        return "\n".join(lines)

    def svg(self) -> str | None:
        """The picture as SVG; None where Graphviz is not installed."""
        return laid_out(self.shown)

    def _repr_svg_(self) -> str | None:
        return self.svg()

    def _repr_html_(self) -> str:
        """The picture, and under it, where it is folded, the one of all operations."""
        svg = self.svg()
        if svg is None:
            text = html.escape(self.mermaid())
            return f"<p>Graphviz is not installed. As Mermaid's text:</p><pre>{text}</pre>"
        parts = [_scrolled(svg)]
        if self.whole is not self.shown and len(self.whole.boxes) <= MOST:
            whole = _scrolled(laid_out(self.whole) or "")
            parts.append(f"<details><summary>All operations</summary>{whole}</details>")
        return "".join(parts)

    def to_svg(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as SVG.

        Raises:
            RuntimeError: Graphviz is not installed.
        """
        svg = self.svg()
        if svg is None:
            raise RuntimeError(
                "to_svg: there is no program dot, which Graphviz brings; install Graphviz, or use "
                "to_html or mermaid, which do without"
            )
        Path(path).write_text(svg + "\n", encoding="utf-8")

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as a page of its own."""
        text = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>The graph below a loss</title><style>:root { '
            "color-scheme: light dark } body { font: 16px/1.5 sans-serif; margin: 1em }</style>"
            f"</head><body>{self._repr_html_()}</body></html>\n"
        )
        Path(path).write_text(text, encoding="utf-8")


def draw(
    loss: Tensor, model: Module | Mapping[str, Tensor] | None = None, fold: int | None = None
) -> Drawing:
    """The graph below ``loss`` with names, shapes, values where they are few, and the gradients
    that are there (call ``loss.backward(retain_graph=True)`` first). Nothing changes.

    Args:
        loss: a Tensor that was computed from tensors that require a gradient.
        model: whose parameters shall be called by their names and whose modules shall be boxes; or
            a dict of Tensors by name.
        fold: 0 draws each operation; 1 makes one box of each module directly inside the model, 2
            of each module inside those, and so on. In a folded picture, what repeats three times
            or more in a row is one box. Default: 0 for a small graph, else the deepest that leaves
            a small picture.

    An operation without parameters, outside of a Sequential, is drawn in the smallest module that
    holds both its inputs and what uses it. Compute the loss within ``mg.detect_anomaly()``, and
    each operation is drawn in the module that ran it.

    Raises:
        TypeError: the loss is no Tensor, or the model neither a Module nor a dict.
        ValueError: the loss was computed from nothing that requires a gradient, ``fold`` is
            negative, or the picture would have more than 400 boxes.
        RuntimeError: a backward pass has freed the graph.

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(draw((w * w).sum(), {"w": w}))
    graph TD
      n0(["w<br/>(2)<br/>= [1., 2.]"])
      n1["Mul 1<br/>(2)"]
      n2["Sum 2<br/>= 5."]
      n0 --> n1
      n0 --> n1
      n1 --> n2
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"draw: got a {type(loss).__name__}, expected a Tensor")
    if model is not None and not isinstance(model, Module | Mapping):
        raise TypeError(f"draw: model is a {type(model).__name__}, expected a Module or a dict")
    if fold is not None and (not isinstance(fold, int) or fold < 0):
        raise ValueError(f"draw: fold is {fold!r}, expected an integer from 0")
    if loss.grad_fn is None:
        raise ValueError(
            "draw: the loss came from no recorded operation, expected one that was computed from "
            "tensors with requires_grad"
        )
    if any(node.saved is None for node in oldest_first([loss.grad_fn])):
        raise RuntimeError(
            "draw: a backward pass has freed the graph; draw before it, or call "
            "backward(retain_graph=True)"
        )
    reader = Reader(loss, model)
    whole = opened(reader)
    if fold is None:
        fold = 0 if len(reader.nodes) <= FEW else best_fold(reader)
    shown = folded(reader, fold) if fold else whole
    if len(shown.boxes) > MOST:
        raise ValueError(
            f"draw: the picture would have {len(shown.boxes)} boxes, expected at most {MOST}; give "
            f"model= and fold=1"
        )
    return Drawing(shown, whole)


def best_fold(reader: Reader) -> int:
    """The deepest fold that leaves a small picture; 1 if none does."""
    deepest = max((path.count(".") + 1 for path in reader.modules if path), default=1)
    for depth in range(deepest, 1, -1):
        if len(folded(reader, depth).boxes) <= FEW:
            return depth
    return 1


def laid_out(graph: Graph) -> str | None:
    """SVG by Graphviz; None where its program is not installed."""
    program = shutil.which("dot")
    if program is None:
        return None
    made = subprocess.run(
        [program, "-Tsvg"], input=dot(graph), capture_output=True, check=True, encoding="utf-8"
    )
    svg = made.stdout[made.stdout.index("<svg") :]
    svg = re.sub(r"<title>.*?</title>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    return f'{head} role="img"><title>The graph below a loss</title>{rest}'.strip()


def dot(graph: Graph) -> str:
    """The graph in the language of Graphviz; modules that are open are frames around boxes."""
    number = {key: f"n{i}" for i, key in enumerate(graph.boxes)}
    lines = [
        'digraph { graph [bgcolor="transparent" ranksep=0.3 nodesep=0.25'
        ' fontname="Helvetica,Arial,sans-serif" fontsize=12]',
        'node [fontname="Helvetica,Arial,sans-serif" fontsize=12 color="#777777"'
        ' fontcolor="#111111" margin="0.15,0.07"] edge [color="#808080" arrowsize=0.7]',
    ]
    inside: dict[str, list[int]] = {}
    for key, box in graph.boxes.items():
        inside.setdefault("" if box.kind == "module" else box.place, []).append(key)
    opened_at: list[str] = []
    for path in sorted(inside, key=lambda path: path.split(".") if path else []):
        while opened_at and not path.startswith(f"{opened_at[-1]}."):
            opened_at.pop()
            lines.append("}")
        if path:
            opened_at.append(path)
            lines.append(
                f'subgraph "cluster_{len(lines)}" {{ label={_quoted([path])} style="filled,rounded"'
                f' fillcolor="#F3F3F3" color="#999999" fontcolor="#111111"'
            )
        lines += [_node(number[key], graph.boxes[key]) for key in inside[path]]
    lines += ["}"] * len(opened_at)
    lines += [f"{number[a]} -> {number[b]}" for a, b in graph.arrows]
    return "\n".join([*lines, "}"])


def _node(name: str, box: Box) -> str:
    fill, shape, style = LOOKS[box.kind]
    text = _quoted([box.title, *box.lines])
    return f'{name} [label={text} shape={shape} style="{style}" fillcolor="{fill}"]'


def _quoted(lines: list[str]) -> str:
    """Lines of text as a string of Graphviz, in which & begins an entity and \\ an escape."""
    escaped = (
        line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines
    )
    return '"' + "\\n".join(escaped) + '"'


def _for_mermaid(text: str) -> str:
    """Text for a box of Mermaid, which writes entities with # in the place of &."""
    for letter, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(letter, entity)
    return text


def _scrolled(svg: str) -> str:
    """A wide picture moves sideways rather than shrinking until nobody can read it."""
    return f'<div style="overflow-x: auto">{svg}</div>'

"""A plan to read: as text, layer by layer, and as a page with a timeline."""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np

from ..atomic import write_whole
from .notes import Call, arrays_in, expect, fill_with, take_items
from .plan import Life, Plan

NAMES = {expect: "expect", fill_with: "", take_items: "take"}


def name_of(call: Call) -> str:
    """What a call is called: ``add``, ``add.reduce``, ``dot``."""
    function = call.args[1] if call.function is fill_with else call.function
    name = NAMES.get(function) or getattr(function, "__name__", str(function))
    ufunc = getattr(function, "__self__", None)
    return f"{ufunc.__name__}.{name}" if isinstance(ufunc, np.ufunc) else str(name)


def shapes_of(call: Call) -> str:
    """What it reads and what it writes: ``(64, 32) (32) -> (64, 32)``."""
    read = list(arrays_in((call.args, call.kwargs)))
    for output in map(place, call.writes):  # among the arguments it comes last
        last = max((i for i, array in enumerate(read) if place(array) == output), default=None)
        if last is not None:
            del read[last]
    return " ".join([*map(shape, read), "->", *map(shape, call.writes)])


def place(array: Any) -> Any:
    """Which memory an array shows, and how."""
    return array.ctypes.data, array.shape, array.strides


def shape(array: Any) -> str:
    """``(64, 32)``; of a single number ``()``."""
    return "(" + ", ".join(map(str, array.shape)) + ")"


def lines(plan: Plan) -> Iterator[str]:
    """The calls under the operation that they came from."""
    number = 0
    for origin, calls in groupby(plan.calls, lambda call: call.origin):
        yield str(origin) or "the step itself"
        for call in calls:
            number += 1
            yield f"  {number:4} {name_of(call):<16} {shapes_of(call)}"


def as_text(plan: Plan) -> str:
    """The whole plan, with a line on its memory at the end."""
    memory = plan.memory
    return "\n".join(
        [
            *lines(plan),
            f"{len(plan.calls)} calls ({plan.noted - len(plan.calls)} were dropped); "
            f"intermediate results take {memory.shared} bytes, and would take {memory.unshared} "
            f"with a place of their own each; gradients and results {memory.kept}",
        ]
    )


def as_html(plan: Plan, path: Any) -> None:
    """Write a page: the calls, and above them when each part of the memory is in use (from left to
    right the calls, from top to bottom the addresses)."""
    wide, high = max(len(plan.calls), 1), max(plan.memory.shared, 1)
    boxes = "".join(box(life) for life in plan.lives.values())
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(str(call.origin))}</td><td>{escape(name_of(call))}</td>"
        f"<td>{escape(shapes_of(call))}</td></tr>\n"
        for number, call in enumerate(plan.calls, 1)
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A captured step</title>'
        "<style>body{font:14px sans-serif;margin:2em;max-width:70em}svg{width:100%;height:20em;"
        "background:#f4f4f4}rect{fill:#4a7ab0;stroke:#fff;vector-effect:non-scaling-stroke}"
        "rect:hover{fill:#c05020}td{padding:0 1em 0 0;font-family:monospace}</style>"
        "<h1>A captured step</h1>"
        f"<p>{len(plan.calls)} calls. From left to right: the calls. From top to bottom: the "
        f"{plan.memory.shared} bytes for intermediate results. A box is an array, from the first "
        "call that writes it to the last that reads it.</p>"
        f'<svg viewBox="0 0 {wide} {high}" preserveAspectRatio="none" role="img" '
        f'aria-label="lifetimes of the arrays">{boxes}</svg>'
        f"<table><tr><th>call</th><th>from</th><th>function</th><th>shapes</th></tr>\n{rows}"
        "</table></html>\n"
    )

    def write(file: BinaryIO) -> None:
        file.write(page.encode())

    write_whole(path, write)


def box(life: Life) -> str:
    """An array in the timeline."""
    return (
        f'<rect x="{life.first}" y="{life.start}" width="{life.last - life.first + 1}" '
        f'height="{life.size}"><title>calls {life.first + 1} to {life.last + 1}, '
        f"{life.size} bytes</title></rect>"
    )

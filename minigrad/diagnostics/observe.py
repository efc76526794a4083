"""What happens inside a network: one row of numbers per layer, from one forward and backward pass.

    with observe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    print(seen)

Forward hooks on the layers describe what goes in and out, and gradient hooks on their outputs and
parameters measure what comes back. No array is kept, so a large model can be observed as well as
a small one, and the rows are plain data: they print as a table, go into JSON, and
``diagnostics.plots`` draws them.
"""

import dataclasses
import functools
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..nn import Module
from ..tables import table
from ..tensor import RemovableHandle, Tensor
from .stats import Stats, jsonable, norm, summarize


@dataclass
class LayerRow:
    """What was seen of one layer: a module without submodules, each time it was called."""

    name: str
    """Its path in the model, as in ``named_modules()``; "" for a model that is itself a layer."""
    kind: str
    """The name of its class."""
    call: int
    """1 the first time it was called in the pass, 2 the second time, ..."""
    input: Stats | None = None
    """What went in (the first argument); None where that was no Tensor."""
    output: Stats | None = None
    """What came out; None where that was no Tensor."""
    dead_units: int | None = None
    """How many units give the same value for every sample of the batch, although their inputs
    differ: a ReLU that is always below 0, a sigmoid that is always 1. None for one sample."""
    grad_output: float | None = None
    """|dL/d(output)|; None until a backward pass reached it."""
    grad_parameters: dict[str, float] = field(default_factory=dict)
    """|dL/d(parameter)| for each of the layer's parameters that a backward pass reached through
    this output. A parameter that is used twice gets one gradient, the sum."""

    @property
    def grad_weight(self) -> float | None:
        """|dL/dW|, where the layer has a weight and a backward pass reached it."""
        return self.grad_parameters.get("weight")


class Observation:
    """The rows of the last forward pass, in the order in which the layers were called."""

    def __init__(self) -> None:
        self.rows: list[LayerRow] = []
        self.layers: list[str] = []
        """The names of all layers of the model, whether they were called or not."""
        self.parameters_without_row: list[str] = []
        """The parameters of modules that have submodules too, and so are no layers."""
        self.backward_passes = 0
        """How many backward passes have reached a layer within the block."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def of(self, kind: str) -> list[LayerRow]:
        """The rows of one kind of layer: ``seen.of("Linear")``."""
        return [row for row in self.rows if row.kind == kind]

    def to_dict(self) -> dict[str, Any]:
        """The rows as dictionaries and lists that JSON can hold (NaN becomes "nan"), and notes."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        plain: dict[str, Any] = jsonable({"rows": rows, "notes": self.notes()})
        return plain

    def notes(self) -> list[str]:
        """What the rows do not show: layers that were not called, dead units, several passes."""
        notes = []
        called = {row.name for row in self.rows}
        missed = [name for name in self.layers if name not in called] if called else []
        if missed:
            notes.append(f"Not called in this pass: {_few(missed)}.")
        dead = [row for row in self.rows if row.dead_units]
        if dead:
            counts = [f"{row.dead_units} in {row.name or '(model)'}" for row in dead]
            notes.append(f"Dead units, the same for every sample: {_few(counts)}.")
        if self.backward_passes > 1:
            notes.append(
                f"{self.backward_passes} backward passes ran; a row has the gradients of the last "
                f"one that reached it."
            )
        if self.parameters_without_row:
            notes.append(
                f"In no row, because their modules have submodules: "
                f"{_few(self.parameters_without_row)}."
            )
        return notes

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The rows as JSON, also written to ``path`` where one is given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def table(self, of: Literal["input", "output"] = "output") -> str:
        """A table of what went into, or came out of, each layer, with the gradients beside it."""
        lines = [HEADINGS, *(_cells(row, getattr(row, of)) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        text = [_aligned(line, widths) for line in lines]
        lost = sum(getattr(row, of).nonfinite for row in self.rows if getattr(row, of))
        if lost:
            text.append(f"{lost} values were NaN or infinite; the numbers describe the others.")
        return "\n".join([*text, *self.notes()])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Observation of {len(self.rows)} layers>"

    def _repr_html_(self) -> str:
        """The table of what came out, for a notebook."""
        cells = [_cells(row, row.output) for row in self.rows]
        return table(cells, HEADINGS, title=repr(self).strip("<>"), notes=self.notes())


HEADINGS = (
    "layer", "kind", "min", "max", "mean", "std", "batch std", "|z|>5", "|z|>3", "mean s'",
    "|dL/dout|", "|dL/dW|",
)  # fmt: skip


def _cells(row: LayerRow, stats: Stats | None) -> tuple[str, ...]:
    name = row.name or "(model)"
    calls = f"{name} (call {row.call})" if row.call > 1 else name
    gradients = (_number(row.grad_output), _number(row.grad_weight))
    if stats is None:
        return (calls, row.kind, *["-"] * 8, *gradients)
    values = (stats.min, stats.max, stats.mean, stats.std, stats.batch_std)
    shares = (stats.saturated, stats.outside)
    cells = (*map(_number, values), *(_number(v, ".1%") for v in shares), _number(stats.slope))
    # What is NaN describes no number at all.
    return (calls, row.kind, *("-" if "nan" in cell else cell for cell in cells), *gradients)


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _number(value: float | None, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first two columns to the left, numbers to the right."""
    padded = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


active: ContextVar[tuple["_Observer", ...]] = ContextVar("active", default=())
"""Whose blocks the running code is in. A model may be in use in another thread, or in another task
of asyncio, at the same time: its hooks are called from there too, but not for this observer."""


class _Observer:
    """The hooks of one ``observe``: those on the modules last as long as the ``with`` block, those
    on tensors until the next forward pass."""

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self.on_modules: list[RemovableHandle] = []
        self.on_tensors: list[RemovableHandle] = []
        self.arrivals: Counter[int] = Counter()  # of gradients at outputs, by the row

    def attach(self, model: Module) -> None:
        _add(self.on_modules, model._pre_hooks, self.start)
        for name, module in model.named_modules():
            own = [n for n, _ in module.named_parameters(name, recurse=False)]
            if next(iter(module.children()), None) is not None:
                self.seen.parameters_without_row += own
                continue
            self.seen.layers.append(name)
            _add(self.on_modules, module._forward_hooks, functools.partial(self.note, name))

    def start(self, model: Module, inputs: Any) -> None:
        """A forward pass of the whole model begins: what is wanted is this one."""
        if self not in active.get():
            return
        self.seen.rows.clear()
        self.arrivals.clear()
        _remove(self.on_tensors)

    def note(self, name: str, module: Module, inputs: Any, output: Any) -> None:
        """A layer was called."""
        if self not in active.get():
            return
        calls = sum(row.name == name for row in self.seen.rows)
        row = LayerRow(name, type(module).__name__, calls + 1)
        self.seen.rows.append(row)
        if inputs and isinstance(inputs[0], Tensor):
            row.input = summarize(inputs[0].data)
        if not isinstance(output, Tensor):
            return
        row.output = summarize(output.data)
        row.dead_units = dead_units(inputs[0] if inputs else None, output)
        if not output.requires_grad:
            return

        learnt = {n: p for n, p in module.named_parameters(recurse=False) if p.requires_grad}
        # Parameters whose gradient is due: the output's has arrived. Without that, it is one from
        # the graph of another forward pass.
        due: set[str] = set()
        number = len(self.seen.rows)

        def note_output(grad: Tensor) -> None:
            row.grad_output = norm(grad.data)
            due.update(learnt)
            passes = max(self.arrivals.values(), default=0)
            self.arrivals[number] += 1
            if self.arrivals[number] > passes:
                self.seen.backward_passes += 1

        self.on_tensors.append(output.register_hook(note_output))
        for parameter_name, parameter in learnt.items():
            hook = functools.partial(self.note_parameter, row, parameter_name, due)
            if parameter.hooks is None:
                parameter.hooks = []
            _add(self.on_tensors, parameter.hooks, hook)

    def note_parameter(self, row: LayerRow, name: str, due: set[str], grad: Tensor) -> None:
        """A gradient has arrived at a parameter."""
        if name in due and self in active.get():
            due.remove(name)
            row.grad_parameters[name] = norm(grad.data)

    def detach(self) -> None:
        _remove(self.on_modules)
        _remove(self.on_tensors)


def dead_units(input: Any, output: Tensor) -> int | None:
    """How many places of ``output`` hold the same value in all samples (rows of the first axis).

    Where ``input`` has the same shape, those are not counted that were the same there already: the
    layer has not killed them. None for fewer than two samples.
    """
    y = output.data
    if not y.ndim or len(y) < 2:
        return None
    dead = (y == y[:1]).all(axis=0)
    if isinstance(input, Tensor) and input.shape == output.shape:
        x = input.data
        dead &= (x != x[:1]).any(axis=0)
    return int(dead.sum())


def _add(handles: list[RemovableHandle], hooks: list[Any], hook: Any) -> None:
    handles.append(RemovableHandle(hooks, hook))  # first: Ctrl-C in between leaves no hook behind
    hooks.append(hook)


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()  # last: Ctrl-C on the way leaves them to be removed again


@contextmanager
def observe(model: Module) -> Iterator[Observation]:
    """Within it, each forward pass of ``model`` is described layer by layer, with the norms of the
    gradients from the backward pass that follows.

    Layers are the modules that have no submodules. Run the backward pass inside the block, too; a
    pass under ``no_grad`` gives rows without gradients. Each forward pass of the model starts the
    rows anew, so after several the last one is in them. The gradients are those of one backward
    pass, whatever ``.grad`` held before; after several, those of the last, and ``notes`` says so.
    Hooks are taken away at the end, also after an error or Ctrl-C; nothing of the model or of its
    values is changed. Passes that other threads or tasks make with the model are not seen.

    Raises:
        TypeError: ``model`` is not a Module.

    >>> from minigrad import nn, ones
    >>> layer = nn.Linear(3, 1)
    >>> with observe(layer) as seen:
    ...     layer(ones(4, 3)).sum().backward()
    >>> [row] = seen.rows  # dL/dy is 1 four times, dL/db their sum
    >>> row.input.max, row.output.shape, row.grad_output, row.grad_parameters["bias"]
    (1.0, (4, 1), 2.0, 4.0)
    """
    if not isinstance(model, Module):
        raise TypeError(f"observe: got a {type(model).__name__}, expected a Module")
    observer = _Observer(Observation())
    before = active.get()
    try:
        active.set((*before, observer))
        observer.attach(model)
        yield observer.seen
    finally:
        try:
            observer.detach()
        except KeyboardInterrupt:  # Ctrl-C in the middle of it
            observer.detach()
            raise
        finally:
            active.set(before)

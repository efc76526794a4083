"""One forward and one backward pass, and all that is measured in it.

Hooks on the layers see what goes in and out and the gradient that comes back. What the activations
do is read from the graph, where they are found however they were written: as ``nn.Sigmoid()`` or
as ``F.sigmoid(x)`` in a forward of the user's own. Each number is taken once, in float64; the
criteria in the files beside this one only compare them.
"""

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array, array_module, on_device_of
from ...core.graph import next_order, oldest_first
from ...core.hooks import watched
from ...nn import Module
from ...nn.fuse import FusedAway
from ...tensor import Tensor
from ..stats import norm
from .patient import Patient

STEEPEST = {ops.Sigmoid: 0.25, ops.Tanh: 1.0}
"""The activations with two flat ends, and their largest slope."""

FLAT = 0.0266
"""A unit is saturated where its slope is below this share of the largest: for a sigmoid beyond
|z| = 5, for tanh beyond |z| = 2.5."""

ACTIVATIONS = (
    ops.Sigmoid, ops.Tanh, ops.ReLU, ops.LeakyReLU, ops.ELU, ops.GELU, ops.GELUTanh, ops.SiLU,
    ops.Softplus,
)  # fmt: skip

SAMPLES = 128
"""So many samples are compared with each other, at most; the rest would say the same."""


@dataclass(frozen=True)
class Values:
    """An array (N, ...) in a few numbers."""

    width: int
    """Values per sample."""
    finite: bool
    rms: float
    """Root mean square of all values."""
    spread: float
    """Standard deviation over the samples at one place; root mean square over the places."""
    directions: float
    """In how many directions the samples differ: (sum v)^2 / sum v^2 over the eigenvalues v of
    their covariance, the participation ratio. 1: all lie on one line. NaN where nothing differs."""


def measure(array: Array) -> Values:
    """The ``Values`` of an array."""
    xp = array_module(array)
    with on_device_of(array):
        rows = array.astype(np.float64).reshape(len(array) if array.ndim else 1, -1)
        width, size = rows.shape[1], rows.size
        if size == 0 or not bool(xp.isfinite(rows).all()):
            return Values(width, size == 0, np.nan, np.nan, np.nan)
        rms = float(xp.sqrt((rows * rows).mean()))
        centred = rows - rows.mean(axis=0)
        spread = float(xp.sqrt((centred * centred).mean()))
        some = centred[:SAMPLES] / (spread or 1.0)
        some = some - some.mean(axis=0)
        products = some @ some.T if len(some) <= width else some.T @ some
        total, squares = float(xp.trace(products)), float((products * products).sum())
    return Values(width, True, rms, spread, total * total / squares if squares else np.nan)


@dataclass
class Layer:
    """A module without submodules, each time it was called."""

    name: str
    module: Module
    training: bool
    opened: int
    """The clock of the graph when it was called; ``closed``: when it returned."""
    closed: int = 0
    input: Values | None = None
    output: Values | None = None
    fed: bool = False
    """Whether its input is part of the graph: computed from something that learns."""
    recorded: bool = False
    """Whether its output is part of a graph."""
    grad: float | None = None
    """|dL/d(output)|; None if no gradient came."""
    batch: dict[str, Any] = field(default_factory=dict)
    """Of what went into a BatchNorm: mean and variance per channel, and the number of values."""

    @property
    def weight(self) -> Array | None:
        """Its weight matrix, if it has one."""
        weight = vars(self.module).get("weight")
        return weight.array if isinstance(weight, Tensor) and weight.ndim >= 2 else None

    @property
    def gain(self) -> float:
        """By what its weights multiply the length of a random gradient that passes back through
        them: |W| / sqrt(number of outputs) (vg-3)."""
        weight = self.weight
        return np.nan if weight is None else norm(weight) / np.sqrt(len(weight))

    def __str__(self) -> str:
        return f"{self.name or 'the model'} ({type(self.module).__name__})"


@dataclass(frozen=True)
class Activation:
    """An activation function, where it was applied."""

    kind: str
    where: str
    after: int
    """The number of weighted layers that were called before it."""
    slope: float
    """Root mean square of its slopes."""
    steepness: float
    """The same as a share of the largest slope there is; NaN for one without flat ends."""
    saturated: float
    """Share of slopes below ``FLAT`` of the largest; NaN for one without flat ends."""
    dead: float
    """Share of its units whose slope is 0 for every sample; NaN for all but ReLU."""


@dataclass(frozen=True)
class ParameterRow:
    """A parameter after the backward pass."""

    name: str
    owner: str
    learns: bool
    """``requires_grad``."""
    called: bool
    """Whether its module was called."""
    finite: bool
    grad: float | None
    grad_finite: bool
    symmetric: bool
    """Whether all its rows are equal, and either get equal gradients or are not 0."""


@dataclass
class Examination:
    """What one pass has shown."""

    patient: Patient
    """The copy that was examined."""
    layers: list[Layer] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
    parameters: list[ParameterRow] = field(default_factory=list)
    loss: float = np.nan
    outputs: Any = None
    graph: list[Any] = field(default_factory=list)
    """The operations, the oldest first."""
    spoilt: set[Any] = field(default_factory=set)
    """Those, and those parameters, whose gradient is not finite."""
    last: str = ""
    """The operation that made the outputs."""
    losses: list[str] = field(default_factory=list)
    """The operations after it, which make the loss."""
    error: Exception | None = None
    """What the model or the loss raised."""
    failed: str = ""
    """Which of the two it was."""
    at_fault: str = ""
    """The layer that was being computed when it did."""

    @property
    def weighted(self) -> list[Layer]:
        """The layers with a weight matrix, in the order in which they were called."""
        return [layer for layer in self.layers if layer.weight is not None]

    def module(self, name: str) -> Module:
        """The module of this name."""
        return dict(self.patient.model.named_modules())[name]


def examine(patient: Patient) -> Examination:
    """One pass on a copy of ``patient``. An error of the model or the loss is part of the result.

    Raises:
        TypeError: the loss is no Tensor.
    """
    trial = patient.copy()
    seen = Examination(trial)
    called: set[str] = set()
    _attach(trial.model, seen, called)
    try:
        seen.failed = "model"
        seen.outputs = trial.model(trial.x)
        seen.failed = "loss"
        loss = trial.loss(seen.outputs, trial.labels)
        seen.failed = ""
    except Exception as error:
        seen.error = error
        seen.at_fault = next((row.name for row in reversed(seen.layers) if not row.closed), "")
        return seen
    if not isinstance(loss, Tensor):
        raise TypeError(f"diagnose: the loss is a {type(loss).__name__}, expected a Tensor")
    seen.loss = float(loss.array.mean())
    made_by = seen.outputs.grad_fn if isinstance(seen.outputs, Tensor) else None
    if loss.grad_fn is not None:
        seen.graph = oldest_first([loss.grad_fn])
        seen.last = type(made_by).__name__ if made_by is not None else ""
        after = made_by.order if made_by is not None else 0
        seen.losses = [type(node).__name__ for node in seen.graph if node.order > after]
        seen.activations = [_activation(n, seen) for n in seen.graph if type(n) in ACTIVATIONS]
        loss.backward(retain_graph=True)
    seen.parameters = list(_parameters(trial.model, called))
    if not all(row.grad_finite for row in seen.parameters):
        _note_spoilt(seen, loss)
    return seen


def _attach(model: Module, seen: Examination, called: set[str]) -> None:
    known: dict[int, tuple[Array, Values]] = {}

    def values(tensor: Any) -> Values | None:
        if not isinstance(tensor, Tensor) or tensor.dtype.kind != "f":
            return None
        array = tensor.array
        if id(array) not in known:  # the array is held, so that nothing else gets its id
            known[id(array)] = array, measure(array)
        return known[id(array)][1]

    def before(name: str, module: Module, inputs: Any) -> None:
        called.add(name)
        if next(iter(module.children()), None) is None:
            layer = Layer(name, module, module.training, next_order())
            layer.input = values(inputs[0]) if inputs else None
            layer.fed = bool(inputs) and isinstance(inputs[0], Tensor) and inputs[0].requires_grad
            if normalises(module) and inputs and isinstance(inputs[0], Tensor):
                layer.batch = channels(inputs[0].array)
            seen.layers.append(layer)

    def after(module: Module, inputs: Any, output: Any) -> None:
        layer = next(row for row in reversed(seen.layers) if row.module is module)
        layer.closed, layer.output = next_order(), values(output)
        layer.recorded = isinstance(output, Tensor) and output.requires_grad
        if layer.recorded:

            def note(grad: Tensor) -> None:
                layer.grad = norm(grad.array)

            output.register_hook(note)

    for name, module in model.named_modules():
        module.register_forward_pre_hook(functools.partial(before, name))
        if next(iter(module.children()), None) is None:
            module.register_forward_hook(after)


def normalises(module: Module) -> bool:
    """Whether it is a BatchNorm that gets what it normalises. (``nn.fuse`` leaves one behind that
    gets what comes out, and its numbers would say nothing.)"""
    return "running_mean" in vars(module) and not isinstance(module, FusedAway)


def channels(array: Array) -> dict[str, Any]:
    """Mean and variance (divided by n) of each channel of an (N, C, ...) array, and n."""
    if array.ndim < 2:
        return {}
    axes = (0, *range(2, array.ndim))
    wide = array.astype(np.float64)
    count = array.size // max(array.shape[1], 1)
    if count == 0:
        return {}
    mean, var = wide.mean(axis=axes), wide.var(axis=axes)
    return {"mean": mean, "var": var, "count": count}


def _activation(node: Any, seen: Examination) -> Activation:
    """What an operation of the graph did to its inputs, by its own rule: the gradient of ones is
    the slope."""
    like = next(value for value in node.saved if hasattr(value, "dtype"))
    xp = array_module(like)
    with on_device_of(like):
        slopes = xp.abs(node.backward(xp.ones_like(like), *node.saved).astype(np.float64))
        slope = float(xp.sqrt((slopes * slopes).mean()))
        top = STEEPEST.get(type(node))
        flat = np.nan if top is None else float((slopes < FLAT * top).mean())
        steepness = np.nan if top is None else slope / top
        dead = np.nan
        if type(node) is ops.ReLU and slopes.ndim > 1:
            axes = (0, *range(2, slopes.ndim)) if slopes.ndim != 3 else (0, 1)
            dead = float((slopes.max(axis=axes) == 0).mean())
    inside = [row for row in seen.layers if row.opened < node.order < row.closed]
    before = [row for row in seen.layers if row.closed < node.order]
    where = (inside or before or seen.layers[:1])[-1].name
    after = sum(row.weight is not None for row in before)
    return Activation(type(node).__name__, where, after, slope, steepness, flat, dead)


def _note_spoilt(seen: Examination, loss: Tensor) -> None:
    """Go back once more, and see at each operation whether the gradient is finite there."""

    def note(node: Any, grad: Tensor) -> None:
        if not array_module(grad.array).isfinite(grad.array).all():
            seen.spoilt.add(node)

    leaves = {parent for node in seen.graph for parent in node.parents if parent is not None}
    for node in {*seen.graph, *leaves}:
        node.hooks = [*(node.hooks or []), functools.partial(note, node)]
        if node.order:
            watched.add(node)
    loss.backward(retain_graph=True)


def _parameters(model: Module, called: set[str]) -> Any:
    for name, parameter in model.named_parameters():
        owner = name.rpartition(".")[0]
        xp, grad = array_module(parameter.array), parameter._grad
        finite = bool(xp.isfinite(parameter.array).all())
        described = (name, owner, parameter.requires_grad, owner in called, finite)
        if grad is None:
            yield ParameterRow(*described, None, True, False)
            continue
        whole = bool(xp.isfinite(grad.array).all())
        alike = parameter.ndim >= 2 and _alike(parameter.array)
        alike = alike and (bool(parameter.array.any()) or _alike(grad.array))
        yield ParameterRow(*described, norm(grad.array), whole, alike)


def _alike(array: Array) -> bool:
    """Whether there are rows, and all are equal but for rounding."""
    if len(array) < 2:
        return False
    wide = array.astype(np.float64)
    return wide.size > 0 and bool(abs(wide - wide[:1]).max() <= 1e-5 * abs(wide).max())

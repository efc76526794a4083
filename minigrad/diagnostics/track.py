"""A whole training run, watched: a few numbers of each layer in every k-th step.

    with track(model, optimizer) as history:
        ...                    # the training loop, as it is
    history.plot()             # a heat map for each quantity, layer by step
    print(history.diagnose())  # what went wrong on the way

In the steps between, nothing is measured and no layer has a hook, so a run costs hardly more than
it does alone. What is kept is bounded: when ``keep`` steps are there, every second one is dropped,
and from then on half as many are measured.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.gradmode import is_grad_enabled
from ..nn import Module, ReLU, Sigmoid, Tanh
from ..optim import Adam, Optimizer
from ..tensor import Tensor
from .doctor.examine import normalises
from .history import History
from .stats import SATURATED

FLAT_FROM = {Sigmoid: SATURATED, Tanh: SATURATED / 2}
"""From where on a unit is saturated: tanh(z) = 2 sigmoid(2z) - 1, so tanh at half of the way."""


@contextmanager
def track(
    model: Module, optimizer: Optimizer, every: int = 10, keep: int = 200
) -> Iterator[History]:
    """Within it, every ``every``-th call of ``optimizer.step()`` is described layer by layer.

    Args:
        model: the one that is called in the loop. Layers that are computed in another way (by a
            model that ``nn.fuse`` made of it, say) show gradients and updates alone.
        optimizer: the one that trains it.
        every: from 1.
        keep: at most so many steps are kept, from 2.

    Yields:
        A ``History``, which fills meanwhile.

    Raises:
        TypeError: ``model`` or ``optimizer`` is none.
        ValueError: ``every`` or ``keep`` is too small.
    """
    if not isinstance(model, Module):
        raise TypeError(f"track: model is a {type(model).__name__}, expected a Module")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"track: optimizer is a {type(optimizer).__name__}, expected an Optimizer")
    if every < 1 or keep < 2:
        raise ValueError(f"track: every is {every}, keep is {keep}, expected at least 1 and 2")
    recorder = _Recorder(model, History(every, keep, isinstance(optimizer, Adam)))
    handles = [
        optimizer.register_step_pre_hook(recorder.before_step),
        optimizer.register_step_post_hook(recorder.after_step),
    ]
    try:
        recorder.attach()
        yield recorder.history
    finally:
        recorder.detach()
        for handle in handles:
            handle.remove()


class _Recorder:
    """Hooks that are there while a step that counts is being computed."""

    def __init__(self, model: Module, history: History) -> None:
        self.history = history
        self.done = 0
        self.handles: list[Any] = []
        self.known: tuple[Array, Array, Array] | None = None
        self.row: dict[tuple[str, str], float] = {}
        self.before: dict[str, Array] = {}
        leaves = [(n, m) for n, m in model.named_modules() if next(m.children(), None) is None]
        self.layers = [(n, m) for n, m in leaves if self.is_told(m)]
        self.weights = {n: w for n, m in leaves if (w := _weight(m)) is not None}

    @staticmethod
    def is_told(module: Module) -> bool:
        """Whether there is something to say of what the module computes."""
        known = isinstance(module, (Sigmoid, Tanh, ReLU)) or normalises(module)
        return known or _weight(module) is not None

    def attach(self) -> None:
        for name, module in self.layers:
            self.handles.append(module.register_forward_hook(self.forward(name)))

    def detach(self) -> None:
        while self.handles:
            self.handles.pop().remove()

    def forward(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if is_grad_enabled() and isinstance(output, Tensor):
                self.describe(name, module, inputs[0].array, output.array)

        return hook

    def describe(self, name: str, module: Any, given: Array, made: Array) -> None:
        """One layer in one forward pass. Float32 is enough for shares and spreads."""
        xp = array_module(made)
        if type(module) in FLAT_FROM:
            flat = xp.count_nonzero(xp.abs(given) > FLAT_FROM[type(module)])
            self.row["saturated", name] = float(flat) / max(given.size, 1)
        elif isinstance(module, ReLU) and made.ndim > 1:
            axes = (0, *range(2, made.ndim))
            self.row["dead", name] = float((made.max(axis=axes) <= 0).mean())
        elif normalises(module) and module.running_mean is not None and given.ndim > 1:
            mean, var = self.moments(given)
            away = (module.running_mean.array - mean) ** 2 / (var + module.eps)
            self.row["behind", name] = math.sqrt(float(away.sum()) / max(away.size, 1))
        elif _weight(module) is not None and made.ndim > 1:
            _, var = self.moments(made)
            self.row["spread", name] = math.sqrt(float(var.sum()) / max(var.size, 1))

    def moments(self, array: Array) -> tuple[Array, Array]:
        """Mean and variance of each channel; of the same array once, as the output of one layer is
        the input of the next."""
        if self.known is None or self.known[0] is not array:
            axes = (0, *range(2, array.ndim))
            count = max(array.size // max(array.shape[1], 1), 1)
            mean = array.sum(axis=axes) / count
            apart = array - mean.reshape(-1, *[1] * (array.ndim - 2))
            apart *= apart
            self.known = array, mean, apart.sum(axis=axes) / count
        return self.known[1:]

    def before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self.is_due():
            self.before = {name: w.array.copy() for name, w in self.weights.items()}

    def after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self.is_due():
            with np.errstate(all="ignore"):
                self.finish()
            self.detach()
        self.done += 1
        if self.is_due() and not self.handles:
            self.attach()

    def is_due(self) -> bool:
        """Whether the step that is being computed is one that counts."""
        return self.done % self.history.every == 0

    def finish(self) -> None:
        for name, weight in self.weights.items():
            size, change = _norm(self.before[name]), _norm(weight.array - self.before[name])
            self.row["update", name] = change / size if size else math.nan
            if weight._grad is not None:
                length = _norm(weight._grad.array)
                self.row["gradient", name] = length if math.isfinite(length) else math.inf
        self.history.add(self.done, self.row)
        self.row, self.before, self.known = {}, {}, None


def _weight(module: Any) -> Tensor | None:
    weight = vars(module).get("weight")  # getattr would look for names like it, at length
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None


def _norm(array: Array) -> float:
    """The length; in float64 where the squares would leave the range of the type."""
    flat = array.reshape(-1)
    squared = float(flat @ flat)
    if not 1e-30 < squared < 1e30 and flat.dtype != np.float64:
        flat = flat.astype(np.float64)
        squared = float(flat @ flat)
    return math.sqrt(squared)

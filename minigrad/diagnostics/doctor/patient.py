"""What is examined, and how it is left as it was.

Everything is tried on copies. The one thing that cannot be copied is a training step of the user's
own: it holds on to the model itself. So it runs on the model, and ``Kept`` puts every bit back
afterwards, whatever happened in between.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...backend import Array, default_generator, is_array, on_device_of
from ...core.gradmode import enable_grad
from ...nn import Module
from ...optim import Optimizer
from ...tensor import Tensor

Loss = Callable[[Any, Any], Tensor]
Step = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Patient:
    """A model with one batch and what trains it."""

    model: Module
    x: Tensor
    labels: Any
    loss: Loss
    optimizer: Optimizer | None = None
    step: Step | None = None

    def with_inputs(self, x: Tensor) -> "Patient":
        """The same with other inputs."""
        return replace(self, x=x)

    def copy(self) -> "Patient":
        """Model, optimiser and batch of its own; without the step, which knows the originals."""
        try:
            model, optimizer = copy.deepcopy((self.model, self.optimizer))
        except (RuntimeError, TypeError) as error:
            raise RuntimeError(
                f"diagnose: the model cannot be copied, and it is examined as a copy: {error}"
            ) from error
        if not model.training:
            model.train()
        for parameter in model.parameters():
            parameter._grad = None
        labels = Tensor(self.labels) if isinstance(self.labels, Tensor) else self.labels
        return Patient(model, Tensor(self.x), labels, self.loss, optimizer)

    def in_float32(self) -> "Patient":
        """A copy that computes in float32."""
        twin = self.copy()
        twin.model.float()
        return replace(twin, x=twin.x.float() if twin.x.dtype.kind == "f" else twin.x)

    @contextmanager
    def trainable(self) -> Iterator["tuple[Patient, Step]"]:
        """Something to train, and the step that trains it: copies; or the originals with the
        user's step, which are put back at the end."""
        if self.step is not None:
            with kept(self.model, self.optimizer):
                yield self, self.step
            return
        trial = self.copy()

        def step(x: Any, labels: Any) -> Tensor:
            loss = trial.loss(trial.model(x), labels)
            for parameter in trial.model.parameters():
                parameter._grad = None
            if loss.requires_grad:  # something in it learns
                loss.backward()
            if trial.optimizer is not None:
                trial.optimizer.step()
            return loss

        yield trial, step


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within it, gradients are recorded and nothing is said of overflow; afterwards the random
    generator goes on where it stood."""
    generator = default_generator()
    state = generator.bit_generator.state
    try:
        with enable_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what is not finite is a finding
            yield
    finally:
        generator.bit_generator.state = state


@contextmanager
def kept(model: Module, optimizer: Optimizer | None) -> Iterator[None]:
    """Within it, model and optimiser may be trained; afterwards they are what they were: values,
    gradients, buffers, modes and other attributes, and all that the optimiser remembers."""
    tensors = [_Saved(t) for t in [*model.parameters(), *model.buffers()]]
    modules = [(m, _shallow(m.__dict__)) for m in model.modules()]
    memory = None if optimizer is None else _Memory(optimizer)

    def restore() -> None:
        for module, attributes in modules:
            module.__dict__.update(attributes)
            for name in set(module.__dict__) - set(attributes):
                del module.__dict__[name]
        for saved in tensors:
            saved.restore()
        if memory is not None:
            memory.restore()

    try:
        yield
    finally:
        try:
            restore()
        except BaseException:  # Ctrl-C at this moment: once more, to the end
            restore()
            raise


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """A copy in which lists, dicts and sets are copies too: what is added to them is not here."""
    plain = (list, dict, set)
    return {k: v.copy() if type(v) in plain else v for k, v in attributes.items()}


def _fill(array: Array, numbers: Array) -> None:
    with on_device_of(array):
        array[...] = numbers


class _Saved:
    """A tensor, the object: its array and the numbers in it, its gradient, its hooks."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.array, self.numbers = tensor.array, tensor.array.copy()
        self.gradient = tensor._grad
        self.slopes = None if tensor._grad is None else tensor._grad.array.copy()
        self.required = tensor._requires_grad
        self.hooks = None if tensor.hooks is None else list(tensor.hooks)

    def restore(self) -> None:
        tensor = self.tensor
        _fill(self.array, self.numbers)
        tensor.array, tensor._grad = self.array, self.gradient
        if tensor._grad is not None:
            _fill(tensor._grad.array, self.slopes)
        tensor._requires_grad, tensor.hooks = self.required, self.hooks


class _Memory:
    """What an optimiser remembers: its options, and its arrays for each parameter."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.groups = [(group, _shallow(group)) for group in optimizer.param_groups]
        self.state = {p: dict(values) for p, values in optimizer.state.items()}
        arrays = [v for values in self.state.values() for v in values.values() if is_array(v)]
        self.arrays = [(array, array.copy()) for array in arrays]

    def restore(self) -> None:
        for group, options in self.groups:
            group.clear()
            group.update(options)
        self.optimizer.param_groups[:] = [group for group, _ in self.groups]
        for array, numbers in self.arrays:
            _fill(array, numbers)
        self.optimizer.state.clear()
        self.optimizer.state.update(self.state)
        self.optimizer.end_to_end.clear()  # views of arrays that are no longer its own

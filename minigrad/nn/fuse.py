"""Neighbours as one operation: ``nn.fuse(model)`` is the same function in fewer steps.

BatchNorm1d writes a matrix that Sigmoid reads right away, and so does a Linear without BatchNorm.
As one operation they save passes over memory and launches, which is what a GPU waits for. The
derivations of the pairs are in ``ops/fused.py``. The model that is given stays what it is: the one
to read, to observe layer by layer, and to compare with.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

from .. import functional as F
from ..tensor import Tensor
from .activation import ReLU, Sigmoid, Tanh
from .batchnorm import BatchNorm1d
from .container import Sequential
from .linear import Linear
from .module import Module
from .shape import Identity


class BatchNormSigmoid(BatchNorm1d):
    """``Sequential(BatchNorm1d(...), Sigmoid())`` as one module; see ``BatchNorm`` for arguments
    and errors. In evaluation it is the affine map and the sigmoid, one after the other."""

    function: ClassVar[Callable[..., Tensor]] = staticmethod(F.batch_norm_sigmoid)


class LinearActivation(Linear):
    """``Sequential(Linear(...), Sigmoid())`` as one module, or with "tanh" or "relu" as the
    ``activation``; see ``Linear`` for the other arguments and errors."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        activation: str = "sigmoid",
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.activation = activation

    def _affine(self, input: Tensor) -> Tensor:
        return F.linear_activation(input, self.weight, self.bias, self.activation)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation!r}"


ACTIVATIONS: dict[type[Module], str] = {Sigmoid: "sigmoid", Tanh: "tanh", ReLU: "relu"}


def fuse(model: Module) -> Module:
    """A model that computes what ``model`` computes, with neighbours fused.

    In every ``Sequential`` inside, a ``BatchNorm1d`` with a ``Sigmoid`` after it becomes a
    ``BatchNormSigmoid``, and a ``Linear`` with a bias and a ``Sigmoid``, ``Tanh`` or ``ReLU`` after
    it a ``LinearActivation``; an ``Identity`` follows, so that all names and indices stay. A pair
    is left as it is where one of the two has a hook, which would not see what it asks for, and
    where either is of a subclass.

    The two models share their parameters and buffers: training one trains the other, ``to`` moves
    both, an optimiser of one serves the other, and a state dict of one fits the other. Each has a
    train/eval state of its own, which starts as the model's is, and hooks of its own: those
    registered so far are in both.

    Raises:
        TypeError: ``model`` is no Module.
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse: got a {type(model).__name__}, expected a Module")
    return _fused(model, {})


def _fused(module: Module, done: dict[Module, Module]) -> Module:
    """A copy of ``module`` that shares its tensors; ``done``: those copied so far, as a module
    that is used in several places must stay one."""
    if module in done:
        return done[module]
    copy = done[module] = _sharing(module, type(module))
    for name, child in module._own("module"):
        copy.__dict__[name] = _fused(child, done)
    if type(module).forward is Sequential.forward:
        named = list(module._own("module"))
        for (name, first), (after, second) in pairwise(named):
            pair = _pair(first, second)
            if pair is not None:
                copy.__dict__[name] = pair
                copy.__dict__[after] = Identity().train(second.training)
    return copy


def _pair(first: Module, second: Module) -> Module | None:
    """The two as one module, if they can be."""
    if any(m._pre_hooks or m._forward_hooks or m._backward_hooks for m in (first, second)):
        return None
    if type(first) is BatchNorm1d and type(second) is Sigmoid:
        return _sharing(first, BatchNormSigmoid)
    if type(first) is Linear and first.bias is not None and type(second) in ACTIVATIONS:
        pair = _sharing(first, LinearActivation)
        pair.activation = ACTIVATIONS[type(second)]
        return pair
    return None


def _sharing(module: Module, kind: type[Module]) -> Module:
    """A module of ``kind`` with the attributes of ``module``, and lists of its own."""
    copy = kind.__new__(kind)
    for name, value in module.__dict__.items():
        own = type(value) in (dict, list, set)
        copy.__dict__[name] = value.copy() if own else value
    return copy

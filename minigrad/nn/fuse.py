"""Neighbours as one operation: ``nn.fuse(model)`` is the same function in fewer steps.

Linear writes a matrix that BatchNorm1d reads right away, and BatchNorm1d one for Sigmoid. As one
operation they save passes over memory, arrays that need not be kept, launches and nodes. The
derivations are in ``ops/fused.py``. The model that is given stays what it is: the one to read, to
observe layer by layer, and to compare with.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from ..functional import fused
from ..tensor import Tensor
from .activation import ReLU, Sigmoid, Tanh
from .batchnorm import BatchNorm1d
from .container import Sequential
from .linear import Linear
from .module import Module
from .shape import Identity
from .unregistered import in_plain_lists

ACTIVATIONS: dict[type[Module], str] = {Sigmoid: "sigmoid", Tanh: "tanh", ReLU: "relu"}


class BatchNormSigmoid(BatchNorm1d):
    """``Sequential(BatchNorm1d(...), Sigmoid())`` as one module; see ``BatchNorm`` for arguments
    and errors. In evaluation it is the affine map and the sigmoid, one after the other."""

    function: ClassVar[Callable[..., Tensor]] = staticmethod(fused.batch_norm_sigmoid)


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
        if activation not in ACTIVATIONS.values():
            known = ", ".join(map(repr, ACTIVATIONS.values()))
            raise ValueError(f"LinearActivation: activation is {activation!r}, expected {known}")
        self.activation = activation

    def function(  # an option of the instance goes with it
        self, input: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        return fused.linear_activation(input, weight, bias, self.activation)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation!r}"


class LinearBatchNormSigmoid(Linear):
    """``Sequential(Linear(...), BatchNorm1d(...), Sigmoid())`` as one module, made by ``nn.fuse``.

    It has the weight and bias of the Linear. Those of the BatchNorm1d, its running statistics and
    its train/eval state stay in ``norm``, the module after it, which returns its input.
    """

    norm: "FusedAway"

    def forward(self, input: Tensor) -> Tensor:
        """See the class. Where no batch's statistics are taken, and for inputs that do not fit,
        the operations run one after the other."""
        norm = self.norm
        if norm.training and isinstance(input, Tensor):
            shape = input.array.shape
            if len(shape) == 2 and shape[0] > 1 and shape[1] == self.in_features:
                inputs = input, self.weight, self.bias
                return norm._run(fused.linear_batch_norm_sigmoid, inputs, by_batch=True)
        return BatchNormSigmoid.forward(norm, super().forward(input))


class FusedAway(BatchNormSigmoid):
    """A ``BatchNorm1d`` that the ``LinearBatchNormSigmoid`` before it has computed."""

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input

    def _get_name(self) -> str:
        """The class of the layer that the user has written."""
        return "BatchNorm1d"


def fuse(model: Module) -> Module:
    """A model that computes what ``model`` computes, with neighbours fused.

    In every ``Sequential`` inside, each of these patterns is replaced by one module. Modules that
    return their input follow it, so that all names and indices stay:

    * a ``Linear`` with a bias, a ``BatchNorm1d`` with weight and bias, and a ``Sigmoid``;
    * another ``BatchNorm1d`` and a ``Sigmoid``;
    * a ``Linear`` with a bias, and a ``Sigmoid``, ``Tanh`` or ``ReLU``.

    To take parts out of a model, by index or slice, do so before it is fused: of a row that became
    one, the first part computes the whole.

    They are left as they are where one of them has a hook, which would not see what it asks for,
    where one is of a subclass, and where one is in a plain list too, which may run it alone.

    The two models share their parameters and buffers: training one trains the other, ``to`` moves
    both, an optimiser of one serves the other, and a state dict of one fits the other. Each has a
    train/eval state of its own, which starts as the model's is, and hooks of its own: those
    registered so far are in both.

    Raises:
        TypeError: ``model`` is no Module.
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse: got a {type(model).__name__}, expected a Module")
    listed = {
        part
        for module in model.modules()
        for _, parts in in_plain_lists(module, (Module,))
        for part in parts
    }
    return _fused(model, {}, listed)


def _fused(module: Module, done: dict[Module, Module], listed: set[Module]) -> Module:
    """A copy of ``module`` that shares its tensors.

    ``done`` are those copied so far, because a module that is used in several places must stay
    one; ``listed`` those in plain lists.
    """
    if module in done:
        return done[module]
    copy = done[module] = _sharing(module, type(module))
    for name, child in module.members_of("module"):
        copy.__dict__[name] = _fused(child, done, listed)
    if isinstance(module, LinearBatchNormSigmoid):
        copy.__dict__["norm"] = _fused(module.norm, done, listed)
    for name, parts in in_plain_lists(module, (Module,)):
        if parts:
            copy.__dict__[name] = _with_copies(module.__dict__[name], done, listed)
    if type(module).forward is Sequential.forward:
        named = list(module.members_of("module"))
        while named:
            parts = _as_one([child for _, child in named], listed)
            for (name, _), part in zip(named, parts, strict=False):
                copy.__dict__[name] = part
            named = named[max(len(parts), 1) :]
    return copy


def _with_copies(value: Any, done: dict[Module, Module], listed: set[Module]) -> Any:
    """A list, tuple or dict like ``value``, with copies of the modules in it."""
    if isinstance(value, Module):
        return _fused(value, done, listed)
    if type(value) is dict:
        return {key: _with_copies(item, done, listed) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_copies(item, done, listed) for item in value)
    return value


def _as_one(row: list[Module], listed: set[Module]) -> list[Module]:
    """What takes the place of the first modules of ``row``, if they can be one; else nothing."""
    kinds = [None if m.has_hooks or m in listed else type(m) for m in row[:3]]
    first = row[0]
    if kinds == [Linear, BatchNorm1d, Sigmoid]:
        norm: Any = row[1]
        if first.bias is not None and norm.weight is not None and norm.bias is not None:
            layer, norm = _sharing(first, LinearBatchNormSigmoid), _sharing(norm, FusedAway)
            layer.__dict__["norm"] = norm  # not registered: it is so already, one further on
            return [layer, norm, _nothing_for(row[2])]
    if kinds[:2] == [BatchNorm1d, Sigmoid]:
        return [_sharing(first, BatchNormSigmoid), _nothing_for(row[1])]
    if kinds[0] is Linear and first.bias is not None and kinds[1:] and kinds[1] in ACTIVATIONS:
        pair = _sharing(first, LinearActivation)
        pair.activation = ACTIVATIONS[kinds[1]]
        return [pair, _nothing_for(row[1])]
    return []


def _nothing_for(activation: Module) -> Module:
    """What stands where an activation was."""
    return Identity().train(activation.training)


def _sharing(module: Module, kind: type[Module]) -> Module:
    """A module of ``kind`` with the attributes of ``module``, and lists of its own."""
    copy = kind.__new__(kind)
    for name, value in module.__dict__.items():
        own = type(value) in (dict, list, set)
        copy.__dict__[name] = value.copy() if own else value
    return copy

"""Tensor's methods as functions, and the functions that join or choose between tensors."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import ops
from ..core.autograd import apply
from ..methods.arguments import pair
from ..ops.axes import normalize_dim
from ..tensor import Tensor

__all__ = [
    "expm1",
    "log1p",
    "sign",
    "floor",
    "ceil",
    "round",
    "masked_fill",
    "max",
    "min",
    "norm",
    "isnan",
    "isinf",
    "isfinite",
    "any",
    "all",
    "equal",
    "allclose",
    "add",
    "sub",
    "mul",
    "div",
    "pow",
    "neg",
    "abs",
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "square",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "clamp",
    "maximum",
    "minimum",
    "sum",
    "mean",
    "var",
    "std",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "logsumexp",
    "softmax",
    "log_softmax",
    "cumsum",
    "matmul",
    "mm",
    "bmm",
    "dot",
    "outer",
    "reshape",
    "flatten",
    "floor_divide",
    "transpose",
    "permute",
    "squeeze",
    "unsqueeze",
    "split",
    "chunk",
    "gather",
    "relu",
    "remainder",
    "expand",
    "log2",
    "erf",
    "prod",
    "cumprod",
    "var_mean",
    "sort",
    "argsort",
    "topk",
    "flip",
    "roll",
    "tile",
    "unbind",
    "tril",
    "triu",
    "diagonal",
    "diag",
    "index_select",
    "index_add",
    "scatter_add",
    "nonzero",
    "where",
    "cat",
    "stack",
]

P = ParamSpec("P")
R = TypeVar("R")


def _function(method: Callable[P, R]) -> Callable[P, R]:
    """A method of Tensor as a function, at home in this module, whose first argument is called
    ``input``; it says so when that is no Tensor."""

    @functools.wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        if args and isinstance(args[0], Tensor):
            return method(*args, **kwargs)
        given = args[0] if args else kwargs.pop("input", None)
        if not args and isinstance(given, Tensor):  # PyTorch's name for the first argument
            return method(given, **kwargs)  # type: ignore[arg-type]
        raise TypeError(
            f"{method.__name__}: got a {type(given).__name__}, expected a Tensor; "
            f"wrap it: mg.tensor(...)"
        )

    signature = inspect.signature(method)
    first, *others = signature.parameters.values()
    shown = signature.replace(parameters=[first.replace(name="input"), *others])
    function.__signature__ = shown  # type: ignore[attr-defined]
    function.__module__, function.__qualname__ = __name__, method.__name__
    return function


add = _function(Tensor.add)
sub = _function(Tensor.sub)
mul = _function(Tensor.mul)
div = _function(Tensor.div)
floor_divide = _function(Tensor.floor_divide)
remainder = _function(Tensor.remainder)
pow = _function(Tensor.pow)
neg = _function(Tensor.neg)
abs = _function(Tensor.abs)
exp = _function(Tensor.exp)
log = _function(Tensor.log)
sqrt = _function(Tensor.sqrt)
rsqrt = _function(Tensor.rsqrt)
reciprocal = _function(Tensor.reciprocal)
square = _function(Tensor.square)
sin = _function(Tensor.sin)
cos = _function(Tensor.cos)
tanh = _function(Tensor.tanh)
sigmoid = _function(Tensor.sigmoid)
expm1 = _function(Tensor.expm1)
log1p = _function(Tensor.log1p)
sign = _function(Tensor.sign)
floor = _function(Tensor.floor)
ceil = _function(Tensor.ceil)
round = _function(Tensor.round)
masked_fill = _function(Tensor.masked_fill)
max = _function(Tensor.max)
min = _function(Tensor.min)
norm = _function(Tensor.norm)
isnan = _function(Tensor.isnan)
isinf = _function(Tensor.isinf)
isfinite = _function(Tensor.isfinite)
any = _function(Tensor.any)
all = _function(Tensor.all)
equal = _function(Tensor.equal)
allclose = _function(Tensor.allclose)
clamp = _function(Tensor.clamp)
maximum = _function(Tensor.maximum)
minimum = _function(Tensor.minimum)
sum = _function(Tensor.sum)
mean = _function(Tensor.mean)
var = _function(Tensor.var)
std = _function(Tensor.std)
amax = _function(Tensor.amax)
amin = _function(Tensor.amin)
argmax = _function(Tensor.argmax)
argmin = _function(Tensor.argmin)
logsumexp = _function(Tensor.logsumexp)
softmax = _function(Tensor.softmax)
log_softmax = _function(Tensor.log_softmax)
cumsum = _function(Tensor.cumsum)
matmul = _function(Tensor.matmul)
mm = _function(Tensor.mm)
bmm = _function(Tensor.bmm)
dot = _function(Tensor.dot)
outer = _function(Tensor.outer)
reshape = _function(Tensor.reshape)
flatten = _function(Tensor.flatten)
transpose = _function(Tensor.transpose)
permute = _function(Tensor.permute)
expand = _function(Tensor.expand)
squeeze = _function(Tensor.squeeze)
unsqueeze = _function(Tensor.unsqueeze)
split = _function(Tensor.split)
chunk = _function(Tensor.chunk)
gather = _function(Tensor.gather)
relu = _function(Tensor.relu)
log2 = _function(Tensor.log2)
erf = _function(Tensor.erf)
prod = _function(Tensor.prod)
cumprod = _function(Tensor.cumprod)
var_mean = _function(Tensor.var_mean)
sort = _function(Tensor.sort)
argsort = _function(Tensor.argsort)
topk = _function(Tensor.topk)
flip = _function(Tensor.flip)
roll = _function(Tensor.roll)
tile = _function(Tensor.tile)
unbind = _function(Tensor.unbind)
tril = _function(Tensor.tril)
triu = _function(Tensor.triu)
diagonal = _function(Tensor.diagonal)
diag = _function(Tensor.diag)
index_select = _function(Tensor.index_select)
index_add = _function(Tensor.index_add)
scatter_add = _function(Tensor.scatter_add)
nonzero = _function(Tensor.nonzero)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """``input`` where ``condition`` holds, else ``other``; they may be Python numbers.

    The three broadcast. Two numbers make float32, or int64 of integers.

    Raises:
        TypeError: the condition is no boolean Tensor, or one of the others is neither a Tensor nor
            a number.
        ValueError: the shapes do not broadcast.
    """
    if not isinstance(condition, Tensor) or condition.dtype != np.bool_:
        kind = getattr(condition, "dtype", type(condition).__name__)
        raise TypeError(f"where: the condition is {kind}, expected a boolean Tensor")
    if isinstance(input, Tensor):
        return input.where(condition, other)
    if isinstance(other, Tensor):
        return other.where(~condition, input)
    _, number = pair(condition, other, "where")
    if number is NotImplemented:
        raise TypeError(f"where: other is a {type(other).__name__}, expected a Tensor or a number")
    return number.where(~condition, input)


# ----------------------------------------------------------------------------------- joining


def _tensors(name: str, tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    """At least one Tensor, and nothing else."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}: got one Tensor, expected a list of them")
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError(f"{name}: got no tensors, expected at least one")
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: item {i} is a {type(tensor).__name__}, expected a Tensor")
    return tensors


def promoted(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors with integers and booleans in the floating type of the others, if there is one.

    (NumPy would take int64 and float32 to float64.)
    """
    floating = next((t for t in tensors if t.dtype.kind == "f"), None)
    if floating is None:
        return tensors
    return tuple(t if t.dtype.kind == "f" else t.to(floating.dtype) for t in tensors)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along ``dim``; their other axes must agree.

    Of shapes (..., n1, ...), (..., n2, ...), ... -> (..., n1 + n2 + ..., ...).

    Raises:
        TypeError: something else than a list of Tensors.
        ValueError: there are none, they have no axes, or their other axes differ.
        IndexError: they have no axis ``dim``.
    """
    tensors = promoted(*_tensors("cat", tensors))
    shapes = [t.shape for t in tensors]
    axis = normalize_dim(dim, tensors[0].ndim, "cat")
    others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    if tensors[0].ndim == 0 or len(others) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"cat: shapes {shapes}, expected equal ones but for axis {axis}")
    return apply(ops.Cat(axis), *tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, side by side along a new axis ``dim``.

    Of n of the shape (d0, d1, ...) -> (n, d0, d1, ...) for ``dim`` 0.

    Raises:
        TypeError: something else than a list of Tensors.
        ValueError: there are none, or their shapes differ.
        IndexError: the result has no axis ``dim``.
    """
    tensors = _tensors("stack", tensors)
    shapes = {t.shape for t in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack: shapes {sorted(shapes)}, expected one shape")
    return cat([t.unsqueeze(dim) for t in tensors], dim)

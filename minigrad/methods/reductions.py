"""Sums, means, extremes and softmaxes: methods that work along axes."""

from typing import Any, NamedTuple, Self

from .. import ops
from ..arrays import as_dtype
from ..backend import on_device_of
from ..core.autograd import apply
from ..core.variable import Variable
from ..ops.axes import normalize_dim, normalize_dims
from .arguments import Dims, as_dims, floating, narrowed, numpy_spelling, of_tensor, widened


class Extreme(NamedTuple):
    """What ``max`` and ``min`` along an axis return."""

    values: Any
    indices: Any


@of_tensor
class Reductions(Variable):
    """Many numbers to one, or each against the others of its axis."""

    __slots__ = ()

    def _reduce(self, reduction: type[Any], dim: Dims, keepdim: bool, *options: Any) -> Any:
        name = reduction.__name__.lower()
        dims = normalize_dims(as_dims(dim), self.array.ndim, name)
        return apply(reduction(dims, keepdim, *options), self)

    @numpy_spelling
    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The sum over ``dim`` (an axis, several, or all), in ``dtype``: by default that of self,
        or int64 of integers and booleans."""
        dims = None if dim is None else normalize_dims(as_dims(dim), self.array.ndim, "sum")
        if dtype is not None:
            return as_type(as_type(self, dtype).sum(dim, keepdim), dtype)
        return apply(ops.Sum(dims, keepdim), self)

    @numpy_spelling
    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The mean over ``dim`` (an axis, several, or all), in ``dtype`` (default: that of self).

        Raises:
            TypeError: the mean of integers, or in integers, which need not be one.
        """
        x = as_type(self, dtype)
        if x.array.dtype.kind != "f":
            raise TypeError(
                f"mean: the tensor is {x.array.dtype}, expected a floating type; use .float()"
            )
        return x._reduce(ops.Mean, dim, keepdim)

    @numpy_spelling
    def var(
        self,
        dim: Dims = None,
        *,
        correction: float | None = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
    ) -> Self:
        """The variance over ``dim``: squared distances from the mean, divided by n - correction
        (default 1). ``unbiased`` True and False stand for corrections of 1 and 0."""
        return self._spread(ops.Var, dim, correction, unbiased, keepdim)

    @numpy_spelling
    def std(
        self,
        dim: Dims = None,
        *,
        correction: float | None = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
    ) -> Self:
        """The standard deviation over ``dim``: the root of ``var``."""
        return self._spread(ops.Std, dim, correction, unbiased, keepdim)

    @numpy_spelling
    def var_mean(
        self,
        dim: Dims = None,
        *,
        correction: float | None = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
    ) -> tuple[Self, Self]:
        """``var`` and ``mean`` over ``dim``."""
        mean = self.mean(None if isinstance(dim, bool) else dim, keepdim)
        return self._spread(ops.Var, dim, correction, unbiased, keepdim), mean

    def _spread(
        self,
        op: type[Any],
        dim: Dims,
        correction: float | None,
        unbiased: bool | None,
        keepdim: bool,
    ) -> Any:
        if isinstance(dim, bool):  # PyTorch's older spelling: var(False)
            dim, unbiased = None, dim
        if unbiased is not None and correction is not None:
            raise TypeError(
                f"{op.__name__.lower()}: got both unbiased= and correction=, expected one of them"
            )
        c = 1 if correction is None else correction
        c = c if unbiased is None else int(unbiased)
        return narrowed(widened(self)._reduce(op, dim, keepdim, c), self)

    @numpy_spelling
    def amax(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The largest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amax, dim, keepdim)

    @numpy_spelling
    def amin(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The smallest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amin, dim, keepdim)

    @numpy_spelling
    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; or along ``dim``, a named tuple of ``values`` and ``indices``. The
        gradient goes to the element at the index. Of two Tensors, ``maximum``."""
        return self._extreme("max", dim, keepdim)

    @numpy_spelling
    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; or along ``dim``, a named tuple of ``values`` and ``indices``. The
        gradient goes to the element at the index. Of two Tensors, ``minimum``."""
        return self._extreme("min", dim, keepdim)

    def _extreme(self, name: str, dim: Any, keepdim: bool) -> Any:
        if isinstance(dim, Variable):
            x: Any = self
            return x.maximum(dim) if name == "max" else x.minimum(dim)
        if dim is None:
            return self.amax() if name == "max" else self.amin()
        indices = (
            self.argmax(dim, keepdim=True) if name == "max" else self.argmin(dim, keepdim=True)
        )
        if not self.array.ndim:
            return Extreme(self, indices)
        x = self
        values = x.gather(dim, indices)
        return (
            Extreme(values, indices)
            if keepdim
            else Extreme(values.squeeze(dim), indices.squeeze(dim))
        )

    @numpy_spelling
    def norm(self, p: Any = 2, dim: Dims = None, keepdim: bool = False) -> Self:
        """(sum |x|^p)^(1/p) over ``dim`` (an axis, several, or all): the length for p = 2 or "fro",
        the largest |x| for p = infinity, the smallest for -infinity, and for p = 0 how many are not
        0. Its gradient is 0 where the norm is 0.

        Raises:
            ValueError: p is NaN, or another word.
        """
        p = 2 if p == "fro" else p
        if not isinstance(p, (int, float)) or p != p:
            raise ValueError(f"norm: p is {p!r}, expected a number or 'fro'")
        x: Any = floating(self)
        size = abs(x)
        if abs(p) == float("inf"):
            return size.amax(dim, keepdim) if p > 0 else size.amin(dim, keepdim)
        if p == 0:
            return (size.sign() ** 2).sum(dim, keepdim)
        if p < 0:
            return (size**p).sum(dim, keepdim) ** (1 / p)
        largest = size.detach().amax(dim, keepdim=True) if x.array.size else size.detach().sum()
        scale = largest.where(largest > 0, 1.0)  # so that no power leaves the range of numbers
        total = ((size / scale) ** p).sum(dim, keepdim=True)
        root = (total + (total == 0)) ** (1 / p) * (total > 0) * scale
        return root if keepdim else root.reshape(size.sum(dim).shape)

    @numpy_spelling
    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Self:
        """log(sum(exp(self))) over ``dim``, without overflow."""
        return narrowed(widened(self)._reduce(ops.LogSumExp, dim, keepdim), self)

    @numpy_spelling
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """Where the largest element stands along ``dim``, or in the flattened Tensor (int64)."""
        return self._where_extreme("argmax", dim, keepdim)

    @numpy_spelling
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """Where the smallest element stands along ``dim``, or in the flattened Tensor (int64)."""
        return self._where_extreme("argmin", dim, keepdim)

    def _where_extreme(self, name: str, dim: int | None, keepdim: bool) -> Any:
        axis = None if dim is None else normalize_dim(dim, self.array.ndim, name)
        find = getattr(self.array, name)
        with on_device_of(self.array):
            if self.array.ndim == 0:
                return self.from_array(find())
            return self.from_array(find(axis=axis, keepdims=keepdim))

    @numpy_spelling
    def softmax(self, dim: int | None = None, dtype: Any = None) -> Self:
        """e ** self, divided by its sum along ``dim``; of self in ``dtype``, if that is given.

        Raises:
            TypeError: without ``dim``: along which axis the classes lie cannot be guessed.
        """
        return self._along(ops.Softmax, dim, dtype, "softmax")

    @numpy_spelling
    def log_softmax(self, dim: int | None = None, dtype: Any = None) -> Self:
        """The logarithm of ``softmax``, accurate for small probabilities; arguments and errors are
        the same."""
        return self._along(ops.LogSoftmax, dim, dtype, "log_softmax")

    def _along(self, op: type[Any], dim: int | None, dtype: Any, name: str) -> Any:
        if dim is None:
            raise TypeError(
                f"{name}: dim is missing; dim=-1, the last axis, is the usual one, as in (N, C) "
                f"the classes lie there"
            )
        x = as_type(self, dtype)
        if dtype is not None and x.array.dtype.kind != "f":
            raise TypeError(f"{name}: dtype is {x.array.dtype}, expected a floating type")
        return narrowed(apply(op(normalize_dim(dim, self.array.ndim, name)), widened(x)), x)

    @numpy_spelling
    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Self:
        """The product along ``dim``, or of all elements, in ``dtype``: by default that of self, or
        int64 of integers and booleans."""
        x = as_type(self, dtype)
        if dim is None:
            return as_type(apply(ops.Prod(0), x.reshape(-1)), dtype)
        axis = normalize_dim(dim, x.array.ndim, "prod")
        if not x.array.ndim:
            return apply(ops.Prod(0), x.reshape(1))
        return as_type(apply(ops.Prod(axis, keepdim), x), dtype)

    @numpy_spelling
    def cumprod(self, dim: int, *, dtype: Any = None) -> Self:
        """The running product along ``dim``, in ``dtype``: by default that of self, or int64 of
        integers and booleans."""
        x = as_type(self, dtype)
        axis = normalize_dim(dim, x.array.ndim, "cumprod")
        if not x.array.ndim:
            return apply(ops.CumProd(0), x.reshape(1)).reshape(())
        return as_type(apply(ops.CumProd(axis), x), dtype)

    @numpy_spelling
    def cumsum(self, dim: int, *, dtype: Any = None) -> Self:
        """The running sum along ``dim``, in ``dtype``: by default that of self, or int64 of
        integers and booleans."""
        op = ops.CumSum(normalize_dim(dim, self.array.ndim, "cumsum"))
        return as_type(apply(op, as_type(self, dtype)), dtype)


def as_type(x: Any, dtype: Any) -> Any:
    """``x`` in ``dtype``, unless that is None."""
    return x if dtype is None else x.to(as_dtype(dtype))

"""Sums, means, extremes and softmaxes: methods that work along axes."""

from typing import Any, Self

import numpy as np

from .. import ops
from ..backend import on_device_of
from ..core.autograd import apply
from ..core.variable import Variable
from ..ops.axes import normalize_dim, normalize_dims
from .arguments import Dims, as_dims, narrowed, numpy_spelling, widened


class Reductions(Variable):
    """Many numbers to one, or each against the others of its axis."""

    __slots__ = ()

    def _reduce(self, reduction: type[Any], dim: Dims, keepdim: bool, *options: Any) -> Any:
        name = reduction.__name__.lower()
        dims = normalize_dims(as_dims(dim), self.array.ndim, name)
        return apply(reduction(dims, keepdim, *options), self)

    @numpy_spelling
    def sum(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The sum over ``dim`` (an axis, several, or all)."""
        dims = None if dim is None else normalize_dims(as_dims(dim), self.array.ndim, "sum")
        return apply(ops.Sum(dims, keepdim), self)

    @numpy_spelling
    def mean(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The mean over ``dim`` (an axis, several, or all).

        Raises:
            TypeError: the Tensor holds integers, whose mean need not be one.
        """
        if self.array.dtype.kind != "f":
            raise TypeError(
                f"mean: the tensor is {self.array.dtype}, expected a floating type; use .float()"
            )
        return self._reduce(ops.Mean, dim, keepdim)

    @numpy_spelling
    def var(self, dim: Dims = None, *, correction: float = 1, keepdim: bool = False) -> Self:
        """The variance over ``dim``: squared distances from the mean, divided by n - correction."""
        return narrowed(widened(self)._reduce(ops.Var, dim, keepdim, correction), self)

    @numpy_spelling
    def std(self, dim: Dims = None, *, correction: float = 1, keepdim: bool = False) -> Self:
        """The standard deviation over ``dim``: the root of ``var``."""
        return narrowed(widened(self)._reduce(ops.Std, dim, keepdim, correction), self)

    @numpy_spelling
    def amax(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The largest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amax, dim, keepdim)

    @numpy_spelling
    def amin(self, dim: Dims = None, keepdim: bool = False) -> Self:
        """The smallest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amin, dim, keepdim)

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
    def softmax(self, dim: int) -> Self:
        """e ** self, divided by its sum along ``dim``."""
        op = ops.Softmax(normalize_dim(dim, self.array.ndim, "softmax"))
        return narrowed(apply(op, widened(self)), self)

    @numpy_spelling
    def log_softmax(self, dim: int) -> Self:
        """The logarithm of ``softmax``, accurate for small probabilities."""
        op = ops.LogSoftmax(normalize_dim(dim, self.array.ndim, "log_softmax"))
        return narrowed(apply(op, widened(self)), self)

    @numpy_spelling
    def cumsum(self, dim: int) -> Self:
        """The running sum along ``dim``."""
        op = ops.CumSum(normalize_dim(dim, self.array.ndim, "cumsum"))
        if self.array.dtype == np.float16:
            return narrowed(apply(op, widened(self)), self)
        return apply(op, self)

"""Products of matrices and vectors."""

from typing import Any, Self

import numpy as np

from .. import ops
from ..core.autograd import apply
from ..core.variable import Variable
from .arguments import of_tensor, promoted, tensor_operand


@of_tensor
class Products(Variable):
    """``@``, and the forms of it that insist on a number of axes."""

    __slots__ = ()

    def __matmul__(self, other: Any) -> Self:
        a, b = self, tensor_operand(other, "matmul")
        shapes = f"{tuple(a.array.shape)} and {tuple(b.array.shape)}"
        if not a.array.ndim or not b.array.ndim:
            raise ValueError(f"matmul: shapes {shapes}, expected at least one axis each; use *")
        inner = b.array.shape[-2 if b.array.ndim > 1 else -1]
        if a.array.shape[-1] != inner:
            raise ValueError(
                f"matmul: shapes {shapes}: the last axis of the first has {a.array.shape[-1]} "
                f"elements and the matching axis of the second {inner}, expected equal lengths"
            )
        try:
            np.broadcast_shapes(a.array.shape[:-2], b.array.shape[:-2])
        except ValueError:
            raise ValueError(
                f"matmul: shapes {shapes}: the stacks of matrices do not broadcast: the leading "
                f"axes, counted from the right, must be equal or one of them 1"
            ) from None
        return apply(ops.MatMul(), promoted(a, b), promoted(b, a))

    def __rmatmul__(self, other: Any) -> Self:
        return Products.__matmul__(tensor_operand(other, "matmul"), self)  # self is of a subclass

    def matmul(self, other: Variable) -> Self:
        """The matrix product self @ other; stacks of matrices broadcast, vectors are allowed."""
        return self @ other

    def _product(self, other: Any, ndim: int, name: str) -> Any:
        """matmul for operands that must both have ``ndim`` axes."""
        found = self.array.ndim, tensor_operand(other, name).array.ndim
        if found != (ndim, ndim):
            raise ValueError(
                f"{name}: operands have {found[0]} and {found[1]} axes, expected {ndim} each; "
                f"matmul takes any"
            )
        return self @ other

    def mm(self, other: Variable) -> Self:
        """The product of two matrices."""
        return self._product(other, 2, "mm")

    def bmm(self, other: Variable) -> Self:
        """The products of two stacks of matrices of the same height, (B, n, k) and (B, k, m)."""
        if self.array.ndim == 3 == tensor_operand(other, "bmm").array.ndim and (
            self.array.shape[0] != other.array.shape[0]
        ):
            raise ValueError(
                f"bmm: stacks of {self.array.shape[0]} and {other.array.shape[0]} matrices, "
                f"expected the same number; matmul broadcasts"
            )
        return self._product(other, 3, "bmm")

    def dot(self, other: Variable) -> Self:
        """The inner product of two vectors."""
        return self._product(other, 1, "dot")

    def outer(self, other: Variable) -> Self:
        """The outer product of two vectors, (n,) and (m,): (n, m)."""
        if self.array.ndim != 1 or tensor_operand(other, "outer").array.ndim != 1:
            shapes = f"{tuple(self.array.shape)} and {tuple(other.array.shape)}"
            raise ValueError(f"outer: operands have shapes {shapes}, expected two vectors")
        return apply(ops.Reshape((-1, 1)), self) * other

"""Matrix products: ``MatMul``, and the affine map ``Linear`` that every layer starts with."""

import math
from typing import Any, ClassVar

from ..backend import Array
from ..core.op import Op
from .broadcasting import add_up, unbroadcast

__all__ = [
    "Linear",
    "MatMul",
]


class MatMul(Op):
    """Y = A B, for matrices, stacks of them (broadcast over leading axes) and vectors.

    A: (..., n, k), B: (..., k, m)  ->  Y: (..., n, m)

    Element by element Y_ij = sum_k A_ik B_kj, so A_ik reaches the loss through row i of Y:
    dL/dA_ik = sum_j dL/dY_ij B_kj. The sum over j is a product with B transposed:

        dL/dA = dL/dY B^T,     and likewise     dL/dB = A^T dL/dY.

    A vector on the left is a matrix of one row, on the right one of one column.
    """

    saves = ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:
        return a @ b

    def backward(self, grad: Array, y: Array, a: Array, b: Array) -> tuple[Any, Any]:
        rows = a if a.ndim > 1 else a.reshape((1, *a.shape))  # (..., n, k)
        columns = b if b.ndim > 1 else b.reshape((*b.shape, 1))  # (..., k, m)
        leading = y.shape[: y.ndim - (a.ndim > 1) - (b.ndim > 1)]
        grad = grad.reshape((*leading, rows.shape[-2], columns.shape[-1]))  # (..., n, m)
        da = db = None
        if self.needs_input_grad[0]:
            da = unbroadcast(grad @ columns.swapaxes(-1, -2), rows.shape).reshape(a.shape)
        if self.needs_input_grad[1]:
            db = unbroadcast(rows.swapaxes(-1, -2) @ grad, columns.shape).reshape(b.shape)
        return da, db


class Linear(Op):
    """Y = X W^T + b: each row of X through the same affine map.

    X: (..., in), W: (out, in), b: (out,)  ->  Y: (..., out)

    In step 1 the rows of X are counted in one index n, so that all are matrices.

    1. elements:  Y_no = sum_i X_ni W_oi + b_o
    2. X_ni reaches the loss through row n of Y, with weight W_oi:
       dX_ni = sum_o dY_no W_oi          =>  dX = dY W        (N, in)
    3. W_oi reaches it through column o of Y, with weight X_ni:
       dW_oi = sum_n dY_no X_ni          =>  dW = dY^T X      (out, in)
    4. b_o is added to every row, so its copies' gradients add up:
       db_o = sum_n dY_no                =>  db = dY summed over the rows

    Kept for backward: X and W. Without b the last step falls away.
    """

    saves: ClassVar[tuple[str, ...]] = ("x", "weight")

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = x @ weight.T
        return y if bias is None else y + bias

    def backward(
        self, grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None
    ) -> tuple[Any, ...]:
        n = math.prod(x.shape[:-1])
        rows = grad if grad.ndim == 2 else grad.reshape((n, weight.shape[0]))  # (N, out)
        dx = dw = None
        if self.needs_input_grad[0]:
            dx = grad @ weight
        if self.needs_input_grad[1]:
            inputs = x if x.ndim == 2 else x.reshape((n, weight.shape[1]))  # (N, in)
            dw = rows.T @ inputs
        return (dx, dw) if bias is None else (dx, dw, add_up(rows, (0,)))

"""Derivatives of functions: Jacobians, Hessians, and their products with vectors.

A backward pass computes v^T J, one row of a Jacobian at the price of one evaluation. All else is
made of that: J row by row; H as the Jacobian of the gradient; and J v by differentiating v^T J with
respect to v, in which it is linear.

Names and arguments are those of ``torch.autograd.functional``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .core.autograd import grad
from .creation import zeros_like
from .functional import stack
from .tensor import Tensor

Function = Callable[..., Tensor]


def vjp(func: Function, inputs: Any, v: Tensor | None = None) -> tuple[Tensor, Any]:
    """func(*inputs), and v^T J: the gradient of sum(v * output) with respect to each input.

    Args:
        func: takes the inputs and returns a Tensor.
        inputs: a Tensor or a tuple of them; copies of them are differentiated.
        v: as the output; 1 by default if that is a single number.

    Returns:
        The output, and one Tensor, or a tuple of as many as there are inputs.

    Raises:
        RuntimeError: the output does not depend on an input, or v is missing or does not fit.
        TypeError: ``func`` returns no Tensor.
    """
    xs, y = _evaluated(func, inputs)
    return y.detach(), _like(inputs, grad(y, xs, v))


def jvp(func: Function, inputs: Any, v: Any) -> tuple[Tensor, Tensor]:
    """func(*inputs), and J v: how the output changes if the inputs move by v.

    By two backward passes: u^T J is linear in u, and its derivative with respect to u, applied to
    v, is J v. Pearlmutter (1994), "Fast Exact Multiplication by the Hessian", section 3, has the
    other way; this one needs nothing but backward passes.

    Args:
        func: takes the inputs and returns a Tensor.
        inputs: a Tensor or a tuple of them.
        v: a Tensor like the input, or as many as there are inputs.

    Raises: as ``vjp`` does.
    """
    xs, y = _evaluated(func, inputs)
    u = zeros_like(y).requires_grad_()
    rows = grad(y, xs, u, create_graph=True)
    (moved,) = grad(rows, u, _tuple(v))
    return y.detach(), moved


def jacobian(func: Function, inputs: Any) -> Any:
    """dy/dx, of shape (*output.shape, *input.shape), for each input: one backward pass for each
    element of the output.

    Args:
        func: takes the inputs and returns a Tensor.
        inputs: a Tensor or a tuple of them.

    Returns:
        One Tensor, or a tuple of as many as there are inputs.

    Raises: as ``vjp`` does.
    """
    xs, y = _evaluated(func, inputs)
    return _like(inputs, _blocks(y, xs))


def hessian(func: Function, inputs: Any) -> Any:
    """d^2y/dx dx' of a function with a single number as its output: the Jacobian of its gradient.

    Args:
        func: takes the inputs and returns a Tensor with one element.
        inputs: a Tensor or a tuple of them.

    Returns:
        A Tensor of shape (*x.shape, *x.shape); or for several inputs a tuple of tuples, of which
        [i][j] is the derivative of the gradient of input i with respect to input j.

    Raises: as ``vjp`` does.
    """
    xs, y = _evaluated(func, inputs)
    blocks = [_blocks(g, xs) for g in grad(y, xs, create_graph=True)]
    return blocks[0][0] if isinstance(inputs, Tensor) else tuple(map(tuple, blocks))


def hvp(func: Function, inputs: Any, v: Any) -> tuple[Tensor, Any]:
    """func(*inputs), and H v, without the Hessian: the gradient of g^T v, with g the gradient.

    Pearlmutter (1994), "Fast Exact Multiplication by the Hessian", eq. 2.

    Args:
        func: takes the inputs and returns a Tensor with one element.
        inputs: a Tensor or a tuple of them.
        v: a Tensor like the input, or as many as there are inputs.

    Raises: as ``vjp`` does.
    """
    xs, y = _evaluated(func, inputs)
    gradients = grad(y, xs, create_graph=True)
    pairs = [(g, w) for g, w in zip(gradients, _tuple(v), strict=True) if g.requires_grad]
    if not pairs:  # the gradient is a constant
        return y.detach(), _like(inputs, [zeros_like(x) for x in xs])
    found = grad([g for g, _ in pairs], xs, [w for _, w in pairs], allow_unused=True)
    return y.detach(), _like(inputs, _filled(found, xs))


def _evaluated(func: Function, inputs: Any) -> tuple[tuple[Tensor, ...], Tensor]:
    """Leaves with the numbers of ``inputs``, and the output for them."""
    xs = tuple(x.detach().clone().requires_grad_() for x in _tuple(inputs))
    y = func(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"the function returned a {type(y).__name__}, expected a Tensor")
    return xs, y


def _blocks(y: Tensor, xs: tuple[Tensor, ...]) -> list[Tensor]:
    """dy/dx for each of ``xs``, row by row: a backward pass for each element of y."""
    rows: list[tuple[Tensor, ...]] = []
    for index in np.ndindex(y.shape):
        seed = zeros_like(y)
        seed[index] = 1
        # The gradient of a linear function is a constant, which requires none.
        found = grad(y, xs, seed, True, allow_unused=True) if y.requires_grad else [None] * len(xs)
        rows.append(_filled(found, xs))
    columns = [[row[i] for row in rows] for i in range(len(xs))]
    return [
        stack(column).reshape(*y.shape, *x.shape) for column, x in zip(columns, xs, strict=True)
    ]


def _filled(found: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Zeros where there is no gradient."""
    return tuple(zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True))


def _tuple(tensors: Any) -> tuple[Tensor, ...]:
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _like(inputs: Any, results: Any) -> Any:
    return results[0] if isinstance(inputs, Tensor) else tuple(results)

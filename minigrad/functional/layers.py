"""What layers compute: activations, affine maps, normalisation, embedding, dropout."""

from typing import Any

import numpy as np

from .. import ops
from ..arrays import check_range
from ..backend import CPU, host_copy, to_device, uniform
from ..core.autograd import apply
from ..methods.arguments import narrowed, widened
from ..ops.axes import normalize_dim
from ..tensor import Tensor

__all__ = [
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "linear",
    "embedding",
    "dropout",
    "one_hot",
    "normalize",
]

# ------------------------------------------------------------------------------- activations


def expect_tensors(name: str, optional: tuple[str, ...] = (), **values: Any) -> None:
    """Raise a TypeError that names the first of ``values`` that is no Tensor; the ``optional`` ones
    may be None."""
    for what, value in values.items():
        if not isinstance(value, Tensor) and not (value is None and what in optional):
            raise TypeError(f"{name}: {what} is a {type(value).__name__}, expected a Tensor")


def floating(input: Tensor, name: str) -> Tensor:
    """``input``, after checking that it is a Tensor of a floating type."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: the input is a {type(input).__name__}, expected a Tensor")
    if input.dtype.kind != "f":
        raise TypeError(f"{name}: the input is {input.dtype}, expected a floating type")
    return input


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x for x > 0, else negative_slope * x, elementwise."""
    return apply(ops.LeakyReLU(float(negative_slope)), floating(input, "leaky_relu"))


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha (e^x - 1), elementwise."""
    return apply(ops.ELU(float(alpha)), floating(input, "elu"))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, elementwise; ``approximate="tanh"`` is
    faster and differs by at most 0.0005.

    Raises:
        TypeError: the input is no Tensor, or not floating.
        ValueError: ``approximate`` is neither "none" nor "tanh".
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    op = ops.GELU() if approximate == "none" else ops.GELUTanh()
    return narrowed(apply(op, widened(floating(input, "gelu"))), input)


def silu(input: Tensor) -> Tensor:
    """x sigmoid(x), elementwise."""
    return narrowed(apply(ops.SiLU(), widened(floating(input, "silu"))), input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, elementwise; x itself where beta x > threshold.

    Raises:
        ValueError: ``beta`` is 0.
    """
    if beta == 0:
        raise ValueError("softplus: beta is 0, and the result is divided by it")
    return apply(ops.Softplus(float(beta), float(threshold)), floating(input, "softplus"))


# ------------------------------------------------------------------------------------ layers


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias.    input: (..., in), weight: (out, in), bias: (out,) -> (..., out)

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: weight is not (out, in), the input's last axis is not ``in``, or bias is not
            (out,).
    """
    try:
        x, w = input.array, weight.array
        fits = (
            x.dtype.kind == "f"
            and x.ndim
            and w.ndim == 2
            and x.shape[-1] == w.shape[1]
            and (bias is None or bias.array.shape == w.shape[:1])
        )
    except AttributeError:  # an argument that is no Tensor
        fits = False
    if not fits:
        check_linear("linear", input, weight, bias)
    op = ops.Linear()
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def check_linear(name: str, input: Any, weight: Any, bias: Any) -> None:
    """Raise an error that says what keeps ``linear`` from being computed, if anything does."""
    floating(input, name)
    expect_tensors(name, ("bias",), weight=weight, bias=bias)
    shape = weight.shape
    if weight.ndim != 2:
        raise ValueError(f"{name}: weight has shape {shape}, expected (out, in)")
    if not input.ndim or input.shape[-1] != shape[1]:
        got = f"{input.shape[-1]} features in its last axis" if input.ndim else "no axes"
        raise ValueError(f"{name}: input has {got}, expected {shape[1]} (weight is {shape})")
    if bias is not None and bias.shape != shape[:1]:
        raise ValueError(f"{name}: bias has shape {bias.shape}, expected {shape[:1]}")


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The row of ``weight`` for every integer in ``input``.   (...), (rows, D) -> (..., D)

    The row ``padding_idx`` receives no gradient.

    Raises:
        TypeError: an argument is no Tensor, or the input does not hold integers.
        ValueError: weight is not (rows, D).
        IndexError: there is no such row, for an index or for ``padding_idx``.
    """
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        kinds = f"{type(input).__name__} and {type(weight).__name__}"
        raise TypeError(f"embedding: got {kinds}, expected two Tensors")
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight has shape {weight.shape}, expected (rows, D)")
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding: the input is {input.dtype}, expected integers")
    rows = weight.shape[0]
    check_range(input.array, rows, "embedding", "an index")
    if padding_idx is not None:
        padding_idx = normalize_dim(padding_idx, rows, "embedding: padding_idx")
    return apply(ops.Embedding(padding_idx), input, weight)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Each element 0 with probability ``p``, and otherwise divided by 1 - p, so that the expected
    value stays; without ``training`` the input itself.

    Srivastava et al. (2014), "Dropout", section 4, with the scaling moved into training.

    Raises:
        TypeError: the input is no Tensor, or not floating.
        ValueError: ``p`` is not from 0 to 1.
    """
    floating(input, "dropout")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}, expected a probability from 0 to 1")
    if not training or p == 0:
        return input
    kept = uniform(input.shape) >= p
    mask = Tensor.from_array((kept / (1 - p) if p < 1 else kept * 0.0).astype(input.dtype))
    return input * mask.to(input.device)


def one_hot(labels: Tensor, num_classes: int = -1) -> Tensor:
    """1 where the class is the label, else 0.   labels: (...) integers -> (..., num_classes) int64

    ``num_classes`` is by default (-1) one more than the largest label.

    Raises:
        TypeError: the labels are no Tensor, or no integers.
        IndexError: a label is not in [0, num_classes).
        ValueError: no labels, and no ``num_classes``.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"one_hot: labels are a {type(labels).__name__}, expected a Tensor")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels are {labels.dtype}, expected integers (class numbers)")
    if num_classes == -1:
        if not labels.numel():
            raise ValueError("one_hot: there are no labels to tell the number of classes from")
        num_classes = int(to_device(host_copy(labels.array), CPU).max()) + 1
    check_range(labels.array, num_classes, "one_hot", "a label")
    return apply(ops.OneHot(num_classes, np.int64), labels)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """The input divided by its p-norm along ``dim``, or by ``eps`` where that is larger.

    Raises:
        TypeError: the input is no Tensor, or not floating.
        ValueError: p is not above 0.
    """
    size = floating(input, "normalize").norm(p, dim, keepdim=True)
    return input / size.clamp(min=eps)

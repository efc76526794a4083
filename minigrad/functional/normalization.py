"""Normalisation as functions: their arguments are checked here, and their mathematics derived in
``ops/normalization.py``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels, ops
from ..backend import array_module
from ..core.autograd import apply
from ..core.versions import mark_written
from ..tensor import Tensor
from .layers import expect_tensors, floating


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel.   input: (N, C, ...), others (C,)

    With ``training`` the statistics are the batch's, over all axes but 1, and the running ones
    move towards them in place: running = (1 - momentum) running + momentum batch, where the
    batch's variance is the unbiased one (divided by m - 1). Otherwise the running ones are used.
    Ioffe and Szegedy (2015), "Batch Normalization", section 3.

    Raises:
        TypeError: an argument is no Tensor, the input is not floating, or ``momentum`` or ``eps``
            is no number.
        ValueError: shapes do not fit; ``momentum`` is not from 0 to 1, or ``eps`` negative; a
            single value per channel in training, whose variance is 0 whatever it is; or no running
            statistics without ``training``. Nothing has changed then.
    """
    return normalize_batch(
        False, input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def to_float(vector: Tensor | None) -> Tensor | None:
    """``vector`` in float32, if there is one."""
    return None if vector is None else vector.float()


def track(mean: Tensor | None, var: Tensor | None, op: Any, momentum: float, m: int) -> None:
    """Move running statistics, if there are any, towards those that ``op`` has met."""
    if mean is not None and var is not None:
        kernels.update_running_statistics(mean.array, var.array, op, momentum, m)
        mark_written(mean.array, var.array)


def normalize_batch(
    sigmoid: bool,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """``batch_norm``, and if ``sigmoid`` the sigmoid of it."""
    name = "batch_norm_sigmoid" if sigmoid else "batch_norm"
    vectors = running_mean, running_var, weight, bias
    channels = checked_batch_norm(name, input, vectors, momentum, eps)
    x = input.array
    if x.dtype == np.float16:  # statistics of half precision are taken in float32
        w, b = to_float(weight), to_float(bias)
        running = running_mean, running_var
        y = normalize_batch(sigmoid, input.float(), *running, w, b, training, momentum, eps)
        return y.half()
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(x).ones_like(bias.array))
    affine = () if weight is None else (weight,) if bias is None else (weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(f"{name}: without training, running_mean and running_var are needed")
        statistics = [s.to(input.dtype) for s in (running_mean, running_var)]
        y = apply(ops.BatchNormEval(float(eps)), input, *statistics, *affine)
        return apply(ops.Sigmoid(), y) if sigmoid else y
    m = x.size // channels if channels else 2
    if m < 2:
        raise ValueError(
            f"{name}: input of shape {input.shape} has {'one value' if m else 'no values'} per "
            f"channel; training needs at least two (use a larger batch, drop_last=True in the "
            f"loader, or eval())"
        )
    op = (ops.BatchNormSigmoid if sigmoid else ops.BatchNorm)(float(eps))
    y = apply(op, input, *affine)
    track(running_mean, running_var, op, momentum, m)
    return y


def checked_batch_norm(
    name: str, input: Any, vectors: tuple[Any, ...], momentum: float, eps: float
) -> int:
    """The number of channels, if everything fits."""
    number = (int, float)
    try:
        shape = input.array.shape
        channels = shape[1:2]
        if (
            input.array.dtype.kind == "f"
            and channels
            and isinstance(momentum, number)
            and 0 <= momentum <= 1
            and isinstance(eps, number)
            and eps >= 0
        ):
            for vector in vectors:
                if vector is not None and vector.array.shape != channels:
                    break
            else:
                return int(channels[0])
    except AttributeError:  # an argument that is no Tensor
        pass
    floating(input, name)
    named = dict(zip(("running_mean", "running_var", "weight", "bias"), vectors, strict=True))
    expect_tensors(name, tuple(named), **named)
    if not isinstance(momentum, number) or not isinstance(eps, number):
        kinds = f"{type(momentum).__name__} and {type(eps).__name__}"
        raise TypeError(f"{name}: momentum and eps are {kinds}, expected numbers")
    check_eps(name, eps)
    if not 0 <= momentum <= 1:
        raise ValueError(f"{name}: momentum is {momentum}, expected a share from 0 to 1")
    if input.ndim < 2:
        raise ValueError(f"{name}: input has shape {shape}, expected (N, C, ...)")
    wrong = next(what for what, v in named.items() if v is not None and v.shape != channels)
    raise ValueError(
        f"{name}: {wrong} has shape {named[wrong].shape}, expected {channels}: "
        f"the input has {channels[0]} channels in axis 1"
    )


def check_eps(name: str, eps: float) -> None:
    """Raise a ValueError if ``eps`` is negative or no number at all."""
    if not eps >= 0:
        raise ValueError(f"{name}: eps is {eps}, expected a number that is not negative")


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each sample standardised over its last axes, times weight, plus bias.

    input: (..., *normalized_shape); weight, bias: normalized_shape. The variance is divided by the
    number of values. Ba, Kiros and Hinton (2016), "Layer Normalization", section 3.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the input's last axes, weight or bias are not ``normalized_shape``, which has at
            least one axis; or ``eps`` is negative.
    """
    floating(input, "layer_norm")
    expect_tensors("layer_norm", ("weight", "bias"), weight=weight, bias=bias)
    check_eps("layer_norm", eps)
    if isinstance(normalized_shape, int):
        normalized_shape = (normalized_shape,)
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: input has shape {input.shape}, expected (..., *{shape})")
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != shape:
            raise ValueError(f"layer_norm: {what} has shape {vector.shape}, expected {shape}")
    if input.dtype == np.float16:
        return layer_norm(input.float(), shape, to_float(weight), to_float(bias), eps).half()
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(input.array).ones_like(bias.array))
    affine = tuple(v for v in (weight, bias) if v is not None)
    if input.numel() == 0:  # no numbers have no mean
        return input.clone() if weight is None else input * weight + (0 if bias is None else bias)
    return apply(ops.LayerNorm(len(shape), float(eps)), input, *affine)

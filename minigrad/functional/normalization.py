"""Normalisation as functions: their arguments are checked here, and their mathematics derived in
``ops/normalization.py``."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, array_module, device_of
from ..core import execute
from ..core.autograd import apply
from ..core.versions import mark_written
from ..core.where import module_path
from ..methods.arguments import narrowed
from ..tensor import Tensor
from .layers import expect_tensors, floating

__all__ = [
    "batch_norm",
    "group_norm",
    "layer_norm",
    "rms_norm",
]


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
        ValueError: shapes do not fit; ``momentum`` is not from 0 to 1; ``eps`` is negative, or 0
            in training; a single value per channel in training, whose variance is 0 whatever it is;
            one running statistic without the other, or none without ``training``; or in training
            one that cannot be changed in place. Nothing has changed then.

    Warns:
        RuntimeWarning: the statistics of a batch are infinite or NaN. The running ones of these
            channels stay as they were. (On a GPU they do so without a warning, which would have to
            wait for it.)
    """
    return normalize_batch(
        False, input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def to_float(vector: Tensor | None) -> Tensor | None:
    """``vector`` in float32, if there is one."""
    return None if vector is None else vector.float()


def track(mean: Tensor | None, var: Tensor | None, op: Any, momentum: float, m: int) -> None:
    """Move running statistics, if there are any, towards those that ``op`` has met."""
    # Where a kernel has run, it has seen that they are finite. A GPU would have to be waited for.
    if op.workspace is None and type(op.batch_var) is np.ndarray:
        warn_of_what_is_not_finite(op)
    if mean is not None and var is not None:
        execute.in_place(ops.update_running, mean.array, var.array, op, momentum, m)
        mark_written(mean.array, var.array, by="a BatchNorm's running statistics in training")


def warn_of_what_is_not_finite(op: Any) -> None:
    """Say which layer has met a batch whose mean or variance is infinite or NaN."""
    bad = ~(np.isfinite(op.batch_mean) & np.isfinite(op.batch_var))
    if bad.any():
        warnings.warn(
            f"{module_path() or 'batch_norm'}: the statistics of a batch are not finite in "
            f"{bad.sum()} of {bad.size} channels (first in channel {bad.argmax()}); the running "
            f"statistics of these channels stay as they were. The input holds NaN, infinity or "
            f"values whose squares leave the range of {op.batch_var.dtype}; "
            f"mg.detect_anomaly() shows where they come from",
            RuntimeWarning,
            stacklevel=2,
        )


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
    running, affine = (running_mean, running_var), (weight, bias)
    channels = checked_batch_norm(name, input, running, affine, training, momentum, eps)
    x = input.array
    if x.dtype == np.float16:  # statistics of half precision are taken in float32
        w, b = to_float(weight), to_float(bias)
        y = normalize_batch(sigmoid, input.float(), *running, w, b, training, momentum, eps)
        return y.half()
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(x).ones_like(bias.array))
    vectors = () if weight is None else (weight,) if bias is None else (weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(f"{name}: without training, running_mean and running_var are needed")
        statistics = [s.to(input.dtype) for s in (running_mean, running_var)]
        y = apply(ops.BatchNormEval(float(eps)), input, *statistics, *vectors)
        return apply(ops.Sigmoid(), y) if sigmoid else y
    m = x.size // channels if channels else 2
    if m < 2:
        raise ValueError(
            f"{name}: input of shape {input.shape} has {'one value' if m else 'no values'} per "
            f"channel; training needs at least two (use a larger batch, drop_last=True in the "
            f"loader, or eval())"
        )
    op = (ops.BatchNormSigmoid if sigmoid else ops.BatchNorm)(float(eps))
    y = apply(op, input, *vectors)
    track(running_mean, running_var, op, momentum, m)
    return y


def checked_batch_norm(
    name: str,
    input: Any,
    running: tuple[Any, Any],
    affine: tuple[Any, Any],
    training: bool,
    momentum: float,
    eps: float,
) -> int:
    """The number of channels, if everything fits; nothing has changed before that is known."""
    try:
        x, number = input.array, (int, float)
        channels = x.shape[1:2]
        fits = (
            x.dtype.kind == "f"
            and channels
            and isinstance(momentum, number)
            and 0 <= momentum <= 1
            and isinstance(eps, number)
            and (eps > 0 or (eps == 0 and not training))
            and (running[0] is None) == (running[1] is None)
        )
        for vector in affine:
            fits = fits and (vector is None or vector.array.shape == channels)
        for vector in running:
            fits = fits and (vector is None or can_track(vector, x, channels, training))
    except AttributeError:  # an argument that is no Tensor
        fits = False
    if not fits:
        _refuse_batch_norm(name, input, running, affine, training, momentum, eps)
    return int(channels[0])


def can_track(vector: Tensor, x: Array, channels: tuple[int, ...], training: bool = True) -> bool:
    """Whether a running statistic fits the input and, in training, can be changed in place."""
    array = vector.array
    return (
        array.shape == channels
        and array.dtype.kind == "f"
        and (type(array) is type(x) or isinstance(array, np.ndarray) is isinstance(x, np.ndarray))
        and (not training or not (vector.requires_grad or read_only(array)))
        and (isinstance(x, np.ndarray) or device_of(array) == device_of(x))
    )


def read_only(array: Array) -> bool:
    """Whether NumPy refuses to write into ``array``. (CuPy knows no such arrays.)"""
    return isinstance(array, np.ndarray) and not array.flags.writeable


def _refuse_batch_norm(
    name: str,
    input: Any,
    running: tuple[Any, Any],
    affine: tuple[Any, Any],
    training: bool,
    momentum: float,
    eps: float,
) -> None:
    floating(input, name)
    names = ("running_mean", "running_var", "weight", "bias")
    named = dict(zip(names, (*running, *affine), strict=True))
    expect_tensors(name, names, **named)
    for what, value in (("momentum", momentum), ("eps", eps)):
        if not isinstance(value, (int, float)):
            raise TypeError(f"{name}: {what} is a {type(value).__name__}, expected a number")
    check_eps(name, eps)
    if not eps > 0 and training:
        raise ValueError(f"{name}: eps is 0, expected a number above 0 in training")
    if not 0 <= momentum <= 1:
        raise ValueError(f"{name}: momentum is {momentum}, expected a share from 0 to 1")
    if input.ndim < 2:
        raise ValueError(f"{name}: input has shape {input.shape}, expected (N, C, ...)")
    if (running[0] is None) != (running[1] is None):
        missing = "running_mean" if running[0] is None else "running_var"
        raise ValueError(f"{name}: {missing} is None and the other is not, expected both or none")
    channels = input.shape[1:2]
    for what, vector in named.items():
        if vector is None:
            continue
        if vector.shape != channels:
            raise ValueError(
                f"{name}: {what} has shape {vector.shape}, expected {channels}: "
                f"the input has {channels[0]} channels in axis 1"
            )
        if not what.startswith("running"):
            continue
        if vector.dtype.kind != "f":
            raise TypeError(f"{name}: {what} is {vector.dtype}, expected a floating type")
        if vector.device != input.device:
            raise TypeError(
                f"{name}: {what} is on {vector.device} and the input on {input.device}, expected "
                f"one device; move the input with .to({str(vector.device)!r}), or the model with "
                f".to({str(input.device)!r})"
            )
        if training and vector.requires_grad:
            raise ValueError(
                f"{name}: {what} requires a gradient, and is changed in place; use .detach()"
            )
        if training and read_only(vector.array):
            raise ValueError(f"{name}: {what} is read-only, and is changed in place; use .clone()")


def check_eps(name: str, eps: float) -> None:
    """Raise a ValueError if ``eps`` is negative or no number at all."""
    if not eps >= 0:
        raise ValueError(f"{name}: eps is {eps}, expected a number that is not negative")


def checked_features(
    name: str,
    input: Tensor,
    normalized_shape: int | Sequence[int],
    eps: float,
    **vectors: Tensor | None,
) -> tuple[int, ...]:
    """The lengths of the last axes, if the input, the vectors and ``eps`` fit them."""
    floating(input, name)
    expect_tensors(name, tuple(vectors), **vectors)
    check_eps(name, eps)
    if isinstance(normalized_shape, int):
        normalized_shape = (normalized_shape,)
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: input has shape {input.shape}, expected (..., *{shape})")
    for what, vector in vectors.items():
        if vector is not None and vector.shape != shape:
            raise ValueError(f"{name}: {what} has shape {vector.shape}, expected {shape}")
    return shape


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
    shape = checked_features("layer_norm", input, normalized_shape, eps, weight=weight, bias=bias)
    if input.dtype == np.float16:
        return narrowed(
            layer_norm(input.float(), shape, to_float(weight), to_float(bias), eps), input
        )
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(input.array).ones_like(bias.array))
    affine = tuple(v for v in (weight, bias) if v is not None)
    if input.numel() == 0:  # no numbers have no mean
        return input.clone() if weight is None else input * weight + (0 if bias is None else bias)
    return apply(ops.LayerNorm(len(shape), float(eps)), input, *affine)


def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Each sample divided by the root of the mean of its squares over its last axes, times weight.

    input: (..., *normalized_shape); weight: normalized_shape. ``eps`` is added to the mean; None is
    the distance from 1 to the next number of the type that is computed in. Zhang and Sennrich
    (2019), "Root Mean Square Layer Normalization", section 4.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the input's last axes or weight are not ``normalized_shape``, which has at least
            one axis; or ``eps`` is negative.
    """
    shape = checked_features("rms_norm", input, normalized_shape, eps or 0, weight=weight)
    if input.dtype == np.float16:
        return narrowed(rms_norm(input.float(), shape, to_float(weight), eps), input)
    if eps is None:
        eps = float(np.finfo(input.dtype).eps)
    affine = () if weight is None else (weight,)
    if input.numel() == 0:  # no numbers have no mean
        return input.clone() if weight is None else input * weight
    return apply(ops.RMSNorm(len(shape), float(eps)), input, *affine)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each sample standardised over each group of channels, times weight, plus bias per channel.

    input: (N, C, ...); weight, bias: (C,). The channels form ``num_groups`` groups of neighbours;
    1 is one mean for the whole sample, C one for each channel. The variance is divided by the
    number of values. Wu and He (2018), "Group Normalization", section 3.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating, or ``num_groups`` is no
            integer.
        ValueError: the input has no axis for channels; ``num_groups`` does not divide their number;
            weight or bias does not have one number for each; or ``eps`` is negative.
    """
    name = "group_norm"
    floating(input, name)
    expect_tensors(name, ("weight", "bias"), weight=weight, bias=bias)
    check_eps(name, eps)
    if input.ndim < 2:
        raise ValueError(f"{name}: input has shape {input.shape}, expected (N, C, ...)")
    channels = input.shape[1]
    if not isinstance(num_groups, (int, np.integer)):
        kind = type(num_groups).__name__
        raise TypeError(f"{name}: num_groups is a {kind}, expected an integer")
    groups = int(num_groups)
    if groups < 1 or channels % groups:
        raise ValueError(
            f"{name}: num_groups is {groups}, expected a divisor of the {channels} channels in "
            f"axis 1 (input is {input.shape})"
        )
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != (channels,):
            raise ValueError(f"{name}: {what} has shape {vector.shape}, expected {(channels,)}")
    if input.dtype == np.float16:
        return narrowed(
            group_norm(input.float(), groups, to_float(weight), to_float(bias), eps), input
        )
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(input.array).ones_like(bias.array))
    affine = tuple(v for v in (weight, bias) if v is not None)
    if input.numel() == 0:  # no numbers have no mean
        per_channel = [v.reshape(1, channels, *(1,) * (input.ndim - 2)) for v in affine]
        y = input * per_channel[0] if affine else input.clone()
        return y + per_channel[1] if bias is not None else y
    return apply(ops.GroupNorm(groups, float(eps)), input, *affine)

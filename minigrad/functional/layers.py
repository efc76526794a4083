"""What layers compute: activations, affine maps, normalisation, embedding, dropout."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels, ops
from ..arrays import check_range
from ..backend import array_module, default_generator, to_device
from ..core.autograd import apply
from ..core.versions import mark_written
from ..ops.axes import normalize_dim
from ..tensor import Tensor

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
    return apply(op, floating(input, "gelu"))


def silu(input: Tensor) -> Tensor:
    """x sigmoid(x), elementwise."""
    return apply(ops.SiLU(), floating(input, "silu"))


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
    return _linear("linear", ops.Linear(), input, weight, bias)


ACTIVATIONS: dict[str, type[ops.Sigmoid | ops.Tanh | ops.ReLU]] = {
    "sigmoid": ops.Sigmoid,
    "tanh": ops.Tanh,
    "relu": ops.ReLU,
}


def linear_activation(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = "sigmoid"
) -> Tensor:
    """The "sigmoid", "tanh" or "relu" of ``linear(...)``, with its arguments and errors, as one
    operation: what ``nn.fuse`` puts in the place of the two.

    Raises:
        ValueError: another activation, or see ``linear``.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"linear_activation: activation is {activation!r}, expected one of "
            f"{', '.join(map(repr, ACTIVATIONS))}"
        )
    op = ops.LinearActivation(ACTIVATIONS[activation]())
    return _linear("linear_activation", op, input, weight, bias)


def _linear(
    name: str, op: ops.Linear, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
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
        raise _misfit_of_linear(name, input, weight, bias)
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def _misfit_of_linear(name: str, input: Any, weight: Any, bias: Any) -> Exception:
    """What keeps ``_linear`` from being computed; arguments of wrong kinds are raised at once."""
    floating(input, name)
    expect_tensors(name, ("bias",), weight=weight, bias=bias)
    shape = weight.shape
    if weight.ndim != 2:
        return ValueError(f"{name}: weight has shape {shape}, expected (out, in)")
    if not input.ndim or input.shape[-1] != shape[1]:
        got = f"{input.shape[-1]} features in its last axis" if input.ndim else "no axes"
        return ValueError(f"{name}: input has {got}, expected {shape[1]} (weight is {shape})")
    return ValueError(f"{name}: bias has shape {bias.shape}, expected {shape[:1]}")


def _float(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.float()


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
    return _batch_norm(
        False, input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def batch_norm_sigmoid(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``sigmoid(batch_norm(...))``, with the same arguments and errors, as one operation in
    training: what ``nn.fuse`` puts in the place of the two."""
    return _batch_norm(
        True, input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def linear_batch_norm_sigmoid(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``batch_norm_sigmoid(linear(input, weight, bias), ...)``, with the same arguments and errors
    (``gamma`` and ``beta`` are its ``weight`` and ``bias``), as one operation in training: what
    ``nn.fuse`` puts in the place of the three.   input: (N, in) -> (N, out)"""
    name = "linear_batch_norm_sigmoid"
    try:
        x, shape = input.array, weight.array.shape
        out = shape[:1]
        apart = (
            not training
            or x.dtype.char not in "fd"
            or x.ndim != 2
            or len(x) < 2
            or x.shape[1:] != shape[1:]
            or not bias.array.shape == gamma.array.shape == beta.array.shape == out
            or (running_mean is not None and running_mean.array.shape != out)
            or (running_var is not None and running_var.array.shape != out)
            or not isinstance(momentum, (int, float))
            or not 0 <= momentum <= 1
            or not isinstance(eps, (int, float))
            or not eps >= 0
        )
    except AttributeError:  # an argument that is no Tensor
        apart = True
    if apart:  # one after the other; and what does not fit is named
        z = _linear(name, ops.Linear(), input, weight, bias)
        return _batch_norm(True, z, running_mean, running_var, gamma, beta, training, momentum, eps)
    op = ops.LinearBatchNormSigmoid(float(eps))
    y = apply(op, input, weight, bias, gamma, beta)
    _track(running_mean, running_var, op, momentum, len(x))
    return y


def _track(mean: Tensor | None, var: Tensor | None, op: Any, momentum: float, m: int) -> None:
    """Move running statistics, if there are any, towards those that ``op`` has met."""
    if mean is not None and var is not None:
        kernels.update_running_statistics(mean.array, var.array, op, momentum, m)
        mark_written(mean.array, var.array)


def _batch_norm(
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
    name = "batch_norm_sigmoid" if sigmoid else "batch_norm"
    vectors = running_mean, running_var, weight, bias
    channels = _checked_batch_norm(name, input, vectors, momentum, eps)
    x = input.array
    if x.dtype == np.float16:  # statistics of half precision are taken in float32
        w, b = _float(weight), _float(bias)
        running = running_mean, running_var
        y = _batch_norm(sigmoid, input.float(), *running, w, b, training, momentum, eps)
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
    _track(running_mean, running_var, op, momentum, m)
    return y


def _checked_batch_norm(
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
    _check_eps(name, eps)
    if not 0 <= momentum <= 1:
        raise ValueError(f"{name}: momentum is {momentum}, expected a share from 0 to 1")
    if input.ndim < 2:
        raise ValueError(f"{name}: input has shape {shape}, expected (N, C, ...)")
    wrong = next(what for what, v in named.items() if v is not None and v.shape != channels)
    raise ValueError(
        f"{name}: {wrong} has shape {named[wrong].shape}, expected {channels}: "
        f"the input has {channels[0]} channels in axis 1"
    )


def _check_eps(name: str, eps: float) -> None:
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
    _check_eps("layer_norm", eps)
    if isinstance(normalized_shape, int):
        normalized_shape = (normalized_shape,)
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: input has shape {input.shape}, expected (..., *{shape})")
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != shape:
            raise ValueError(f"layer_norm: {what} has shape {vector.shape}, expected {shape}")
    if input.dtype == np.float16:
        return layer_norm(input.float(), shape, _float(weight), _float(bias), eps).half()
    if bias is not None and weight is None:
        weight = Tensor.from_array(array_module(input.array).ones_like(bias.array))
    affine = tuple(v for v in (weight, bias) if v is not None)
    if input.numel() == 0:  # no numbers have no mean
        return input.clone() if weight is None else input * weight + (0 if bias is None else bias)
    return apply(ops.LayerNorm(len(shape), float(eps)), input, *affine)


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
    kept = default_generator().random(input.shape) >= p
    mask = (kept / (1 - p) if p < 1 else kept * 0.0).astype(input.dtype)
    return input * Tensor.from_array(to_device(np.asarray(mask), input.device))


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """1 where the class is the label, else 0.   labels: (...) integers -> (..., num_classes) int64

    Raises:
        TypeError: the labels are no Tensor, or no integers.
        IndexError: a label is not in [0, num_classes).
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"one_hot: labels are a {type(labels).__name__}, expected a Tensor")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels are {labels.dtype}, expected integers (class numbers)")
    check_range(labels.array, num_classes, "one_hot", "a label")
    return apply(ops.OneHot(num_classes, np.int64), labels)

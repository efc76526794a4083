"""Every operation as a function of Tensors, one short definition each.

The first group are Tensor's methods under their function names. The second take several tensors or
belong to layers; they check their arguments, say what does not fit, and apply the operation whose
derivation stands in ``ops/``. An option that is not in a signature does not exist: passing it is a
TypeError.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from . import ops
from .backend import array_module, default_generator, to_device
from .methods import check_range
from .ops.base import normalize_dim
from .tensor import Tensor, apply

P = ParamSpec("P")
R = TypeVar("R")

Reduction = Literal["none", "mean", "sum"]

# --------------------------------------------------------------------- methods as functions


def _function(method: Callable[P, R]) -> Callable[P, R]:
    """A method of Tensor as a function that says so when its first argument is none."""

    @functools.wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0] if args else kwargs.get("input")
        if not args and isinstance(first, Tensor):  # PyTorch's name for the first argument
            return method(kwargs.pop("input"), **kwargs)  # type: ignore[arg-type]
        if not isinstance(first, Tensor):
            raise TypeError(
                f"{method.__name__}: got a {type(first).__name__}, expected a Tensor; "
                f"wrap it: mg.tensor(...)"
            )
        return method(*args, **kwargs)

    return function


add = _function(Tensor.add)
sub = _function(Tensor.sub)
mul = _function(Tensor.mul)
div = _function(Tensor.div)
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
squeeze = _function(Tensor.squeeze)
unsqueeze = _function(Tensor.unsqueeze)
split = _function(Tensor.split)
chunk = _function(Tensor.chunk)
gather = _function(Tensor.gather)
relu = _function(Tensor.relu)


def expand(input: Tensor, *shape: Any) -> Tensor:
    """Axes of length 1 repeated up to ``shape``."""
    return input.expand(*shape)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """``input`` where ``condition`` holds, else ``other``; either may be a Python number."""
    if not isinstance(input, Tensor):
        if not isinstance(other, Tensor):
            raise TypeError("where: got two numbers, expected at least one Tensor to choose from")
        return other.where(~condition, input)
    return input.where(condition, other)


# ----------------------------------------------------------------------------------- joining


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along ``dim``; their other axes must agree."""
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError("cat: got no tensors, expected at least one")
    shapes = [t.shape for t in tensors]
    axis = normalize_dim(dim, tensors[0].ndim, "cat")
    others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    if tensors[0].ndim == 0 or len(others) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"cat: shapes {shapes}, expected equal ones but for axis {axis}")
    return apply(ops.Cat(axis), *tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, side by side along a new axis ``dim``."""
    shapes = {t.shape for t in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack: shapes {sorted(shapes)}, expected one shape")
    return cat([t.unsqueeze(dim) for t in tensors], dim)


# ------------------------------------------------------------------------------- activations


def _floating(input: Tensor, name: str) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: the input is a {type(input).__name__}, expected a Tensor")
    if input.dtype.kind != "f":
        raise TypeError(f"{name}: the input is {input.dtype}, expected a floating type")
    return input


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x for x > 0, else negative_slope * x, elementwise."""
    return apply(ops.LeakyReLU(negative_slope), _floating(input, "leaky_relu"))


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha (e^x - 1), elementwise."""
    return apply(ops.ELU(alpha), _floating(input, "elu"))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, elementwise; ``approximate="tanh"`` is
    faster and differs by at most 0.0005."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    op = ops.GELU() if approximate == "none" else ops.GELUTanh()
    return apply(op, _floating(input, "gelu"))


def silu(input: Tensor) -> Tensor:
    """x sigmoid(x), elementwise."""
    return apply(ops.SiLU(), _floating(input, "silu"))


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, elementwise; x itself where beta x > threshold."""
    return apply(ops.Softplus(beta, threshold), _floating(input, "softplus"))


# ------------------------------------------------------------------------------------ layers


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias.    input: (..., in), weight: (out, in), bias: (out,) -> (..., out)

    Raises:
        ValueError: the last axis of the input does not have the weight's ``in`` features, ...
    """
    _floating(input, "linear")
    shape = weight.shape
    if weight.ndim != 2:
        raise ValueError(f"linear: weight has shape {shape}, expected (out, in)")
    if not input.ndim or input.shape[-1] != shape[1]:
        got = f"{input.shape[-1]} features in its last axis" if input.ndim else "no axes"
        raise ValueError(f"linear: input has {got}, expected {shape[1]} (weight is {shape})")
    if bias is None:
        return apply(ops.Linear(), input, weight)
    if bias.shape != shape[:1]:
        raise ValueError(f"linear: bias has shape {bias.shape}, expected {shape[:1]}")
    return apply(ops.Linear(), input, weight, bias)


def _check_per_channel(name: str, channels: int, **vectors: Tensor | None) -> None:
    for what, vector in vectors.items():
        if vector is not None and vector.shape != (channels,):
            raise ValueError(
                f"{name}: {what} has shape {vector.shape}, expected ({channels},): "
                f"the input has {channels} channels in axis 1"
            )


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

    Raises:
        ValueError: shapes do not fit; a single value per channel in training, whose variance is 0
            whatever it is; or no running statistics without ``training``. Nothing has changed then.
    """
    _floating(input, "batch_norm")
    if input.ndim < 2:
        raise ValueError(f"batch_norm: input has shape {input.shape}, expected (N, C, ...)")
    channels = input.shape[1]
    _check_per_channel(
        "batch_norm",
        channels,
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    if input.dtype == np.float16:  # statistics of half precision are taken in float32
        widened = [None if v is None else v.float() for v in (weight, bias)]
        running = [running_mean, running_var]
        y = batch_norm(input.float(), *running, *widened, training, momentum, eps)
        return y.half()
    if bias is not None and weight is None:
        weight = Tensor._wrap(array_module(input._data).ones_like(bias._data))
    affine = tuple(v for v in (weight, bias) if v is not None)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training, running_mean and running_var are needed")
        statistics = [s.to(input.dtype) for s in (running_mean, running_var)]
        return apply(ops.BatchNormEval(eps), input, *statistics, *affine)
    m = input.numel() // channels if channels else 0
    if m == 1:
        raise ValueError(
            f"batch_norm: input of shape {input.shape} has one value per channel; training needs "
            f"at least two (use a larger batch, drop_last=True in the loader, or eval())"
        )
    op = ops.BatchNorm(eps)
    y = apply(op, input, *affine)
    if running_mean is not None and running_var is not None:
        _, _, mean, var = op.memo(op.standardize, input._data)
        for running_stat, batch in ((running_mean, mean), (running_var, var * (m / (m - 1)))):
            old, new = running_stat._data, batch.reshape(-1)
            running_stat.copy_(Tensor._wrap(old * (1 - momentum) + new * momentum).detach())
    return y


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each sample standardised over its last axes, times weight, plus bias.

    input: (..., *normalized_shape); weight, bias: normalized_shape.
    """
    _floating(input, "layer_norm")
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: input has shape {input.shape}, expected (..., *{shape})")
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != shape:
            raise ValueError(f"layer_norm: {what} has shape {vector.shape}, expected {shape}")
    if input.dtype == np.float16:
        widened = [None if v is None else v.float() for v in (weight, bias)]
        return layer_norm(input.float(), shape, *widened, eps).half()
    if bias is not None and weight is None:
        weight = Tensor._wrap(array_module(input._data).ones_like(bias._data))
    affine = tuple(v for v in (weight, bias) if v is not None)
    return apply(ops.LayerNorm(len(shape), eps), input, *affine)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The row of ``weight`` for every integer in ``input``.   (...), (rows, D) -> (..., D)

    The row ``padding_idx`` receives no gradient.

    Raises:
        TypeError: the input does not hold integers.
        IndexError: there is no such row.
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding: the input is {input.dtype}, expected integers")
    rows = weight.shape[0]
    check_range(input._data, rows, "embedding", "an index")
    if padding_idx is not None:
        padding_idx = normalize_dim(padding_idx, rows, "embedding: padding_idx")
    return apply(ops.Embedding(padding_idx), input, weight)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Each element 0 with probability ``p``, and otherwise divided by 1 - p, so that the expected
    value stays; without ``training`` the input itself.

    Srivastava et al. (2014), "Dropout", section 4, with the scaling moved into training.
    """
    _floating(input, "dropout")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}, expected a probability from 0 to 1")
    if not training or p == 0:
        return input
    kept = default_generator().random(input.shape) >= p
    mask = (kept / (1 - p) if p < 1 else kept * 0.0).astype(input.dtype)
    return input * Tensor._wrap(to_device(np.asarray(mask), input.device))


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """1 where the class is the label, else 0.   labels: (...) integers -> (..., num_classes) int64

    Raises:
        IndexError: a label is not in [0, num_classes).
    """
    _check_labels("one_hot", labels, num_classes, None)
    return Tensor._wrap(ops.OneHot(num_classes, np.int64).forward(labels._data))


# ------------------------------------------------------------------------------------ losses


def _reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    if reduction == "none":
        return loss
    _check_reduction(reduction, name)
    return loss.mean() if reduction == "mean" else loss.sum()


def _check_reduction(reduction: str, name: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")


def _check_labels(name: str, labels: Tensor, classes: int, ignore_index: int | None) -> None:
    """Class labels are integers from 0 to classes - 1, or ``ignore_index``."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels are {labels.dtype}, expected integers (class numbers)")
    numbers = labels._data
    if ignore_index is not None:
        numbers = array_module(numbers).where(numbers == ignore_index, 0, numbers)
    check_range(numbers, classes, name, "a label")


def _rows_of_classes(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(C,), (N, C) or (N, C, d1, ...) with the labels' shape, as (M, C) and (M,)."""
    _floating(input, name)
    if input.ndim == 0:
        raise ValueError(f"{name}: the input has no axes, expected (N, C)")
    axis = min(1, input.ndim - 1)
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if target.shape != expected:
        raise ValueError(
            f"{name}: labels have shape {target.shape}, expected {expected} "
            f"(the input is {input.shape}, with classes in axis {axis})"
        )
    if input.ndim == 2:
        return input, target
    order = [*range(axis), *range(axis + 1, input.ndim), axis]
    return input.permute(*order).reshape(-1, input.shape[axis]), target.reshape(-1)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[label], averaged over the batch.

    Args:
        input: logits, (N, C), (C,) or (N, C, d1, ...).
        target: labels, integers of shape (N,), () or (N, d1, ...); or probabilities, of the
            input's shape and type.
        weight: a factor for each class, (C,); the mean is then a weighted one.
        ignore_index: a label that counts for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: how much of each target is spread evenly over the classes.

    Raises:
        IndexError: a label is not in [0, C).
        TypeError: labels are neither integers nor, in the input's shape, probabilities.
        ValueError: shapes do not fit.
    """
    _check_reduction(reduction, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    probabilities = target.dtype.kind == "f" and target.shape == input.shape
    axis = min(1, max(input.ndim - 1, 0))
    classes = input.shape[axis] if input.ndim else 0
    if not probabilities:
        logits, labels = _rows_of_classes("cross_entropy", input, target)
        _check_labels("cross_entropy", labels, classes, ignore_index)
        if weight is None and label_smoothing == 0:
            loss = apply(ops.SoftmaxCrossEntropy(reduction, ignore_index), logits, labels)
            return loss.reshape(target.shape) if reduction == "none" else loss
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"cross_entropy: weight has shape {weight.shape}, expected ({classes},)")
    log_p = _floating(input, "cross_entropy").log_softmax(axis)
    class_shape = [classes if i == axis else 1 for i in range(input.ndim)]
    weighted = log_p if weight is None else log_p * weight.reshape(class_shape)
    if probabilities:
        smooth = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -(smooth * weighted).sum(axis)
        if reduction == "mean":
            return loss.sum() / (loss.numel() or 1)
        return _reduced(loss, reduction, "cross_entropy")
    loss = nll_loss(log_p, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return loss
    counted = (target != ignore_index).to(input.dtype)
    spread = -weighted.sum(axis) * counted
    if reduction == "mean":
        spread = spread.sum() / _weight_of(target, weight, ignore_index, input).sum()
    elif reduction == "sum":
        spread = spread.sum()
    return loss * (1 - label_smoothing) + spread * (label_smoothing / classes)


def _weight_of(
    target: Tensor, weight: Tensor | None, ignore_index: int, input: Tensor
) -> Tensor:
    """The weight of each label's class, and 0 for those to ignore; in the labels' shape."""
    counted = (target != ignore_index).to(input.dtype)
    if weight is None:
        return counted
    valid = target * (target != ignore_index).to(target.dtype)
    return weight[valid] * counted


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """-input[label], averaged over the batch: the negative log-likelihood.

    input: log-probabilities, (N, C), (C,) or (N, C, d1, ...); the rest as in ``cross_entropy``.
    """
    _check_reduction(reduction, "nll_loss")
    rows, labels = _rows_of_classes("nll_loss", input, target)
    classes = rows.shape[1]
    _check_labels("nll_loss", labels, classes, ignore_index)
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"nll_loss: weight has shape {weight.shape}, expected ({classes},)")
    weights = _weight_of(labels, weight, ignore_index, input)
    valid = labels * (labels != ignore_index).to(labels.dtype)
    loss = -rows.gather(1, valid.unsqueeze(1)).squeeze(1) * weights
    if reduction == "none":
        return loss.reshape(target.shape)
    return loss.sum() / weights.sum() if reduction == "mean" else loss.sum()


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    _floating(input, name)
    if input.shape != target.shape:
        raise ValueError(f"{name}: target has shape {target.shape}, expected {input.shape}")


def mse_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """(input - target)^2, averaged over all elements.

    Raises:
        ValueError: the shapes differ (they are not broadcast: that is nearly always a mistake).
    """
    _same_shape("mse_loss", input, target)
    return _reduced(apply(ops.SquaredError(), input, target), reduction, "mse_loss")


def huber_loss(
    input: Tensor, target: Tensor, reduction: Reduction = "mean", delta: float = 1.0
) -> Tensor:
    """Half the squared error up to ``delta``, linear beyond; averaged over all elements."""
    _same_shape("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta is {delta}, expected a positive number")
    return _reduced(apply(ops.Huber(delta), input, target), reduction, "huber_loss")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(t log s + (1 - t) log(1 - s)) with s = sigmoid(input), averaged over all elements.

    Args:
        input: logits.
        target: probabilities, of the same shape.
        weight: a factor for each element, broadcast to the input.
        reduction: "mean", "sum" or "none".
        pos_weight: a factor for t log s, broadcast to the input.
    """
    name = "binary_cross_entropy_with_logits"
    _same_shape(name, input, target)
    if pos_weight is None:
        loss = apply(ops.BinaryCrossEntropyWithLogits(), input, target)
    else:  # -log s = softplus(-x), and -log(1 - s) = x + softplus(-x)
        positive = 1 + (pos_weight - 1) * target
        loss = (1 - target) * input + positive * softplus(-input, threshold=float("inf"))
    return _reduced(loss if weight is None else loss * weight, reduction, name)

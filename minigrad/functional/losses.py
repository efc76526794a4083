"""Losses: what training makes small. By default each is averaged over the batch."""

from typing import Literal

import numpy as np

from .. import ops
from ..arrays import check_range
from ..backend import CPU, array_module, host_copy, on_device_of, to_device
from ..core.autograd import apply
from ..events import telling
from ..methods.arguments import narrowed
from ..tensor import Tensor
from .elementary import promoted
from .layers import expect_tensors, floating, softplus

__all__ = [
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "huber_loss",
    "l1_loss",
    "smooth_l1_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
]

Reduction = Literal["none", "mean", "sum"]


def _reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    if reduction == "none":
        return loss
    _check_reduction(reduction, name)
    return loss.mean() if reduction == "mean" else loss.sum()


def _check_reduction(reduction: str, name: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")


@telling
def _check_labels(name: str, labels: Tensor, classes: int, ignore_index: int) -> None:
    """Class labels are integers from 0 to classes - 1, or ``ignore_index``."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels are {labels.dtype}, expected integers (class numbers)")
    numbers = to_device(host_copy(labels.array), CPU)
    plain = numbers.dtype == np.int64 and numbers.size > 0
    if plain and numbers.view(np.uint64).max() < classes:  # where -1 is a large number
        return
    if not 0 <= ignore_index < classes:
        numbers = np.where(numbers == ignore_index, 0, numbers)
    check_range(numbers, classes, name, "a label")


def _rows_of_classes(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(C,), (N, C) or (N, C, d1, ...) with the labels' shape, as (M, C) and (M,) of int64."""
    floating(input, name)
    if target.dtype.kind == "u":
        target = target.long()
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
        ignore_index: a label that counts for nothing; not for probabilities.
        reduction: "mean", "sum" or "none".
        label_smoothing: how much of each target is spread evenly over the classes.

    Raises:
        IndexError: a label is not in [0, C).
        TypeError: an argument is no Tensor, the input is not floating, or labels are neither
            integers nor, in the input's shape, probabilities.
        ValueError: shapes do not fit, there is no such ``reduction``, ``label_smoothing`` is not
            from 0 to 1, or there is an ``ignore_index`` beside probabilities.
    """
    _check_reduction(reduction, "cross_entropy")
    expect_tensors("cross_entropy", ("weight",), input=input, target=target, weight=weight)
    if input.dtype == np.float16:  # long sums of half precision are taken in float32
        wide = input.float(), target.float() if target.dtype == np.float16 else target
        factor = None if weight is None else weight.float()
        loss = cross_entropy(*wide, factor, ignore_index, reduction, label_smoothing)
        return narrowed(loss, input)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    probabilities = target.dtype.kind == "f" and target.shape == input.shape
    axis = min(1, max(input.ndim - 1, 0))
    classes = input.shape[axis] if input.ndim else 0
    if not probabilities:
        logits, labels = _rows_of_classes("cross_entropy", input, target)
        _check_labels("cross_entropy", target, classes, ignore_index)
        if weight is None and label_smoothing == 0:
            loss = apply(ops.SoftmaxCrossEntropy(reduction, ignore_index), logits, labels)
            return loss.reshape(target.shape) if reduction == "none" else loss
    elif ignore_index >= 0:
        raise ValueError(
            f"cross_entropy: ignore_index is {ignore_index}, but the targets are probabilities, "
            f"which are no labels; expected labels, or no ignore_index"
        )
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"cross_entropy: weight has shape {weight.shape}, expected ({classes},)")
    log_p = floating(input, "cross_entropy").log_softmax(axis)
    class_shape = [classes if i == axis else 1 for i in range(input.ndim)]
    weighted = log_p if weight is None else log_p * weight.reshape(class_shape)
    if probabilities:
        smooth = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -(smooth * weighted).sum(axis)
        return _reduced(loss, reduction, "cross_entropy")
    loss = nll_loss(log_p, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return loss
    spread = -apply(ops.Masked(), target != ignore_index, weighted.sum(axis))
    if reduction == "mean":
        spread = _average(spread, _weight_of(target, weight, ignore_index, input))
    elif reduction == "sum":
        spread = spread.sum()
    return loss * (1 - label_smoothing) + spread * (label_smoothing / classes)


def _weight_of(target: Tensor, weight: Tensor | None, ignore_index: int, input: Tensor) -> Tensor:
    """The weight of each label's class, and 0 for those to ignore; in the labels' shape."""
    counted = (target != ignore_index).to(input.dtype)
    if weight is None:
        return counted
    valid = target * (target != ignore_index).to(target.dtype)
    return apply(ops.GetItem((valid.array,)), weight) * counted  # the labels were checked


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """-input[label], averaged over the batch: the negative log-likelihood.

    input: log-probabilities, (N, C), (C,) or (N, C, d1, ...); the rest as in ``cross_entropy``,
    but for probabilities as targets, which are not taken.

    Raises:
        IndexError: a label is not in [0, C).
        TypeError: an argument is no Tensor, the input is not floating, or labels are no integers.
        ValueError: shapes do not fit, or there is no such ``reduction``.
    """
    _check_reduction(reduction, "nll_loss")
    expect_tensors("nll_loss", ("weight",), target=target, weight=weight)
    rows, labels = _rows_of_classes("nll_loss", input, target)
    classes = rows.shape[1]
    _check_labels("nll_loss", target, classes, ignore_index)
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"nll_loss: weight has shape {weight.shape}, expected ({classes},)")
    weights = _weight_of(labels, weight, ignore_index, input)
    valid = labels * (labels != ignore_index).to(labels.dtype)
    with on_device_of(rows.array):
        row = array_module(rows.array).arange(len(labels))
    picked = apply(ops.GetItem((row, valid.array)), rows)  # the labels were checked
    loss = -apply(ops.Masked(), labels != ignore_index, picked) * weights  # not 0 * -inf
    if reduction == "none":
        return loss.reshape(target.shape)
    if reduction == "sum":
        return loss.sum()
    return _average(loss, weights)


def _average(loss: Tensor, weights: Tensor) -> Tensor:
    """The sum of ``loss`` over that of ``weights``. If nothing counts it is NaN, as the mean of
    nothing is, but its gradient is 0."""
    total = weights.sum()
    constant = total.detach()
    none = constant / constant - 1  # 0, or NaN
    return loss.sum() / (total + (constant == 0).to(total.dtype)) + none


def _same_shape(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    """Both of one shape, and the target in the floating type of the input if it is of integers."""
    floating(input, name)
    expect_tensors(name, target=target)
    if input.shape != target.shape:
        raise ValueError(f"{name}: target has shape {target.shape}, expected {input.shape}")
    return promoted(input, target)


def mse_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """(input - target)^2, averaged over all elements.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ (they are not broadcast: that is nearly always a mistake), or
            there is no such ``reduction``.
    """
    input, target = _same_shape("mse_loss", input, target)
    return _reduced(apply(ops.SquaredError(), input, target), reduction, "mse_loss")


def huber_loss(
    input: Tensor, target: Tensor, reduction: Reduction = "mean", delta: float = 1.0
) -> Tensor:
    """Half the squared error up to ``delta``, linear beyond; averaged over all elements.

    input, target: of one shape.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ, ``delta`` is not positive, or there is no such ``reduction``.
    """
    input, target = _same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is {delta}, expected a positive number")
    return _reduced(apply(ops.Huber(float(delta)), input, target), reduction, "huber_loss")


def l1_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """|input - target|, averaged over all elements.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ, or there is no such ``reduction``.
    """
    input, target = _same_shape("l1_loss", input, target)
    return _reduced((input - target).abs(), reduction, "l1_loss")


def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: Reduction = "mean", beta: float = 1.0
) -> Tensor:
    """|d| - beta / 2 for d = input - target, and d^2 / (2 beta) where |d| < beta; averaged over all
    elements. It is ``huber_loss`` divided by its delta, and ``l1_loss`` for beta = 0.
    Girshick (2015), "Fast R-CNN", equation 3 (with beta = 1).

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ, ``beta`` is negative, or there is no such ``reduction``.
    """
    name = "smooth_l1_loss"
    input, target = _same_shape(name, input, target)
    if not beta >= 0:
        raise ValueError(f"{name}: beta is {beta}, expected a number from 0 on")
    if beta == 0:
        return _reduced((input - target).abs(), reduction, name)
    return _reduced(apply(ops.Huber(float(beta)), input, target) / beta, reduction, name)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean"
) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) for probabilities p, averaged over all elements. The
    logarithms are at least -100. ``binary_cross_entropy_with_logits`` keeps more digits.

    input, target: probabilities, of one shape;  weight: a factor, broadcast to the input.

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ, an input is not from 0 to 1 (on the CPU: a GPU would have to
            be waited for), or there is no such ``reduction``.
    """
    name = "binary_cross_entropy"
    input, target = _same_shape(name, input, target)
    p = input.array
    if type(p) is np.ndarray and not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"{name}: the input holds {p.min()} to {p.max()}, expected probabilities from 0 to 1; "
            f"for logits there is binary_cross_entropy_with_logits"
        )
    loss = apply(ops.BinaryCrossEntropy(), input, target)
    return _reduced(loss if weight is None else loss * weight, reduction, name)


def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """t (log t - input), for an input of log-probabilities: summed over a distribution, its
    Kullback-Leibler divergence from the target's. Kullback and Leibler (1951), "On Information and
    Sufficiency", section 2.

    Args:
        input: log-probabilities.
        target: probabilities of the same shape, or their logarithms with ``log_target``. A target
            of 0 costs nothing.
        reduction: "batchmean" is the divergence, averaged over the first axis; "mean" divides by
            the number of elements, too; "sum" or "none".

    Raises:
        TypeError: an argument is no Tensor, or the input is not floating.
        ValueError: the shapes differ, or there is no such ``reduction``.
    """
    input, target = _same_shape("kl_div", input, target)
    if log_target:
        loss = target.exp() * (target - input)
    else:
        some = target != 0  # below 0 there is no logarithm: NaN
        log_t = target.where(some, 1.0).log()
        loss = (target * (log_t - input)).where(some, -target * input)
    if reduction == "batchmean":
        return loss.sum() / (len(input) if input.ndim else 1)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(
            f"kl_div: reduction is {reduction!r}, expected 'none', 'batchmean', 'mean' or 'sum'"
        )
    return _reduced(loss, reduction, "kl_div")


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

    Raises:
        TypeError: input or target is no Tensor, the input is not floating, or a factor is neither
            a Tensor nor a number.
        ValueError: the shapes of input and target differ, a factor does not broadcast, or there is
            no such ``reduction``.
    """
    name = "binary_cross_entropy_with_logits"
    input, target = _same_shape(name, input, target)
    if pos_weight is None:
        loss = apply(ops.BinaryCrossEntropyWithLogits(), input, target)
    else:  # -log s = softplus(-x), and -log(1 - s) = softplus(x)
        right, wrong = (softplus(x, threshold=float("inf")) for x in (-input, input))
        loss = target * right * pos_weight + (1 - target) * wrong
    return _reduced(loss if weight is None else loss * weight, reduction, name)

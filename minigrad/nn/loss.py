"""Losses as modules: a number that says how far an output is from its target.

They hold their options, and weights per class as buffers, so that these move with ``to``. What
each computes, and its derivative, is in ``ops/loss.py``. Options after the first stand by name,
because PyTorch's signatures have two obsolete ones in between.
"""

from .. import functional as F
from ..functional.losses import Reduction
from ..tensor import Tensor
from .linear import checked_number
from .module import Module


class _Loss(Module):
    reduction: Reduction

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(
                f"{type(self).__name__}: reduction is {reduction!r}, expected 'none', 'mean' or "
                f"'sum'"
            )
        self.reduction = reduction


class CrossEntropyLoss(_Loss):
    """-log softmax(input)[label], averaged over the batch.

    input: logits (N, C), (C,) or (N, C, d1, ...);  target: labels (N,), () or (N, d1, ...), or
    probabilities in the input's shape;  weight: a factor for each class, (C,). A label equal to
    ``ignore_index`` counts for nothing; ``label_smoothing`` spreads that share of each target
    evenly over the classes.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(_Loss):
    """-input[label], averaged over the batch, for an input of log-probabilities.

    Shapes and options as for ``CrossEntropyLoss``, which is this behind a LogSoftmax.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """(input - target)^2, averaged over all elements; both of one shape."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class HuberLoss(_Loss):
    """Half the squared error up to ``delta``, linear beyond; averaged over all elements.

    Raises:
        TypeError: ``delta`` is no number.
        ValueError: ``delta`` is not above 0.
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = checked_number("HuberLoss: delta", delta)
        if not self.delta > 0:
            raise ValueError(f"HuberLoss: delta is {delta}, expected a number above 0")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)

    def extra_repr(self) -> str:
        return f"delta={self.delta}"


class L1Loss(_Loss):
    """|input - target|, averaged over all elements; both of one shape."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """|d| - beta / 2 for d = input - target, and d^2 / (2 beta) where |d| < beta; averaged over all
    elements.

    Raises:
        TypeError: ``beta`` is no number.
        ValueError: ``beta`` is negative.
    """

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = checked_number("SmoothL1Loss: beta", beta)
        if not self.beta >= 0:
            raise ValueError(f"SmoothL1Loss: beta is {beta}, expected a number from 0 on")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)

    def extra_repr(self) -> str:
        return f"beta={self.beta}"


class BCELoss(_Loss):
    """-(t log p + (1 - t) log(1 - p)), averaged over all elements; see ``F.binary_cross_entropy``.

    input p, target t: probabilities of one shape;  weight: a factor, broadcast to them.
    """

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class KLDivLoss(Module):
    """t (log t - input); see ``F.kl_div``. ``reduction="batchmean"`` is the divergence.

    input: log-probabilities;  target: probabilities of the same shape, or with ``log_target`` their
    logarithms.
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__()
        if reduction not in ("none", "batchmean", "mean", "sum"):
            raise ValueError(
                f"KLDivLoss: reduction is {reduction!r}, expected 'none', 'batchmean', 'mean' or "
                f"'sum'"
            )
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, self.reduction, self.log_target)


class BCEWithLogitsLoss(_Loss):
    """-(t log s + (1 - t) log(1 - s)), s = sigmoid(input), averaged over all elements.

    input: logits;  target t: probabilities of the same shape;  weight: a factor for each element,
    and pos_weight one for t log s, both broadcast to the input.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: Reduction = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )

"""ReduceLROnPlateau: the learning rate falls when a measure has stopped to improve."""

import math
from typing import Any, ClassVar

from ..events import tell
from .optimizer import Optimizer
from .rate import set_rates
from .schedule import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by ``factor`` when the measure has not improved for a while:

        schedule.step(validation_loss)          # after each epoch

    The measure m has improved on the best so far, b, if (with "rel" and "abs" of ``threshold``)

        min:   m < b (1 - threshold)    or    m < b - threshold
        max:   m > b (1 + threshold)    or    m > b + threshold

    NaN never improves. The other schedules are functions of time; this one changes the rate that
    it meets, and so it goes on from a rate that was set by hand.

    Args:
        optimizer: whose groups' "lr" is set.
        mode: "min" if the measure should fall, "max" if it should rise.
        factor: what the rate is multiplied by, below 1.
        patience: this many calls in a row may bring no improvement; the next one reduces the rate.
        threshold, threshold_mode: see above.
        cooldown: for so many calls after a reduction nothing is counted.
        min_lr: the rate does not fall below it.
        eps: a reduction by no more than this is left out.

    Raises:
        ValueError: an option out of its range.
    """

    alone: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode is {mode!r}, expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode is {threshold_mode!r}, expected 'rel' or 'abs'"
            )
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}, expected between 0 and 1")
        for name, number in (
            ("patience", patience),
            ("threshold", threshold),
            ("cooldown", cooldown),
            ("min_lr", min_lr),
            ("eps", eps),
        ):
            if not 0 <= number < math.inf:
                raise ValueError(f"ReduceLROnPlateau: {name} is {number}, expected at least 0")
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """The present rate, which ``step`` changes."""
        return float(self.optimizer.param_groups[group]["lr"])

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # PyTorch's signature
        """Look at the measure, a number or a Tensor of one element; call it after each epoch.

        Raises:
            TypeError: ``metrics`` is no number. Nothing has changed then.
        """
        tell("leaves_the_step", f"calls {self.name}.step", "call it after each replay")
        try:
            measure = float(metrics)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f"{self.name}: step got a {type(metrics).__name__}, expected a number, such as the "
                f"loss of the epoch"
            ) from None
        if self._improves(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._advance(self.last_epoch + 1)

    def _improves(self, measure: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return measure > bound if self.mode == "max" else measure < bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        rates = [float(group["lr"]) for group in groups]
        reduced = [max(rate * self.factor, self.min_lr) for rate in rates]
        pairs = zip(rates, reduced, strict=True)
        set_rates(groups, [new if old - new > self.eps else old for old, new in pairs])

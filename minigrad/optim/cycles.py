"""Schedules in which the learning rate rises again: one cycle, and restarts."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from .optimizer import Optimizer
from .schedule import LRScheduler, positive


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from ``base`` to ``eta_min``, again and again:

        eta_min + (base - eta_min) (1 + cos(pi t_i / T_i)) / 2

    T_i is the length of run i, T_0 T_mult^i, and t_i the number of steps since it began.

    Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5.

    Args:
        optimizer: whose groups' "lr" is set.
        T_0: the length of the first run, in steps.
        T_mult: how many times as long each run is as the one before, an integer.
        eta_min: the rate at the end of a run.
        last_epoch: as for every schedule.

    Raises:
        ValueError: a length or a factor that is no integer of at least 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, number in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts: {name} is {number!r}, expected an integer of at "
                    f"least 1"
                )
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t, length = t - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / length)) / 2


class OneCycleLR(LRScheduler):
    """One rise to ``max_lr`` and one fall far below the start; momentum goes the other way.

    The rate starts at ``base`` = max_lr / div_factor, is at max_lr at t = pct_start total_steps - 1
    and at base / final_div_factor at t = total_steps - 1. With ``three_phase`` it is back at base
    at t = 2 pct_start total_steps - 2. Momentum is at ``max_momentum`` at both ends and at
    ``base_momentum`` where the rate is highest. With the share p of a phase that is over, the value
    between its ends a and b is

        b + (a - b) (1 + cos(pi p)) / 2   ("cos"),     a + (b - a) p   ("linear").

    Smith and Topin (2018), "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", section 2; the defaults, two phases and "cos", are PyTorch's. Training loops
    call ``step`` after the last batch too, at t = total_steps: the rate stays where it is then.

    Args:
        optimizer: whose groups' "lr" and "momentum" (or first of "betas") are set.
        max_lr: the highest rate, or one for each parameter group.
        total_steps: the length of the cycle; or ``epochs`` times ``steps_per_epoch``.
        pct_start: the share of the cycle in which the rate rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum is set too.
        base_momentum, max_momentum: its lowest and highest value.
        div_factor, final_div_factor: see above.
        three_phase: see above.
        last_epoch: as for every schedule.

    Raises:
        ValueError: no length, an option out of its range, ``cycle_momentum`` of an optimiser that
            has no momentum; and from ``step``, when the cycle is over. Nothing has changed then.
    """

    alone: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR: no length, expected total_steps, or epochs and steps_per_epoch"
                )
            total_steps = epochs * steps_per_epoch
        self.total_steps = positive("OneCycleLR: total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start is {pct_start}, expected 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'"
            )
        top_rates = list(max_lr) if isinstance(max_lr, Sequence) else [max_lr]
        for name, number in (
            *(("max_lr", rate) for rate in top_rates),
            ("div_factor", div_factor),
            ("final_div_factor", final_div_factor),
        ):
            if not 0 < number < math.inf:
                raise ValueError(f"OneCycleLR: {name} is {number}, expected more than 0")
        if not 0 <= base_momentum <= max_momentum < 1:
            raise ValueError(
                f"OneCycleLR: base_momentum is {base_momentum} and max_momentum {max_momentum}, "
                f"expected 0 <= base_momentum <= max_momentum < 1"
            )
        self.pct_start, self.anneal_strategy = pct_start, anneal_strategy
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        self.cycle_momentum, self.three_phase = cycle_momentum, three_phase
        if isinstance(optimizer, Optimizer):
            self._prepare(optimizer, top_rates, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _prepare(self, optimizer: Optimizer, top_rates: list[float], last_epoch: int) -> None:
        groups = optimizer.param_groups
        if self.cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"OneCycleLR: {optimizer.name} has neither momentum nor betas; use "
                f"cycle_momentum=False"
            )
        if len(top_rates) not in (1, len(groups)):
            raise ValueError(
                f"OneCycleLR: max_lr has {len(top_rates)} rates, expected one, or {len(groups)}, "
                f"one per group"
            )
        if last_epoch == -1:
            tops = top_rates * len(groups) if len(top_rates) == 1 else top_rates
            for group, top in zip(groups, tops, strict=True):
                group["initial_lr"] = top / self.div_factor

    def rate(self, base: float, t: int, group: int) -> float:
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t}, but the cycle has {self.total_steps} steps")
        top, low = base * self.div_factor, base / self.final_div_factor
        return self._level(t, [base, top, base, low] if self.three_phase else [base, top, low])

    def _level(self, t: int, levels: list[float]) -> float:
        """What goes from level to level, one in each phase, after ``t`` steps."""
        rise, last = self.pct_start * self.total_steps - 1, self.total_steps - 1.0
        ends = [rise, 2 * rise, last] if self.three_phase else [rise, last]
        phase = min(bisect_left(ends, t), len(ends) - 1)
        begin, end = [0.0, *ends][phase : phase + 2]
        a, b = levels[phase : phase + 2]
        p = min((t - begin) / (end - begin), 1.0) if end > begin else 1.0
        if self.anneal_strategy == "linear":
            return a + (b - a) * p
        return b + (a - b) * (1 + math.cos(math.pi * p)) / 2

    def _write(self, rates: list[float]) -> list[float]:
        written = super()._write(rates)
        if not self.cycle_momentum:
            return written
        high, low = self.max_momentum, self.base_momentum
        levels = [high, low, high, high] if self.three_phase else [high, low, high]
        momentum = self._level(self.last_epoch, levels)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum
        return written

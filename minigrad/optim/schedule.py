"""Schedules: the learning rate as a function of time.

    schedule = CosineAnnealingLR(optimizer, T_max=600)
    for batch in ...:
        ...
        optimizer.step()
        schedule.step()

Each schedule is one formula, ``rate(base, t)``: the learning rate after t calls of ``step``, where
``base`` is the rate that the parameter group started with (``group["initial_lr"]``). Computing it
from the start each time, rather than from the last rate, gathers no rounding errors, and lets
``SequentialLR`` run schedules one after the other. The price is that a rate that something else
has changed in between would be lost; ``step`` raises then.
"""

import copy
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..events import tell
from ..nn.state import all_or_nothing
from .optimizer import Optimizer
from .rate import set_rates


class LRScheduler:
    """The base class of schedules: subclasses write ``rate``.

    Args:
        optimizer: whose groups' "lr" is set.
        last_epoch: how many steps, less one, have been taken before; -1 starts anew.

    Raises:
        TypeError: ``optimizer`` is none.
        ValueError: ``last_epoch`` is below -1, or not -1 but the optimiser knows no initial rate.
    """

    alone: ClassVar[bool] = False
    """Whether it is more than a rate as a function of time, and so no part of a SequentialLR."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{self.name}: got a {type(optimizer).__name__}, expected an Optimizer first"
            )
        if last_epoch < -1:
            raise ValueError(f"{self.name}: last_epoch is {last_epoch}, expected at least -1")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch != -1 and "initial_lr" not in group:
                raise ValueError(
                    f"{self.name}: last_epoch is {last_epoch}, but group {i} has no 'initial_lr': "
                    f"load the optimiser's state_dict first"
                )
        self._advance(last_epoch + 1)

    @property
    def name(self) -> str:
        """The name of the class, for messages."""
        return type(self).__name__

    def rate(self, base: float, t: int, group: int) -> float:
        """The learning rate of parameter group number ``group`` after ``t`` steps."""
        raise NotImplementedError(f"{self.name}: rate is not written")

    def step(self) -> None:
        """Set the rates for the next stretch of training; call it after ``optimizer.step()``.

        Raises:
            RuntimeError: a rate is not what this schedule set: it was changed by hand or by another
                schedule, and the two would not combine.
        """
        tell("leaves_the_step", f"calls {self.name}.step", "call it after each replay")
        for i, (group, expected) in enumerate(
            zip(self.optimizer.param_groups, self._last_lr, strict=False)
        ):
            if (found := float(group["lr"])) != expected:
                raise RuntimeError(
                    f"{self.name}: the rate of group {i} is {found}, but this schedule set "
                    f"it to {expected}. A schedule computes rates from 'initial_lr': change that "
                    f"(group['initial_lr'] = ...), join schedules with SequentialLR, or make a new "
                    f"schedule"
                )
        self._advance(self.last_epoch + 1)

    def get_last_lr(self) -> list[float]:
        """The rate of each group as last set."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """How many steps have been taken, and the numbers that it was made with, such as T_max;
        functions are not among them. The initial rates are in the optimiser's state."""
        return {name: value for name, value in vars(self).items() if self._is_saved(value)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken, also in PyTorch; load the optimiser's before
        this one.

        Raises:
            ValueError: it is no state of such a schedule. Nothing has changed then.

        See ``nn.state.all_or_nothing`` for interruptions.
        """
        after = self._loaded(state_dict)
        try:
            rates = after._rates(after.last_epoch)
        except (ArithmeticError, TypeError, LookupError) as error:
            raise ValueError(f"{self.name}: the state gives no learning rate: {error}") from error

        def swap() -> None:
            self._become(after)
            self._last_lr = self._write(rates)

        all_or_nothing(swap)

    def _loaded(self, state_dict: Mapping[str, Any]) -> "LRScheduler":
        """A copy with the numbers of ``state_dict``."""
        epoch = state_dict.get("last_epoch") if isinstance(state_dict, Mapping) else None
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(
                f"{self.name}: the state has last_epoch {epoch!r}, expected a number from 0"
            )
        after = copy.copy(self)
        own = vars(after)
        own.update({n: v for n, v in state_dict.items() if n in own and self._is_saved(own[n])})
        return after

    def _become(self, after: "LRScheduler") -> None:
        vars(self).update(vars(after))

    @staticmethod
    def _is_saved(value: Any) -> bool:
        numbers = value if isinstance(value, (list, tuple)) else [value]
        return all(isinstance(number, (bool, int, float, str)) for number in numbers)

    def _rates(self, t: int) -> list[float]:
        groups = self.optimizer.param_groups
        bases = [float(group["initial_lr" if "initial_lr" in group else "lr"]) for group in groups]
        return [self.rate(base, t, i) for i, base in enumerate(bases)]

    def _write(self, rates: list[float]) -> list[float]:
        """Set the rates; what they are then, as a Tensor may round them."""
        groups = self.optimizer.param_groups
        for group in groups:
            group.setdefault("initial_lr", float(group["lr"]))
        set_rates(groups, rates)
        return [float(group["lr"]) for group in groups]

    def _advance(self, t: int) -> None:
        rates = self._rates(t)  # before anything changes: it may raise
        self.last_epoch = t
        self._last_lr = self._write(rates)

    def __repr__(self) -> str:
        return f"{self.name}(last_epoch={self.last_epoch}, lr={self._last_lr})"


class LambdaLR(LRScheduler):
    """base * lr_lambda(t), for a function of your own or one for each parameter group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"LambdaLR: got {len(self.lr_lambdas)} functions, expected {groups}, one per group"
            )
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        return base * float(self.lr_lambdas[group](t))


class StepLR(LRScheduler):
    """base * gamma^floor(t / step_size): a drop after every ``step_size`` steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = positive("StepLR: step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        return float(base * self.gamma ** (t // self.step_size))


class MultiStepLR(LRScheduler):
    """base * gamma^(number of milestones reached): a drop at each of the ``milestones``."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        return float(base * self.gamma ** bisect_right(self.milestones, t))


class ExponentialLR(LRScheduler):
    """base * gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        return float(base * self.gamma**t)


class LinearLR(LRScheduler):
    """base times a factor that goes from ``start_factor`` to ``end_factor`` in ``total_iters``
    equal steps and then stays: warm-up, or a linear decline.

    Warm-up: Goyal et al. (2017), "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
    section 2.2.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: factors are {start_factor} and {end_factor}, expected start_factor in "
                f"(0, 1] and end_factor in [0, 1]"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = positive("LinearLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        done = min(t / self.total_iters, 1.0)
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2: half a cosine, from ``base`` to
    ``eta_min`` in ``T_max`` steps, slow at both ends. After that it climbs again.

    Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", eq. 5,
    without the restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max, self.eta_min = positive("CosineAnnealingLR: T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class SequentialLR(LRScheduler):
    """Several schedules one after the other, each counting from 0 when its turn comes.

    Args:
        optimizer: the one that all of them were made for.
        schedulers: the schedules, which are not stepped themselves any more.
        milestones: when each but the first begins, in steps.
        last_epoch: as for every schedule.

    Raises:
        ValueError: not one milestone less than schedules, milestones that do not grow, or a
            schedule of another optimiser, or a ReduceLROnPlateau or OneCycleLR.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules and {len(milestones)} milestones, "
                f"expected one milestone less than schedules"
            )
        if any(a >= b for a, b in zip([0, *milestones], milestones, strict=False)):
            raise ValueError(
                f"SequentialLR: milestones are {list(milestones)}, expected growing numbers above 0"
            )
        for i, schedule in enumerate(schedulers):
            if schedule.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedule {i} was made for another optimiser")
            if schedule.alone:
                raise ValueError(
                    f"SequentialLR: schedule {i} is a {schedule.name}, which cannot be a part of it"
                )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int, group: int) -> float:
        turn = bisect_right(self.milestones, t)
        start = self.milestones[turn - 1] if turn else 0
        return self.schedulers[turn].rate(base, t - start, group)

    def state_dict(self) -> dict[str, Any]:
        """As of every schedule, with the states of those inside under "_schedulers"."""
        inside = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "_schedulers": inside}

    def _loaded(self, state_dict: Mapping[str, Any]) -> LRScheduler:
        after = super()._loaded(state_dict)
        inside = state_dict.get("_schedulers", [])
        if inside and len(inside) != len(self.schedulers):
            raise ValueError(
                f"SequentialLR: the state has {len(inside)} schedules, expected "
                f"{len(self.schedulers)}"
            )
        if inside:
            pairs = zip(self.schedulers, inside, strict=True)
            vars(after)["schedulers"] = [schedule._loaded(state) for schedule, state in pairs]
        return after

    def _become(self, after: LRScheduler) -> None:
        schedulers = self.schedulers
        for schedule, loaded in zip(schedulers, vars(after)["schedulers"], strict=True):
            if loaded is not schedule:
                schedule._become(loaded)
        vars(self).update({**vars(after), "schedulers": schedulers})


def positive(what: str, number: int) -> int:
    """``number``, which is above 0. Raises: ValueError."""
    if not number > 0:
        raise ValueError(f"{what} is {number}, expected at least 1")
    return number

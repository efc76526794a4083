"""Does a step help? A few training steps, on copies, and what they do to loss and weights."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backend import Array
from ...core.gradmode import no_grad
from ...tensor import Tensor
from ..stats import norm
from .finding import Finding, listed
from .patient import Patient, Step

STUCK = 0.02
"""A loss that has fallen by no more than this share has not been brought down."""

BETTER = 0.05
"""Another rate is better where it brings the loss down by this share of the first loss more."""

OVERSHOT = 3.0
"""A step overshoots where the loss rises to this many times the first."""

RESTLESS = 1e-2
"""|update| / |weights| per step from which steps may be too long; 1e-3 is usual."""

IDLE = 1e-4
"""The same, below which steps may be too short."""

LOWER: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4)
HIGHER: tuple[float, ...] = (1e2, 1e4, 1e6)
"""The multiples of the learning rate that are tried in its place."""


@dataclass
class Course:
    """Some training steps on one batch."""

    losses: list[float] = field(default_factory=list)
    """The loss before each step, and after the last."""
    updates: dict[str, list[float]] = field(default_factory=dict)
    """|change| / |parameter| in each step, for every parameter that is a matrix."""
    stale: dict[str, int] = field(default_factory=dict)
    """In how many steps a parameter still had the gradient of an earlier one when the new came."""
    asleep: set[str] = field(default_factory=set)
    """BatchNorms that computed a training step in evaluation mode."""

    @property
    def steps(self) -> int:
        """How many steps were made before something was not finite."""
        return len(self.losses) - 1

    @property
    def fall(self) -> float:
        """By which share of the first loss it fell: the median of the last third counts."""
        first, last = self.losses[0], self.losses[-max(len(self.losses) // 3, 1) :]
        end = float(np.median(last))
        return (first - end) / abs(first) if math.isfinite(end) and first else -math.inf

    @property
    def peak(self) -> float:
        """The largest loss on the way, as a multiple of the first."""
        return max(self.losses) / abs(self.losses[0]) if self.losses[0] else 1.0

    @property
    def update(self) -> float:
        """|update| / |weights|: the largest of any layer in any step."""
        return max((max(v) for v in self.updates.values()), default=0.0)


def train(patient: Patient, steps: int, factor: float = 1.0) -> Course:
    """Train for some steps with the learning rate multiplied by ``factor``; nothing of it stays."""
    course = Course()
    with patient.trainable() as (trial, step):
        if trial.optimizer is not None:
            for group in trial.optimizer.param_groups:
                group["lr"] = float(group["lr"]) * factor
        watch = _Watch(trial, course)
        try:
            for _ in range(steps):
                loss = watch.run(step)
                course.losses.append(loss)
                if not math.isfinite(loss):
                    return course
            with no_grad():
                last = patient.loss(trial.model(trial.x), trial.labels)
            course.losses.append(float(last.array.mean()))
        finally:
            watch.remove()
    return course


class _Watch:
    """Looks on while steps are made."""

    def __init__(self, trial: Patient, course: Course) -> None:
        self.trial, self.course = trial, course
        self.matrices = {n: p for n, p in trial.model.named_parameters() if p.ndim >= 2}
        self.seen: dict[str, Array] = {}
        self.handles: list[Any] = []
        for name, parameter in trial.model.named_parameters():
            if parameter.requires_grad:
                hook = self._arrives(name, parameter)
                self.handles.append(parameter.register_hook(hook))
        for name, module in trial.model.named_modules():
            if vars(module).get("running_mean") is not None:
                self.handles.append(module.register_forward_hook(self._called(name)))

    def _arrives(self, name: str, parameter: Any) -> Any:
        """A gradient arrives: is there still one, made for other weights than these?"""

        def hook(grad: Tensor) -> None:
            old, weights = parameter._grad, parameter.array
            if old is not None and old.array.any() and not _same(weights, self.seen.get(name)):
                self.course.stale[name] = self.course.stale.get(name, 0) + 1
            self.seen[name] = weights.copy()

        return hook

    def _called(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if not module.training and isinstance(output, Tensor) and output.requires_grad:
                self.course.asleep.add(name)

        return hook

    def run(self, step: Step) -> float:
        trial = self.trial
        before = {name: p.array.copy() for name, p in self.matrices.items()}
        loss = step(Tensor(trial.x), trial.labels)
        for name, parameter in self.matrices.items():
            size, change = norm(before[name]), norm(parameter.array - before[name])
            if size:
                self.course.updates.setdefault(name, []).append(change / size)
        if isinstance(loss, Tensor):
            return float(loss.array.mean())
        if isinstance(loss, (int, float, np.number)):
            return float(loss)
        look = trial.copy()
        with no_grad():
            return float(trial.loss(look.model(look.x), look.labels).array.mean())

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def _same(weights: Array, others: Array | None) -> bool:
    return others is None or bool((weights == others).all())


def habits(course: Course) -> Iterator[Finding]:
    """What a step of the user's own leaves undone."""
    often = tuple(name for name, times in course.stale.items() if 0 < course.steps - 1 <= times)
    if often:
        evidence = (
            f"in each of {course.steps} steps but the first, {listed(often)} still had the "
            f"gradient of older weights when the new one was added."
        )
        yield Finding("accumulating-gradients", often, evidence, {"steps": course.steps})
    asleep = tuple(course.asleep)
    if asleep:
        evidence = f"{listed(asleep)} computed training steps in evaluation mode."
        yield Finding("batchnorm-in-eval", asleep, evidence, {"layers": len(asleep)})


def rates(patient: Patient, course: Course, steps: int) -> Iterator[Finding]:
    """Would another learning rate do better? Only tried where this one seems not to do."""
    if patient.optimizer is None:
        return
    told = (
        f"{course.steps} steps took the loss from {course.losses[0]:.4g} to {course.losses[-1]:.4g}"
        f", each changing the weights of a layer by at most {course.update:.1e} of their size "
        f"(usual: 1e-3)"
    )
    stuck, overshot = course.fall <= STUCK, not course.peak <= OVERSHOT
    if (stuck and course.update > RESTLESS) or overshot:
        kind, factors = "rate-too-high", LOWER
    elif stuck and course.update < IDLE:
        kind, factors = "rate-too-low", HIGHER
    else:
        return
    for factor in factors:
        other = train(patient, steps, factor)
        calm = overshot and other.peak <= OVERSHOT and other.fall > STUCK
        if calm or (stuck and other.fall > max(course.fall, 0) + BETTER):
            high = f" (at most {max(course.losses):.4g} on the way)" if overshot else ""
            evidence = (
                f"{told}{high}. With {factor:g} times the rate the same steps end at "
                f"{other.losses[-1]:.4g}."
            )
            numbers = {"update": course.update, "fall": course.fall, "peak": course.peak}
            yield Finding(kind, ("optimizer",), evidence, {**numbers, "factor": factor})
            return

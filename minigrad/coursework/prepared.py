"""A question with its probes, the right answers, and the results of its mistakes."""

from dataclasses import dataclass, field

import numpy as np

from ..backend import Array
from .compare import misfit, noise
from .questions.base import Inputs, Mistake, Question, Results


@dataclass
class Case:
    """One result on one probe."""

    probe: int
    inputs: Inputs
    want: Array
    noise: float
    got: Array

    @property
    def right(self) -> bool:
        return misfit(self.got, self.want, self.noise) <= 1


@dataclass
class Prepared:
    """A question with its probes and right answers, used for every student."""

    question: Question
    seed: int
    probes: list[Inputs] = field(init=False)
    rights: list[Results] = field(init=False)
    noises: list[dict[str, float]] = field(init=False)
    _wrong: dict[Mistake, list[Results | None]] = field(default_factory=dict)
    _pairs: list[Mistake] | None = None
    _table: Array | None = None

    def __post_init__(self) -> None:
        question = self.question
        self.probes = question.probes(np.random.default_rng([self.seed, *question.name.encode()]))
        with np.errstate(all="ignore"):
            self.rights = [question.answer(**inputs) for inputs in self.probes]
            self.noises = [noise(question.answer, inputs) for inputs in self.probes]
        if question.one_scale:
            for right, moved in zip(self.rights, self.noises, strict=True):
                size = max(float(np.abs(value).max()) for value in right.values())
                for name in moved:
                    moved[name] += 1e-6 * size

    @property
    def calls(self) -> list[Inputs]:
        """The probes, and the first one again: a function without memory answers the same."""
        return [*self.probes, self.probes[0]]

    def pairs(self, cases: dict[str, list[Case]]) -> list[Mistake]:
        """The pairs that are near on the first probe; there are too many to try each on all."""
        if self._pairs is None:
            self._pairs = list(self.question.pairs())
            found = [evaluate(m, self.probes[0]) for m in self._pairs]
            if found:
                self._table = np.stack(
                    [f[m.results[0]] for f, m in zip(found, self._pairs, strict=True) if f]
                )
        if self._table is None:
            return []
        first = cases[self._pairs[0].results[0]][:1]
        if not first or first[0].probe or first[0].got.shape != self._table.shape[1:]:
            return []
        apart = np.abs(self._table - first[0].got).max(axis=(1, 2))
        near = np.flatnonzero(apart <= 1e-2 * np.abs(first[0].got).max())
        return [self._pairs[k] for k in near]

    def wrong(self, mistake: Mistake) -> list[Results | None]:
        """What ``mistake`` gives on each probe; None where it cannot be computed."""
        if mistake not in self._wrong:
            self._wrong[mistake] = [evaluate(mistake, inputs) for inputs in self.probes]
        return self._wrong[mistake]


def evaluate(mistake: Mistake, inputs: Inputs) -> Results | None:
    """The result of a mistake, or None if it raises an error, as for shapes that do not fit."""
    with np.errstate(all="ignore"):
        try:
            return mistake.wrong(inputs)
        except (ValueError, IndexError, RecursionError, ZeroDivisionError):
            return None

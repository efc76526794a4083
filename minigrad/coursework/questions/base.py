"""What a question is made of: inputs, the right rule, wrong rules, and what helps to explain.

Rules are functions of a question's inputs, by name, in float64. A wrong rule is as ordinary a
function as the right one: it computes what a student gets who makes that mistake, so that the
mistake can be recognised by its numbers on inputs that tell all of the rules apart.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backend import Array

Inputs = dict[str, Any]
Results = dict[str, Any]  # result name -> array
Rule = Callable[..., Any]  # the inputs by name -> one array, or a tuple in the order of the results


@dataclass(frozen=True)
class Mistake:
    """A wrong rule that people write, with what to tell them.

    ``results`` names what the rule computes (the other results of the question are not touched by
    the mistake). ``see`` is the step of the derivation to look at again.
    """

    key: str
    results: tuple[str, ...]
    rule: Rule
    text: str
    see: str

    def wrong(self, inputs: Inputs) -> Results:
        """What the mistake gives for each of ``results``."""
        return as_results(self.results, self.rule(**inputs))


@dataclass(frozen=True)
class Terms:
    """The terms that a result is a sum of, and other terms that wrong sums contain.

    ``parts`` gives the terms for the inputs of one probe: ``own`` of them make up the right
    result with factor 1 each, the rest are relatives. With ``by_column`` each column has factors
    of its own. ``factors`` gives quantities that a factor may turn out to be (N, gamma, ...).
    """

    result: str
    own: int
    parts: Callable[..., dict[str, Array]]
    by_column: bool = False
    factors: Callable[..., dict[str, Any]] = field(default=lambda **inputs: {})
    should: str = "1.00"
    """What the factors should be."""


@dataclass(frozen=True)
class Identity:
    """A property of the right result that can be tested without knowing the right result."""

    result: str
    text: str
    defect: Callable[..., Any]  # (result, **inputs) -> an array, zero where the identity holds


@dataclass(frozen=True)
class Question:
    """One function that a student writes, and all that is needed to judge it."""

    name: str
    results: tuple[str, ...]
    right: Rule
    probes: Callable[[np.random.Generator], list[Inputs]]
    mistakes: tuple[Mistake, ...] = ()
    pairs: Callable[[], Iterable[Mistake]] = tuple
    """Two mistakes at once, tried where no single one fits."""
    target: str = ""
    """What the student writes, where it is not called like the question."""
    driver: str = "call"
    """How the child calls it: see ``child/drivers.py``."""
    may_change: frozenset[str] = frozenset()
    """Inputs that the function may update in place."""
    changes: Mapping[str, Mistake] = field(default_factory=dict)
    """What it means if an input comes back changed, where that has a name of its own."""
    one_scale: bool = False
    """Judge all results by the size of the largest: one of them is 0 but for rounding."""
    loose_shape: bool = False
    """Accept (1, C) for (C,): intermediate values, which nobody else has to fit."""
    steps: Mapping[str, Rule] = field(default_factory=dict)
    """Rules of single results, given the inputs and the results before them: each is judged with
    what the student has before it, so that an error is found where it was made."""
    judge: Callable[[Inputs, Any], tuple[str, str] | None] | None = None
    """For answers that are not unique: (key, text) of what is wrong with one, or None."""
    terms: tuple[Terms, ...] = ()
    identities: tuple[Identity, ...] = ()
    loss: Callable[..., Any] | None = None
    """sum(dy * y) as a function of the inputs, for a numerical slope; ``None``: no slopes."""
    slopes: Mapping[str, str] = field(default_factory=dict)
    """Result -> the input that it is the gradient of."""
    errors: Callable[[str, str], tuple[str, str] | None] = lambda kind, message: None
    """(key, text) for an exception, given its type and message, if it has a name."""
    also: tuple[str, ...] = ()
    """The names that ``judge`` and ``errors`` give, besides those in ``mistakes``."""
    seconds: float = 10.0
    """How long one call may take."""

    @property
    def names(self) -> set[str]:
        """The keys of all mistakes that have a name."""
        return {m.key for m in (*self.mistakes, *self.changes.values())} | set(self.also)

    def answer(self, **inputs: Any) -> Results:
        """The right results."""
        return as_results(self.results, self.right(**inputs))


def as_results(names: tuple[str, ...], value: Any) -> Results:
    """One array or a tuple of them, under their names."""
    values = value if isinstance(value, tuple) else (value,)
    return {
        name: np.asarray(v, dtype=np.float64) if v is not None else None
        for name, v in zip(names, values, strict=True)
    }


def table(see: str, results: str, *rows: tuple[str, Rule, str]) -> tuple[Mistake, ...]:
    """Mistakes that concern the same results and the same step: (key, rule, text) each."""
    return tuple(Mistake(key, tuple(results.split()), rule, text, see) for key, rule, text in rows)

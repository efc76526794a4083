"""Least squares over the terms of a formula: with which factor does a wrong result contain each?

The right dx of BatchNorm is a sum of three terms. A result that contains them with other factors
(or contains a fourth) is told so, but only if the sum explains it to rounding, on every probe that
has more numbers than there are factors.
"""

from collections.abc import Sequence

import numpy as np

from ..backend import Array
from .questions.base import Inputs, Terms

Factors = dict[str, list[Array]]  # term -> its factor(s) in each probe
Case = tuple[Inputs, Array]  # inputs and what the student got

ORDINALS = ["first", "second", "third", "fourth"]


def explain(terms: Terms, cases: Sequence[Case]) -> str | None:
    """What the results in ``cases`` consist of, in words; None if the terms do not explain them."""
    for size in dict.fromkeys([terms.own, None]):
        found = fit(terms, cases, size)
        if found is not None:
            spoken = speak(terms, found, cases)
            if spoken is not None:
                return spoken
    return None


def fit(terms: Terms, cases: Sequence[Case], size: int | None) -> Factors | None:
    """The factors of the first ``size`` terms (all if None), or None if something is left over."""
    found: Factors = {}
    for inputs, got in cases:
        parts = dict(list(terms.parts(**inputs).items())[:size])
        if terms.by_column:
            columns = [
                solve([p[:, j] for p in parts.values()], got[:, j]) for j in range(got.shape[1])
            ]
        else:
            columns = [solve([p.ravel() for p in parts.values()], got.ravel())]
        for name in parts:
            found.setdefault(name, [])
        if any(c is TOO_FEW for c in columns):
            for name in parts:
                found[name].append(np.full(len(columns), np.nan))
            continue
        if any(c is None for c in columns):
            return None
        for k, name in enumerate(parts):
            found[name].append(np.array([c[k] for c in columns if c is not None]))
    usable = any(np.isfinite(f).all() for f in next(iter(found.values())))
    return found if usable else None


TOO_FEW = np.empty(0)


def solve(parts: list[Array], got: Array) -> Array | None:
    """The factors with which ``parts`` add up to ``got``; None if they do not."""
    matrix = np.stack(parts, axis=1)
    size = np.abs(matrix).max(axis=0)
    if len(got) < len(parts) + 2 or not size.all():
        return TOO_FEW
    if not np.isfinite(matrix).all() or np.abs(got).max() > 1e100:
        return None
    solution, _, rank, _ = np.linalg.lstsq(matrix / size, got, rcond=1e-9)
    if rank < len(parts):
        return TOO_FEW
    left = np.abs(matrix / size @ solution - got).max()
    if left > 2e-5 * max(np.abs(got).max(), 1e-30):
        return None
    return np.asarray(solution / size)


def speak(terms: Terms, factors: Factors, cases: Sequence[Case]) -> str | None:
    """The factors as a sentence; None if they are all as they should be."""
    names = list(factors)
    described = {name: describe(terms, factors[name], cases) for name in names}
    own, others = names[: terms.own], [n for n in names[terms.own :] if described[n] != "0.00"]
    if terms.should == "1.00" and not others and all(described[name] == "1.00" for name in own):
        return None
    if terms.own == 1:
        listed = f"the right one with factor {described[own[0]]}"
        start = f"{terms.result} should be one term; yours has {listed}"
    else:
        listed = ", ".join(
            f"the {ORDINALS[k]} ({name}) with factor {described[name]}"
            for k, name in enumerate(own)
        )
        start = f"Of the {count(terms.own)} terms of {terms.result}, yours has {listed}"
    for name in others:
        start += f"; and besides, with factor {described[name]}, {name}"
    if terms.should != "1.00":
        return f"{start}. They should be {terms.should}."
    return start + ". Every factor should be 1.00" + (", and nothing besides." if others else ".")


def count(n: int) -> str:
    """A small number as a word."""
    return ["no", "one", "two", "three", "four"][n]


def describe(terms: Terms, factors: list[Array], cases: Sequence[Case]) -> str:
    """One number; or a number times N, gamma, ...; or the range, if it is neither."""
    usable = [k for k, f in enumerate(factors) if np.isfinite(f).all()]
    values = np.concatenate([factors[k] for k in usable])
    if np.abs(values).max() < 1e-4:
        return "0.00"
    if is_constant(values):
        return f"{values.mean():.2f}"
    quantities = [terms.factors(**cases[k][0]) for k in usable]
    for name in quantities[0]:
        q = np.concatenate(
            [np.broadcast_to(quantities[i][name], factors[k].shape) for i, k in enumerate(usable)]
        )
        for ratio, text in ((values / q, name), (values * q, f"1/{name}")):
            if is_constant(ratio):
                number = ratio.mean()
                return text if abs(number - 1) < 1e-3 else f"{number:.2f} times {text}"
    low, high = values.min(), values.max()
    return f"between {low:.2f} and {high:.2f}, not the same everywhere"


def is_constant(values: Array) -> bool:
    """Whether all values are the same, to the accuracy of a fit."""
    return bool(np.abs(values - values.mean()).max() < 1e-4 * max(np.abs(values).max(), 1e-30))

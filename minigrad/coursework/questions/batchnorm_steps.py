"""Task 6, first half: BatchNorm's backward pass, one intermediate gradient after the other.

The steps and names are those of ``BatchNorm`` in ``minigrad/ops/normalization.py``. Each step is
judged with the student's own values of the steps before it. So an error in one step does not make
the later steps wrong.
"""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Question, Rule, Terms, table
from .batchnorm_backward import probes
from .batchnorm_rules import hat, statistics


def dc(x: Array, eps: float, dx_hat: Array, dvar: Array, **_: Any) -> Array:
    """Steps 5 and 7."""
    _, c, _, r = statistics(x, eps)
    return np.asarray(dx_hat * r + dvar * 2 * c / len(x))


def dr(x: Array, eps: float, dx_hat: Array, **_: Any) -> Array:
    """Step 4."""
    return np.asarray((dx_hat * statistics(x, eps)[1]).sum(0))


def dvar(x: Array, eps: float, dr: Array, **_: Any) -> Array:
    """Step 6."""
    return np.asarray(-0.5 * statistics(x, eps)[3] ** 3 * dr)


STEPS: dict[str, Rule] = {
    "dbeta": lambda dy, **_: dy.sum(0),
    "dgamma": lambda dy, x, eps, **_: (dy * hat(x, eps)).sum(0),
    "dx_hat": lambda dy, gamma, **_: gamma * dy,
    "dr": dr,
    "dvar": dvar,
    "dc": dc,
    "dmu": lambda dc, **_: -dc.sum(0),
    "dx": lambda x, dc, dmu, **_: dc + dmu / len(x),
}


def all_steps(**inputs: Any) -> tuple[Array, ...]:
    """Every step with the right values of those before it."""
    found: dict[str, Array] = {}
    for name, rule in STEPS.items():
        found[name] = rule(**inputs, **found)
    return tuple(found.values())


def power(p: float) -> Rule:
    """dvar with another power of r = 1/sqrt(var + eps)."""
    return lambda x, eps, dr, **_: -0.5 * statistics(x, eps)[3] ** p * dr


def scaled(rule: Rule, factor: float) -> Rule:
    """``rule`` times a number."""
    return lambda **inputs: factor * rule(**inputs)


MISTAKES = (
    *table(
        "BatchNorm, backward: step 1",
        "dbeta",
        ("T01", lambda dy, **_: dy.mean(0), "dbeta is a mean over the batch; it is a sum."),
        ("T02", lambda dy, **_: dy, "dbeta is not summed over the batch."),
        ("T03", lambda dy, **_: dy.sum(1), "dbeta is summed over the features, not the batch."),
        (
            "T04",
            lambda dy, gamma, **_: gamma * dy.sum(0),
            "dbeta is multiplied by gamma. beta is added after gamma, so gamma is not in dbeta.",
        ),
    ),
    *table(
        "BatchNorm, backward: step 2",
        "dgamma",
        (
            "T05",
            lambda dy, **_: dy.sum(0),
            "dgamma is the sum of dy alone; gamma multiplies x_hat, so x_hat is in it.",
        ),
        ("T06", lambda dy, x, **_: (dy * x).sum(0), "dgamma uses x where x_hat belongs."),
        (
            "T07",
            lambda dy, x, **_: (dy * (x - x.mean(0))).sum(0),
            "dgamma uses x - mu where x_hat belongs.",
        ),
        (
            "T08",
            lambda dy, x, eps, **_: (dy * hat(x, eps)).mean(0),
            "dgamma is a mean over the batch; it is a sum.",
        ),
        (
            "T09",
            lambda dy, x, eps, **_: dy * hat(x, eps),
            "dgamma is not summed over the batch.",
        ),
        (
            "T10",
            lambda dy, x, gamma, eps, **_: (dy * gamma * hat(x, eps)).sum(0),
            "dgamma has gamma in it: the derivative of gamma x_hat is x_hat alone.",
        ),
    ),
    *table(
        "BatchNorm, backward: step 3",
        "dx_hat",
        ("T11", lambda dy, **_: dy, "dx_hat is dy: gamma is missing."),
        (
            "T12",
            lambda dy, gamma, **_: dy / gamma,
            "dx_hat is divided by gamma; y grows with x_hat at the rate gamma, so it multiplies.",
        ),
        (
            "T13",
            lambda dy, x, gamma, eps, **_: dy * gamma * hat(x, eps),
            "dx_hat contains x_hat: y = gamma x_hat + beta is linear in it.",
        ),
    ),
    *table(
        "BatchNorm, backward: step 4",
        "dr",
        (
            "T14",
            lambda x, dx_hat, **_: (dx_hat * x).sum(0),
            "dr uses x where c = x - mu belongs: x_hat = c r.",
        ),
        (
            "T15",
            lambda x, eps, dx_hat, **_: (dx_hat * hat(x, eps)).sum(0),
            "dr uses x_hat where c = x - mu belongs: x_hat = c r, so its derivative with respect "
            "to r is c.",
        ),
        (
            "T16",
            lambda x, dx_hat, **_: (dx_hat * (x - x.mean(0))).mean(0),
            "dr is a mean; one r serves the whole batch, so it is a sum.",
        ),
        ("T17", lambda dx_hat, **_: dx_hat.sum(0), "c = x - mu is missing from dr."),
        (
            "T18",
            lambda x, dx_hat, **_: dx_hat * (x - x.mean(0)),
            "dr is not summed over the batch: one r serves all samples.",
        ),
        (
            "T19",
            lambda dy, x, dx_hat, **_: (dy * (x - x.mean(0))).sum(0),
            "dr starts from dy; it starts from dx_hat, which has gamma in it.",
        ),
        ("T20", scaled(dr, -1), "dr has the wrong sign."),
    ),
    *table(
        "BatchNorm, backward: step 6",
        "dvar",
        (
            "T21",
            scaled(dvar, -1),
            "dvar has the wrong sign: r falls as var grows.",
        ),
        ("T22", scaled(dvar, 2), "The 1/2 of the power rule is missing from dvar."),
        (
            "T23",
            power(1),
            "dvar has the power -1/2 of (var + eps) where the power rule gives -3/2.",
        ),
        (
            "T24",
            power(2),
            "dvar has the power -1 of (var + eps) where the power rule gives -3/2.",
        ),
        ("T25", lambda dr, **_: -0.5 * dr, "The power of (var + eps) is missing from dvar."),
        (
            "T26",
            lambda x, eps, dr, **_: 0.5 * statistics(x, eps)[3] * dr,
            "You differentiated the square root, but r is one over the root: (var + eps)^(-1/2).",
        ),
        (
            "T27",
            lambda x, dr, **_: -0.5 * x.var(0) ** -1.5 * dr,
            "eps is missing from dvar.",
        ),
    ),
    *table(
        "BatchNorm, backward: steps 5 and 7",
        "dc",
        (
            "T28",
            lambda x, eps, dx_hat, **_: dx_hat * statistics(x, eps)[3],
            "dc has the direct path only. c is in the variance as well: step 7 adds to it.",
        ),
        (
            "T29",
            lambda x, dvar, **_: dvar * 2 * (x - x.mean(0)) / len(x),
            "dc has only the path through the variance: an = where a += belongs.",
        ),
        (
            "T30",
            lambda x, eps, dx_hat, dvar, **_: dc(x, eps, dx_hat, dvar / 2),
            "The 2 from the derivative of c^2 is missing.",
        ),
        (
            "T31",
            lambda x, eps, dx_hat, dvar, **_: dc(x, eps, dx_hat, dvar * len(x)),
            "The 1/N of the mean of c^2 is missing.",
        ),
        (
            "T32",
            lambda x, eps, dx_hat, dvar, **_: dc(x, eps, dx_hat, dvar * len(x) / (len(x) - 1)),
            "You divide by N - 1; the variance that normalises is divided by N.",
        ),
        (
            "T33",
            lambda x, eps, dx_hat, dvar, **_: (
                dx_hat * statistics(x, eps)[3] + dvar * 2 * hat(x, eps) / len(x)
            ),
            "x_hat stands where c = x - mu belongs in the path through the variance.",
        ),
        (
            "T34",
            lambda x, eps, dx_hat, dvar, **_: (
                dx_hat * statistics(x, eps)[3] + dvar * 2 * x / len(x)
            ),
            "x stands where c = x - mu belongs in the path through the variance.",
        ),
        (
            "T35",
            lambda x, dx_hat, dvar, **_: dx_hat + dvar * 2 * (x - x.mean(0)) / len(x),
            "r is missing from the direct path: x_hat = c r.",
        ),
        (
            "T36",
            lambda x, eps, dx_hat, dvar, **_: dc(x, eps, dx_hat, -dvar),
            "The path through the variance is subtracted; contributions of paths add up.",
        ),
    ),
    *table(
        "BatchNorm, backward: step 8",
        "dmu",
        ("T37", lambda dc, **_: dc.sum(0), "dmu has the wrong sign: c = x - mu."),
        ("T38", lambda dc, **_: -dc.mean(0), "dmu is a mean; one mu serves all, so it is a sum."),
        (
            "T39",
            lambda dc, **_: -dc,
            "dmu is not summed over the batch: one mu serves all samples.",
        ),
        (
            "T40",
            lambda dx_hat, **_: -dx_hat.sum(0),
            "dmu starts from dx_hat; it starts from dc, which has the factor r.",
        ),
    ),
    *table(
        "BatchNorm, backward: steps 9 and 10",
        "dx",
        (
            "T41",
            lambda dc, **_: dc,
            "The path through mu is missing: every x moves the mean.",
        ),
        (
            "T42",
            lambda dc, dmu, **_: dc + dmu,
            "The 1/N of the mean is missing: each x has a share of 1/N in mu.",
        ),
        (
            "T43",
            lambda x, dc, dmu, **_: dc - dmu / len(x),
            "The path through mu is subtracted; contributions of paths add up (the minus is in "
            "dmu already).",
        ),
        (
            "T44",
            lambda x, dc, dmu, **_: np.broadcast_to(dmu / len(x), x.shape),
            "Only the path through mu is left: an = where a += belongs.",
        ),
    ),
)


def gamma_parts(dy: Array, x: Array, eps: float, **_: Any) -> dict[str, Array]:
    """The term of dgamma, and what stands beside it by mistake."""
    return {"the right term": STEPS["dgamma"](dy=dy, x=x, eps=eps), "the sum of dy": dy.sum(0)}


def r_parts(x: Array, dx_hat: Array, **_: Any) -> dict[str, Array]:
    """The term of dr, and what stands beside it by mistake."""
    c = x - x.mean(0)
    return {"the right term": (dx_hat * c).sum(0), "the sum of dx_hat": dx_hat.sum(0)}


def c_parts(x: Array, eps: float, dx_hat: Array, dvar: Array, **_: Any) -> dict[str, Array]:
    """The two paths to c."""
    _, c, _, r = statistics(x, eps)
    return {"directly": dx_hat * r, "through var": dvar * 2 * c / len(x)}


def x_parts(x: Array, dc: Array, dmu: Array, **_: Any) -> dict[str, Array]:
    """The two paths to x."""
    return {"directly": dc, "through mu": np.broadcast_to(dmu / len(x), x.shape)}


def sizes(x: Array, eps: float, **_: Any) -> dict[str, Any]:
    """What a factor may turn out to be."""
    return {"N": float(len(x)), "eps": eps, "r": statistics(x, eps)[3]}


def size(x: Array, **_: Any) -> dict[str, Any]:
    """Of a factor that is the same for every feature."""
    return {"N": float(len(x))}


TERMS = (
    Terms("dbeta", 1, lambda dy, **_: {"the right term": dy.sum(0)}, factors=size),
    Terms("dgamma", 1, gamma_parts, factors=size),
    Terms(
        "dx_hat",
        1,
        lambda dy, gamma, **_: {"the right term": gamma * dy, "dy": dy, "1": np.ones_like(dy)},
        by_column=False,
        factors=size,
    ),
    Terms("dr", 1, r_parts, factors=size),
    Terms("dvar", 1, lambda **inputs: {"the right term": dvar(**inputs)}, factors=size),
    Terms("dc", 2, c_parts, by_column=True, factors=sizes),
    Terms("dmu", 1, lambda dc, **_: {"the right term": -dc.sum(0)}, factors=size),
    Terms("dx", 2, x_parts, by_column=True, factors=sizes),
)

QUESTIONS = (
    Question(
        "batch_norm_steps",
        tuple(STEPS),
        all_steps,
        probes,
        MISTAKES,
        driver="steps",
        steps=STEPS,
        terms=TERMS,
        loose_shape=True,
    ),
)

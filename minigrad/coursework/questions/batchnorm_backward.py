"""Task 6, second half: the collapsed backward pass of BatchNorm, and how it goes wrong.

The right rule is written in pieces,

    dx = gamma r (dy - mean - along var),   mean = mean(dy),  along = x_hat,  var = mean(dy x_hat),

and a mistake is the replacement of one or more pieces. So two mistakes that touch different pieces
can be made at the same time, and all such pairs are tried where no single mistake fits.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...backend import Array
from .base import Identity, Inputs, Mistake, Question, Results, Terms, table
from .batchnorm_edits import EDITS, STATISTICS, Piece
from .batchnorm_rules import columns, hat, statistics

RIGHT: dict[str, Piece] = {
    "statistics": lambda s: statistics(s.x, s.eps),
    "gamma": lambda s: s.gamma,
    "r": lambda s: s.r,
    "over": lambda s: 1.0,
    "direct": lambda s: 1.0,
    "mean": lambda s: s.dy.mean(0),
    "mean_factor": lambda s: 1.0,
    "var": lambda s: (s.dy * s.x_hat).mean(0),
    "var_factor": lambda s: 1.0,
    "along": lambda s: s.x_hat,
    "dgamma": lambda s: (s.dy * s.x_hat).sum(0),
    "dbeta": lambda s: s.dy.sum(0),
}


def assemble(edit: dict[str, Piece], inputs: Inputs) -> Results:
    """dx, dgamma and dbeta with the pieces in ``edit`` in place of the right ones."""
    pieces = RIGHT | edit
    s = SimpleNamespace(**inputs)
    s.n = len(s.x)
    s.mu, s.c, s.variance, s.r = pieces["statistics"](s)
    s.x_hat = s.c * s.r
    mean = pieces["mean_factor"](s) * pieces["mean"](s)
    var = pieces["var_factor"](s) * pieces["along"](s) * pieces["var"](s)
    scale = pieces["gamma"](s) * pieces["r"](s) * pieces["over"](s)
    return {
        "dx": scale * (pieces["direct"](s) * s.dy - mean - var),
        "dgamma": pieces["dgamma"](s),
        "dbeta": pieces["dbeta"](s),
    }


def batch_norm_backward(dy: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, ...]:
    """dx, dgamma, dbeta of BatchNorm in training.   dy, x: (N, C), gamma: (C,)"""
    found = assemble({}, {"dy": dy, "x": x, "gamma": gamma, "eps": eps})
    return found["dx"], found["dgamma"], found["dbeta"]


BATCHES = [
    (8, 5, 1e-5, 0.0),
    (7, 4, 0.1, 0.0),
    (5, 5, 1e-2, 1.0),
    (12, 3, 0.2, 40.0),
    (2, 3, 0.3, 0.0),
]


def probes(rng: np.random.Generator) -> list[Inputs]:
    """Batches in which dy has a mean and goes along with x_hat, so that every term of dx counts."""
    found = []
    for n, c, eps, offset in BATCHES:
        x, gamma, _ = columns(rng, n, c, eps, offset)
        dy = rng.normal(0, 1, (n, c)) + rng.uniform(0.5, 1.5, c)
        dy += rng.uniform(0.5, 1.5, c) * hat(x, eps)
        found.append({"dy": dy, "x": x, "gamma": gamma, "eps": eps})
    return found


def edited(edit: dict[str, Piece], results: tuple[str, ...]) -> Callable[..., Any]:
    """A rule for ``results`` with the pieces in ``edit`` exchanged."""

    def rule(**inputs: Any) -> tuple[Any, ...]:
        found = assemble(edit, inputs)
        return tuple(found[name] for name in results)

    return rule


def plural(steps: str) -> str:
    """ " 7", or "s 3 to 5"."""
    return f"s {steps}" if " " in steps else f" {steps}"


DX = tuple(
    Mistake(key, ("dx",), edited(edit, ("dx",)), text, f"BatchNorm, backward: step{plural(step)}")
    for key, (edit, step, text) in EDITS.items()
)

SEE_STATISTICS = "BatchNorm, forward: the statistics that backward uses again"

BOTH = tuple(
    Mistake(key, results, edited(edit, results), text, SEE_STATISTICS)
    for key, (edit, text) in STATISTICS.items()
    for results in (("dx", "dgamma"), ("dgamma",))  # dx may have a mistake of its own besides
)


DGAMMA = table(
    "BatchNorm, backward: step 2",
    "dgamma",
    (
        "G01",
        lambda dy, x, gamma, eps: dy.sum(0),
        "dgamma is the sum of dy, which is dbeta. gamma multiplies x_hat, so each dy counts with "
        "its x_hat.",
    ),
    (
        "G02",
        lambda dy, x, gamma, eps: (dy * x).sum(0),
        "dgamma uses x where x_hat belongs: gamma multiplies the normalised values.",
    ),
    (
        "G03",
        lambda dy, x, gamma, eps: (dy * gamma * hat(x, eps)).sum(0),
        "dgamma has gamma in it: y = gamma x_hat + beta, and its derivative with respect to gamma "
        "is x_hat alone. (While gamma is 1, the numbers are the same.)",
    ),
    (
        "G04",
        lambda dy, x, gamma, eps: (dy * hat(x, eps)).mean(0),
        "dgamma is a mean over the batch, and it should be a sum: every row used the same gamma. "
        "The mean of the loss is in dy already.",
    ),
    (
        "G06",
        lambda dy, x, gamma, eps: dy * hat(x, eps),
        "dgamma is not summed over the batch: gamma was broadcast to every row, so its copies' "
        "gradients add up.",
    ),
    (
        "G08",
        lambda dy, x, gamma, eps: (dy * hat(x, eps)).sum(1),
        "dgamma is summed along the wrong axis: there is one gamma per feature, not per sample.",
    ),
    (
        "G09",
        lambda dy, x, gamma, eps: (dy * (x - x.mean(0))).sum(0),
        "dgamma uses x - mu where x_hat belongs: the division by the standard deviation is "
        "missing.",
    ),
    (
        "G10",
        lambda dy, x, gamma, eps: (dy * hat(x, eps)).sum(0, keepdims=True),
        "The numbers of dgamma are right; its shape has an axis too many, left by keepdims.",
    ),
    (
        "G11",
        lambda dy, x, gamma, eps: hat(x, eps).sum(0),
        "dgamma does not contain dy: this is the local slope alone.",
    ),
    (
        "G12",
        lambda dy, x, gamma, eps: -(dy * hat(x, eps)).sum(0),
        "dgamma has the wrong sign.",
    ),
)

DBETA = table(
    "BatchNorm, backward: step 1",
    "dbeta",
    (
        "G05",
        lambda dy, x, gamma, eps: dy.mean(0),
        "dbeta is a mean over the batch, and it should be a sum: every row used the same beta.",
    ),
    (
        "G07",
        lambda dy, x, gamma, eps: dy.sum(0) * gamma,
        "dbeta is multiplied by gamma. beta is added after gamma, so gamma has no part in it. "
        "(While gamma is 1, the numbers are the same.)",
    ),
    (
        "G13",
        lambda dy, x, gamma, eps: dy,
        "dbeta is not summed over the batch: beta was broadcast to every row, so its copies' "
        "gradients add up.",
    ),
    (
        "G14",
        lambda dy, x, gamma, eps: dy.sum(1),
        "dbeta is summed along the wrong axis: there is one beta per feature, not per sample.",
    ),
    (
        "G15",
        lambda dy, x, gamma, eps: dy.sum(0, keepdims=True),
        "The numbers of dbeta are right; its shape has an axis too many, left by keepdims.",
    ),
    (
        "G16",
        lambda dy, x, gamma, eps: dy.sum(),
        "dbeta is one number, the sum over everything. Each feature has a beta of its own.",
    ),
    (
        "G17",
        lambda dy, x, gamma, eps: -dy.sum(0),
        "dbeta has the wrong sign.",
    ),
)

ORDER = table(
    "what the function returns",
    "dgamma dbeta",
    (
        "G18",
        lambda dy, x, gamma, eps: (dy.sum(0), (dy * hat(x, eps)).sum(0)),
        "dgamma and dbeta are returned in the wrong order: the order is dx, dgamma, dbeta.",
    ),
)


def pairs() -> Iterator[Mistake]:
    """Wrong statistics in dx alone, and every two mistakes that touch different pieces of dx."""
    everything = {key: (edit, text) for key, (edit, _, text) in EDITS.items()} | STATISTICS
    for key, (edit, text) in STATISTICS.items():
        yield Mistake(key, ("dx",), edited(edit, ("dx",)), text, SEE_STATISTICS)
    for (a, (one, first)), (b, (two, second)) in combinations(everything.items(), 2):
        if not one.keys() & two.keys():
            yield Mistake(
                f"{a}+{b}",
                ("dx",),
                edited(one | two, ("dx",)),
                f"Two things at once. (1) {first} (2) {second}",
                "BatchNorm, backward: both steps",
            )


def parts(dy: Array, x: Array, gamma: Array, eps: float) -> dict[str, Array]:
    """The three terms of dx, and others that lie outside their span."""
    _, c, _, r = statistics(x, eps)
    x_hat, ones, scale = c * r, np.ones_like(x), gamma * r
    return {
        "the direct term": scale * dy,
        "the term through the mean": -scale * ones * dy.mean(0),
        "the term through the variance": -scale * x_hat * (dy * x_hat).mean(0),
        "dy x_hat, sample by sample": scale * dy * x_hat,
        "x_hat^2": scale * x_hat**2,
    }


def dgamma_parts(dy: Array, x: Array, gamma: Array, eps: float) -> dict[str, Array]:
    """The term of dgamma, and what stands in its place or beside it by mistake."""
    x_hat = hat(x, eps)
    return {
        "the right term": (dy * x_hat).sum(0),
        "the sum of dy": dy.sum(0),
        "the sum of x_hat^2": (x_hat * x_hat).sum(0),
    }


def dbeta_parts(dy: Array, x: Array, gamma: Array, eps: float) -> dict[str, Array]:
    """The term of dbeta, and 1."""
    return {"the right term": dy.sum(0), "1 in every place": np.ones_like(gamma)}


def factors(dy: Array, x: Array, gamma: Array, eps: float) -> dict[str, Any]:
    """What a factor may turn out to be: one number, or one for each feature."""
    _, _, _, r = statistics(x, eps)
    n = float(len(x))
    return {
        "N": n,
        "N/(N - 1)": n / (n - 1),
        "gamma": gamma,
        "sqrt(var + eps)": 1 / r,
        "(var + eps)": r**-2,
        "(var + eps)^(3/2)": r**-3,
        "gamma/sqrt(var + eps)": gamma * r,
    }


def sizes(dy: Array, x: Array, gamma: Array, eps: float) -> dict[str, Any]:
    """Of a factor that is the same for every feature."""
    return {"N": float(len(x)), "eps": eps}


def loss(dy: Array, x: Array, gamma: Array, eps: float) -> Any:
    """sum(dy y), up to the constant from beta."""
    return np.sum(dy * gamma * hat(x, eps))


def along(dx: Array, dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """sum(dx x_hat) minus what eps leaves of it."""
    _, c, var, r = statistics(x, eps)
    x_hat = c * r
    left = gamma * r * eps / (var + eps) * (dy * x_hat).sum(0)
    return np.asarray((dx * x_hat).sum(0) - left)


IDENTITIES = (
    Identity(
        "dx",
        "dx sums to 0 over the batch (adding a constant to a feature changes nothing)",
        lambda dx, dy, x, gamma, eps: dx.sum(0),
    ),
    Identity(
        "dx",
        "dx is orthogonal to x_hat, up to eps (stretching a feature changes almost nothing)",
        along,
    ),
)

QUESTIONS = (
    Question(
        "batch_norm_backward",
        ("dx", "dgamma", "dbeta"),
        batch_norm_backward,
        probes,
        (*DX, *BOTH, *DGAMMA, *DBETA, *ORDER),
        pairs=pairs,
        terms=(
            Terms("dx", 3, parts, by_column=True, factors=factors),
            Terms("dgamma", 1, dgamma_parts, factors=sizes),
            Terms("dbeta", 1, dbeta_parts, factors=sizes),
        ),
        identities=IDENTITIES,
        loss=loss,
        slopes={"dx": "x", "dgamma": "gamma"},
    ),
)

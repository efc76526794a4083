"""The single mistakes in BatchNorm's dx, each as the pieces of the rule that it replaces.

The pieces, and how they are put together, are in ``batchnorm_backward.py``. A piece is a function
of everything that is known by then: dy, x, gamma, eps, n, mu, c, variance, r, x_hat.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...backend import Array

Piece = Callable[[SimpleNamespace], Any]


def with_statistics(change: Callable[[Array, float], tuple[Array, Array, Array]]) -> Piece:
    """Other statistics: ``change`` gives mu, var and r."""

    def piece(s: SimpleNamespace) -> tuple[Array, Array, Array, Array]:
        mu, var, r = change(s.x, s.eps)
        return mu, s.x - mu, var, r

    return piece


zero: Piece = lambda s: 0.0  # noqa: E731
EDITS: dict[str, tuple[dict[str, Piece], str, str]] = {
    "B01": (
        {"mean_factor": zero, "var_factor": zero},
        "3 to 5",
        "You treat mu and var as constants. They are computed from x, so x reaches the loss "
        "through them as well, and two of the three terms of dx are missing. (This is the rule of "
        "eval mode.)",
    ),
    "B02": (
        {"mean_factor": zero},
        "8 and 10",
        "The path through the batch mean is missing: every x moves mu, and mu moves every x_hat. "
        "Your dx does not sum to 0 over the batch, and it must, because adding a constant to a "
        "feature changes nothing.",
    ),
    "B03": (
        {"var_factor": zero},
        "6 and 7",
        "The path through the batch variance is missing: every x changes var, and var the scale of "
        "every x_hat. Your dx still has a part along x_hat, and it should have (almost) none, "
        "because stretching a feature changes nothing.",
    ),
    "B04": (
        {"mean": lambda s: s.dy.sum(0), "var": lambda s: (s.dy * s.x_hat).sum(0)},
        "10 and 7",
        "You have sums where means over the batch belong: mu and var are means, so each x has a "
        "share of 1/N in them.",
    ),
    "B04m": (
        {"mean": lambda s: s.dy.sum(0)},
        "10",
        "The sum of dy stands where its mean belongs: mu = mean(x), so each x has a share of 1/N.",
    ),
    "B04v": (
        {"var": lambda s: (s.dy * s.x_hat).sum(0)},
        "7",
        "The sum of dy x_hat stands where its mean belongs: var = mean(c^2), so each x has a share "
        "of 1/N.",
    ),
    "B05": (
        {"over": lambda s: 1 / s.n},
        "9 and 10",
        "All of dx is divided by N once too often. Only the paths through mu and var carry a 1/N; "
        "a mean over the batch in the loss is in dy already.",
    ),
    "B30": (
        {"over": lambda s: float(s.n)},
        "9 and 10",
        "dx is N times too large: with the 1/N outside the bracket, the first term is N dy, and "
        "the factor 1/N in front was left out.",
    ),
    "B06": (
        {"gamma": lambda s: 1.0},
        "3",
        "gamma is missing from dx: y = gamma x_hat + beta, so the gradient is multiplied by gamma "
        "on its way to x_hat. (While gamma is 1, its initial value, the numbers are the same.)",
    ),
    "B27": (
        {"gamma": lambda s: s.gamma**2},
        "3",
        "gamma is in dx twice. It enters once, on the way from y to x_hat.",
    ),
    "B07": (
        {"r": lambda s: 1.0},
        "5",
        "The factor 1/sqrt(var + eps) is missing from dx. In deep "
        "networks it makes the gradient larger again where the variance of a layer is small.",
    ),
    "B08": (
        {"r": lambda s: s.r**2},
        "5",
        "You divide by var + eps instead of its square root.",
    ),
    "B09": (
        {"r": lambda s: 1 / s.r},
        "5",
        "You multiply by sqrt(var + eps) instead of dividing by it.",
    ),
    "B10": (
        {"mean_factor": lambda s: -1.0},
        "8",
        "The sign of the path through the mean is wrong: c = x - mu, so mu receives minus the sum.",
    ),
    "B11": (
        {"var_factor": lambda s: -1.0},
        "6",
        "The sign of the path through the variance is wrong: x_hat gets smaller as var grows, "
        "which is the minus of (var + eps)^(-1/2).",
    ),
    "B12": (
        {"var_factor": lambda s: 1 / s.r},
        "4 to 7",
        "In the variance term you use x - mu once where x_hat belongs: a factor 1/sqrt(var + eps) "
        "is missing there.",
    ),
    "B18": (
        {"var_factor": lambda s: s.r**-2},
        "6",
        "The power of (var + eps) in the variance path is wrong: the derivative of v^(-1/2) is "
        "-1/2 v^(-3/2), and yours has -1/2 v^(-1/2). (The same comes out with x - mu in both "
        "places where x_hat belongs.)",
    ),
    "B31": (
        {"var_factor": lambda s: s.r},
        "6",
        "The variance term has a factor 1/sqrt(var + eps) too many.",
    ),
    "B50": (
        {"var_factor": lambda s: s.r**2},
        "4 to 7",
        "The variance term has r^3 = (var + eps)^(-3/2) before x_hat; one r belongs there. The "
        "power 3 belongs to c = x - mu: r^3 c mean(dy c) equals r x_hat mean(dy x_hat).",
    ),
    "B13": (
        {"var": lambda s: (s.dy * s.x).mean(0), "along": lambda s: s.x},
        "4 and 7",
        "In the variance term you use x where x_hat belongs. (With data of mean 0 and variance "
        "1 the numbers are the same.)",
    ),
    "B13a": (
        {"along": lambda s: s.x},
        "7",
        "The variance term goes along x instead of x_hat.",
    ),
    "B13b": (
        {"var": lambda s: (s.dy * s.x).mean(0)},
        "4",
        "The mean in the variance term is that of dy x instead of dy x_hat.",
    ),
    "B14": (
        {"var": lambda s: (s.dy * s.gamma * s.x_hat).mean(0), "along": lambda s: s.gamma * s.x_hat},
        "4 and 7",
        "In the variance term you use gamma x_hat, the scaled output, where x_hat belongs.",
    ),
    "B32": (
        {"var_factor": lambda s: s.gamma},
        "3 to 7",
        "gamma is in the variance term twice.",
    ),
    "B33": (
        {"mean_factor": lambda s: s.gamma},
        "3 to 8",
        "gamma is in the mean term twice.",
    ),
    "B15": (
        {"var_factor": lambda s: s.n / (s.n - 1)},
        "7",
        "The variance path has 1/(N - 1). The variance that normalises the batch is divided by N; "
        "N - 1 belongs to the running variance only.",
    ),
    "B15m": (
        {"mean_factor": lambda s: s.n / (s.n - 1)},
        "10",
        "The mean path has 1/(N - 1). mu is a mean over N values, so each x has a share of 1/N.",
    ),
    "B49": (
        {
            "mean_factor": lambda s: s.n / (s.n - 1),
            "var_factor": lambda s: s.n / (s.n - 1),
        },
        "7 and 10",
        "Both means in dx are divided by N - 1. The mu and the var that normalise the batch are "
        "divided by N; N - 1 belongs to the running variance only.",
    ),
    "B16": (
        {"var_factor": lambda s: 2.0},
        "6",
        "The variance term is twice too large: the 1/2 from the derivative of the square root is "
        "missing.",
    ),
    "B17": (
        {"var_factor": lambda s: 0.5},
        "7",
        "The variance term is half of what it should be: the 2 from the derivative of c^2 is "
        "missing.",
    ),
    "B19": (
        {"var_factor": lambda s: 1 / s.gamma},
        "4",
        "gamma is missing on the way to var: dr is a sum of dx_hat c, with dx_hat = gamma dy.",
    ),
    "B20": (
        {"mean_factor": lambda s: 1 / s.gamma},
        "8",
        "gamma is missing on the way to mu: what arrives there is dx_hat r (dx_hat = gamma dy).",
    ),
    "B34": (
        {"mean_factor": lambda s: 1 / s.r},
        "8",
        "The factor 1/sqrt(var + eps) is missing on the way to mu.",
    ),
    "B35": (
        {"mean_factor": lambda s: s.r},
        "8",
        "The mean term has a factor 1/sqrt(var + eps) too many.",
    ),
    "B21": (
        {"direct": zero, "var_factor": zero},
        "9 and 10",
        "Only the path through the mean is left. Three paths lead from x to the loss, and their "
        "gradients add up; an = where a += belongs would do this.",
    ),
    "B22": (
        {"direct": zero, "mean_factor": zero},
        "7 and 9",
        "Only the path through the variance is left. Three paths lead from x to the loss, and "
        "their gradients add up; an = where a += belongs would do this.",
    ),
    "B36": (
        {"direct": zero},
        "5 and 9",
        "The direct path is missing: the gradients through mu and var are there, but not the one "
        "that goes straight from x_hat to x.",
    ),
    "B23": (
        {
            "mean": lambda s: s.dy.mean(1, keepdims=True),
            "var": lambda s: (s.dy * s.x_hat).mean(1, keepdims=True),
        },
        "7 and 10",
        "The means run along axis 1, over the features of each sample. BatchNorm's statistics are "
        "those of a feature over the batch: axis 0.",
    ),
    "B24": (
        {"mean": lambda s: s.dy.mean(), "var": lambda s: (s.dy * s.x_hat).mean()},
        "7 and 10",
        "The means run over the whole array: axis=0 is missing. Each feature has its own.",
    ),
    "B24m": (
        {"mean": lambda s: s.dy.mean()},
        "10",
        "The mean of dy runs over the whole array: axis=0 is missing.",
    ),
    "B24v": (
        {"var": lambda s: (s.dy * s.x_hat).mean()},
        "7",
        "The mean of dy x_hat runs over the whole array: axis=0 is missing.",
    ),
    "B37": (
        {"var": lambda s: s.dy.mean(0) * s.x_hat.mean(0)},
        "4",
        "You multiply the mean of dy by the mean of x_hat, which is 0. Take the mean of the "
        "product.",
    ),
    "B38": (
        {"along": lambda s: 1.0},
        "7",
        "The variance term is the same for every sample. It goes along x_hat: c = x - mu is the "
        "derivative of c^2/2.",
    ),
    "B39": (
        {"along": lambda s: s.x_hat**2},
        "7",
        "x_hat stands squared in the variance term: you multiplied by it inside the bracket and "
        "again outside.",
    ),
    "B40": (
        {"over": lambda s: -1.0},
        "3 to 10",
        "All of dx has the wrong sign. Backward only passes the gradient on; it is the optimiser "
        "that goes against it.",
    ),
    "B41": (
        {"direct": lambda s: 1 / s.r, "mean_factor": lambda s: 1 / s.r},
        "5",
        "The factor 1/sqrt(var + eps) is missing on the direct way from x_hat to x (and so from "
        "the mean term); only the variance term has it.",
    ),
    "B42": (
        {"mean_factor": lambda s: 1 / s.n},
        "8 and 10",
        "The mean term is divided by N twice: dmu is a sum over the batch, and mu = mean(x) "
        "divides by N once.",
    ),
    "B43": (
        {"var_factor": lambda s: 1 / s.n},
        "4 and 7",
        "The variance term is divided by N twice: dvar comes from a sum over the batch, and var = "
        "mean(c^2) divides by N once.",
    ),
    "B44": (
        {"var": lambda s: s.r * (s.dy * s.x).mean(0)},
        "4",
        "On the way to the variance you use x where x - mu belongs: x_hat = (x - mu) r, so its "
        "derivative with respect to r is x - mu.",
    ),
    "B45": (
        {"var_factor": lambda s: s.r**-3},
        "6",
        "The power of (var + eps) is missing from the variance path: the derivative of v^(-1/2) is "
        "-1/2 v^(-3/2).",
    ),
    "B46": (
        {"var_factor": lambda s: -(s.r**-2)},
        "6",
        "You differentiated the square root of var + eps, but x_hat is divided by it. The power "
        "and the sign are those of v^(1/2); they must be those of v^(-1/2).",
    ),
    "B47": (
        {"var_factor": lambda s: (s.variance * s.r**2) ** -1.5},
        "6",
        "eps is missing from the derivative of (var + eps)^(-1/2).",
    ),
    "B48": (
        {"var": lambda s: s.r * s.dy.mean(0)},
        "4",
        "x - mu is missing on the way to the variance: x_hat = (x - mu) r, so dr is not just the "
        "sum of dx_hat.",
    ),
}
"""Key -> the pieces that the mistake replaces, the steps to look at, what to say."""

STATISTICS: dict[str, tuple[dict[str, Piece], str]] = {
    "F01b": (
        {
            "statistics": with_statistics(
                lambda x, eps: (x.mean(0), x.var(0, ddof=1), (x.var(0, ddof=1) + eps) ** -0.5)
            )
        },
        "The variance is divided by N - 1 when you compute x_hat again. Forward normalised with N.",
    ),
    "E01": (
        {"statistics": with_statistics(lambda x, eps: (x.mean(0), x.var(0), x.var(0) ** -0.5))},
        "eps is missing in backward. Forward has it, and for a feature that hardly varies it "
        "changes the result much.",
    ),
    "E02": (
        {"statistics": with_statistics(lambda x, eps: (x.mean(0), x.var(0), 1 / (x.std(0) + eps)))},
        "eps is added outside the root in backward. In forward it stands inside.",
    ),
    "E06": (
        {
            "statistics": with_statistics(
                lambda x, eps: (x.mean(0), x.var(0, ddof=1), 1 / (x.std(0, ddof=1) + eps))
            )
        },
        "Two things at once, when you compute x_hat again. (1) The variance is divided by N - 1; "
        "forward normalised with N. (2) eps is added outside the root; in forward it is inside.",
    ),
    "E03": (
        {"statistics": with_statistics(lambda x, eps: (x.mean(0), x.var(0), 1 / (x.var(0) + eps)))},
        "The square root is missing when you compute x_hat again: you divide by var + eps.",
    ),
    "E04": (
        {
            "statistics": with_statistics(
                lambda x, eps: (x.mean(), x.var(), np.asarray((x.var() + eps) ** -0.5))
            )
        },
        "One mean and one variance for the whole array: axis=0 is missing when you compute x_hat "
        "again.",
    ),
    "E05": (
        {
            "statistics": with_statistics(
                lambda x, eps: (x.mean(0), (x * x).mean(0), ((x * x).mean(0) + eps) ** -0.5)
            )
        },
        "The variance is the mean of x^2 when you compute x_hat again: the mean is not subtracted.",
    ),
}

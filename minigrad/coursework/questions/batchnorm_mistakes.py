"""Wrong rules of BatchNorm's forward pass: of the output in training, and of eval mode.

The right ones, and inputs that tell them all apart, are in ``batchnorm_rules.py``.
"""

from collections.abc import Callable

import numpy as np

from ...backend import Array
from .base import Mistake, table
from .batchnorm_rules import batch_norm_eval, batch_norm_train, hat


def hats(make: Callable[[Array, float], Array]) -> Callable[..., Array]:
    """The right y with another x_hat."""

    def rule(
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        momentum: float,
        eps: float,
    ) -> Array:
        return gamma * make(x, eps) + beta

    return rule


def rows(x: Array, eps: float) -> Array:
    """Each row standardised: what LayerNorm does."""
    return hat(x.T, eps).T


def scalars(x: Array, eps: float) -> Array:
    """One mean and one variance for the whole array."""
    c = x - x.mean()
    return c / np.sqrt((c * c).mean() + eps)


def after_update(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
) -> Array:
    """Normalised with the running statistics after this batch."""
    _, mean, var = batch_norm_train(x, gamma, beta, running_mean, running_var, momentum, eps)
    return batch_norm_eval(x, gamma, beta, mean, var, eps)


TRAIN_Y = table(
    "BatchNorm, forward: mu and var of each feature over the batch, then x_hat, gamma and beta",
    "y",
    (
        "F01",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + eps)),
        "You divide the sum of squares by N - 1. BatchNorm normalises with the variance of the "
        "batch itself, divided by N; the unbiased one goes into running_var only.",
    ),
    (
        "F02",
        hats(lambda x, eps: (x - x.mean(0)) / (x.std(0) + eps)),
        "eps is added outside the root. With a variance of 1 the difference is very small, but "
        "with a variance near eps it is large.",
    ),
    (
        "F21",
        hats(lambda x, eps: (x - x.mean(0)) / (x.std(0, ddof=1) + eps)),
        "Two things at once. (1) You divide the sum of squares by N - 1; BatchNorm normalises with "
        "the variance divided by N. (2) eps is added outside the root; it belongs inside.",
    ),
    (
        "F03",
        hats(lambda x, eps: (x - x.mean(0)) / x.std(0)),
        "eps is missing. Without it, a feature that hardly varies is divided by almost zero.",
    ),
    (
        "F04",
        hats(lambda x, eps: (x - x.mean(0)) / (x.var(0) + eps)),
        "You divide by the variance. Divide by its square root, the standard deviation: then the "
        "result has the standard deviation 1.",
    ),
    (
        "F05",
        hats(rows),
        "The statistics run along the wrong axis: each sample is normalised over its features, "
        "which is LayerNorm. BatchNorm takes each feature over the batch: axis 0.",
    ),
    (
        "F06",
        hats(scalars),
        "There is one mean and one variance for the whole array. Each feature has its own: "
        "axis=0 is missing.",
    ),
    (
        "F07",
        lambda x, gamma, beta, eps, **_: hat(gamma * x + beta, eps),
        "You apply gamma and beta before the normalisation. The normalisation removes them again "
        "(all but the sign of gamma), so they could not learn. Apply them to x_hat.",
    ),
    (
        "F08",
        lambda x, gamma, beta, eps, **_: gamma * (hat(x, eps) + beta),
        "beta is multiplied by gamma: it comes after gamma, y = gamma x_hat + beta.",
    ),
    (
        "F09",
        lambda x, gamma, beta, eps, **_: hat(x, eps),
        "gamma and beta are missing: this is x_hat. (With the initial values gamma = 1, beta = 0 "
        "there would be no difference.)",
    ),
    (
        "F10",
        lambda x, gamma, beta, eps, **_: beta * hat(x, eps) + gamma,
        "gamma and beta are swapped.",
    ),
    (
        "F11",
        lambda x, gamma, beta, running_mean, running_var, momentum, eps: batch_norm_eval(
            x, gamma, beta, running_mean, running_var, eps
        ),
        "In training you normalise with the running statistics. Those are for eval mode; training "
        "uses the batch's own.",
    ),
    (
        "F12",
        after_update,
        "In training you normalise with the running statistics after updating them. They are for "
        "eval mode; training uses the batch's own.",
    ),
    (
        "F13",
        hats(lambda x, eps: x / np.sqrt(x.var(0) + eps)),
        "The mean is not subtracted: you only divide by the standard deviation.",
    ),
    (
        "F14",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt((x * x).mean(0) + eps)),
        "Your variance is the mean of x^2. It is the mean of (x - mu)^2; the difference is mu^2.",
    ),
    (
        "F15",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt(x.std(0) + eps)),
        "You take the square root twice: of the standard deviation instead of the variance.",
    ),
    (
        "F16",
        hats(lambda x, eps: (x - x.min(0)) / (x.max(0) - x.min(0) + eps)),
        "This scales each feature to [0, 1] by its smallest and largest value. BatchNorm uses "
        "mean and standard deviation.",
    ),
    (
        "F17",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt(x.var(0) * len(x) + eps)),
        "The variance is a sum of squares, not divided by N: your x_hat is too small by about "
        "the square root of N, and shrinks as the batch grows.",
    ),
    (
        "F18",
        lambda x, gamma, beta, eps, **_: gamma * hat(x, eps),
        "beta is missing.",
    ),
    (
        "F19",
        lambda x, gamma, beta, eps, **_: hat(x, eps) + beta,
        "gamma is missing.",
    ),
    (
        "F20",
        hats(lambda x, eps: (x - x.mean(0)) * np.sqrt(x.var(0) + eps)),
        "You multiply by the standard deviation instead of dividing by it.",
    ),
)


EVAL = table(
    "BatchNorm, eval: the running statistics are constants",
    "y",
    (
        "R04",
        lambda x, gamma, beta, running_mean, running_var, eps: gamma * hat(x, eps) + beta,
        "In eval mode you use the statistics of the batch. The result of a sample then depends "
        "on the other samples, and a batch of one gives beta. Use running_mean and running_var.",
    ),
    (
        "R10",
        lambda x, gamma, beta, running_mean, running_var, eps: batch_norm_eval(
            x, gamma, beta, running_mean, running_var, 0
        ),
        "eps is missing in eval mode. Training used it, and both modes must agree.",
    ),
    (
        "R11",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * (x - running_mean) / (running_var + eps) + beta
        ),
        "You divide by the running variance. Divide by its square root.",
    ),
    (
        "R12",
        lambda x, gamma, beta, running_mean, running_var, eps: batch_norm_eval(
            x, np.ones_like(gamma), np.zeros_like(beta), running_mean, running_var, eps
        ),
        "gamma and beta are missing in eval mode. They are the same in both modes; only the mean "
        "and the variance are different.",
    ),
    (
        "R20",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * (x - running_mean) / (np.sqrt(running_var) + eps) + beta
        ),
        "eps is added outside the root. In training it stands inside, and the two must agree.",
    ),
    (
        "R21",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * (x - x.mean(0)) / np.sqrt(running_var + eps) + beta
        ),
        "The variance is the running one, but the mean is the batch's. Both are constants in eval "
        "mode.",
    ),
    (
        "R22",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * (x - running_mean) / np.sqrt(x.var(0) + eps) + beta
        ),
        "The mean is the running one, but the variance is the batch's. Both are constants in eval "
        "mode.",
    ),
    (
        "R23",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * x / np.sqrt(running_var + eps) + beta
        ),
        "The running mean is not subtracted.",
    ),
    (
        "R24",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * ((x - running_mean) / np.sqrt(running_var + eps) + beta)
        ),
        "beta is multiplied by gamma: it comes after gamma, y = gamma x_hat + beta.",
    ),
)

R03 = Mistake(
    "R03",
    (),
    lambda **inputs: (),
    "Your eval mode changes the running statistics. They change in training only; otherwise the "
    "model would learn from the test data.",
    "BatchNorm, eval: the running statistics are constants",
)

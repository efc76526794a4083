"""Task 5: BatchNorm forward, in training with its running statistics, and in eval mode."""

from collections.abc import Callable

import numpy as np

from ...backend import Array
from .base import Inputs, Mistake, Question, table

Trained = tuple[Array, Array, Array]


def statistics(x: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """mu, c = x - mu, var (biased) and r = 1/sqrt(var + eps), per column of x: (N, C)."""
    mu = x.mean(axis=0)
    c = x - mu
    var = (c * c).mean(axis=0)
    return mu, c, var, (var + eps) ** -0.5


def batch_norm_train(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
) -> Trained:
    """y, and the running statistics after this batch (the variance unbiased)."""
    n = len(x)
    mu, c, var, r = statistics(x, eps)
    return (
        gamma * c * r + beta,
        (1 - momentum) * running_mean + momentum * mu,
        (1 - momentum) * running_var + momentum * var * n / (n - 1),
    )


def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float
) -> Array:
    """y with the running statistics as constants."""
    return gamma * (x - running_mean) * (running_var + eps) ** -0.5 + beta


def columns(
    rng: np.random.Generator, n: int, c: int, eps: float, offset: float = 0.0
) -> tuple[Array, Array, Array]:
    """x, gamma, beta that tell rules apart.

    The last column of x has a variance near eps, so that eps matters; no gamma is near 0 or 1 in
    size, and one is negative; no mean is near 0.
    """
    spread = rng.uniform(1.3, 3, c)
    spread[-1] = np.sqrt(eps)
    x = rng.normal(0, 1, (n, c)) * spread + rng.uniform(0.5, 2, c) + offset
    gamma = rng.uniform(1.4, 2.5, c)
    gamma[0] *= -0.25
    return x, gamma, rng.uniform(0.4, 1.5, c) * rng.choice([-1.0, 1.0], c)


BATCHES = [(8, 5, 1e-5, 0.0), (6, 4, 0.1, 0.0), (2, 3, 1e-3, 0.0), (5, 5, 1e-2, 1.0), (7, 3, 0.2, 60)]
"""(N, C, eps, offset). A batch of two; a square one; a mean far from 0."""


def train_probes(rng: np.random.Generator) -> list[Inputs]:
    """Batches with running statistics that fit neither the batch nor their initial values."""
    probes = []
    for n, c, eps, offset in BATCHES:
        x, gamma, beta = columns(rng, n, c, eps, offset)
        probes.append(
            {
                "x": x,
                "gamma": gamma,
                "beta": beta,
                "running_mean": rng.normal(1, 1, c),
                "running_var": rng.uniform(0.3, 3, c),
                "momentum": rng.uniform(0.15, 0.4),
                "eps": eps,
            }
        )
    return probes


def eval_probes(rng: np.random.Generator) -> list[Inputs]:
    """As in training, and a batch of one; one running variance is near eps."""
    probes = []
    for n, c, eps, offset in [*BATCHES, (1, 4, 0.05, 0.0)]:
        x, gamma, beta = columns(rng, n, c, eps, offset)
        running_var = rng.uniform(1.5, 3, c)
        running_var[-1] = eps * 1.5
        probes.append(
            {
                "x": x,
                "gamma": gamma,
                "beta": beta,
                "running_mean": rng.normal(1, 1, c) + offset,
                "running_var": running_var,
                "eps": eps,
            }
        )
    return probes


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


def hat(x: Array, eps: float) -> Array:
    _, c, _, r = statistics(x, eps)
    return c * r


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
        "eps is added outside the root. Next to a variance of 1 nobody sees it; for a feature "
        "that hardly varies it is a different function.",
    ),
    (
        "F03",
        hats(lambda x, eps: (x - x.mean(0)) / x.std(0)),
        "eps is missing. It keeps a feature that hardly varies from being divided by nearly zero.",
    ),
    (
        "F04",
        hats(lambda x, eps: (x - x.mean(0)) / (x.var(0) + eps)),
        "You divide by the variance. It takes its square root, the standard deviation, to bring "
        "the spread to 1.",
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
        "gamma and beta are applied before the normalisation, which takes them out again: of "
        "gamma only its sign is left, and neither could learn anything.",
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
        "gamma and beta are exchanged.",
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
        "The mean is not taken away: you only divide by the standard deviation.",
    ),
    (
        "F14",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt((x * x).mean(0) + eps)),
        "Your variance is the mean of x^2. It is the mean of (x - mu)^2; the difference is mu^2.",
    ),
    (
        "F15",
        hats(lambda x, eps: (x - x.mean(0)) / np.sqrt(x.std(0) + eps)),
        "You take the root twice: of the standard deviation instead of the variance.",
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


def running(
    new_mean: Callable[..., Array] | None, new_var: Callable[..., Array] | None
) -> Callable[..., tuple[Array, ...]]:
    """Wrong running statistics from (running value, batch value, momentum, N, c)."""

    def rule(
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        momentum: float,
        eps: float,
    ) -> tuple[Array, ...]:
        n, (mu, _, var, _) = len(x), statistics(x, eps)
        found = []
        if new_mean is not None:
            found.append(new_mean(running_mean, mu, momentum))
        if new_var is not None:
            found.append(new_var(running_var, var * n / (n - 1), momentum))
        return tuple(found)

    return rule


def blend(old: Array, new: Array, m: float) -> Array:
    return (1 - m) * old + m * new


Updates = tuple[str, Callable[[Array, Array, float], Array], str]

UPDATES: tuple[Updates, ...] = (
    (
        "R01",
        lambda old, new, m: m * old + (1 - m) * new,
        "The momentum is on the wrong side: PyTorch's momentum is the share of the new batch, "
        "running = (1 - momentum) running + momentum new. (Other libraries mean the opposite.)",
    ),
    (
        "R05",
        lambda old, new, m: old,
        "The running statistics come back unchanged. In eval mode the network would use its "
        "initial values for ever.",
    ),
    (
        "R06",
        lambda old, new, m: new,
        "The running statistics are overwritten by those of the last batch. They should move "
        "towards them by the share momentum.",
    ),
    (
        "R07",
        lambda old, new, m: old + m * new,
        "The factor (1 - momentum) of the old value is missing: yours grows with every batch.",
    ),
    (
        "R17",
        lambda old, new, m: (1 - m) * old + new,
        "The factor momentum of the new value is missing: yours settles at 1/momentum times the "
        "right value.",
    ),
)

SEE_RUNNING = "BatchNorm, forward: running = (1 - momentum) running + momentum batch"

RUNNING: tuple[Mistake, ...] = (
    *(
        Mistake(key, ("running_mean", "running_var"), running(f, f), text, SEE_RUNNING)
        for key, f, text in UPDATES
    ),
    *(
        Mistake(f"{key}m", ("running_mean",), running(f, None), text, SEE_RUNNING)
        for key, f, text in UPDATES
    ),
    *(
        Mistake("R13" if key == "R05" else f"{key}v", ("running_var",), running(None, f), text,
                SEE_RUNNING)
        for key, f, text in UPDATES
    ),
    *table(
        SEE_RUNNING,
        "running_var",
        (
            "R02",
            lambda x, running_var, momentum, **_: blend(running_var, x.var(0), momentum),
            "The variance that you store is divided by N. The running variance estimates that of "
            "all data, so the batch's is divided by N - 1 (as in PyTorch); only the normalisation "
            "uses N.",
        ),
        (
            "R08",
            lambda x, running_var, momentum, **_: blend(running_var, x.std(0, ddof=1), momentum),
            "You store the standard deviation, not the variance.",
        ),
        (
            "R08b",
            lambda x, running_var, momentum, **_: blend(running_var, x.std(0), momentum),
            "You store the standard deviation, not the variance; and divided by N, where the "
            "running variance takes N - 1.",
        ),
        (
            "R09",
            lambda x, running_var, momentum, eps, **_: blend(
                running_var, x.var(0, ddof=1) + eps, momentum
            ),
            "eps is stored in the running variance. It belongs to the division only, and would be "
            "added again in eval mode.",
        ),
        (
            "R09b",
            lambda x, running_var, momentum, eps, **_: blend(
                running_var, x.var(0) + eps, momentum
            ),
            "eps is stored in the running variance, and the variance is divided by N. eps belongs "
            "to the division only; the running variance takes N - 1.",
        ),
        (
            "R14",
            lambda x, running_mean, running_var, momentum, **_: blend(
                running_var,
                ((x - running_mean) ** 2).sum(0) / (len(x) - 1),
                momentum,
            ),
            "The batch's variance is taken about the running mean instead of the batch's own.",
        ),
        (
            "R14b",
            lambda x, running_mean, running_var, momentum, **_: blend(
                running_var, ((x - running_mean) ** 2).mean(0), momentum
            ),
            "The batch's variance is taken about the running mean instead of the batch's own (and "
            "divided by N, where the running variance takes N - 1).",
        ),
        (
            "R18",
            lambda x, running_var, momentum, **_: blend(
                running_var, x.var(0, ddof=1) * len(x), momentum
            ),
            "The variance that you store is N times too large.",
        ),
    ),
    *table(
        SEE_RUNNING,
        "running_mean running_var",
        (
            "R15",
            lambda x, running_mean, running_var, momentum, eps, **_: (
                blend(running_mean, hat(x, eps).mean(0), momentum),
                blend(running_var, hat(x, eps).var(0, ddof=1), momentum),
            ),
            "You collect the statistics of x_hat, which are 0 and 1 for every batch. Those of x "
            "are wanted.",
        ),
        (
            "R15b",
            lambda x, running_mean, running_var, momentum, eps, **_: (
                blend(running_mean, hat(x, eps).mean(0), momentum),
                blend(running_var, hat(x, eps).var(0), momentum),
            ),
            "You collect the statistics of x_hat, which are 0 and 1 for every batch. Those of x "
            "are wanted (the variance divided by N - 1).",
        ),
        (
            "R19",
            lambda x, running_mean, running_var, momentum, **_: (
                blend(running_var, x.var(0, ddof=1), momentum),
                blend(running_mean, x.mean(0), momentum),
            ),
            "The running mean and the running variance are returned in the wrong order.",
        ),
    ),
)

EVAL = table(
    "BatchNorm, eval: the running statistics are constants",
    "y",
    (
        "R04",
        lambda x, gamma, beta, running_mean, running_var, eps: gamma * hat(x, eps) + beta,
        "Eval mode uses the statistics of the batch. A sample's result then depends on its "
        "company, and a batch of one always gives beta. Use running_mean and running_var.",
    ),
    (
        "R10",
        lambda x, gamma, beta, running_mean, running_var, eps: batch_norm_eval(
            x, gamma, beta, running_mean, running_var, 0
        ),
        "eps is missing in eval mode. It is part of the function that was trained.",
    ),
    (
        "R11",
        lambda x, gamma, beta, running_mean, running_var, eps: (
            gamma * (x - running_mean) / (running_var + eps) + beta
        ),
        "You divide by the running variance. It takes its square root.",
    ),
    (
        "R12",
        lambda x, gamma, beta, running_mean, running_var, eps: batch_norm_eval(
            x, np.ones_like(gamma), np.zeros_like(beta), running_mean, running_var, eps
        ),
        "gamma and beta are missing in eval mode. They were learned; only the statistics are "
        "exchanged.",
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
        "The running mean is not taken away.",
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
    "Eval mode changes the running statistics. They are collected in training only; otherwise a "
    "model would learn from the data that it is tested on.",
    "BatchNorm, eval: the running statistics are constants",
)

QUESTIONS = (
    Question(
        "batch_norm_train",
        ("y", "running_mean", "running_var"),
        batch_norm_train,
        train_probes,
        (*TRAIN_Y, *RUNNING),
        may_change=frozenset({"running_mean", "running_var"}),
    ),
    Question(
        "batch_norm_eval",
        ("y",),
        batch_norm_eval,
        eval_probes,
        EVAL,
        changes={"running_mean": R03, "running_var": R03},
    ),
)

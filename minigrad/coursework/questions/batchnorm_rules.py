"""BatchNorm forward, in training with its running statistics and in eval mode, and its probes."""

import numpy as np

from ...backend import Array
from .base import Inputs

Trained = tuple[Array, Array, Array]


def statistics(x: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """mu, c = x - mu, var (biased) and r = 1/sqrt(var + eps), per column of x: (N, C)."""
    mu = x.mean(axis=0)
    c = x - mu
    var = (c * c).mean(axis=0)
    return mu, c, var, (var + eps) ** -0.5


def hat(x: Array, eps: float) -> Array:
    """x_hat, per column of x."""
    _, c, _, r = statistics(x, eps)
    return c * r


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


BATCHES = [
    (8, 5, 1e-5, 0.0),
    (6, 4, 0.1, 0.0),
    (2, 3, 1e-3, 0.0),
    (5, 5, 1e-2, 1.0),
    (7, 3, 0.2, 60),
]
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

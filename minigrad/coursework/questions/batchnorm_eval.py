"""Task 7: BatchNorm's backward pass in eval mode, where the statistics are constants."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Identity, Inputs, Question, Terms, table
from .batchnorm_backward import batch_norm_backward
from .batchnorm_rules import eval_probes, hat, statistics


def eval_hat(x: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    """x_hat with the running statistics."""
    return np.asarray((x - running_mean) * (running_var + eps) ** -0.5)


def batch_norm_eval_backward(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> tuple[Array, Array, Array]:
    """dx = dy gamma / sqrt(running_var + eps), dgamma = sum(dy x_hat), dbeta = sum(dy)."""
    dx = dy * gamma * (running_var + eps) ** -0.5
    return dx, (dy * eval_hat(x, running_mean, running_var, eps)).sum(0), dy.sum(0)


def probes(rng: np.random.Generator) -> list[Inputs]:
    """Those of the forward pass, with dy of a mean that is not 0."""
    found = []
    for inputs in eval_probes(rng):
        beta = inputs.pop("beta")
        dy = rng.normal(0, 1, inputs["x"].shape) + beta + 0.3 * hat(inputs["x"], inputs["eps"])
        found.append({"dy": dy, **inputs})
    return found


DX = table(
    "BatchNorm, eval: dx of an affine map",
    "dx",
    (
        "V01",
        lambda dy, x, gamma, running_mean, running_var, eps: batch_norm_backward(dy, x, gamma, eps)[
            0
        ],
        "This is the rule of training. In eval mode the statistics are constants: they do not "
        "depend on x, so there are no paths through mean and variance. (Your dx sums to 0 over "
        "the batch, as in training.)",
    ),
    (
        "V02",
        lambda dy, x, gamma, running_mean, running_var, eps: dy * gamma * statistics(x, eps)[3],
        "You divide by the standard deviation of the batch; forward divided by the running one.",
    ),
    (
        "V03",
        lambda dy, x, gamma, running_mean, running_var, eps: dy * (running_var + eps) ** -0.5,
        "gamma is missing from dx.",
    ),
    (
        "V04",
        lambda dy, x, gamma, running_mean, running_var, eps: dy * gamma / (running_var + eps),
        "The square root is missing: you divide by running_var + eps.",
    ),
    (
        "V05",
        lambda dy, x, gamma, running_mean, running_var, eps: dy * gamma / np.sqrt(running_var),
        "eps is missing from dx; forward had it.",
    ),
    (
        "V06",
        lambda dy, x, gamma, running_mean, running_var, eps: (
            dy * gamma / (np.sqrt(running_var) + eps)
        ),
        "eps is added outside the root.",
    ),
    (
        "V07",
        lambda dy, x, gamma, running_mean, running_var, eps: dy * gamma,
        "The factor 1/sqrt(running_var + eps) is missing from dx.",
    ),
    (
        "V08",
        lambda dy, x, gamma, running_mean, running_var, eps: (
            dy * gamma * np.sqrt(running_var + eps)
        ),
        "You multiply by sqrt(running_var + eps) instead of dividing by it.",
    ),
    (
        "V09",
        lambda dy, x, gamma, running_mean, running_var, eps: (
            gamma
            * (running_var + eps) ** -0.5
            * (
                dy
                - dy.mean(0)
                - eval_hat(x, running_mean, running_var, eps)
                * (dy * eval_hat(x, running_mean, running_var, eps)).mean(0)
            )
        ),
        "This is the rule of training, with the running statistics instead of those of the batch. "
        "In eval mode they are constants, so the two means are not in dx.",
    ),
    (
        "V10",
        lambda dy, x, gamma, running_mean, running_var, eps: np.zeros_like(x),
        "dx is 0. The statistics are constants in eval mode, but y still depends on x.",
    ),
)

DGAMMA = table(
    "BatchNorm, eval: dgamma = sum(dy x_hat) with the x_hat of forward",
    "dgamma",
    (
        "V11",
        lambda dy, x, gamma, running_mean, running_var, eps: (dy * hat(x, eps)).sum(0),
        "dgamma uses the x_hat of the batch; forward normalised with the running statistics.",
    ),
    (
        "V12",
        lambda dy, x, gamma, running_mean, running_var, eps: (dy * x).sum(0),
        "dgamma uses x where x_hat belongs.",
    ),
    (
        "V13",
        lambda dy, x, gamma, running_mean, running_var, eps: dy.sum(0),
        "dgamma is the sum of dy, which is dbeta.",
    ),
    (
        "V14",
        lambda dy, x, gamma, running_mean, running_var, eps: (dy * (x - running_mean)).sum(0),
        "dgamma uses x - running_mean where x_hat belongs: the division is missing.",
    ),
    (
        "V15",
        lambda dy, x, gamma, running_mean, running_var, eps: (
            dy * eval_hat(x, running_mean, running_var, eps)
        ).mean(0),
        "dgamma is a mean over the batch; it is a sum.",
    ),
    (
        "V16",
        lambda dy, x, gamma, running_mean, running_var, eps: np.zeros_like(gamma),
        "dgamma is 0. gamma is a parameter in eval mode as well; only the statistics are "
        "constants.",
    ),
    (
        "V17",
        lambda dy, x, gamma, running_mean, running_var, eps: (
            dy * gamma * eval_hat(x, running_mean, running_var, eps)
        ).sum(0),
        "dgamma has gamma in it: the derivative of gamma x_hat is x_hat alone.",
    ),
)

DBETA = table(
    "BatchNorm, eval: dbeta = sum(dy)",
    "dbeta",
    (
        "V18",
        lambda dy, x, gamma, running_mean, running_var, eps: dy.mean(0),
        "dbeta is a mean over the batch; it is a sum.",
    ),
    (
        "V19",
        lambda dy, x, gamma, running_mean, running_var, eps: dy.sum(0) * gamma,
        "dbeta is multiplied by gamma. beta is added after gamma, so gamma is not in dbeta.",
    ),
)


def parts(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Array]:
    """The one term of dx, and the two that training has besides."""
    x_hat = eval_hat(x, running_mean, running_var, eps)
    scale = gamma * (running_var + eps) ** -0.5
    return {
        "the direct term": scale * dy,
        "a term through the mean": -scale * np.broadcast_to(dy.mean(0), x.shape),
        "a term through the variance": -scale * x_hat * (dy * x_hat).mean(0),
    }


def dgamma_parts(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Array]:
    """The term of dgamma, and what stands beside it by mistake."""
    x_hat = eval_hat(x, running_mean, running_var, eps)
    return {"the right term": (dy * x_hat).sum(0), "the sum of dy": dy.sum(0)}


def dbeta_parts(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Array]:
    """The term of dbeta, and 1."""
    return {"the right term": dy.sum(0), "1 in every place": np.ones_like(gamma)}


def sizes(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Any]:
    """Of a factor that is the same for every feature."""
    return {"N": float(len(x)), "eps": eps}


def factors(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Any]:
    """What a factor may turn out to be."""
    std = np.sqrt(running_var + eps)
    return {"N": float(len(x)), "gamma": gamma, "sqrt(running_var + eps)": std}


def loss(
    dy: Array, x: Array, gamma: Array, running_mean: Array, running_var: Array, eps: float
) -> Any:
    """sum(dy y), up to the constant from beta."""
    return np.sum(dy * gamma * eval_hat(x, running_mean, running_var, eps))


QUESTIONS = (
    Question(
        "batch_norm_eval_backward",
        ("dx", "dgamma", "dbeta"),
        batch_norm_eval_backward,
        probes,
        (*DX, *DGAMMA, *DBETA),
        terms=(
            Terms("dx", 1, parts, by_column=True, factors=factors),
            Terms("dgamma", 1, dgamma_parts, factors=sizes),
            Terms("dbeta", 1, dbeta_parts, factors=sizes),
        ),
        identities=(
            Identity(
                "dx",
                "dx / dy is the same for every sample of a feature",
                lambda dx, dy, **_: (dx / dy) - (dx / dy)[:1],
            ),
        ),
        loss=loss,
        slopes={"dx": "x", "dgamma": "gamma"},
    ),
)

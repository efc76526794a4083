"""Task 5: BatchNorm forward, in training with its running statistics, and in eval mode."""

from typing import Any

import numpy as np

from ...backend import Array
from .base import Question, Terms
from .batchnorm_mistakes import EVAL, R03, TRAIN_Y
from .batchnorm_rules import batch_norm_eval, batch_norm_train, eval_probes, hat, train_probes
from .batchnorm_running import RUNNING

Numbers = dict[str, Any]


def y_parts(x: Array, gamma: Array, beta: Array, eps: float, **_: Any) -> dict[str, Array]:
    """The two terms of y in training."""
    return {"gamma x_hat": gamma * hat(x, eps), "beta": np.broadcast_to(beta, x.shape)}


def eval_parts(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float
) -> dict[str, Array]:
    """The two terms of y in eval mode."""
    x_hat = (x - running_mean) * (running_var + eps) ** -0.5
    return {"gamma x_hat": gamma * x_hat, "beta": np.broadcast_to(beta, x.shape)}


def y_factors(x: Array, gamma: Array, beta: Array, eps: float, **_: Any) -> Numbers:
    """What a factor in y may turn out to be."""
    return {
        "N": float(len(x)),
        "gamma": gamma,
        "beta": beta,
        "sqrt(var + eps)": np.sqrt(x.var(0) + eps),
    }


def mean_parts(x: Array, running_mean: Array, **_: Any) -> dict[str, Array]:
    """The two terms of the running mean."""
    return {"the old value": running_mean, "the value of the batch": x.mean(0)}


def var_parts(x: Array, running_var: Array, **_: Any) -> dict[str, Array]:
    """The two terms of the running variance."""
    unbiased = x.var(0) * len(x) / (len(x) - 1)
    return {"the old value": running_var, "the unbiased variance of the batch": unbiased}


def shares(x: Array, momentum: float, eps: float, **_: Any) -> Numbers:
    """What a factor in the running statistics may turn out to be."""
    n = float(len(x))
    return {
        "momentum": momentum,
        "(1 - momentum)": 1 - momentum,
        "(1 + momentum)": 1 + momentum,
        "N": n,
        "N/(N - 1)": n / (n - 1),
        "(N - 1)": n - 1,
        "momentum N": momentum * n,
        "momentum N/(N - 1)": momentum * n / (n - 1),
        "momentum (N - 1)/N": momentum * (n - 1) / n,
    }


SHARES = "(1 - momentum) and momentum"

QUESTIONS = (
    Question(
        "batch_norm_train",
        ("y", "running_mean", "running_var"),
        batch_norm_train,
        train_probes,
        (*TRAIN_Y, *RUNNING),
        terms=(
            Terms("y", 2, y_parts, by_column=True, factors=y_factors),
            Terms("running_mean", 2, mean_parts, factors=shares, should=SHARES),
            Terms("running_var", 2, var_parts, factors=shares, should=SHARES),
        ),
        may_change=frozenset({"running_mean", "running_var"}),
    ),
    Question(
        "batch_norm_eval",
        ("y",),
        batch_norm_eval,
        eval_probes,
        EVAL,
        terms=(Terms("y", 2, eval_parts, by_column=True, factors=y_factors),),
        changes={"running_mean": R03, "running_var": R03},
    ),
)

"""Wrong rules for the running statistics of BatchNorm."""

from collections.abc import Callable

from ...backend import Array
from .base import Mistake, table
from .batchnorm_rules import hat, statistics


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
    """The step of a running statistic towards a new value."""
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
        "You return the running statistics unchanged. In eval mode the network would always use "
        "the initial values.",
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
        Mistake(
            "R13" if key == "R05" else f"{key}v",
            ("running_var",),
            running(None, f),
            text,
            SEE_RUNNING,
        )
        for key, f, text in UPDATES
    ),
    *table(
        SEE_RUNNING,
        "running_var",
        (
            "R02",
            lambda x, running_var, momentum, **_: blend(running_var, x.var(0), momentum),
            "The variance that you store is divided by N. For the running variance, divide the "
            "variance of the batch by N - 1, as PyTorch does. Only the normalisation uses N.",
        ),
        (
            "R08",
            lambda x, running_var, momentum, **_: blend(running_var, x.std(0, ddof=1), momentum),
            "You store the standard deviation, not the variance.",
        ),
        (
            "R08b",
            lambda x, running_var, momentum, **_: blend(running_var, x.std(0), momentum),
            "Two things at once. (1) You store the standard deviation, not the variance. (2) It is "
            "divided by N; the running variance is divided by N - 1.",
        ),
        (
            "R09",
            lambda x, running_var, momentum, eps, **_: blend(
                running_var, x.var(0, ddof=1) + eps, momentum
            ),
            "eps is in the running variance. It belongs to the division only; eval mode would add "
            "it a second time.",
        ),
        (
            "R09b",
            lambda x, running_var, momentum, eps, **_: blend(running_var, x.var(0) + eps, momentum),
            "Two things at once. (1) eps is in the running variance; it belongs to the division "
            "only. (2) The variance is divided by N; the running variance by N - 1.",
        ),
        (
            "R14",
            lambda x, running_mean, running_var, momentum, **_: blend(
                running_var,
                ((x - running_mean) ** 2).sum(0) / (len(x) - 1),
                momentum,
            ),
            "In the variance you subtract the running mean. Subtract the mean of the batch.",
        ),
        (
            "R14b",
            lambda x, running_mean, running_var, momentum, **_: blend(
                running_var, ((x - running_mean) ** 2).mean(0), momentum
            ),
            "Two things at once. (1) In the variance you subtract the running mean; subtract the "
            "mean of the batch. (2) It is divided by N; the running variance by N - 1.",
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
            "You store the mean and the variance of x_hat, which are 0 and 1 for every batch. "
            "Store those of x.",
        ),
        (
            "R15b",
            lambda x, running_mean, running_var, momentum, eps, **_: (
                blend(running_mean, hat(x, eps).mean(0), momentum),
                blend(running_var, hat(x, eps).var(0), momentum),
            ),
            "You store the mean and the variance of x_hat, which are 0 and 1 for every batch. "
            "Store those of x (the variance divided by N - 1).",
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

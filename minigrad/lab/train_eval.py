"""The third bench: running statistics chase the batches, and what eval mode is for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..tensor import tensor

MEAN, STD = 3.0, 2.0
"""Of the values that the batches are drawn from."""
SAMPLE = 4.0
"""The value whose output is looked at."""


@dataclass(frozen=True)
class Chase:
    """One channel over so many batches. The arrays have one number per batch."""

    batch_mean: Any
    batch_var: Any
    running_mean: Any
    running_var: Any
    in_eval: float
    """What becomes of ``SAMPLE`` in eval mode, whatever else is in the batch."""
    in_train: list[float]
    """What becomes of it in training mode, in three batches: forgetting eval()."""
    alone: str
    """What training mode says to a batch of one."""


def chase(momentum: float, batch_size: int, batches: int, seed: int = 0) -> Chase:
    """Show ``batches`` batches to a BatchNorm of one channel, and then ``SAMPLE``."""
    rng = np.random.default_rng(seed)
    layer = nn.BatchNorm1d(1, momentum=momentum, dtype=np.float64)
    rows = []
    for _ in range(batches):
        x = rng.normal(MEAN, STD, (batch_size, 1))
        layer(tensor(x))
        running = layer.running_mean.item(), layer.running_var.item()
        rows.append((x.mean(), x.var(ddof=1), *running))
    means, variances, running_means, running_vars = np.array(rows).reshape(-1, 4).T
    layer.eval()
    in_eval = layer(tensor(np.array([[SAMPLE]]))).item()
    in_train, alone = [], ""
    trial = nn.BatchNorm1d(1, dtype=np.float64)  # its own statistics: this is a look, no training
    for _ in range(3):
        others = rng.normal(MEAN, STD, (batch_size - 1, 1))
        in_train.append(trial(tensor(np.concatenate([[[SAMPLE]], others])))[0, 0].item())
    try:
        trial(tensor(np.array([[SAMPLE]])))
    except ValueError as error:
        alone = str(error)
    return Chase(means, variances, running_means, running_vars, in_eval, in_train, alone)


def share_left(momentum: float, batches: int) -> float:
    """What is left of the start after so many batches: (1 - momentum)^batches."""
    return float((1 - momentum) ** batches)

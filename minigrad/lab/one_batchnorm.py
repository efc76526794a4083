"""The second bench: one channel of BatchNorm, a handful of points.

Forward, for x_1 ... x_N of one channel:  mu, sigma = sqrt(var + eps),  x_hat = (x - mu) / sigma,
y = gamma x_hat + beta. Backward, with dy_n = dL/dy_n (``docs/derivations/batchnorm.md``, bn-14):

    dx = (gamma / sigma) (dy - mean(dy) - x_hat mean(dy x_hat)),

three terms: what would come back if mu and sigma were constants; what goes through mu; and what
goes through sigma. The last two take out of dy its mean and its component along x_hat, so dx is at
right angles to both (1, ..., 1) and x_hat: shifting or stretching the batch changes nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functional as F
from ..core.autograd import grad
from ..tensor import tensor

EPS = 1e-5


@dataclass(frozen=True)
class Channel:
    """What BatchNorm makes of the points, and what comes back; arrays of one number per point."""

    mu: float
    sigma: float
    x_hat: Any
    y: Any
    dx: Any
    """By the engine."""
    direct: Any
    through_mu: Any
    through_sigma: Any
    dgamma: float
    dbeta: float

    @property
    def along(self) -> tuple[float, float]:
        """The sums of dx and of dx x_hat: both 0, but for eps and rounding."""
        return float(self.dx.sum()), float((self.dx * self.x_hat).sum())


def channel(x: Any, dy: Any, gamma: float, beta: float) -> Channel:
    """One pass forward and back, in training mode and float64."""
    points = tensor(np.asarray(x, np.float64)[:, None], requires_grad=True)
    scale, shift = (tensor(np.array([v], np.float64), requires_grad=True) for v in (gamma, beta))
    y = F.batch_norm(points, None, None, scale, shift, training=True, eps=EPS)
    cotangent = tensor(np.asarray(dy, np.float64)[:, None])
    dx, dgamma, dbeta = (g.numpy() for g in grad(y, (points, scale, shift), cotangent))
    values, seeds = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    mu, sigma = values.mean(), np.sqrt(values.var() + EPS)
    x_hat, factor = (values - mu) / sigma, gamma / sigma
    return Channel(
        float(mu),
        float(sigma),
        x_hat,
        y.detach().numpy()[:, 0],
        dx[:, 0],
        factor * seeds,
        np.full_like(values, -factor * seeds.mean()),
        -factor * x_hat * (seeds * x_hat).mean(),
        float(dgamma[0]),
        float(dbeta[0]),
    )

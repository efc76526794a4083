"""Task 6."""

import numpy as np


def batch_norm_steps(dy, x, gamma, eps):
    m = len(x)
    c = x - x.mean(axis=0)
    var = (c * c).mean(axis=0)
    r = (var + eps) ** -0.5
    x_hat = c * r

    dbeta = dy.sum(axis=0)
    dgamma = (dy * x_hat).sum(axis=0)
    dx_hat = gamma * dy
    dr = (dx_hat * c).sum(axis=0)
    dvar = -0.5 * r**3 * dr
    dc = dx_hat * r + dvar * 2 * c / m
    dmu = -dc.sum(axis=0)
    dx = dc + dmu / m
    return {
        "dbeta": dbeta,
        "dgamma": dgamma,
        "dx_hat": dx_hat,
        "dr": dr,
        "dvar": dvar,
        "dc": dc,
        "dmu": dmu,
        "dx": dx,
    }


def batch_norm_backward(dy, x, gamma, eps):
    c = x - x.mean(axis=0)
    r = 1 / np.sqrt((c * c).mean(axis=0) + eps)
    x_hat = c * r
    dbeta = dy.sum(axis=0)
    dgamma = (dy * x_hat).sum(axis=0)
    dx = gamma * r * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, dgamma, dbeta

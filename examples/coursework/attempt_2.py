"""Second attempt: x is in mu as well, so something goes through mu; and dgamma is repaired."""

import numpy as np


def batch_norm_backward(dy, x, gamma, eps):
    """dy, x: (N, C), gamma: (C,)  ->  dx: (N, C), dgamma, dbeta: (C,)"""
    mu, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    x_hat = (x - mu) / std
    dx_hat = dy * gamma
    dmu = -(dx_hat / std).sum(axis=0)
    dx = dx_hat / std + dmu / len(x)
    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    return dx, dgamma, dbeta

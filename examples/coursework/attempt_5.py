"""Fifth attempt: the derivative of v^(-1/2) is -1/2 v^(-3/2), and all is right."""

import numpy as np


def batch_norm_backward(dy, x, gamma, eps):
    """dy, x: (N, C), gamma: (C,)  ->  dx: (N, C), dgamma, dbeta: (C,)"""
    n = len(x)
    mu, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    x_hat = (x - mu) / std
    dx_hat = dy * gamma
    dmu = -(dx_hat / std).sum(axis=0)
    dvar = -0.5 * (dx_hat * (x - mu)).sum(axis=0) * (var + eps) ** -1.5
    dx = dx_hat / std + dmu / n + dvar * 2 * (x - mu) / n
    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    return dx, dgamma, dbeta

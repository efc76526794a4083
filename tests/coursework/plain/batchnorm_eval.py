"""Task 7 feature by feature."""

import numpy as np


def batch_norm_eval_backward(dy, x, gamma, running_mean, running_var, eps):
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    n = len(x)
    for j in range(x.shape[1]):
        mu, v = running_mean[j], running_var[j]
        s = (v + eps) ** 0.5
        hat = (x[:, j] - mu) / s
        for i in range(n):
            dx[i, j] = dy[i, j] * gamma[j] / s
            dgamma[j] += dy[i, j] * hat[i]
            dbeta[j] += dy[i, j]
    return dx, dgamma, dbeta

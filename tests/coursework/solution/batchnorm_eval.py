"""Task 7."""

import numpy as np


def batch_norm_eval_backward(dy, x, gamma, running_mean, running_var, eps):
    r = 1 / np.sqrt(running_var + eps)
    x_hat = (x - running_mean) * r
    return dy * gamma * r, (dy * x_hat).sum(axis=0), dy.sum(axis=0)

"""Task 1 number by number, with the mathematics of the standard library."""

import math

import numpy as np


def one(t):
    if t >= 0:
        return 1 / (1 + math.exp(-t))
    e = math.exp(t)
    return e / (1 + e)


def sigmoid(x):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape):
        y[i] = one(x[i])
    return y


def sigmoid_backward(dy, y, x):
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        slope = y[i] * (1 - y[i])
        dx[i] = slope * dy[i]
    return dx

"""Task 2 with sums over named indices."""

import numpy as np


def linear(x, weight, bias):
    y = np.einsum("ni,oi->no", x, weight)
    return y + bias[None, :]


def linear_backward(dy, x, weight):
    dx = np.einsum("no,oi->ni", dy, weight)
    dweight = np.zeros(weight.shape)
    dbias = np.zeros(len(weight))
    for n in range(len(x)):
        dweight += np.multiply.outer(dy[n], x[n])
        dbias += dy[n]
    return [dx, dweight, dbias]

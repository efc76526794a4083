"""Task 3 element by element."""

import numpy as np


def unbroadcast(grad, shape):
    skip = grad.ndim - len(shape)
    found = np.zeros(shape)
    for index in np.ndindex(grad.shape):
        own = tuple(0 if n == 1 else i for i, n in zip(index[skip:], shape, strict=True))
        found[own] += grad[index]
    return found

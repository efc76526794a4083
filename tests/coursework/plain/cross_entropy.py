"""Task 4 row by row."""

import numpy as np


def probabilities(z):
    e = np.exp(z - max(z))
    return e / sum(e)


def softmax_cross_entropy(logits, labels):
    total = 0.0
    for z, t in zip(logits, labels, strict=True):
        top = max(z)
        log_sum = top + np.log(sum(np.exp(z - top)))
        total += log_sum - z[t]
    return total / len(labels)


def softmax_cross_entropy_backward(dloss, logits, labels):
    dlogits = np.zeros_like(logits)
    for n, (z, t) in enumerate(zip(logits, labels, strict=True)):
        p = probabilities(z)
        for k in range(len(z)):
            hit = 1.0 if k == t else 0.0
            dlogits[n, k] = dloss * (p[k] - hit) / len(labels)
    return dlogits

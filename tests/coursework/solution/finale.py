"""Task 11."""

from batchnorm import batch_norm_train
from batchnorm_backward import batch_norm_backward
from cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward
from linear import linear, linear_backward
from sigmoid import sigmoid, sigmoid_backward

EPS = 1e-5


def loss_and_gradients(x, labels, layers):
    h, seen = x, []
    for layer in layers:
        z = linear(h, layer["weight"], layer["bias"])
        u = z
        if "gamma" in layer:
            u, _, _ = batch_norm_train(z, layer["gamma"], layer["beta"], 0.0, 1.0, 0.1, EPS)
        y = u if layer is layers[-1] else sigmoid(u)
        seen.append((h, z, u, y))
        h = y
    loss = softmax_cross_entropy(h, labels)

    d = softmax_cross_entropy_backward(1.0, h, labels)
    gradients = []
    for layer, (h, z, u, y) in zip(reversed(layers), reversed(seen), strict=True):
        found = {}
        if layer is not layers[-1]:
            d = sigmoid_backward(d, y, u)
        if "gamma" in layer:
            d, found["gamma"], found["beta"] = batch_norm_backward(d, z, layer["gamma"], EPS)
        d, found["weight"], found["bias"] = linear_backward(d, h, layer["weight"])
        gradients.append(found)
    return loss, gradients[::-1]

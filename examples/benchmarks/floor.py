"""The floor: the training step of ``benchmark_cpu.py`` by hand, in NumPy, for this one network.

No engine, no graph, no checks: every array is made once and written over in each step, and every
line is the cheapest call that was found for it (outputs are passed by position, which saves a
twentieth of a microsecond per call). Layers stay layers (nothing is merged across
them), so the floor shows what the step costs where only the bookkeeping is gone. It is what an
engine on NumPy is measured against; the tests hold its numbers to minigrad's.
"""

from itertools import pairwise

import numpy as np
from problem import Array, Problem

EPS, MOMENTUM = 1e-5, 0.1
BLOCK = 131_072  # parameters per block of the update: 1 MB of weights and gradients, cache-sized


class Floor:
    """All the memory of the network; ``step()`` trains it once and returns the loss.

    N: batch, C: classes, l: layer. weight[l]: (out, in), bias[l], gamma[l], beta[l]: (out,).
    """

    def __init__(self, problem: Problem) -> None:
        n, depth, width = problem.batch, problem.depth, problem.width
        self.depth, self.n, self.batchnorm, self.lr = depth, n, problem.batchnorm, problem.lr
        self.x, labels = problem.data
        self.allocate_parameters(problem)
        self.running_mean = np.zeros((depth, width), np.float32)
        self.running_var = np.ones((depth, width), np.float32)
        self.batches = 0

        def arrays(*shape: int) -> list[Array]:
            return [np.empty(shape, np.float32) for _ in range(depth)]

        self.y = arrays(n, width)  # what each Sigmoid returned
        self.x_hat = arrays(n, width) if self.batchnorm else self.y
        self.mean, self.var, self.r = (np.empty((depth, width), np.float32) for _ in range(3))
        self.row = np.empty(width, np.float32)
        self.da, self.db, self.scratch = (np.empty((n, width), np.float32) for _ in range(3))
        self.averaging = np.full(n, 1 / n, np.float32)  # averaging @ x is the mean over the batch
        self.ones = np.ones(n, np.float32)
        # The head's output lies class by class: reducing over classes then adds whole rows.
        self.logits = np.empty((problem.classes, n), np.float32)
        self.p = np.empty_like(self.logits)
        self.per_sample = np.empty(n, np.float32)
        self.at_label = labels * n + np.arange(n)
        self.block = np.empty(min(BLOCK, self.parameters.size), np.float32)

    def allocate_parameters(self, problem: Problem) -> None:
        """Parameters and gradients as views of one flat array each."""
        shapes = []
        for i, (m, out) in enumerate(pairwise(problem.widths)):
            normed = self.batchnorm and i < self.depth
            shapes.append([(out, m), (out,), *([(out,), (out,)] if normed else [])])
        size = sum(int(np.prod(shape)) for layer in shapes for shape in layer)
        self.parameters, self.gradients = np.empty(size, np.float32), np.empty(size, np.float32)

        def views(flat: Array) -> list[list[Array]]:
            start, layers = 0, []
            for layer in shapes:
                layers.append([])
                for shape in layer:
                    stop = start + int(np.prod(shape))
                    layers[-1].append(flat[start:stop].reshape(shape))
                    start = stop
            return layers

        self.layers, self.layer_gradients = views(self.parameters), views(self.gradients)
        for (weight, bias, *affine), (w, b) in zip(self.layers, problem.weights, strict=True):
            weight[...], bias[...] = w, b
            for vector, value in zip(affine, (1, 0), strict=False):
                vector[...] = value

    def step(self) -> float:
        """Forward, loss, backward, SGD."""
        loss = self.forward()
        self.backward()
        for i in range(0, self.parameters.size, BLOCK):
            w, g = self.parameters[i : i + BLOCK], self.gradients[i : i + BLOCK]
            update = self.block[: w.size]
            np.multiply(g, self.lr, update)
            np.subtract(w, update, w)
        return loss

    def forward(self) -> float:
        """The loss; leaves p - one_hot, divided by the batch size, in ``p``."""
        h = self.x
        for i in range(self.depth):
            weight, bias, *affine = self.layers[i]
            y = self.y[i]
            z = self.x_hat[i]  # without BatchNorm the same array as y
            np.dot(h, weight.T, z)
            np.add(z, bias, z)
            if self.batchnorm:
                self.normalize(i, z, *affine, y)
            np.multiply(y, 0.5, y)  # 1 / (1 + e^-z) = tanh(z / 2) / 2 + 1 / 2
            np.tanh(y, y)
            np.multiply(y, 0.5, y)
            np.add(y, 0.5, y)
            h = y
        if self.batchnorm:
            self.update_running_statistics()
        return self.cross_entropy(h)

    def normalize(self, i: int, z: Array, gamma: Array, beta: Array, out: Array) -> None:
        """z becomes x_hat, in place; out = gamma x_hat + beta."""
        mean, var, r = self.mean[i], self.var[i], self.r[i]
        np.dot(self.averaging, z, mean)
        np.subtract(z, mean, z)
        np.multiply(z, z, self.scratch)
        np.dot(self.averaging, self.scratch, var)
        np.add(var, EPS, r)
        np.sqrt(r, r)
        np.divide(1, r, r)
        np.multiply(z, r, z)
        np.multiply(z, gamma, out)
        np.add(out, beta, out)

    def update_running_statistics(self) -> None:
        """All layers at once: the statistics of layer i are row i."""
        self.running_mean *= 1 - MOMENTUM
        self.mean *= MOMENTUM
        self.running_mean += self.mean
        self.running_var *= 1 - MOMENTUM
        self.var *= MOMENTUM * self.n / (self.n - 1)
        self.running_var += self.var
        self.batches += 1

    def cross_entropy(self, h: Array) -> float:
        """-mean(log p[label]), p = softmax of the head, class by class."""
        weight, bias = self.layers[-1]
        logits, p, per_sample = self.logits, self.p, self.per_sample
        np.dot(weight, h.T, logits)
        np.add(logits, bias[:, None], logits)
        np.maximum.reduce(logits, 0, None, per_sample)
        np.subtract(logits, per_sample, logits)
        np.exp(logits, p)
        np.add.reduce(p, 0, None, per_sample)
        chosen = logits.ravel().take(self.at_label)
        loss = float(np.log(per_sample).sum() - chosen.sum()) / self.n
        np.multiply(per_sample, self.n, per_sample)
        np.divide(p, per_sample, p)
        p.ravel()[self.at_label] -= 1 / self.n
        return loss

    def backward(self) -> None:
        """The gradients of all parameters, from ``p``."""
        d_logits, g, other = self.p, self.da, self.db
        np.dot(d_logits, self.y[-1], self.layer_gradients[-1][0])
        np.add.reduce(d_logits, 1, None, self.layer_gradients[-1][1])
        np.dot(d_logits.T, self.layers[-1][0], g)
        for i in reversed(range(self.depth)):
            y, scratch = self.y[i], self.scratch
            np.multiply(y, y, scratch)
            np.subtract(y, scratch, scratch)
            np.multiply(g, scratch, g)
            d_weight, d_bias, *d_affine = self.layer_gradients[i]
            if self.batchnorm:
                self.normalize_backward(i, g, *d_affine)
            h = self.y[i - 1] if i else self.x
            np.dot(g.T, h, d_weight)
            np.dot(self.ones, g, d_bias)
            if i:
                np.dot(g, self.layers[i][0], other)
                g, other = other, g

    def normalize_backward(self, i: int, g: Array, d_gamma: Array, d_beta: Array) -> None:
        """dy becomes dx, in place: gamma r (dy - mean(dy) - x_hat mean(dy x_hat))."""
        x_hat, gamma, row, scratch = self.x_hat[i], self.layers[i][2], self.row, self.scratch
        np.dot(self.ones, g, d_beta)
        np.multiply(g, x_hat, scratch)
        np.dot(self.ones, scratch, d_gamma)
        np.multiply(d_gamma, 1 / self.n, row)
        np.multiply(x_hat, row, scratch)
        np.subtract(g, scratch, g)
        np.multiply(d_beta, 1 / self.n, row)
        np.subtract(g, row, g)
        np.multiply(gamma, self.r[i], row)
        np.multiply(g, row, g)

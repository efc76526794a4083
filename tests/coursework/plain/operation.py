"""Task 10 without `cached`: everything is computed anew in backward."""

from minigrad.ops import Op


class RMSNorm(Op):
    saves = ("x", "gamma")

    def __init__(self, eps):
        self.eps = eps

    def forward(self, x, gamma):
        square = (x * x).mean(axis=-1, keepdims=True)
        return x * gamma / (square + self.eps) ** 0.5

    def backward(self, grad, y, x, gamma):
        width = x.shape[-1]
        rms = ((x * x).sum(axis=-1, keepdims=True) / width + self.eps) ** 0.5
        dgamma = (grad * x / rms).sum(axis=0)
        d_hat = grad * gamma
        dr = (d_hat * x).sum(axis=-1, keepdims=True)
        dm = dr * -0.5 / rms**3
        dx = d_hat / rms + dm * 2 * x / width
        return dx, dgamma

"""What BatchNorm's two learned numbers per channel are for.

    python examples/gamma_beta.py

Normalising takes something away: every channel leaves it with mean 0 and variance 1. gamma and
beta, in y = gamma x_hat + beta, can give it back. The first part lets them learn to undo the
normalisation, which they do at gamma = sqrt(var + eps) and beta = mu. The second part shows what
else gamma decides: how much of the following sigmoid is saturated, and whether the gradient of a
deep network keeps its size.
"""

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.data import load_digits
from minigrad.diagnostics import factor_per_layer, observe


def learn_the_identity(layer: nn.BatchNorm1d, x: mg.Tensor, steps: int) -> list[float]:
    """Train gamma and beta until y = x; returns the largest |y - x| before each step.

    The loss, the mean of (gamma x_hat + beta - x)^2 over C channels, is quadratic in both. At a
    learning rate of C / 5 each step takes away 40% of what is missing (a little less of gamma,
    because the mean of x_hat^2 is var / (var + eps)).
    """
    optimizer = optim.SGD(layer.parameters(), lr=x.shape[1] / 5)
    errors = []
    for _ in range(steps):
        y = layer(x)
        errors.append(float((y - x).abs().amax().item()))
        optimizer.zero_grad()
        F.mse_loss(y, x).backward()
        optimizer.step()
    return errors


def with_gamma(gamma: float, depth: int = 20, width: int = 64) -> dict[str, float]:
    """A deep sigmoid network with this gamma in every BatchNorm, before training: what enters the
    sigmoid of the middle layer, and the factor per layer of |dL/dz|."""
    mg.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear, norm = nn.Linear(64 if not layers else width, width), nn.BatchNorm1d(width)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.constant_(norm.weight, gamma)
        layers += [linear, norm, nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    images, labels = load_digits(flatten=True)
    with observe(model) as seen:
        F.cross_entropy(model(mg.tensor(images[:256])), mg.tensor(labels[:256])).backward()
    z = seen.of("Sigmoid")[depth // 2].input
    factor = factor_per_layer([row.grad_output for row in seen.of("Linear")[1:-1]])
    return {"saturated": z.saturated, "outside": z.outside, "slope": z.slope, "factor": factor}


def main() -> None:
    """Print both parts."""
    rng = np.random.default_rng(0)
    mu, sigma = np.array([-3.0, 0.5, 10.0, 80.0]), np.array([0.01, 1.0, 4.0, 20.0])
    x = mg.tensor(mu + sigma * rng.standard_normal((256, 4)))
    layer = nn.BatchNorm1d(4).double()
    errors = learn_the_identity(layer, x, steps=101)

    print("gamma and beta learn to undo the normalisation (4 channels, 256 samples)\n")
    for step in (0, 10, 20, 40, 60, 80, 100):
        print(f"  step {step:3d}   largest |y - x| = {errors[step]:.1e}")
    var = x.data.var(axis=0)
    print("\n  channel                0         1         2         3")
    for name, values in (
        ("gamma", layer.weight.data),
        ("sqrt(var + eps)", np.sqrt(var + layer.eps)),
        ("sqrt(var)", np.sqrt(var)),
        ("beta", layer.bias.data),
        ("mu", x.data.mean(axis=0)),
    ):
        print(f"  {name:15}", *(f"{value:9.5f}" for value in values))
    print(
        f"\n  In channel 0, whose variance of {var[0]:.1e} is not much above eps = {layer.eps:g}, "
        f"sqrt(var)\n  alone would be off by {1 - np.sqrt(var[0] / (var[0] + layer.eps)):.1%}."
    )

    print("\nWhat gamma does to the sigmoid behind it (20 layers, before training)\n")
    print("  gamma   |z| > 5   outside [-3, 3]   mean sigmoid'   factor of |dL/dz| per layer")
    for gamma in (0.5, 1.0, 2.0, 3.0, 5.0, 10.0):
        seen = with_gamma(gamma)
        print(
            f"  {gamma:5.1f}   {seen['saturated']:7.1%}   {seen['outside']:15.1%}   "
            f"{seen['slope']:13.4f}   {seen['factor']:27.3f}"
        )
    print(
        "\n  z has standard deviation gamma: a large one saturates the sigmoid again. Yet the\n"
        "  gradient grows with it rather than vanishing, since backward multiplies by gamma, too."
    )


if __name__ == "__main__":
    main()

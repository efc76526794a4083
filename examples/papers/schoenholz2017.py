"""Schoenholz et al. 2017: how deep a network can be, from the size of its weights.

    python examples/papers/schoenholz2017.py    # --quick: seconds

Weights have variance sigma_w^2 / n, biases sigma_b^2 = 0.05, the activation is tanh. In a wide
network the variance of z settles at q* = sigma_w^2 E[tanh(sqrt(q*) u)^2] + sigma_b^2, u normal.
From there on one number rules (section 3, and Poole et al. 2016):

    chi = sigma_w^2 E[tanh'(sqrt(q*) u)^2]

It is the factor per layer of the squared gradient, and of a small difference between two inputs.
chi < 1: order, all inputs become alike and gradients vanish. chi > 1: chaos, neighbours are torn
apart and gradients explode. chi = 1 at sigma_w^2 = 1.76. Signals reach as deep as the scale xi:
-1 / log chi in the ordered phase; in the chaotic one -1 / log of the same mean at the correlation
c* < 1 at which two inputs settle. A network trains up to about 6 xi layers (figure 5).
"""

import math
import sys

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, batches, figure, main, samples

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

WIDTH, BATCH, RATE, BIAS = 128, 64, 0.003, 0.05
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def fixed_point(weight: float) -> float:
    """q*, for sigma_w^2 = ``weight``."""
    q = 1.0
    for _ in range(1000):
        q = weight * float(WEIGHTS @ np.tanh(math.sqrt(q) * NODES) ** 2) + BIAS
    return q


def pair_mean(values: np.ndarray, others: np.ndarray) -> float:
    """E[f(u_1) g(u_2)], from f at (u,) and g at (u, v)."""
    return float(WEIGHTS @ (values * (others @ WEIGHTS)))


def theory(weight: float) -> dict[str, float]:
    """chi, and the depth scale xi."""
    q = fixed_point(weight)
    first, c = math.sqrt(q) * NODES, 0.5

    def second(c: float) -> np.ndarray:
        """u_2 of correlation c with u_1, on a grid of two independent normal numbers."""
        return math.sqrt(q) * (c * NODES[:, None] + math.sqrt(max(0.0, 1 - c * c)) * NODES)

    for _ in range(3000):  # the correlation of two inputs, layer after layer
        mean = pair_mean(np.tanh(first), np.tanh(second(c)))
        c = min(1.0, (weight * mean + BIAS) / q)
    slope = 1 - np.tanh(first) ** 2
    chi = weight * float(WEIGHTS @ slope**2)
    at_c = weight * pair_mean(slope, 1 - np.tanh(second(c)) ** 2)
    return {"chi": chi, "xi": 1 / max(1e-4, -math.log(at_c if chi > 1 else chi))}


def network(inputs: int, depth: int, weight: float) -> nn.Sequential:
    """depth x (Linear, tanh) and a linear head."""
    layers: list[nn.Module] = []
    for i in range(depth + 1):
        linear = nn.Linear(WIDTH if i else inputs, WIDTH if i < depth else 10)
        nn.init.normal_(linear.weight, std=math.sqrt(weight / linear.weight.shape[1]))
        nn.init.normal_(linear.bias, std=math.sqrt(BIAS))
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def gradient_factor(weight: float, depth: int) -> float:
    """By how much the mean square of dL/dz changes per layer, once q* is reached."""
    logs = []
    for _ in range(4):
        model, x, zs = network(WIDTH, depth, weight), mg.randn(64, WIDTH), []
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.Linear):
                x.retain_grad()
                zs.append(x)
        x.backward(mg.randn(64, 10))
        first, last = (
            float((zs[i].grad.numpy().astype(float) ** 2).mean()) for i in (3, depth - 1)
        )
        logs.append(math.log(first / last) / (depth - 4))
    return math.exp(float(np.mean(logs)))


def accuracy(settings: Settings, depth: int, weight: float, steps: int) -> float:
    """On 1000 test samples, after training with SGD and momentum."""
    data = samples(settings.data_root, settings.seed)
    model = network(data.x.shape[1], depth, weight)
    mean, std = data.x.mean().item(), data.x.std().item()
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=0.9)

    def compute(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(model((x - mean) / std), y)
        optimizer.zero_grad()
        loss.backward()
        return loss

    x, y = data.x[:BATCH], data.y[:BATCH]
    update = mg.capture(compute, x, y, model=model, optimizer=optimizer)
    for _, (x, y) in zip(range(steps), batches(data, BATCH, settings.seed), strict=False):
        update(x, y)
    with mg.no_grad():
        guesses = model((data.x_test[:1000] - mean) / std).argmax(1)
    return (guesses == data.y_test[:1000]).float().mean().item()


def measure(settings: Settings, bar: Advance) -> Results:
    """For each size of the weights: theory, the gradient's factor, accuracy against depth."""
    steps, depths = (100, [4, 16, 48]) if settings.quick else (400, [6, 12, 24, 36, 54])
    rows = []
    for weight in weights_of(settings):
        factor = gradient_factor(weight, 20)
        bar(f"sigma_w^2 = {weight}")
        found = []
        for depth in depths:
            mg.manual_seed(settings.seed)
            found.append(accuracy(settings, depth, weight, steps))
        rows.append({"weight": weight, **theory(weight), "factor": factor, "accuracy": found})
        bar(f"sigma_w^2 = {weight}")
    name = samples(settings.data_root, settings.seed).name
    return {"data": name, "steps": steps, "depths": depths, "rows": rows}


def weights_of(settings: Settings) -> tuple[float, ...]:
    """Values of sigma_w^2; 1.76 is the critical one."""
    return (1.0, 1.76, 4.0) if settings.quick else (1.0, 1.4, 1.76, 2.2, 3.0, 4.0)


def trained_depth(results: Results, row: Results) -> int:
    """The largest depth with an accuracy above one half; 0 if there is none."""
    pairs = zip(results["depths"], row["accuracy"], strict=True)
    return max((depth for depth, value in pairs if value > 0.5), default=0)


def claims(results: Results) -> list[Claim]:
    """chi at 1.76, the gradient's factor, the depths."""
    rows, where = [], "section 3, figure 1"
    critical = next(row for row in results["rows"] if row["weight"] == 1.76)
    near = abs(critical["chi"] - 1)
    rows.append(Claim(where, "chi = 1 at sigma_w^2 = 1.76", f"chi = {critical['chi']:.4f} there",
                      "± 0.01", near <= 0.01, near <= 0.05))  # fmt: skip
    for row in (results["rows"][0], critical, results["rows"][-1]):
        off = abs(row["factor"] / row["chi"] - 1)
        says = f"sigma_w^2 = {row['weight']}: a squared gradient factor of chi = {row['chi']:.3f}"
        rows.append(Claim("section 4", says, f"{row['factor']:.3f}", "± 10 %", off <= 0.1,
                          off <= 0.2))  # fmt: skip
    deepest = {row["weight"]: trained_depth(results, row) for row in results["rows"]}
    best = max(deepest.values()) == deepest[1.76] > max(deepest[1.0], deepest[4.0])
    rows.append(Claim("figure 5", "the deepest networks train at the critical point",
                      ", ".join(f"{w}: {d}" for w, d in deepest.items()), "the largest depth",
                      best, best))  # fmt: skip
    for row in results["rows"]:
        limit = 6 * row["xi"]
        if limit <= results["depths"][-1]:
            got = deepest[row["weight"]]
            within = limit / 2 <= got <= 2 * limit
            says = f"sigma_w^2 = {row['weight']}: trains up to about 6 xi = {limit:.0f} layers"
            rows.append(Claim("figure 5", says, f"{got} of {results['depths']}", "a factor of 2",
                              within, got < results["depths"][-1]))  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """Figure 5: accuracy over sigma_w^2 and depth, with the line of 6 xi."""
    page = figure(6.5, 4)
    ax = page.subplots()
    weights = [row["weight"] for row in results["rows"]]
    values = np.array([row["accuracy"] for row in results["rows"]]).T
    mesh = ax.pcolormesh(range(len(weights)), range(len(values)), values, cmap="cividis",
                         vmin=0, vmax=1, shading="nearest")  # fmt: skip
    limits = np.clip([6 * row["xi"] for row in results["rows"]], 1, 2 * results["depths"][-1])
    places = np.interp(limits, results["depths"], range(len(values)), right=len(values) - 0.5)
    ax.plot(range(len(weights)), places, "o--", color=plots.VERMILLION, label="6 xi")
    ax.set_xticks(range(len(weights)), weights)
    ax.set_yticks(range(len(values)), results["depths"])
    ax.set(xlabel="sigma_w²", ylabel="layers", title=f"tanh, {results['steps']} steps")
    ax.legend(loc="upper right")
    page.colorbar(mesh, label="test accuracy")
    return page


PAPER = Paper(
    "schoenholz2017",
    "Schoenholz, Gilmer, Ganguli, Sohl-Dickstein 2017: Deep Information Propagation",
    "arXiv:1611.01232",
    parts=lambda settings: 2 * len(weights_of(settings)),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""Saxe et al. 2014, Pennington et al. 2017: what a product of many weight matrices does.

    python examples/papers/saxe2014.py          # --quick: seconds

A deep linear network computes W_L ... W_1 x. Gaussian weights of variance 1/n keep the mean square
of the signal, but not each direction: in the product a few singular values stay large and most are
nearly 0. Orthogonal weights keep all of them at 1. Saxe et al. (arXiv:1312.6120, section 3, figure
6) find that the time to learn then does not depend on the depth, once a network is deep; with
Gaussian weights it grows.

Pennington et al. (arXiv:1711.04735, section 3) give the variance of the squared singular values of
the network's Jacobian J, scaled so that their mean is 1, with phi' taken at the fixed point q* of
the variance of z (their equation for sigma^2_JJT; s is 0 for orthogonal weights, -1 for Gaussian):

    L (mu_2 / mu_1^2 - 1 - s),   mu_k = E[phi'(sqrt(q*) u)^(2k)],   u normal

phi' is 1 in a linear network: 0 and L. ReLU has mu_1 = mu_2 = 1/2: L and 2 L, so orthogonal weights
are no cure there. tanh has mu_2 / mu_1^2 near 1 where q* is small: there they are.
"""

import math
import sys
from itertools import pairwise

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, batches, figure, main, samples

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

WIDTH, BATCH, BELOW = 64, 100, 0.5
"""The loss that counts as learned: the share of the labels' variance that is left."""
RATES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
"""Times 1 / depth: the best rate of a deep linear network falls with its depth (figure 6)."""
STARTS = ("orthogonal", "Gaussian")
STYLES = {"orthogonal": (plots.BLUE, "o-"), "Gaussian": (plots.VERMILLION, "s--")}
Q = 0.025  # the fixed point for tanh: small, so that phi' is nearly 1


def depths_of(settings: Settings) -> tuple[int, ...]:
    """Numbers of weight matrices."""
    return (8, 32) if settings.quick else (8, 16, 32, 64)


def network(inputs: int, depth: int, start: str) -> nn.Sequential:
    """``depth`` Linear layers without biases."""
    sizes = [inputs, *[WIDTH] * (depth - 1), 10]
    layers = [nn.Linear(n, m, bias=False) for n, m in pairwise(sizes)]
    for layer in layers:
        if start == "orthogonal":
            nn.init.orthogonal_(layer.weight)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    return nn.Sequential(*layers)


@np.errstate(over="ignore", invalid="ignore")  # a rate that is too large
def steps_to_learn(settings: Settings, depth: int, start: str, rate: float, most: int) -> int:
    """Steps of SGD until the mean loss of ten steps is below ``BELOW``; ``most`` if it never is."""
    data = samples(settings.data_root, settings.seed)
    mean = data.x.mean(dim=0)
    scale = 1 / (data.x - mean).std().item() / math.sqrt(data.x.shape[1])
    mg.manual_seed(settings.seed)
    model = network(data.x.shape[1], depth, start)
    optimizer, recent = optim.SGD(model.parameters(), lr=rate / depth), [1.0] * 10
    for step, (x, y) in enumerate(batches(data, BATCH, settings.seed), start=1):
        centred = F.one_hot(y, 10).float() - 0.1
        loss = ((model((x - mean) * scale) - centred) ** 2).sum(dim=1).mean() / 0.9
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent[step % 10] = loss.item()
        if np.mean(recent) < BELOW:
            return step
        if not loss.item() < 100 or step == most:  # NaN, too
            return most
    raise AssertionError("the batches have no end")


def jacobian_variance(rng: np.random.Generator, kind: str, start: str, depth: int, n: int) -> float:
    """The variance of the squared singular values of a random network's Jacobian."""
    mu_1, _, bias = moments(kind)
    z = rng.normal(size=n) * math.sqrt(Q)
    jacobian = np.eye(n)
    for _ in range(depth):
        weight = rng.normal(size=(n, n)) / math.sqrt(n)
        if start == "orthogonal":
            q, r = np.linalg.qr(weight)
            weight = q * np.sign(np.diag(r))
        slope = {"linear": np.ones(n), "ReLU": (z > 0) * 1.0, "tanh": 1 - np.tanh(z) ** 2}[kind]
        y = {"linear": z, "ReLU": np.maximum(z, 0), "tanh": np.tanh(z)}[kind]
        weight /= math.sqrt(mu_1)  # sigma_w^2 mu_1 = 1: neither growth nor decay
        jacobian = weight @ (slope[:, None] * jacobian)
        z = weight @ y + rng.normal(size=n) * math.sqrt(bias)
    squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
    return float(np.var(squares / squares.mean()))


def moments(kind: str) -> tuple[float, float, float]:
    """mu_1, mu_2, and the variance of the biases that keeps q* where it is."""
    if kind != "tanh":
        return (1.0, 1.0, 0.0) if kind == "linear" else (0.5, 0.5, 0.0)
    u, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    t = np.tanh(math.sqrt(Q) * u)
    mu_1, mu_2 = (float(weights @ (1 - t**2) ** (2 * k)) for k in (1, 2))
    return mu_1, mu_2, Q - float(weights @ t**2) / mu_1


def predicted(kind: str, start: str, depth: int) -> float:
    """Pennington et al.'s formula."""
    mu_1, mu_2, _ = moments(kind)
    return depth * (mu_2 / mu_1**2 - 1 + (start == "Gaussian"))


def measure(settings: Settings, bar: Advance) -> Results:
    """Times to learn, each at its best rate; and the Jacobians of random networks."""
    depths, most = depths_of(settings), 150 if settings.quick else 400
    times: Results = {start: [] for start in STARTS}
    for start in STARTS:
        for depth in depths:
            found = [steps_to_learn(settings, depth, start, rate, most) for rate in RATES]
            times[start].append(min(found))
            bar(f"{start}, {depth} layers")
    n, depth, runs = (200, 8, 4) if settings.quick else (400, 16, 6)
    variances, rng = {}, np.random.default_rng(settings.seed)
    for kind in ("linear", "ReLU", "tanh"):
        for start in STARTS:
            found = [jacobian_variance(rng, kind, start, depth, n) for _ in range(runs)]
            variances[f"{kind}, {start}"] = float(np.mean(found))
        bar(f"Jacobian, {kind}")
    return {
        "data": samples(settings.data_root, settings.seed).name,
        "depths": list(depths), "most": most, "times": times,
        "jacobian": {"depth": depth, "width": n, "variances": variances},
    }  # fmt: skip


def claims(results: Results) -> list[Claim]:
    """Times against depth, and the variances against the formula."""
    rows, first, last = [], results["depths"][0], results["depths"][-1]
    growth = {start: times[-1] / times[0] for start, times in results["times"].items()}
    for start, says, within, agrees in (
        ("orthogonal", "does not depend on the depth", "a factor of 1.5",
         1 / 1.5 <= growth["orthogonal"] <= 1.5),
        ("Gaussian", "grows with the depth", "more than 2 times", growth["Gaussian"] > 2),
    ):  # fmt: skip
        times = results["times"][start]
        measured = f"{first} layers: {times[0]} steps, {last}: {times[-1]}"
        if times[-1] == results["most"]:
            measured += " (not learned by then)"
        direction = growth["orthogonal"] < growth["Gaussian"]
        where, says = "Saxe, section 3, figure 6", f"{start}: the time to learn {says}"
        rows.append(Claim(where, says, measured, within, agrees, direction))
    jacobian = results["jacobian"]
    for name, value in jacobian["variances"].items():
        kind, start = name.split(", ")
        theory = predicted(kind, start, jacobian["depth"])
        far = abs(value - theory) / max(theory, 0.4)
        says = f"{name}, L = {jacobian['depth']}: a variance of {theory:.2f}"
        where, band = "Pennington, section 3", "± 25 %, or ± 0.1"
        rows.append(Claim(where, says, f"{value:.2f}", band, far <= 0.25, far <= 0.5))
    return rows


def draw(results: Results) -> Figure:
    """Time against depth, as in figure 6, and the variances beside the formula."""
    page = figure()
    left, right = page.subplots(1, 2)
    for start, times in results["times"].items():
        colour, line = STYLES[start]
        left.plot(results["depths"], times, line, color=colour, label=start)
    left.axhline(results["most"], color=plots.GREY, linewidth=0.8, linestyle=":")
    left.set(xlabel="layers", ylabel="steps to learn, at the best rate", title="Linear networks")
    left.set_xscale("log", base=2)
    jacobian = results["jacobian"]
    names = list(jacobian["variances"])
    theory = [predicted(*name.split(", "), jacobian["depth"]) for name in names]
    right.barh(names, list(jacobian["variances"].values()), color=plots.SKY, label="measured")
    right.plot(theory, names, "|", color=plots.BLACK, markersize=18, label="predicted")
    right.invert_yaxis()
    right.set_title(f"Jacobian of {jacobian['depth']} layers: variance of s²")
    for ax in (left, right):
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    return page


PAPER = Paper(
    "saxe2014",
    "Saxe, McClelland, Ganguli 2014: Exact Solutions to the Nonlinear Dynamics of Learning",
    "arXiv:1312.6120",
    parts=lambda settings: len(STARTS) * len(depths_of(settings)) + 3,
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""Yang et al. 2019: with BatchNorm, gradients grow from layer to layer, whatever the weights are.

    python examples/papers/yang2019.py          # --quick: seconds

A layer computes z = W x, z_hat = BatchNorm(z) and x' = phi(z_hat), with random W. In a wide layer
z_hat is normal with variance 1, and different samples are independent. Two steps lead back through
a layer. phi multiplies the mean square of the gradient by E[phi'(u)^2], u normal. BatchNorm divides
by the standard deviation of z over the batch, where Var z = sigma_w^2 Var phi(u), and W multiplies
by sigma_w^2. The two sigma_w cancel, so in a large batch the squared factor per layer is

    E[phi'(u)^2] / Var phi(u)

and no choice of weights changes it. It is 1 for the identity and pi / (pi - 1) = 1.467 for ReLU
(arXiv:1902.08129, section 3): 1.21 per layer in norm. It is never below 1: write phi as a sum of
Hermite polynomials with squared weights a_k; it is then sum k a_k / sum a_k over k >= 1 (the
Gaussian Poincare inequality). A small batch makes it larger: (B - 2) / (B - 3) for the identity.
"""

import math
import sys

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, figure, main

import minigrad as mg
from minigrad import nn
from minigrad.diagnostics import plots

KINDS = {"identity": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
STYLES = {
    "identity": (plots.BLUE, "o"),
    "sigmoid": (plots.GREEN, "^"),
    "tanh": (plots.PURPLE, "D"),
    "ReLU": (plots.VERMILLION, "s"),
}
SMALL = (4, 6, 8, 16, 32)
"""Batches for the identity; the formula needs more than 3."""
GAIN = 3.0
"""sigma_w: far from every usual one, because it must not matter."""


def theory(kind: str) -> float:
    """E[phi'^2] / Var phi for a normal input, by Gauss-Hermite quadrature; ReLU's in closed form,
    because of its corner."""
    if kind == "ReLU":
        return math.pi / (math.pi - 1)
    u, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    sigmoid = 1 / (1 + np.exp(-u))
    phi, slope = {
        "identity": (u, np.ones_like(u)),
        "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
        "tanh": (np.tanh(u), 1 - np.tanh(u) ** 2),
    }[kind]
    return float(weights @ slope**2 / (weights @ phi**2 - (weights @ phi) ** 2))


def norms(kind: str, batch: int, width: int, depth: int) -> list[float]:
    """The mean square of dL/dz in each layer, for a random gradient at the end."""
    x, zs = mg.randn(batch, width), []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        nn.init.normal_(linear.weight, std=GAIN / math.sqrt(width))
        z = linear(x)
        z.retain_grad()
        zs.append(z)
        x = KINDS[kind]()(nn.BatchNorm1d(width)(z))
    x.backward(mg.randn(batch, width))
    return [float(np.mean(z.grad.numpy().astype(float) ** 2)) for z in zs]


def factor(found: list[list[float]]) -> float:
    """The squared factor per layer: the geometric mean over layers and networks. Layer 1 is left
    out, because its input did not come out of phi, and the last one, because the gradient that
    comes to it was drawn."""
    logs = [math.log(one[1] / one[-2]) / (len(one) - 3) for one in found]
    return math.exp(float(np.mean(logs)))


def measure(settings: Settings, bar: Advance) -> Results:
    """Large batches for each phi, small batches for the identity, widths for ReLU."""
    width, batch, depth, runs = (256, 64, 12, 4) if settings.quick else (1024, 256, 20, 4)
    results: Results = {"width": width, "batch": batch, "depth": depth, "kinds": {}, "widths": {}}
    for kind in KINDS:
        found = [norms(kind, batch, width, depth) for _ in range(runs)]
        results["kinds"][kind] = {"factor": factor(found), "norms": np.mean(found, 0).tolist()}
        bar(kind)
    small = {}
    for size in SMALL:
        found = [norms("identity", size, width, depth) for _ in range(4 * runs)]
        small[size] = factor(found)
    results["small"] = {"batch": list(small), "factor": list(small.values())}
    bar("small batches")
    for w in (width // 4, width // 2, width):
        found = [norms("ReLU", batch // 4, w, depth) for _ in range(runs)]
        results["widths"][str(w)] = factor(found)
    bar("widths")
    return results


def claims(results: Results) -> list[Claim]:
    """Each factor against its formula."""
    rows = []
    batch = results["batch"]
    for kind, says in (
        ("ReLU", "pi/(pi-1) = {:.3f} per layer"),
        ("identity", "nearly {:.3f} in a large batch"),
        ("sigmoid", "E[phi'^2] / Var phi = {:.3f} (the formula above)"),
        ("tanh", "E[phi'^2] / Var phi = {:.3f} (the formula above)"),
    ):
        value, expected = results["kinds"][kind]["factor"], theory(kind)
        rows.append(
            Claim(
                "section 3, B large", f"{kind}: {says.format(expected)}",
                f"{value:.3f} (B = {batch})", "± 3 %", abs(value / expected - 1) <= 0.03,
                abs(value / expected - 1) <= 0.1,
            )
        )  # fmt: skip
    for size, value in zip(results["small"]["batch"], results["small"]["factor"], strict=True):
        expected = (size - 2) / (size - 3)
        rows.append(
            Claim(
                "section 3, B small", f"identity, B = {size}: (B-2)/(B-3) = {expected:.3f}",
                f"{value:.3f}", "± 5 %", abs(value / expected - 1) <= 0.05,
                value > 1 and abs(value / expected - 1) <= 0.2,
            )
        )  # fmt: skip
    values = {kind: found["factor"] for kind, found in results["kinds"].items()}
    order = sorted(values, key=lambda kind: values[kind])
    least = order[0] == "identity" and order[-1] == "ReLU"
    rows.append(
        Claim("section 3", "the factor is least for an activation that is nearly linear",
              " < ".join(order), "the order", least, least)
    )  # fmt: skip
    widths = list(results["widths"].values())
    apart, within = max(widths) / min(widths) - 1, "5 % of each other"
    names = ", ".join(f"{value:.3f} (width {name})" for name, value in results["widths"].items())
    rows.append(
        Claim("section 2", "the width does not matter, once it is large", names, within,
              apart <= 0.05, apart <= 0.15)
    )  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """The gradient from layer to layer, and the factor of small batches."""
    page = figure()
    left, right = page.subplots(1, 2)
    depth = results["depth"]
    for kind, found in results["kinds"].items():
        colour, marker = STYLES[kind]
        layers = range(2, depth)
        start = found["norms"][-2]
        left.semilogy(layers, [v / start for v in found["norms"][1:-1]], marker, color=colour,
                      markersize=4, label=kind)  # fmt: skip
        left.semilogy(layers, [theory(kind) ** (depth - 1 - i) for i in layers], color=colour)
    left.set(xlabel="layer", ylabel="mean square of dL/dz, last but one = 1",
             title=f"Batches of {results['batch']}: measured, and the formula")  # fmt: skip
    left.xaxis.get_major_locator().set_params(integer=True)
    sizes = np.linspace(min(SMALL), max(SMALL), 200)
    right.plot(sizes, (sizes - 2) / (sizes - 3), color=plots.BLUE, label="(B - 2) / (B - 3)")
    right.plot(results["small"]["batch"], results["small"]["factor"], "o", color=plots.BLACK,
               label="measured")  # fmt: skip
    right.set(xlabel="batch B", ylabel="squared factor per layer", title="Identity, small batches")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    return page


PAPER = Paper(
    "yang2019",
    "Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz 2019: A Mean Field Theory of BatchNorm",
    "arXiv:1902.08129",
    parts=lambda settings: len(KINDS) + 2,
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""De and Smith 2020: with normalised branches, a residual network starts close to the identity.

    python examples/papers/de2020.py            # --quick: seconds

A residual block adds its branch to the skip path: x_l = x_(l-1) + f(x_(l-1)). If the branch begins
with BatchNorm, its output has variance 1 whatever comes in, and Var x_l = 1 + l. Block l brings a
share 1 / (l + 1) of it: the standard deviation of the branch is smaller than that of the skip path
by a factor of about the square root of the depth, so most blocks hardly change what passes. Without
normalisation Var f(x) = Var x: each block doubles the variance and brings one half of it.

If that is what lets normalised networks be deep, another way to make the branches small must do as
well. SkipInit has no normalisation: a learned scalar, at first 0, multiplies each branch. The paper
(arXiv:2002.10444) trains such Wide-ResNets of up to 1000 layers. Here the blocks are
(BatchNorm -) ReLU - Linear of one width, and each network gets the best of three rates.
"""

import math
import sys

import numpy as np
from study import (
    Advance,
    Claim,
    Figure,
    Paper,
    Results,
    Settings,
    batches,
    figure,
    main,
    samples,
)

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

WIDTH, BATCH = 100, 64
RATES = (0.1, 0.01, 0.001)
STYLES = {
    "nothing": (plots.VERMILLION, "s--"),
    "BatchNorm": (plots.BLUE, "o-"),
    "SkipInit": (plots.GREEN, "^-."),
}


class Block(nn.Module):
    """x + scale f(x), with f = (BatchNorm,) ReLU, Linear; He's weights keep the variance."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH) if kind == "BatchNorm" else nn.Identity()
        self.linear = nn.Linear(WIDTH, WIDTH, bias=False)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        self.scale = nn.Parameter(mg.zeros(1)) if kind == "SkipInit" else None

    def branch(self, x: mg.Tensor) -> mg.Tensor:
        y = self.linear(F.relu(self.norm(x)))
        return y if self.scale is None else y * self.scale

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.branch(x)


def depths_of(settings: Settings) -> tuple[int, ...]:
    """Numbers of blocks."""
    return (5, 50) if settings.quick else (10, 50, 200)


@mg.no_grad()
def shares(kind: str, depth: int, networks: int = 10) -> list[float]:
    """Var f(x_(l-1)) / Var x_l for each block l, over samples and units: the mean over random
    networks."""
    found = np.zeros((networks, depth))
    for row in found:
        x = mg.randn(500, WIDTH)
        for block in range(depth):
            y = Block(kind).branch(x)
            x = x + y
            row[block] = y.var().item() / x.var().item()
    return found.mean(axis=0).tolist()


@np.errstate(all="ignore")  # without normalisation the numbers of a deep network overflow
def accuracy(settings: Settings, kind: str, depth: int, rate: float, steps: int) -> float:
    """On the test samples, after training with SGD and momentum; 0 if the loss explodes."""
    data = samples(settings.data_root, settings.seed)
    mg.manual_seed(settings.seed)
    first, last = nn.Linear(data.x.shape[1], WIDTH), nn.Linear(WIDTH, 10)
    model = nn.Sequential(first, *(Block(kind) for _ in range(depth)), last)
    optimizer, first_loss = optim.SGD(model.parameters(), lr=rate, momentum=0.9), None
    for _, (x, y) in zip(range(steps), batches(data, BATCH, settings.seed), strict=False):
        loss = F.cross_entropy(model(x), y)
        first_loss = first_loss or loss.item()
        if not loss.item() <= 1e6 * first_loss < math.inf:  # NaN, too
            return 0.0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with mg.no_grad():
        return (model(data.x_test).argmax(1) == data.y_test).float().mean().item()


def measure(settings: Settings, bar: Advance) -> Results:
    """Shares at the start, then training for each depth."""
    depths, steps = depths_of(settings), 120 if settings.quick else 300
    found: Results = {"depths": list(depths), "shares": {}, "accuracy": {}}
    for kind in ("nothing", "BatchNorm"):
        found["shares"][kind] = shares(kind, 50)
    for kind in STYLES:
        found["accuracy"][kind] = []
        for depth in depths:
            runs = [accuracy(settings, kind, depth, rate, steps) for rate in RATES]
            found["accuracy"][kind].append(max(runs))
            bar(f"{kind}, {depth} blocks")
    return {"data": samples(settings.data_root, settings.seed).name, "steps": steps, **found}


def claims(results: Results) -> list[Claim]:
    """The shares against 1 / (l + 1) and 1/2, and who trains."""
    normed, plain = results["shares"]["BatchNorm"], results["shares"]["nothing"]
    off = max(abs(share * (layer + 1) - 1) for layer, share in enumerate(normed, start=1))
    last = len(normed)
    ratio = math.sqrt((1 - normed[-1]) / normed[-1])
    half = float(np.median(plain))
    deep = results["depths"][-1]
    trained = {kind: found[-1] for kind, found in results["accuracy"].items()}
    shallow = results["accuracy"]["nothing"][0]
    rows = [
        Claim("abstract, section 3", "block l brings a share of about 1 / (l + 1) of the variance",
              f"off by at most {off:.0%} in {last} blocks", "± 20 %", off <= 0.2, off <= 0.5),
        Claim("abstract, section 3", "the branch is smaller by about the square root of the depth",
              f"{ratio:.2f} times after {last} blocks (root: {math.sqrt(last):.2f})", "± 20 %",
              abs(ratio / math.sqrt(last) - 1) <= 0.2, ratio > 2),
        Claim("section 3", "without normalisation each block brings one half",
              f"{half:.2f} (the middle one of {last})", "± 0.1", abs(half - 0.5) <= 0.1,
              half > 0.3),
    ]  # fmt: skip
    for kind, says in (
        ("BatchNorm", f"{deep} blocks train with BatchNorm"),
        ("SkipInit", f"{deep} blocks train with SkipInit, without BatchNorm"),
    ):
        measured, enough = f"accuracy {trained[kind]:.3f}", trained[kind] >= 0.9
        better = trained[kind] > trained["nothing"] + 0.2
        rows.append(Claim("section 4", says, measured, "0.9 or more", enough, better))
    fails = trained["nothing"] < 0.5
    rows.append(
        Claim("section 4", f"{deep} blocks do not train with neither",
              f"accuracy {trained['nothing']:.3f} ({results['depths'][0]} blocks: {shallow:.3f})",
              "below 0.5", fails, trained["nothing"] < shallow - 0.1)
    )  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """The shares block by block, and the accuracy against the depth."""
    page = figure()
    left, right = page.subplots(1, 2)
    for kind, found in results["shares"].items():
        colour, line = STYLES[kind]
        left.plot(range(1, len(found) + 1), found, line, color=colour, markersize=3, label=kind)
    blocks = np.arange(1, len(results["shares"]["BatchNorm"]) + 1)
    left.plot(blocks, 1 / (blocks + 1), color=plots.BLACK, linewidth=0.8, label="1 / (l + 1)")
    left.set(xlabel="block l", ylabel="share of the variance", title="Before training")
    for kind, found in results["accuracy"].items():
        colour, line = STYLES[kind]
        right.plot(results["depths"], found, line, color=colour, label=kind)
    right.set_xscale("log")
    right.set(xlabel="blocks", ylabel="test accuracy", ylim=(-0.05, 1.05),
              title=f"After {results['steps']} steps, at the best rate")  # fmt: skip
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    return page


PAPER = Paper(
    "de2020",
    "De, Smith 2020: Batch Normalization Biases Residual Blocks Towards the Identity Function",
    "arXiv:2002.10444",
    parts=lambda settings: len(STYLES) * len(depths_of(settings)),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""Ioffe and Szegedy 2015: three layers of sigmoids learn digits, with and without BatchNorm.

    python examples/papers/ioffe2015.py         # --quick: seconds

Section 4.1 trains 784 - 100 - 100 - 100 - 10 on MNIST, with sigmoids, small Gaussian weights and
mini-batches of 60. Figure 1a is the test accuracy over 50,000 steps: with BatchNorm it rises sooner
and ends higher. Figures 1b and 1c follow what enters one sigmoid of the last hidden layer: the
15th, 50th and 85th percentiles over the samples. Without BatchNorm they wander as the layers below
learn; with it they are steadier.

The paper does not print its learning rate. Here it is the same for both networks, and there are
fewer steps.
"""

import sys

import numpy as np
from study import (
    Advance,
    Claim,
    Figure,
    Paper,
    Results,
    Samples,
    Settings,
    batches,
    figure,
    main,
    samples,
)  # fmt: skip

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

WIDTH, BATCH, RATE, STD = 100, 60, 0.2, 0.1
PERCENT = (15, 50, 85)
NAMES = ("without BatchNorm", "with BatchNorm")
STYLES = {NAMES[0]: (plots.VERMILLION, "--"), NAMES[1]: (plots.BLUE, "-")}


def network(inputs: int, batchnorm: bool) -> nn.Sequential:
    """Three times Linear, BatchNorm if wanted, Sigmoid; and a linear head."""
    layers: list[nn.Module] = []
    for n in (inputs, WIDTH, WIDTH):
        layers += [nn.Linear(n, WIDTH), *([nn.BatchNorm1d(WIDTH)] if batchnorm else [])]
        layers.append(nn.Sigmoid())
    layers.append(nn.Linear(WIDTH, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=STD)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def look(model: nn.Sequential, data: Samples) -> tuple[float, np.ndarray]:
    """The test accuracy, and the percentiles of what enters each of the last hidden sigmoids:
    (3, units)."""
    model.eval()
    with mg.no_grad():
        z = model[:-2](data.x_test)
        guesses = model[-2:](z).argmax(1)
    model.train()
    right = (guesses == data.y_test).float().mean().item()
    return right, np.percentile(z.numpy(), PERCENT, axis=0)


def train(settings: Settings, data: Samples, batchnorm: bool, steps: int, bar: Advance) -> Results:
    """SGD with one rate; what ``look`` sees at forty moments."""
    mg.manual_seed(settings.seed)
    model = network(data.x.shape[1], batchnorm)
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    curve: Results = {"step": [], "accuracy": []}
    percentiles = []

    def compute(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        return loss

    x, y = data.x[:BATCH], data.y[:BATCH]
    update = mg.capture(compute, x, y, model=model, optimizer=optimizer)
    for step, (x, y) in enumerate(batches(data, BATCH, settings.seed), start=1):
        update(x, y)
        if step % (steps // 40) == 0:
            accuracy, found = look(model, data)
            curve["step"].append(step)
            curve["accuracy"].append(accuracy)
            percentiles.append(found)
            bar(NAMES[batchnorm])
        if step == steps:
            break
    seen = np.array(percentiles)  # (moments, 3, units)
    middle = seen[:, 1]
    wander = (middle.max(axis=0) - middle.min(axis=0)) / (seen[-1, 2] - seen[-1, 0])
    typical = int(np.argsort(wander)[WIDTH // 2])
    return {**curve, "percentiles": seen[:, :, typical].T.tolist(), "unit": typical,
            "wander": float(np.median(wander))}  # fmt: skip


def measure(settings: Settings, bar: Advance) -> Results:
    """Both networks."""
    data, steps = samples(settings.data_root, settings.seed), 1200 if settings.quick else 12000
    runs = {
        name: train(settings, data, name == NAMES[1], steps, bar) for name in NAMES
    }  # without, with
    return {"data": data.name, "steps": steps, "runs": runs}


def reaches(run: Results, accuracy: float) -> int | None:
    """The first step that was looked at with this accuracy."""
    pairs = zip(run["step"], run["accuracy"], strict=True)
    return next((step for step, value in pairs if value >= accuracy), None)


def claims(results: Results) -> list[Claim]:
    """Higher, sooner, steadier."""
    plain, normed = (results["runs"][name] for name in NAMES)
    ends = plain["accuracy"][-1], normed["accuracy"][-1]
    best = max(plain["accuracy"])
    late = plain["step"][plain["accuracy"].index(best)]
    soon = reaches(normed, best)
    faster = soon is not None and soon < late
    still = normed["wander"] < plain["wander"]
    return [
        Claim(
            "section 4.1, figure 1a", "the test accuracy ends higher with BatchNorm",
            f"{ends[1]:.4f} with, {ends[0]:.4f} without", "higher", ends[1] > ends[0],
            ends[1] > ends[0],
        ),
        Claim(
            "section 4.1, figure 1a", "it gets there sooner",
            f"{best:.4f}, the best without, is reached at step {late} without, "
            f"{soon or 'never'} with", "fewer steps", faster, faster,
        ),
        Claim(
            "section 4.1, figures 1b, 1c", "what enters a sigmoid is steadier with BatchNorm",
            f"the median moves by {plain['wander']:.2f} of the spread without, "
            f"{normed['wander']:.2f} with (the middle one of {WIDTH} units)", "half as far",
            2 * normed["wander"] <= plain["wander"], still,
        ),
    ]  # fmt: skip


def draw(results: Results) -> Figure:
    """Figure 1: accuracy, and the percentiles without and with."""
    page = figure(11, 3.6)
    left, *others = page.subplots(1, 3)
    for name, run in results["runs"].items():
        colour, line = STYLES[name]
        left.plot(run["step"], run["accuracy"], line, color=colour, label=name)
    left.set(xlabel="step", ylabel="test accuracy", title=f"(a) {results['data']}")
    top = max(results["runs"][name]["accuracy"][-1] for name in NAMES)
    left.set_ylim(max(0.0, top - 0.15), 1)
    left.legend(frameon=False)
    for ax, (name, run), letter in zip(others, results["runs"].items(), "bc", strict=True):
        low, middle, high = run["percentiles"]
        ax.fill_between(run["step"], low, high, color=STYLES[name][0], alpha=0.25, linewidth=0)
        ax.plot(run["step"], middle, color=STYLES[name][0])
        ax.set(xlabel="step", title=f"({letter}) {name}", ylim=(-5, 5))
    others[0].set_ylabel("input of a sigmoid, 15, 50, 85 %")
    for ax in (left, *others):
        ax.spines[["top", "right"]].set_visible(False)
    return page


PAPER = Paper(
    "ioffe2015", "Ioffe, Szegedy 2015: Batch Normalization", "arXiv:1502.03167",
    parts=lambda settings: 80,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

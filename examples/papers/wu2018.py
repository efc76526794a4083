"""Wu and He 2018: BatchNorm needs a large batch, GroupNorm does not.

    python examples/papers/wu2018.py            # --quick: seconds

BatchNorm estimates a mean and a variance from the batch. From few samples the estimates are poor:
training then works with noise that evaluation, with its running statistics, does not have.
GroupNorm computes both from the channels of one sample, so the batch does not matter. Figure 1
shows the error of ResNet-50 on ImageNet's validation images for batches of 32, 16, 8, 4 and 2
images per GPU: BatchNorm's rises from 23.6 % to 34.7 %, GroupNorm's stays at 24.1 % (table 2).

Here a small convolutional network learns digits, with the paper's recipe for comparing batches: the
same number of passes over the data for each, and a rate in proportion to the batch. The effect is
larger here than in the paper, because the last images are 1 x 1: BatchNorm sees no more values in a
channel than there are images. GroupNorm's error even falls with the batch: few large batches are
few steps.
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
)

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

CHANNELS, RATE, LARGE = 16, 0.2, 32
"""The rate is that of the largest batch."""
PAPER_ERRORS = {
    "BatchNorm": {2: 34.7, 4: 27.3, 8: 24.8, 16: 23.7, 32: 23.6},
    "GroupNorm": {2: 24.1, 4: 24.2, 8: 24.0, 16: 24.2, 32: 24.1},
}
"""Percent of ImageNet's validation images, by images per GPU: table 2."""
STYLES = {"BatchNorm": (plots.BLUE, "o-"), "GroupNorm": (plots.VERMILLION, "s--")}


def sizes_of(settings: Settings) -> tuple[int, ...]:
    """Batches."""
    return (2, 32) if settings.quick else (2, 4, 8, 16, 32)


def network(norm: str, size: int) -> nn.Sequential:
    """Convolutions that halve the image of size x size until it is 1 x 1, each normalised; then a
    linear head. So the last BatchNorm has no more values in a channel than the batch has images."""
    layers: list[nn.Module] = []
    while size > 1:
        inputs = CHANNELS if layers else 1
        layers.append(nn.Conv2d(inputs, CHANNELS, 3, 2, 1, bias=False))
        batchnorm = norm == "BatchNorm"
        layers.append(nn.BatchNorm2d(CHANNELS) if batchnorm else nn.GroupNorm(4, CHANNELS))
        layers.append(nn.ReLU())
        size = -(-size // 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS * size**2, 10))


def images(settings: Settings) -> Samples:
    """As (N, 1, size, size): at most 1500 to train with, because batches of 2 take long."""
    found, most = samples(settings.data_root, settings.seed), 1000 if settings.quick else 1500
    size = round(found.x.shape[1] ** 0.5)
    x, x_test = (part.reshape(-1, 1, size, size) for part in (found.x, found.x_test))
    return Samples(found.name, x[:most], found.y[:most], x_test[:4000], found.y_test[:4000])


def error(data: Samples, norm: str, size: int, passes: int, seed: int) -> float:
    """The share of test images that are named wrongly after training."""
    mg.manual_seed(seed)
    model = network(norm, data.x.shape[-1])
    rate = RATE * size / LARGE
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    steps = passes * (len(data.y) // size)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=steps)
    for _, (x, y) in zip(range(steps), batches(data, size, seed), strict=False):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with mg.no_grad():
        return (model(data.x_test).argmax(1) != data.y_test).float().mean().item()


def measure(settings: Settings, bar: Advance) -> Results:
    """Both networks with each batch, over some seeds."""
    data, passes, seeds = images(settings), 4 if settings.quick else 6, 1 if settings.quick else 2
    errors: Results = {norm: {} for norm in STYLES}
    for size in sizes_of(settings):
        for norm in STYLES:
            runs = [error(data, norm, size, passes, settings.seed + i) for i in range(seeds)]
            errors[norm][str(size)] = runs
            bar(f"{norm}, batches of {size}")
    return {"data": data.name, "images": len(data.y), "passes": passes, "errors": errors}


def claims(results: Results) -> list[Claim]:
    """The smallest batch against the largest."""
    middle = {
        norm: {int(size): float(np.median(runs)) for size, runs in found.items()}
        for norm, found in results["errors"].items()
    }
    (small, large), batch, group = (2, LARGE), middle["BatchNorm"], middle["GroupNorm"]

    def ends(norm: str, values: dict[int, float]) -> str:
        return f"{norm}: {values[large]:.1%} at {large}, {values[small]:.1%} at {small}"

    says = {
        norm: ends(norm, {n: e / 100 for n, e in PAPER_ERRORS[norm].items()}) for norm in STYLES
    }
    growth, steady = batch[small] / batch[large], group[small] / group[large]
    rows = [
        Claim("figure 1, table 2", f"the error grows as the batch shrinks. {says['BatchNorm']}",
              ends("BatchNorm", batch), "1.3 times or more", growth >= 1.3, growth > steady),
        Claim("figure 1, table 2", f"it does not. {says['GroupNorm']}",
              ends("GroupNorm", group), "1.3 times or less", steady <= 1.3, growth > steady),
        Claim("figure 1", f"with batches of {small}, GroupNorm has the smaller error",
              f"{group[small]:.1%} against {batch[small]:.1%}", "smaller",
              group[small] < batch[small], group[small] < batch[small]),
        Claim("table 2", f"with batches of {large}, BatchNorm's is as small or smaller",
              f"{batch[large]:.1%} against {group[large]:.1%}", "no larger",
              batch[large] <= group[large], batch[large] <= 1.5 * group[large]),
    ]  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """Figure 1: error against batch, here and in the paper."""
    page = figure()
    here, there = page.subplots(1, 2)
    for norm, (colour, line) in STYLES.items():
        found = results["errors"][norm]
        sizes = [int(size) for size in found]
        values = 100 * np.array(list(found.values()))  # (batches, seeds)
        here.plot(sizes, np.median(values, axis=1), line, color=colour, label=norm)
        here.fill_between(sizes, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2,
                          linewidth=0)  # fmt: skip
        printed = PAPER_ERRORS[norm]
        there.plot(list(printed), list(printed.values()), line, color=colour, label=norm)
    here.set_title(f"Here: {results['data']}")
    there.set_title("The paper: ResNet-50 on ImageNet (table 2)")
    for ax in (here, there):
        ax.set_xscale("log", base=2)
        ax.invert_xaxis()
        ax.set(xlabel="batch", ylabel="error, %")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    return page


PAPER = Paper(
    "wu2018",
    "Wu, He 2018: Group Normalization",
    "arXiv:1803.08494",
    parts=lambda settings: len(STYLES) * len(sizes_of(settings)),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

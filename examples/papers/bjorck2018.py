"""Bjorck et al. 2018: what BatchNorm gives is the larger learning rate.

    python examples/papers/bjorck2018.py        # --quick: seconds

Without BatchNorm a step that is too large makes the activations of each layer larger, and the next
layer multiplies what it gets: over the depth they explode, and the loss with them. BatchNorm sets
mean and standard deviation of each layer right again, so that nothing can add up. Larger rates then
train, and they train faster and generalise better (section 2). With the small rate that the plain
network needs, BatchNorm is no better than nothing (figure 1). The paper (arXiv:1806.02375) trains a
ResNet of 110 layers on CIFAR-10: at most a rate of 0.0001 without BatchNorm, 0.1 with it.

Here 20 layers of Linear (- BatchNorm) - ReLU learn digits by SGD with momentum, at rates from 1e-4
to 10; a rate trains where the network names 70 % of the test images. The factor between the largest
rates is smaller than the paper's. At rates far below the plain network's best one, BatchNorm is not
as good as nothing here but worse: it has learnt less after the same number of steps.
"""

import sys

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, batches, figure, main, samples

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

DEPTH, WIDTH, BATCH, ENOUGH = 20, 100, 64, 0.7
STYLES = {"nothing": (plots.VERMILLION, "s--"), "BatchNorm": (plots.BLUE, "o-")}
STEP_SIZES = [10 ** (k / 4) for k in range(-16, 9)]
"""Of single steps along the gradient."""


def rates_of(settings: Settings) -> list[float]:
    """Learning rates."""
    exponents = range(-4, 2) if settings.quick else np.arange(-4, 1.1, 0.5)
    return [float(10.0**k) for k in exponents]


def network(kind: str, inputs: int) -> nn.Sequential:
    """20 x (Linear, BatchNorm, ReLU) with He's weights, and a linear head."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        linear = nn.Linear(WIDTH if i else inputs, WIDTH)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.BatchNorm1d(WIDTH) if kind == "BatchNorm" else nn.Identity()]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


@np.errstate(all="ignore")  # at too large a rate the numbers overflow
def accuracy(settings: Settings, kind: str, rate: float, steps: int) -> float:
    """On the test samples, after training with SGD and momentum; 0.1, which is guessing, if the
    loss explodes."""
    data = samples(settings.data_root, settings.seed)
    mg.manual_seed(settings.seed)
    model = network(kind, data.x.shape[1])
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def step(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    replay = mg.capture(step, data.x[:BATCH], data.y[:BATCH], model=model, optimizer=optimizer)
    for _, (x, y) in zip(range(steps), batches(data, BATCH, settings.seed), strict=False):
        if not replay(x, y).item() <= 1e6:  # NaN, too
            return 0.1
    model.eval()
    with mg.no_grad():
        return (model(data.x_test).argmax(1) == data.y_test).float().mean().item()


def sizes(model: nn.Sequential, x: mg.Tensor) -> list[float]:
    """The mean square of what enters each ReLU."""
    found = []
    for layer in model:
        if isinstance(layer, nn.ReLU):
            found.append(float(np.mean(x.numpy().astype(float) ** 2)))
        x = layer(x)
    return found


@np.errstate(all="ignore")
def along_the_gradient(settings: Settings, kind: str) -> dict[str, list[float]]:
    """For single steps of several sizes against the first gradient: the loss after it over the loss
    before. And the activations after a step of 10 over those before, layer by layer."""
    data = samples(settings.data_root, settings.seed)
    mg.manual_seed(settings.seed)
    model, x, y = network(kind, data.x.shape[1]), data.x[:256], data.y[:256]
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    parameters = list(model.parameters())
    start = [p.detach().clone() for p in parameters]
    relative, growth = [], []
    with mg.no_grad():
        before = sizes(model, x)
        for size in STEP_SIZES:
            for p, old in zip(parameters, start, strict=True):
                p.copy_(old - size * p.grad)
            relative.append(F.cross_entropy(model(x), y).item() / loss.item())
            if size == 10.0:
                growth = [b / a for a, b in zip(before, sizes(model, x), strict=True)]
    return {"relative loss": relative, "growth": growth}


def measure(settings: Settings, bar: Advance) -> Results:
    """Training at each rate, and single steps."""
    steps = 300 if settings.quick else 1500
    results: Results = {
        "data": samples(settings.data_root, settings.seed).name, "steps": steps,
        "rates": rates_of(settings), "step sizes": STEP_SIZES, "accuracy": {}, "single step": {},
    }  # fmt: skip
    for kind in STYLES:
        results["single step"][kind] = along_the_gradient(settings, kind)
        results["accuracy"][kind] = []
        for rate in results["rates"]:
            results["accuracy"][kind].append(accuracy(settings, kind, rate, steps))
            bar(f"{kind}, rate {rate:.2g}")
    return results


def claims(results: Results) -> list[Claim]:
    """Who trains at which rate, and what a single large step does."""
    rates, found = results["rates"], results["accuracy"]
    largest = {
        kind: max((r for r, a in zip(rates, values, strict=True) if a >= ENOUGH), default=0.0)
        for kind, values in found.items()
    }
    best = {kind: int(np.argmax(values)) for kind, values in found.items()}
    plain, normed = (found[kind][best[kind]] for kind in STYLES)
    small = rates[best["nothing"]]
    alike = found["BatchNorm"][best["nothing"]]
    times = largest["BatchNorm"] / largest["nothing"] if largest["nothing"] else 0.0
    losses = {kind: one["relative loss"][-1] for kind, one in results["single step"].items()}
    growth = {kind: one["growth"] for kind, one in results["single step"].items()}
    first, last = growth["nothing"][0], growth["nothing"][-1]
    return [
        Claim("section 2, figure 1", "the largest rate that trains: 0.0001 without, 0.1 with "
              "BatchNorm: 1000 times", f"{largest['nothing']:.2g}, {largest['BatchNorm']:.2g}: "
              f"{times:.0f} times", "10 times or more", times >= 9.9, times > 1),
        Claim("section 2, figure 1", "at a rate that suits the plain network both are alike",
              f"accuracy {plain:.3f} without, {alike:.3f} with, at {small:.2g}", "± 0.02",
              abs(alike - plain) <= 0.02, abs(alike - plain) <= 0.15),
        Claim("section 2, figure 1", "the larger rate makes BatchNorm the better one",
              f"{normed:.3f} at {rates[best['BatchNorm']]:.2g}; without, {plain:.3f} at best",
              "higher, at a larger rate", normed > plain and best["BatchNorm"] > best["nothing"],
              normed > plain),
        Claim("section 3, figure 3", "after one large step along the gradient the loss explodes "
              "without BatchNorm, and does not with it",
              f"a step of {results['step sizes'][-1]:.0f}: {losses['nothing']:.1e} times the loss "
              f"without, {losses['BatchNorm']:.0f} times with",
              "more than 1000 times, less than 100", losses["nothing"] > 1e3
              and losses["BatchNorm"] < 100, losses["nothing"] > losses["BatchNorm"]),
        Claim("section 3, figure 4", "without it, activations grow with the depth in a step that "
              "makes the loss explode",
              f"a step of 10: mean square times {first:.1f} in layer 1, {last:.0f} in layer {DEPTH}"
              f" (BatchNorm: {growth['BatchNorm'][-1]:.2f})", "100 times as much in the last layer",
              last >= 100 * first, last > first and last > growth["BatchNorm"][-1]),
    ]  # fmt: skip


def draw(results: Results) -> Figure:
    """Accuracy against the rate, the loss after one step, and the activations after one."""
    page = figure(width=11)
    rates, loss, layers = page.subplots(1, 3)
    for kind, (colour, line) in STYLES.items():
        style = {"color": colour, "label": kind, "markersize": 4}
        single = results["single step"][kind]
        rates.semilogx(results["rates"], results["accuracy"][kind], line, **style)
        loss.loglog(results["step sizes"], single["relative loss"], line, **style)
        layers.semilogy(range(1, DEPTH + 1), single["growth"], line, **style)
    rates.set(xlabel="learning rate", ylabel="test accuracy", ylim=(0, 1.02),
              title=f"After {results['steps']} steps")  # fmt: skip
    loss.set(xlabel="step size", ylabel="loss after / loss before",
             title="One step along the gradient")  # fmt: skip
    layers.set(xlabel="layer", ylabel="mean square after / before", title="A step of 10")
    layers.xaxis.get_major_locator().set_params(integer=True)
    for ax in (rates, loss, layers):
        ax.spines[["top", "right"]].set_visible(False)
    layers.legend(frameon=False, fontsize=9)
    return page


PAPER = Paper(
    "bjorck2018",
    "Bjorck, Gomes, Selman, Weinberger 2018: Understanding Batch Normalization",
    "arXiv:1806.02375",
    parts=lambda settings: len(STYLES) * len(rates_of(settings)),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

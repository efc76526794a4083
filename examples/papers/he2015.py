"""He et al. 2015: thirty layers of ReLU need weights of twice Xavier's variance.

    python examples/papers/he2015.py            # --quick: seconds

ReLU sets half of its inputs to 0. So E[y^2] = Var[z] / 2, and a layer of n inputs with weights of
variance v multiplies the variance of z by n v / 2 (section 2.2, equation 9). The same factor
belongs to the gradient on its way back (equation 13). Xavier's v = 1/n makes it 1/2: after 30
layers 2^-30 is left. He's v = 2/n makes it 1 (equations 10 and 14).

The paper trains 22 and 30 convolutional layers on ImageNet (figures 2 and 3). Here the layers are
Linear, all of one width, and the images are digits: the factor does not depend on either. That
Xavier's start "completely stalls" does depend on them: on MNIST it stays at guessing for most of
the run, and begins to learn at its end.
"""

import math
import sys

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, batches, figure, main, samples

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

DEPTH, WIDTH, BATCH, RATE = 30, 192, 64, 0.003
STARTS = {"Xavier": 1.0, "He": 2.0}
"""n times the variance of the weights."""
STYLES = {"Xavier": (plots.VERMILLION, "--"), "He": (plots.BLUE, "-")}


def network(inputs: int, start: str) -> nn.Sequential:
    """30 x (Linear, ReLU) and a linear head; weights from N(0, v), biases 0."""
    layers: list[nn.Module] = []
    for i in range(DEPTH + 1):
        n = WIDTH if i else inputs
        linear = nn.Linear(n, WIDTH if i < DEPTH else 10)
        nn.init.normal_(linear.weight, std=math.sqrt(STARTS[start] / n))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def spread(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> dict[str, list[float]]:
    """The mean square of z and of dL/dz in each hidden layer. From layer 2 on, all have one width,
    so the factor per layer is the ratio of neighbours."""
    zs = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            x.retain_grad()
            zs.append(x)
    F.cross_entropy(x, y).backward()
    hidden = zs[:-1]
    return {
        "forward": [float((z.detach() ** 2).mean().item()) for z in hidden],
        "backward": [float(np.mean(z.grad.numpy().astype(float) ** 2)) for z in hidden],
    }


def train(model: nn.Sequential, settings: Settings, steps: int) -> dict[str, list[float]]:
    """SGD with momentum; the training loss, a mean over each twentieth of the run."""
    data = samples(settings.data_root, settings.seed)
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    curve: dict[str, list[float]] = {"step": [], "loss": []}
    recent: list[float] = []
    for step, (x, y) in enumerate(batches(data, BATCH, settings.seed), start=1):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.item())
        if step % (steps // 20) == 0:
            curve["step"].append(step)
            curve["loss"].append(float(np.mean(recent)))
            recent.clear()
        if step == steps:
            return curve
    raise AssertionError("the batches have no end")


def steps_of(settings: Settings) -> int:
    """Training steps."""
    return 200 if settings.quick else 1500


def measure(settings: Settings, bar: Advance) -> Results:
    """Both starts: one backward pass, then training."""
    data = samples(settings.data_root, settings.seed)
    results: Results = {"data": data.name, "depth": DEPTH, "starts": {}}
    for start in STARTS:
        mg.manual_seed(settings.seed)
        model = network(data.x.shape[1], start)
        found = spread(model, data.x[:512], data.y[:512])
        bar(start)
        results["starts"][start] = {**found, "training": train(model, settings, steps_of(settings))}
        bar(start)
    return results


def factor(values: list[float]) -> float:
    """The geometric mean of the factor from one layer to the next, from layer 2 on."""
    return float((values[-1] / values[1]) ** (1 / (len(values) - 2)))


def claims(results: Results) -> list[Claim]:
    """Factors per layer, and which of the two learns."""
    rows = []
    for start, expected in (("Xavier", 0.5), ("He", 1.0)):
        found = results["starts"][start]
        forward = factor(found["forward"])
        backward = 1 / factor(found["backward"])
        for where, way, value in (
            ("section 2.2, equation 9", "forward", forward),
            ("section 2.2, equation 13", "backward", backward),
        ):
            rows.append(
                Claim(
                    where, f"{start}, {way}: a factor of {expected:g} per layer in variance",
                    f"{value:.3f}", "± 10 %", abs(value / expected - 1) <= 0.1,
                    abs(value / expected - 1) <= 0.25,
                )
            )  # fmt: skip
    ends = {start: found["training"]["loss"][-1] for start, found in results["starts"].items()}
    guess = math.log(10)
    stalls, learns = abs(ends["Xavier"] - guess) < 0.05, ends["He"] < guess / 4
    curve = results["starts"]["Xavier"]["training"]
    still = max(
        s for s, loss in zip(curve["step"], curve["loss"], strict=True) if loss > guess - 0.05
    )
    rows += [
        Claim(
            "figure 3", "30 layers: Xavier completely stalls",
            f"at guessing ({guess:.3f}) until step {still} of {curve['step'][-1]}; "
            f"loss {ends['Xavier']:.3f} at the end",
            "± 0.05 of guessing", stalls, ends["Xavier"] > ends["He"] + 0.2,
        ),
        Claim(
            "figure 3", "30 layers: He's start converges", f"loss {ends['He']:.3f} at the end",
            "below a quarter of guessing", learns, ends["He"] < ends["Xavier"] - 0.2,
        ),
    ]  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """Training, as in figure 3, and what is left of the signal and of the gradient."""
    page = figure()
    training, signal = page.subplots(1, 2)
    for start, found in results["starts"].items():
        colour, line = STYLES[start]
        curve = found["training"]
        training.plot(curve["step"], curve["loss"], line, color=colour, label=start)
        layers = range(1, len(found["forward"]) + 1)
        signal.semilogy(layers, found["forward"], line, color=colour, label=f"z, {start}")
        signal.semilogy(layers, found["backward"], line, color=colour, marker=".",
                        label=f"dL/dz, {start}")  # fmt: skip
    training.axhline(math.log(10), color=plots.GREY, linewidth=0.8)
    training.set(xlabel="step", ylabel="training loss", title=f"{results['depth']} layers of ReLU")
    signal.set(xlabel="layer", ylabel="mean square", title="Before training")
    for ax in (training, signal):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    return page


PAPER = Paper(
    "he2015",
    "He, Zhang, Ren, Sun 2015: Delving Deep into Rectifiers",
    "arXiv:1502.01852",
    parts=lambda settings: 2 * len(STARTS),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""Santurkar et al. 2018: BatchNorm helps without steadying distributions; it smooths the loss.

    python examples/papers/santurkar2018.py     # --quick: seconds

The name for what BatchNorm was said to prevent is internal covariate shift: while the layers below
learn, the distribution that a layer sees keeps moving. Section 2.2 tests that. After each BatchNorm
comes noise, whose mean and scale are drawn anew in every step, so the distributions move more than
without BatchNorm. In the paper the network trains as well as with BatchNorm alone (figure 2). Here
the noise costs a few percent of accuracy.

Section 3 offers another reason. From the present weights, walk along the gradient g, to steps of
half to four times the rate: with BatchNorm the loss and the gradient vary less on the way (figure
4). The third measure there is the effective smoothness, the largest |g(w - t g) - g(w)| / (t |g|).

The paper trains VGG on CIFAR-10. Here eight layers of ReLU learn digits, with one rate for all.
"""

import sys

import numpy as np
from study import Advance, Claim, Figure, Paper, Results, Settings, batches, figure, main, samples

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import plots

DEPTH, WIDTH, BATCH, RATE = 8, 100, 128, 0.1
SHIFT, SCALE = 0.5, 1.25
"""The mean of the noise lies in [-SHIFT, SHIFT], its factor in [1, SCALE]: the paper's values."""
LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Steps along the gradient, times the rate."""
STYLES = {
    "nothing": (plots.VERMILLION, "--"),
    "BatchNorm": (plots.BLUE, "-"),
    "BatchNorm + noise": (plots.GREEN, "-."),
}


class Noise(nn.Module):
    """In training, s x + m with a scale and a mean for each unit, drawn anew in each step."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        if not self.training:
            return x
        units = x.shape[1]
        return x * (1 + (SCALE - 1) * mg.rand(units)) + SHIFT * (2 * mg.rand(units) - 1)


def network(inputs: int, kind: str) -> nn.Sequential:
    """DEPTH x (Linear, BatchNorm if wanted, noise if wanted, ReLU) and a linear head."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        linear = nn.Linear(WIDTH if i else inputs, WIDTH)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers.append(linear)
        layers += [nn.BatchNorm1d(WIDTH)] if kind != "nothing" else []
        layers += [Noise()] if kind.endswith("noise") else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def gradient(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> tuple[float, np.ndarray]:
    """The loss, and its gradient with respect to all weights, as one vector."""
    loss = F.cross_entropy(model(x), y)
    grads = mg.grad(loss, list(model.parameters()))
    return loss.item(), np.concatenate([g.numpy().ravel() for g in grads])


def walk(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> dict[str, float]:
    """What changes along the gradient; the model is afterwards as it was."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    start = nn.utils.parameters_to_vector(model.parameters()).detach()
    _, g = gradient(model, x, y)
    losses, changes = [], []
    for length in LENGTHS:
        moved = start - mg.tensor(g * (length * RATE))
        nn.utils.vector_to_parameters(moved, model.parameters())
        loss, there = gradient(model, x, y)
        losses.append(loss)
        changes.append(float(np.linalg.norm(there - g)))
    model.load_state_dict(state)
    reach = RATE * np.array(LENGTHS) * np.linalg.norm(g)
    return {
        "loss": max(losses) - min(losses),
        "gradient": max(changes),
        "smoothness": float((np.array(changes) / reach).max()),
    }


def train(settings: Settings, kind: str, steps: int, bar: Advance) -> Results:
    """SGD; at each twentieth of the run the test accuracy, and a walk along the gradient."""
    data = samples(settings.data_root, settings.seed)
    mg.manual_seed(settings.seed)
    model = network(data.x.shape[1], kind)
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    found: Results = {"step": [], "accuracy": [], "walks": []}
    for step, (x, y) in enumerate(batches(data, BATCH, settings.seed), start=1):
        if step % (steps // 20) == 0:
            found["walks"].append(walk(model, x, y))
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % (steps // 20) == 0:
            model.eval()
            with mg.no_grad():
                right = (model(data.x_test).argmax(1) == data.y_test).float().mean().item()
            model.train()
            found["step"].append(step)
            found["accuracy"].append(right)
            bar(kind)
        if step == steps:
            return found
    raise AssertionError("the batches have no end")


def measure(settings: Settings, bar: Advance) -> Results:
    """The three networks."""
    steps = 100 if settings.quick else 1500
    runs = {kind: train(settings, kind, steps, bar) for kind in STYLES}
    return {"data": samples(settings.data_root, settings.seed).name, "runs": runs}


def typical(run: Results, what: str) -> float:
    """The median over the walks of the first half of the run, in which most is learned."""
    return float(np.median([walk[what] for walk in run["walks"][: len(run["walks"]) // 2]]))


def claims(results: Results) -> list[Claim]:
    """Noise does no harm; the way along the gradient is smoother."""
    plain, normed, noisy = (results["runs"][kind] for kind in STYLES)
    ends = [float(np.mean(run["accuracy"][-3:])) for run in (plain, normed, noisy)]
    means = [float(np.mean(run["accuracy"])) for run in (plain, normed, noisy)]
    rows = [
        Claim("section 2.2, figure 2", "with noise after BatchNorm it trains as well as without",
              f"accuracy at the end {ends[2]:.3f} with noise, {ends[1]:.3f} without", "± 0.02",
              abs(ends[2] - ends[1]) <= 0.02, ends[2] > ends[1] - 0.05),
        Claim("section 2.2, figure 2", "and better than with nothing",
              f"mean over the run {means[2]:.3f}; nothing: {means[0]:.3f}", "higher",
              means[2] > means[0], means[2] > means[0]),
    ]  # fmt: skip
    for what, says, panel in (
        ("loss", "the loss varies less along the gradient", "a"),
        ("gradient", "the gradient changes less", "b"),
        ("smoothness", "the effective smoothness is smaller (better)", "c"),
    ):
        without, with_it = typical(plain, what), typical(normed, what)
        rows.append(
            Claim(f"section 3, figure 4{panel}", says,
                  f"{with_it:.3g} with, {without:.3g} without (medians of the first half)",
                  "smaller", with_it < without, with_it < without)
        )  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """Figure 2, and the three panels of figure 4."""
    page = figure(11, 3.2)
    left, *panels = page.subplots(1, 4)
    for kind, run in results["runs"].items():
        colour, line = STYLES[kind]
        left.plot(run["step"], run["accuracy"], line, color=colour, label=kind)
        for ax, what in zip(panels, ("loss", "gradient", "smoothness"), strict=True):
            if kind != "BatchNorm + noise":
                ax.semilogy(run["step"], [w[what] for w in run["walks"]], line, color=colour)
            ax.set(xlabel="step", title=f"{what} along the gradient" if what != "smoothness"
                   else "effective smoothness")  # fmt: skip
    left.set(xlabel="step", title="test accuracy", ylim=(0, 1))
    left.legend(frameon=False, fontsize=8)
    for ax in (left, *panels):
        ax.spines[["top", "right"]].set_visible(False)
        ax.title.set_fontsize(9)
    return page


PAPER = Paper(
    "santurkar2018",
    "Santurkar, Tsipras, Ilyas, Madry 2018: How Does Batch Normalization Help Optimization?",
    "arXiv:1805.11604",
    parts=lambda settings: 20 * len(STYLES),
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

"""Glorot and Bengio 2010: sigmoids that saturate in the top layer, gradients that shrink.

    python examples/papers/glorot2010.py        # --quick: seconds

Two findings. With sigmoids (section 3.1, figure 2) the last of four hidden layers goes to 0 as soon
as training starts: at first what it says about an image is noise, and the quickest way to make it
harmless is to push it to 0, where the slope of the sigmoid is nearly 0 too. Learning stops. Much
later the layer comes back, and the network learns. With five hidden layers it does not come back.

With tanh (section 4.2) the size of the weights decides. Where tanh is nearly linear, a layer of n
inputs and n outputs multiplies the variance of the gradient by n Var W. The usual start, U(-a, a)
with a = 1 / sqrt(n), has n Var W = 1/3 (equation 15), so the gradient shrinks by about 1 / sqrt(3)
per layer. The normalised start, a = sqrt(6) / sqrt(n_in + n_out) (equation 16), has n Var W = 1 and
keeps it (figure 7). The mean singular value of a layer's Jacobian is "around 0.8" with it, and
"drops down to 0.5" with the usual start (section 4.2.2).
"""

import math
import sys
from itertools import pairwise

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

WIDTH, BATCH, RATE = 100, 10, 0.5
WIDE, LAYERS = 400, 5
STARTS = {
    "standard": lambda n, m: 1 / math.sqrt(n),
    "normalised": lambda n, m: math.sqrt(6 / (n + m)),
}
"""The bound a of U(-a, a), by the numbers of inputs and outputs."""
STYLES = {"standard": (plots.VERMILLION, "s--"), "normalised": (plots.BLUE, "o-")}
COLOURS = (plots.SKY, plots.GREEN, plots.PURPLE, plots.VERMILLION, plots.BLACK)


def network(sizes: list[int], kind: type[nn.Module], start: str) -> nn.Sequential:
    """Linear layers with ``kind`` between them; biases 0."""
    layers: list[nn.Module] = []
    for n, m in pairwise(sizes):
        linear = nn.Linear(n, m)
        bound = STARTS[start](n, m)
        nn.init.uniform_(linear.weight, -bound, bound)
        nn.init.zeros_(linear.bias)
        layers += [linear, kind()]
    return nn.Sequential(*layers[:-1])


def saturation(settings: Settings, depth: int, steps: int, bar: Advance) -> Results:
    """The mean and the spread of each hidden layer's sigmoids, over 300 test samples, while the
    network trains."""
    data = samples(settings.data_root, settings.seed)
    mg.manual_seed(settings.seed)
    model = network([data.x.shape[1], *[WIDTH] * depth, 10], nn.Sigmoid, "standard")
    optimizer = optim.SGD(model.parameters(), lr=RATE)

    def compute(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        return loss

    x, y = data.x[:BATCH], data.y[:BATCH]
    update = mg.capture(compute, x, y, model=model, optimizer=optimizer)
    found: Results = {"step": [], "mean": [], "std": [], "accuracy": []}
    for step, (x, y) in enumerate(batches(data, BATCH, settings.seed)):
        if step % (steps // 30) == 0:
            with mg.no_grad():
                h, hidden = data.x_test[:300], []
                for layer in model:
                    h = layer(h)
                    hidden += [h.numpy()] if isinstance(layer, nn.Sigmoid) else []
            found["step"].append(step)
            found["mean"].append([float(a.mean()) for a in hidden])
            found["std"].append([float(a.std()) for a in hidden])
            right = (h.argmax(1) == data.y_test[:300]).float().mean().item()
            found["accuracy"].append(right)
            bar(f"{depth} sigmoid layers")
        if step == steps:
            break
        update(x, y)
    return found


def gradients(settings: Settings, start: str) -> Results:
    """Of a random tanh network: the standard deviation of dL/dz in each layer, and the mean
    singular value of each square layer's Jacobian, diag(1 - tanh(z)^2) W, for one image."""
    data = samples(settings.data_root, settings.seed)
    model = network([data.x.shape[1], *[WIDE] * LAYERS, 10], nn.Tanh, start)
    x, y, zs, values = data.x[:300], data.y[:300], [], []
    for layer in model[:-1]:
        if isinstance(layer, nn.Linear):
            x = layer(x)
            x.retain_grad()
            zs.append(x)
            slope = 1 - np.tanh(x.detach().numpy()[0]) ** 2
            jacobian = slope[:, None] * layer.weight.detach().numpy()
            values.append(float(np.linalg.svd(jacobian, compute_uv=False).mean()))
        else:
            x = layer(x)
    F.cross_entropy(model[-1](x), y).backward()
    stds = [float(z.grad.numpy().astype(float).std()) for z in zs]
    return {"std": stds, "singular": values[1:]}


def measure(settings: Settings, bar: Advance) -> Results:
    """Four and five layers of sigmoids in training; tanh before training."""
    steps = 1500 if settings.quick else 24000
    trained = {str(depth): saturation(settings, depth, steps, bar) for depth in (4, 5)}
    name = samples(settings.data_root, settings.seed).name
    return {"data": name, "steps": steps, "sigmoid": trained,
            "tanh": {start: gradients(settings, start) for start in STARTS}}  # fmt: skip


def claims(results: Results) -> list[Claim]:
    """The top layer over time, the factor per layer, the singular values."""
    four, five = results["sigmoid"]["4"], results["sigmoid"]["5"]
    top = [means[-1] for means in four["mean"]]
    low = min(top)
    at = four["step"][top.index(low)]
    away, last = top[-1] > 0.1 and low < 0.05, results["steps"]
    stuck = five["mean"][-1][-1]
    rows = [
        Claim("section 3.1, figure 2", "4 layers: the top one quickly saturates at 0",
              f"its mean falls from {top[0]:.2f} to {low:.3f} by step {at}", "below 0.05",
              low < 0.05, low < 0.5 * top[0]),
        Claim("section 3.1, figure 2", "and slowly comes back, long after",
              f"{top[-1]:.2f} at step {last}; accuracy {four['accuracy'][-1]:.2f}", "above 0.1",
              away, away),
        Claim("section 3.1", "5 layers: it never does",
              f"{stuck:.3f} at step {last}; accuracy {five['accuracy'][-1]:.2f}", "below 0.05",
              stuck < 0.05, stuck < 0.5 * five["mean"][0][-1]),
    ]  # fmt: skip
    rows = rows if last >= 5000 else [rows[0], rows[2]]  # a quick run has no time to come back
    for start, factor, value in (("standard", 1 / math.sqrt(3), 0.5), ("normalised", 1.0, 0.8)):
        found = results["tanh"][start]
        std = found["std"]
        measured = (std[0] / std[-1]) ** (1 / (LAYERS - 1))
        off = abs(measured / factor - 1)
        rows.append(
            Claim("equations 15, 16, figure 7",
                  f"{start}: the gradient changes by about {factor:.3f} per layer",
                  f"{measured:.3f}", "± 20 %", off <= 0.2, off <= 0.3)
        )  # fmt: skip
        singular = float(np.mean(found["singular"]))
        off = abs(singular - value)
        rows.append(
            Claim("section 4.2.2", f"{start}: a mean singular value of around {value}",
                  f"{singular:.2f}", "± 0.1", off <= 0.1, off <= 0.2)
        )  # fmt: skip
    return rows


def draw(results: Results) -> Figure:
    """Figure 2 with four and with five layers, and the gradients of figure 7."""
    page = figure(11, 3.6)
    *panels, right = page.subplots(1, 3)
    for ax, (depth, found) in zip(panels, results["sigmoid"].items(), strict=True):
        for layer, colour in zip(range(int(depth)), COLOURS, strict=False):
            mean, std = (np.array(found[key])[:, layer] for key in ("mean", "std"))
            ax.plot(found["step"], mean, color=colour, label=f"layer {layer + 1}")
            ax.fill_between(found["step"], mean - std, mean + std, color=colour, alpha=0.15,
                            linewidth=0)  # fmt: skip
        ax.set(xlabel="step", ylabel="sigmoids: mean ± std", title=f"{depth} layers", ylim=(0, 1))
    for start, found in results["tanh"].items():
        colour, line = STYLES[start]
        layers = range(1, LAYERS + 1)
        right.semilogy(layers, found["std"], line, color=colour, label=start)
    right.set(xlabel="layer", ylabel="std of dL/dz", title="tanh, before training")
    for ax in (*panels, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    return page


PAPER = Paper(
    "glorot2010",
    "Glorot, Bengio 2010: Understanding the Difficulty of Training Deep Feedforward Networks",
    "AISTATS 2010",
    parts=lambda settings: 2 * 31,
)

if __name__ == "__main__":
    sys.exit(main(PAPER, measure, claims, draw))

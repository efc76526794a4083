"""The pictures of ``docs/diagnosis.md``: what each disease looks like in a network of the ward.

python -m tests.diagnostics.ward.pictures
"""

from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import diagnostics, nn
from minigrad.diagnostics import observe
from minigrad.diagnostics.plots import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, _figure, _tidy
from tests.diagnostics.ward import healthy, parts, sick
from tests.diagnostics.ward.parts import Case

IMAGES = Path(__file__).parents[3] / "docs" / "images"


def made(build: Any) -> Case:
    """The network with seed 1, as in the tests."""
    mg.manual_seed(1)
    return build()


def panels(titles: list[str]) -> tuple[Any, Any]:
    """A figure with one panel per title."""
    figure = _figure(3.7 * len(titles), 3.4)
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=10)
        _tidy(ax)
    return figure, axes


def gradients(case: Case) -> list[float]:
    """|dL/dz| of each Linear layer, as parts of the last one's."""
    with observe(case.model) as seen:
        case.loss(case.model(case.x), case.labels).backward()
    sizes = [row.grad_output or 0.0 for row in seen.of("Linear")]
    return [size / sizes[-1] for size in sizes]


def activations(case: Case, after: int) -> np.ndarray[Any, Any]:
    """What comes out of the first ``after`` modules, (samples, units)."""
    with mg.no_grad():
        return case.model[:after](case.x).data.copy()


def losses(case: Case, steps: int, forget: bool = False) -> list[float]:
    """The loss over some steps; with ``forget`` without zero_grad."""
    curve = []
    for _ in range(steps):
        if not forget:
            case.model.zero_grad()
        loss = case.loss(case.model(case.x), case.labels)
        loss.backward()
        case.optimizer.step()
        curve.append(loss.item())
    return curve


def signal() -> Any:
    figure, (lines, values) = panels(["gradient per layer", "singular values of the activations"])
    networks = {
        "healthy (BatchNorm)": (healthy.HEALTHY["20 sigmoid, BatchNorm"], GREEN, "-"),
        "vanishing": (sick.twenty_sigmoid_layers, VERMILLION, "--"),
        "by saturation": (sick.six_sigmoid_layers_with_biases_of_ten, PURPLE, "-."),
        "exploding": (sick.sigmoid_with_huge_weights, BLUE, ":"),
        "bottleneck": (sick.one_layer_with_tiny_weights, ORANGE, "-"),
    }
    for name, (build, color, style) in networks.items():
        sizes = np.maximum(gradients(made(build)), 1e-20)
        depth = np.linspace(0, 1, len(sizes))
        lines.semilogy(depth, sizes, color=color, linestyle=style, marker=".", label=name)
    lines.set_xlabel("first layer ... last layer")
    lines.set_ylabel("|dL/dz| / that of the last layer")
    lines.legend(fontsize=7, frameon=False)
    five = {"healthy": ("5 ReLU, BatchNorm", GREEN, "o-"), "collapse": (None, VERMILLION, "s--")}
    for name, (key, color, style) in five.items():
        case = made(healthy.HEALTHY[key] if key else sick.positive_weights_relu_and_batchnorm)
        array = activations(case, 15)
        sizes = np.linalg.svd(array - array.mean(0), compute_uv=False)[:20]
        values.semilogy(range(1, 21), sizes / sizes[0], style, color=color, label=name, ms=4)
    values.set_xlabel("number")
    values.legend(fontsize=8, frameon=False)
    return figure


def units() -> Any:
    titles = ["healthy", "identical-units", "dead-units"]
    figure, axes = panels(titles)
    builds = [
        healthy.HEALTHY["3 ReLU, He"],
        sick.constant_hidden_layers_with_batchnorm,
        sick.nearly_all_units_of_two_layers,
    ]
    afters = [4, 3, 4]
    for ax, build, after in zip(axes, builds, afters, strict=True):
        image = activations(made(build), after)[:48, -32:]
        ax.imshow(image, cmap="cividis", aspect="auto", vmin=0, vmax=max(image.max(), 1e-3))
        ax.grid(False)
        ax.set_xlabel("unit")
    axes[0].set_ylabel("sample")
    return figure


def fit() -> Any:
    figure, (data, softmax, rows) = panels(["unscaled-inputs", "loss-mismatch", "no-gradient"])
    edges = np.linspace(-4, 10, 60)
    good = made(healthy.HEALTHY["3 tanh"]).x.data.ravel()
    raw, _ = parts.digits()
    data.hist(good, edges, color=GREEN, alpha=0.6, density=True, label="standardised")
    data.hist(raw.data.ravel() * 16, edges, color=VERMILLION, alpha=0.6, density=True,
              label="pixels from 0 to 16")  # fmt: skip
    data.set_xlabel("input")
    data.legend(fontsize=8, frameon=False)
    plain = made(lambda: sick.D(parts.mlp(64, 10, 2, 32), parts.adam))
    double = made(
        lambda: sick.D(nn.Sequential(*parts.mlp(64, 10, 2, 32), nn.Softmax(1)), parts.adam)
    )
    softmax.plot(losses(plain, 500), color=GREEN, label="logits")
    softmax.plot(losses(double, 500), color=VERMILLION, linestyle="--", label="softmax before")
    softmax.axhline(1.4612, color="0.5", linewidth=0.8, linestyle=":")
    softmax.set_xlabel("step (Adam)")
    softmax.set_ylabel("loss")
    softmax.legend(fontsize=8, frameon=False)
    case = made(sick.detached_in_the_middle)
    case.loss(case.model(case.x), case.labels).backward()
    named = [(n, p.grad) for n, p in case.model.named_parameters() if p.ndim == 2]
    sizes = [0.0 if g is None else float(np.linalg.norm(g.data)) for _, g in named]
    rows.bar([n for n, _ in named], sizes, color=BLUE)
    rows.set_ylabel("|gradient|")
    rows.tick_params(axis="x", labelrotation=30, labelsize=8)
    return figure


def steps() -> Any:
    figure, (rates, sums) = panels(["learning rates (SGD)", "accumulating-gradients"])
    for lr, color, style, name in (
        (1e-4, SKY, "-.", "0.0001: too low"),
        (0.1, GREEN, "-", "0.1"),
        (30.0, VERMILLION, "--", "30: too high"),
    ):
        case = made(lambda lr=lr: sick.D(parts.mlp(64, 10, 2, 32), lambda m: parts.sgd(m, lr)))
        rates.semilogy(losses(case, 60), color=color, linestyle=style, label=name)
    for forget, color, style, name in (
        (False, GREEN, "-", "zero_grad()"),
        (True, VERMILLION, "--", "without"),
    ):
        case = made(lambda: sick.D(parts.mlp(64, 10, 2, 32)))
        sums.semilogy(losses(case, 120, forget), color=color, linestyle=style, label=name)
    for ax in (rates, sums):
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
        ax.legend(fontsize=8, frameon=False)
    return figure


def batchnorm() -> Any:
    figure, (stale, two, gap) = panels(["stale-statistics", "batch-too-small", "train-eval-gap"])
    for build, color, marker, name in (
        (healthy.HEALTHY["6 sigmoid, BN, old"], GREEN, "o", "momentum 0.1"),
        (sick.a_momentum_of_a_ten_thousandth, VERMILLION, "s", "momentum 0.0001"),
    ):
        case = made(build)
        with mg.no_grad():
            means = case.model[0](case.x).data.mean(0)
        running = case.model[1].running_mean.data
        stale.plot(means, running, marker, color=color, markersize=4, label=name)
    stale.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    stale.set_xlabel("mean of the batch")
    stale.set_ylabel("running mean")
    stale.legend(fontsize=8, frameon=False)
    layer, edges = nn.BatchNorm1d(500), np.linspace(-3, 3, 49)
    mg.manual_seed(1)
    for n, color in ((64, GREEN), (2, VERMILLION)):
        with mg.no_grad():
            hats = layer(mg.randn(n, 500)).data.ravel()
        two.hist(hats, edges, color=color, alpha=0.6, density=True, label=f"of {n} values")
    two.set_xlabel("normalised value")
    two.set_yscale("log")
    two.legend(fontsize=8, frameon=False)
    case = made(sick.dropout_without_training_flag)
    case.model.eval()
    with mg.no_grad():
        once, again = case.model(case.x).data, case.model(case.x).data
    gap.plot(once.ravel()[:400], again.ravel()[:400], ".", color=VERMILLION, markersize=4)
    gap.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    gap.set_xlabel("output in evaluation")
    gap.set_ylabel("the same once more")
    return figure


def numbers() -> Any:
    figure, (lost, nan) = panels(["underflow", "non-finite"])
    case = made(sick.float16_with_a_small_loss)
    case.model.float()
    case.loss(case.model(case.x.float()), case.labels).backward()
    sizes = np.abs(np.concatenate([p.grad.data.ravel() for p in case.model.parameters()]))
    lost.hist(np.log10(sizes[sizes > 0]), 50, color=BLUE)
    lost.axvspan(-12, np.log10(2.0**-25), color=VERMILLION, alpha=0.25, linewidth=0)
    lost.set_xlim(-12, -4)
    lost.set_xlabel("log10 |gradient| in float32; red: 0 in float16")
    case = made(sick.the_logarithm_of_relu)
    sizes, x = [], case.x
    with mg.no_grad(), np.errstate(all="ignore"):
        for module in case.model:
            x = module(x)
            sizes.append(float(np.isfinite(x.data).mean()))
    nan.bar(range(len(sizes)), sizes, color=[BLUE if s == 1 else VERMILLION for s in sizes])
    nan.set_xlabel("module (2 is a logarithm behind a ReLU)")
    nan.set_ylabel("share of finite outputs")
    return figure


def track() -> Any:
    figure = _figure(9.6, 3.2)
    for ax, norm in zip(figure.subplots(1, 2, sharey=True), (None, nn.BatchNorm1d), strict=True):
        case = made(lambda n=norm: sick.D(parts.mlp(64, 10, 20, 32, nn.Sigmoid, parts.xavier, n)))
        with diagnostics.track(case.model, case.optimizer, every=5) as history:
            losses(case, 300)
        image = ax.imshow(
            np.log10(history.table("gradient")), aspect="auto", cmap="cividis", vmin=-13, vmax=0,
            extent=(0, 300, 21.5, 0.5),
        )  # fmt: skip
        ax.set_title("with BatchNorm" if norm else "without", fontsize=10)
        ax.set_xlabel("step")
    figure.axes[0].set_ylabel("layer")
    figure.colorbar(image, ax=figure.axes, label="log10 |dL/dW|")
    return figure


def main() -> None:
    """Draw them all."""
    for draw in (signal, units, fit, steps, batchnorm, numbers, track):
        draw().savefig(IMAGES / f"diagnosis-{draw.__name__}.png", dpi=90)


if __name__ == "__main__":
    main()

"""Which cures help 20 sigmoid layers to learn, and which do not.

    python examples/cures.py            # or: make cures; --quick: seconds

The network, the data, the steps and the learning rate are those of `vanishing_gradient.py`, start
b: Xavier's weights, no biases. Each cure changes one thing. Three numbers are taken before the
first step: the factor by which |dL/dz| changes from one layer to the one below it; how far the
samples are apart when they arrive at the head; and the rank of what arrives there. Then each
network is trained.

A network learns if two things reach their ends: the gradient layer 1, and the differences between
the samples the head. Some popular cures make the steps larger: another optimiser, a larger rate.
This helps the gradient only. If all samples look alike to the head (rank 1), no size of a step
tells them apart.

It prints a table and what follows from it, and writes `cures.png` and `cures.json`.
"""

import copy
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from experiment import files, report
    from experiment.settings import Data, Settings, check_batch_size, load, parse
    from matplotlib.figure import Figure
    from rich.table import Table
    from vanishing_gradient import gradients, train, xavier

    import minigrad as mg
    from minigrad import nn, optim
    from minigrad.diagnostics import factor_per_layer, plots
    from minigrad.diagnostics.stats import jsonable
    from minigrad.terminal import replace_missing_letters
except ModuleNotFoundError as error:  # rich, matplotlib
    sys.exit(f"This example needs {error.name}: pip install -e '.[examples]'")

QUICK = {"seeds": 1, "steps": 200}
TARGET = 0.9
"""The test accuracy whose first step is looked for."""
CURED, IN_PART = 0.8, 0.2
"""A network that ends above this test accuracy counts as cured; above the other one, as cured in
part. Guessing gives 0.1."""
CRITICAL = 10.15
"""The gain at which a gradient keeps its size in wide layers of sigmoids: docs/derivations/
vanishing-gradients.md, vg-5."""


# -------------------------------------------------------------------------------------- the cures


def critical(linear: nn.Linear) -> None:
    """Normal weights of the critical gain, no biases."""
    nn.init.normal_(linear.weight, std=CRITICAL / math.sqrt(linear.in_features))
    nn.init.zeros_(linear.bias)


def orthogonal(linear: nn.Linear, gain: float = 1.0) -> None:
    """Weights that turn a vector and do not stretch it (but by ``gain``), no biases."""
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)


def he(linear: nn.Linear) -> None:
    """Weights for ReLU (He et al. 2015), no biases."""
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)


def group_norm(width: int) -> nn.GroupNorm:
    """Eight groups, or as many as go into ``width``."""
    return nn.GroupNorm(math.gcd(8, width), width)


class Residual(nn.Module):
    """x + layers(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.branch(x)


def _sgd(params: Any, lr: float) -> optim.Optimizer:
    return optim.SGD(params, lr=lr)


@dataclasses.dataclass(frozen=True)
class Cure:
    """What is done to the 20 layers; without arguments: nothing."""

    start: Callable[[nn.Linear], None] = xavier
    norm: Callable[[int], nn.Module] | None = None
    activation: Callable[[], nn.Module] = nn.Sigmoid
    residual: bool = False
    pretraining: float = 0.0
    """The rate at which each layer is trained alone, first, in learning rates of the run."""
    optimizer: Callable[[Any, float], optim.Optimizer] = _sgd
    larger_steps: bool = False
    """Whether it changes nothing but the size of the steps."""


CURES = {
    "nothing": Cure(),
    "BatchNorm": Cure(norm=nn.BatchNorm1d),
    "LayerNorm": Cure(norm=nn.LayerNorm),
    "GroupNorm": Cure(norm=group_norm),
    f"gain {CRITICAL}": Cure(critical),
    "orthogonal": Cure(orthogonal),
    f"orthogonal, gain {CRITICAL}": Cure(lambda linear: orthogonal(linear, CRITICAL)),
    "tanh": Cure(activation=nn.Tanh),
    "ReLU + He": Cure(he, activation=nn.ReLU),
    "residual": Cure(residual=True),
    "pretraining": Cure(pretraining=1.0),
    "pretraining, lr x 10": Cure(pretraining=10.0),
    "Adam": Cure(optimizer=lambda params, lr: optim.Adam(params, lr=lr / 100), larger_steps=True),
    "Adam, eps 1e-20": Cure(
        optimizer=lambda params, lr: optim.Adam(params, lr=lr / 100, eps=1e-20), larger_steps=True
    ),
    "lr x 1000": Cure(optimizer=lambda params, lr: _sgd(params, 1000 * lr), larger_steps=True),
}


def build(settings: Settings, cure: Cure, data: Data) -> nn.Sequential:
    """depth x (Linear, the norm if any, activation) and a linear head."""
    layers: list[nn.Module] = []
    for i in range(settings.depth):
        linear = nn.Linear(settings.width if i else data.inputs, settings.width)
        cure.start(linear)
        norm = [cure.norm(settings.width)] if cure.norm else []
        block = [linear, *norm, cure.activation()]
        layers += [Residual(*block)] if cure.residual and i else block
    head = nn.Linear(settings.width, data.classes)
    xavier(head)
    return nn.Sequential(*layers, head).to(settings.device, np.dtype(settings.dtype))


def pretrain(settings: Settings, lr: float, model: nn.Sequential, data: Data, seed: int) -> None:
    """Train one layer after the other, each under a head of its own and on what the finished layers
    below it make of the samples (the supervised kind in Bengio et al. 2007, "Greedy Layer-Wise
    Training of Deep Networks"). Each gets as many steps as the whole network afterwards."""
    *hidden, _ = model
    settings = dataclasses.replace(settings, lr=lr)
    for linear, activation in zip(hidden[::2], hidden[1::2], strict=True):
        head = nn.Linear(settings.width, data.classes)
        xavier(head)
        head.to(settings.device, np.dtype(settings.dtype))
        train(settings, nn.Sequential(linear, activation, head), data, seed)
        with mg.no_grad():
            x, x_test = (activation(linear(x)) for x in (data.x_train, data.x_test))
        data = dataclasses.replace(data, x_train=x, x_test=x_test)


# ------------------------------------------------------------------------------------ measuring


def arriving(model: nn.Sequential, x: mg.Tensor) -> dict[str, float]:
    """What the head gets to see of the samples: how far they are apart, beside how large they are
    (``spread``), and the ``rank`` of them all in the precision of the run. 1: they are all alike.
    """
    *hidden, _ = copy.deepcopy(model).train()
    with mg.no_grad():
        seen = nn.Sequential(*hidden)(x).cpu().numpy()
        exact = nn.Sequential(*hidden).double()(x.double()).cpu().numpy()
    if not np.isfinite(seen).all():
        return {"spread": math.nan, "rank": math.nan}
    spread = np.sqrt(exact.var(axis=0).mean() / np.square(exact).mean())
    return {"spread": float(spread), "rank": int(np.linalg.matrix_rank(seen))}


def run(
    settings: Settings, name: str, data: Data, seed: int, advance: Callable[[str], None]
) -> dict[str, Any]:
    """One network with one cure: before the first step, training, and what arrives at its end.
    ``advance`` is called after each step, with a word for what runs."""
    cure = CURES[name]
    mg.manual_seed(seed)
    model = build(settings, cure, data)
    if cure.pretraining:
        pretrain(settings, cure.pretraining * settings.lr, model, data, seed)
    x, y = data.x_train[:256], data.y_train[:256]
    dz = gradients(model, x, y)["dz"]
    before = arriving(model, x)
    optimizer = cure.optimizer(model.parameters(), settings.lr)
    label = f"seed {seed}: {name}"
    curve = train(settings, model, data, seed, lambda step: advance(label), optimizer)
    earlier = settings.depth * settings.steps if cure.pretraining else 0
    steps = [s for s, a in zip(curve["step"], curve["accuracy"], strict=True) if a >= TARGET]
    return {
        "seed": seed, "dz": dz, "factor": factor_per_layer(dz[1:]), "before": before,
        "after": arriving(model, x), "step": curve["step"], "accuracy": curve["accuracy"],
        "moved_layer_1": curve["moved"][0],
        "steps_to_target": earlier + steps[0] if steps else None,
    }  # fmt: skip


# -------------------------------------------------------------------------------------- telling


def median(runs: list[dict[str, Any]], *path: str) -> float:
    """Of one number in each run."""
    values = []
    for found in runs:
        value: Any = found
        for key in path:
            value = value[key]
        values.append(value[-1] if isinstance(value, list) else value)
    return float(np.median(values))


def verdict(runs: list[dict[str, Any]]) -> str:
    """ "cured", "in part" or "no"."""
    end = median(runs, "accuracy")
    return "cured" if end > CURED else "in part" if end > IN_PART else "no"


def speed(runs: list[dict[str, Any]]) -> str:
    """The step at which a run is first as good as TARGET, if more than half of them are once."""
    steps = sorted(r["steps_to_target"] for r in runs if r["steps_to_target"] is not None)
    return f"{steps[len(runs) // 2]}" if 2 * len(steps) > len(runs) else "never"


COLUMNS = (
    "cure", "factor per layer", "samples apart", "rank at the head", "rank afterwards",
    "layer 1 moved", "test accuracy", f"steps to {TARGET:g}",
)  # fmt: skip


def rows(cures: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """The table: medians over the seeds, and for the accuracy the smallest and the largest."""
    written = []
    for name, runs in cures.items():
        ends = [found["accuracy"][-1] for found in runs]
        written.append([
            name, f"{median(runs, 'factor'):.3f}", f"{median(runs, 'before', 'spread'):.1e}",
            f"{median(runs, 'before', 'rank'):.0f}", f"{median(runs, 'after', 'rank'):.0f}",
            f"{median(runs, 'moved_layer_1'):.1%}",
            f"{np.median(ends):.3f} ({min(ends):.3f}-{max(ends):.3f})", speed(runs),
        ])  # fmt: skip
    return written


def sentences(cures: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What follows from the numbers. Each sentence is made of those of the run."""
    good = [name for name, runs in cures.items() if verdict(runs) == "cured"]
    ends = {name: median(runs, "accuracy") for name, runs in cures.items()}
    told = []
    if good:
        good.sort(key=lambda name: -ends[name])
        told.append(f"Cured: {', '.join(f'{name} ({ends[name]:.3f})' for name in good)}.")
    for name, runs in cures.items():
        if name in good or name == "nothing":
            continue
        rank, moved = median(runs, "before", "rank"), median(runs, "moved_layer_1")
        later = median(runs, "after", "rank")
        alike = ": the samples are all alike there, and remain so" if rank == later == 1 else ""
        text = f"{'Not cured' if verdict(runs) == 'no' else 'In part'}: {name} ({ends[name]:.3f}). "
        if CURES[name].larger_steps:
            text += (
                f"Another step, but the same network: what arrives at its head has rank {rank:.0f} "
                f"before training and {later:.0f} after it{alike}. Layer 1 moved by {moved:.1g} of "
                f"its size."
            )
        else:
            text += (
                f"The factor per layer is {median(runs, 'factor'):.2f}, and what arrives at the "
                f"head has rank {rank:.0f} before training and {later:.0f} after it{alike}. Layer "
                f"1 moved by {moved:.1g} of its size."
            )
        told.append(text)
    return told


MARKS = {
    "cured": (plots.BLUE, "o"), "in part": (plots.ORANGE, "^"), "no": (plots.VERMILLION, "X"),
}  # fmt: skip


def draw(cures: dict[str, list[dict[str, Any]]], title: str) -> Figure:
    """One line for each cure: the factor, how far apart the samples arrive, the accuracy."""
    page = Figure(figsize=(10, 5), dpi=110, layout="constrained")
    factor, apart, accuracy = page.subplots(1, 3, sharey=True)
    places = range(len(cures))
    for place, runs in zip(places, cures.values(), strict=True):
        colour, marker = MARKS[verdict(runs)]
        style = {"color": colour, "marker": marker, "linestyle": ""}
        values = (
            (factor, [found["factor"] for found in runs]),
            (apart, [found["before"]["spread"] for found in runs]),
            (accuracy, [found["accuracy"][-1] for found in runs]),
        )
        for ax, seeds in values:
            ax.plot(seeds, [place] * len(seeds), markersize=4, alpha=0.35, **style)
            ax.plot([np.median(seeds)], [place], markersize=8, **style)
        if speed(runs) != "never":
            accuracy.annotate(f"step {speed(runs)}", (0.04, place), va="center", fontsize=8)
    factor.set_yticks(places, list(cures))
    factor.invert_yaxis()
    factor.axvline(1, color=plots.GREY, linewidth=0.8)
    factor.set(xlabel="factor of |dL/dz| per layer", xlim=(0, None))
    apart.set(xlabel="spread of the samples at the head,\nbeside their size", xscale="log")
    apart.axvline(np.finfo(np.float32).eps, color=plots.GREY, linewidth=0.8)
    apart.annotate(" float32", (np.finfo(np.float32).eps, 0), fontsize=8, color=plots.GREY)
    accuracy.set(xlabel=f"test accuracy at the end\n(left: first at {TARGET:g})", xlim=(0, 1.05))
    for ax in (factor, apart, accuracy):
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    page.suptitle(title)
    return page


def main(argv: list[str] | None = None) -> int:
    """Run all cures. Returns 0, or 2 if the settings cannot be served."""
    replace_missing_letters()
    settings = parse(argv, (__doc__ or "").partition("\n")[0], QUICK)
    start = time.perf_counter()
    try:
        check_batch_size(settings, load(settings, seed=0))
        files.make_folder(settings.out)
    except (OSError, RuntimeError, ValueError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    show = report.Terminal(settings)
    cures: dict[str, list[dict[str, Any]]] = {name: [] for name in CURES}
    with show.progress(settings.seeds * len(CURES) * settings.steps) as advance:
        for seed in range(settings.seeds):
            data = load(settings, seed)
            for name in CURES:
                cures[name].append(run(settings, name, data, seed, advance))
    table = Table(*COLUMNS, title="Medians over the seeds (smallest to largest)")
    for row in rows(cures):
        table.add_row(*row)
    show.show(table)
    for text in sentences(cures):
        show.say(text)
    title = f"{settings.depth} layers of {settings.width} sigmoids, and their cures"
    out = Path(settings.out)
    draw(cures, title).savefig(out / "cures.png")
    header = files.header(settings)
    places = {"out": None, "data_root": None}  # folders of one machine are no result
    header["settings"] |= {"quick": settings.steps < Settings.steps, **places}
    stored = {
        **header, "paper": {"key": "cures", "title": title}, "results": cures,
        "table": {"columns": COLUMNS, "rows": rows(cures)}, "sentences": sentences(cures),
        "seconds": round(time.perf_counter() - start, 1), "finished": True,
    }  # fmt: skip
    text = json.dumps(jsonable(stored), indent=1) + "\n"
    (out / "cures.json").write_text(text, encoding="utf-8")
    show.written([out / "cures.png", out / "cures.json"], time.perf_counter() - start)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""Figures of what ``observe`` saw and of how training went. Needs matplotlib (extra ``plots``).

Each function takes plain data and returns a matplotlib ``Figure``, which belongs to nobody else:
no window opens, no global setting changes, and ``figure.savefig("name.png")`` works without a
screen. The colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which people
with any kind of colour vision can tell apart; markers and line styles say the same once more.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from .stats import EDGES, RESPONSIVE, SATURATED, Stats

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
STYLES = (
    (VERMILLION, "s", "--"),
    (BLUE, "o", "-"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (ORANGE, "v", "-"),
    (SKY, "P", "--"),
)
"""Colour, marker and line style of the first series, the second, ..."""

GREY = "0.45"
RESPONSIVE_ZONE: dict[str, Any] = {"color": GREEN, "alpha": 0.13, "linewidth": 0}
SATURATED_ZONE: dict[str, Any] = {"color": "0.55", "alpha": 0.28, "linewidth": 0}

Series = Mapping[str, Sequence[float]]
Runs = Mapping[str, Sequence[Mapping[str, Sequence[float]]]]
Styles = Mapping[str, tuple[str, str, Any]]


def sigmoid_zones() -> Any:
    """The sigmoid with its responsive and saturated zones, and its derivative below."""
    figure = _figure(7.2, 5.2)
    curve, slope = figure.subplots(2, 1, sharex=True)
    z = np.linspace(-10, 10, 801)
    y = 1 / (1 + np.exp(-z))
    curve.plot(z, y, color=BLUE, linewidth=2)
    slope.plot(z, y * (1 - y), color=VERMILLION, linewidth=2)
    for ax in (curve, slope):
        _tidy(ax)
        _zones(ax, 10)
        ax.margins(x=0)
    curve.set_ylabel("sigmoid(z)")
    curve.set_ylim(-0.05, 1.05)
    for x, text in ((-7.5, "saturated"), (0, "responsive"), (7.5, "saturated")):
        curve.text(x, 0.5 if x else 0.93, text, ha="center", va="center", color="0.25")
    slope.set_ylabel("sigmoid'(z)")
    slope.set_ylim(0, 0.29)
    slope.set_xlabel("pre-activation z")
    for at in (0.0, RESPONSIVE, SATURATED):
        value = math.exp(-at) / (1 + math.exp(-at)) ** 2
        slope.plot([at], [value], "o", color=BLACK, markersize=5)
        slope.text(at + 0.4, value + 0.01, f"{value:.3g}  at z = {at:g}", va="bottom", fontsize=9)
    figure.suptitle("Where a sigmoid answers, and where it does not")
    return figure


def preactivations(
    panels: Mapping[str, Mapping[str, Sequence[Stats]]], title: str = "Pre-activations per layer"
) -> Any:
    """Where the pre-activations of each layer lie, against the zones of the sigmoid.

    Args:
        panels: a row of panels per outer name, a panel per inner name; the ``Stats`` are those of
            what enters each activation, first layer first. All panels share the axis of z, which is
            linear up to ±5 and logarithmic beyond.
        title: above the figure.
    """
    rows, columns = len(panels), max(len(panel) for panel in panels.values())
    figure = _figure(3.4 * columns + 0.9, 2.7 * rows + 2.0)
    grid = figure.subplots(
        rows + 1, columns, sharex=True, squeeze=False,
        height_ratios=[0.42] + [1] * rows,
    )  # fmt: skip
    everything = [s for panel in panels.values() for stats in panel.values() for s in stats]
    reach = 1.3 * max([2 * SATURATED, *(abs(v) for s in everything for v in (s.min, s.max))])
    far = np.geomspace(SATURATED, reach, 60)
    z = np.concatenate([-far[::-1], np.linspace(-SATURATED, SATURATED, 201), far])
    for ax in grid[0]:
        ax.plot(z, np.exp(-np.logaddexp(0, -z)), color=BLACK, linewidth=1.6)
        ax.set_yticks([0, 1])
        _zones(ax, reach)
        _tidy(ax, grid=False)
    grid[0][0].set_ylabel("sigmoid(z)")
    for axes, (row_name, panel) in zip(grid[1:], panels.items(), strict=True):
        for ax, (name, layers) in zip(axes, panel.items(), strict=False):
            _strips(ax, layers)
            _zones(ax, reach)
            _tidy(ax, grid=False)
            ax.set_title(f"{name}, {row_name}", fontsize=10)
            ax.set_ylim(len(layers) + 0.8, 0.2)  # the first layer on top
        for ax in axes[len(panel) :]:
            ax.set_axis_off()
        axes[0].set_ylabel("layer")
    for ax in grid[-1]:
        ax.set_xscale("symlog", linthresh=SATURATED, linscale=1.4)
        ticks = [t for t in (-100, -20, -5, -3, 0, 3, 5, 20, 100) if abs(t) < reach]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=9)
        ax.minorticks_off()
        ax.set_xlim(-reach, reach)
        ax.set_xlabel("pre-activation z (logarithmic beyond ±5)")
    _strip_legend(figure)
    figure.suptitle(title)
    return figure


def _strips(ax: Any, layers: Sequence[Stats]) -> None:
    """One strip per layer, darker where more values lie, on a line from the smallest to the
    largest value."""
    from matplotlib.colors import to_rgba

    widths = np.diff(EDGES)
    colors = np.zeros((2 * len(layers) - 1, len(EDGES) - 1, 4))  # strips, and gaps between them
    borders = []
    for number, stats in enumerate(layers, 1):
        density = np.array(stats.histogram) / widths
        strip = colors[2 * number - 2]
        strip[:] = to_rgba(BLUE)
        strip[:, 3] = np.where(density > 0, 0.12 + 0.88 * density / (density.max() or 1), 0)
        borders += [number - 0.36, number + 0.36]
        ax.plot([stats.min, stats.max], [number, number], color=BLUE, linewidth=0.8, zorder=3)
    ax.pcolormesh(EDGES, borders, colors, zorder=4)


def _strip_legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = [
        Patch(color=BLUE, linewidth=0, label="many values here"),
        Patch(color=BLUE, alpha=0.3, linewidth=0, label="few"),
        Line2D([], [], color=BLUE, linewidth=0.8, label="smallest to largest"),
        Patch(**RESPONSIVE_ZONE, label="responsive, |z| < 3"),
        Patch(**SATURATED_ZONE, label="saturated, |z| > 5"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=5, frameon=False, fontsize=9)


def gradient_norms(
    panels: Mapping[str, Series],
    ylabel: str = "|dL/dz|",
    title: str = "Gradient norm per layer",
) -> Any:
    """The norm of a gradient in each layer, on a logarithmic axis that all panels share.

    A norm of exactly 0 has no place on such an axis: it is drawn in a strip of its own below.

    Args:
        panels: a panel per outer name, in it a line per inner name, the first layer first.
        ylabel: what the norm is of.
        title: above the figure.
    """
    figure = _figure(4.4 * len(panels) + 0.6, 4.6)
    _draw_gradients(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, ylabel)
    figure.suptitle(title)
    return figure


def _draw_gradients(axes: Sequence[Any], panels: Mapping[str, Series], ylabel: str) -> None:
    # Drawn as log10(norm) on a plain axis, which has room for any float64 and for a strip of zeros.
    norms = [v for panel in panels.values() for series in panel.values() for v in series]
    exponents = [math.log10(v) for v in norms if v > 0 and math.isfinite(v)] or [0.0]
    low, high = math.floor(min(exponents)), math.ceil(max(exponents))
    step = max(1, math.ceil((high - low) / 7))
    ticks = [float(e) for e in range(high, low - 1, -step)]
    labels = [f"$10^{{{e:.0f}}}$" for e in ticks]
    zero, bottom = low - 0.75 * step, low - 0.2 * step
    if 0.0 in norms:
        bottom = low - 1.2 * step
        ticks, labels = [*ticks, zero], [*labels, "exactly 0"]
    for ax, (panel_name, panel) in zip(axes, panels.items(), strict=True):
        for name, series, (color, marker, line) in _styled(panel, None):
            shown = [zero if v == 0 else math.log10(v) if math.isfinite(v) else v for v in series]
            ax.plot(
                range(1, len(series) + 1), shown, color=color, marker=marker, linestyle=line,
                markersize=4.5, linewidth=1.3, label=name,
            )  # fmt: skip
        if 0.0 in norms:
            ax.axhspan(bottom, low - 0.3 * step, color="0.9", linewidth=0, zorder=0)
        ax.set_ylim(bottom, high + 0.3 * step)
        ax.set_yticks(ticks, labels)
        ax.set_title(panel_name, fontsize=11)
        ax.set_xlabel("layer")
        ax.xaxis.get_major_locator().set_params(integer=True)
        _tidy(ax)
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel(ylabel)


def training_curves(
    runs: Runs,
    chance: tuple[float, float] | None = None,
    title: str = "Training",
    styles: Styles | None = None,
) -> Any:
    """Loss and test accuracy against the step: the median over the seeds, and their whole range.

    Args:
        runs: for each name the runs with different seeds; each has "step", "loss" and "accuracy"
            of equal lengths. The runs of one name share their steps.
        chance: loss and accuracy of guessing, drawn as thin lines.
        title: above the figure.
        styles: a (colour, marker, line style) for each name; ``STYLES`` in turn by default.
    """
    figure = _figure(10.2, 4.4)
    loss, accuracy = figure.subplots(1, 2)
    _draw_curve(loss, runs, "loss", chance and chance[0], styles)
    _draw_curve(accuracy, runs, "accuracy", chance and chance[1], styles)
    loss.set_ylim(bottom=0)
    accuracy.set_ylim(0, 1.02)
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=9)  # fmt: skip
    figure.suptitle(title)
    return figure


def _draw_curve(ax: Any, runs: Runs, key: str, chance: float | None, styles: Styles | None) -> None:
    for name, seeds, (color, marker, line) in _styled(runs, styles):
        steps, values = seeds[0]["step"], np.array([run[key] for run in seeds])
        ax.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.22, linewidth=0)
        ax.plot(
            steps, np.median(values, 0), color=color, linestyle=line, marker=marker,
            markersize=4, markevery=0.15, linewidth=1.6, label=name,
        )  # fmt: skip
    if chance is not None:
        ax.axhline(chance, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        ax.annotate(
            f"guessing: {chance:.3g}", (1, chance), (-2, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="bottom", fontsize=9, color="0.3",
        )  # fmt: skip
    ax.set_xlabel("training step")
    ax.set_ylabel({"loss": "training loss", "accuracy": "test accuracy"}[key])
    _tidy(ax)


def overview(
    gradients: Mapping[str, Series],
    runs: Runs,
    chance: tuple[float, float] | None = None,
    title: str = "",
    styles: Styles | None = None,
) -> Any:
    """The gradients of two panels of ``gradient_norms`` beside the accuracy of ``runs``."""
    figure = _figure(12.6, 4.2)
    left, right = figure.subfigures(1, 2, width_ratios=[1.75, 1])
    axes = left.subplots(1, len(gradients), sharey=True, squeeze=False)[0]
    _draw_gradients(axes, gradients, "|dL/dz| before training")
    ax = right.subplots()
    _draw_curve(ax, runs, "accuracy", chance and chance[1], styles)
    ax.set_title("training", fontsize=11)
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, fontsize=9, loc="center right", bbox_to_anchor=(1, 0.5))
    figure.suptitle(title)
    return figure


def weight_changes(
    runs: Mapping[str, Sequence[Sequence[float]]],
    title: str = "How far the weights of each layer moved",
    styles: Styles | None = None,
) -> Any:
    """The relative change |W_end - W_start| / |W_start| of each layer: median and range over seeds.

    Args:
        runs: for each name, the changes per layer of the runs with different seeds.
        title: above the figure.
        styles: as in ``training_curves``.
    """
    figure = _figure(7.2, 4.2)
    ax = figure.subplots()
    for name, seeds, (color, marker, line) in _styled(runs, styles):
        values = 100 * np.array(seeds)
        layers = range(1, values.shape[1] + 1)
        ax.fill_between(layers, values.min(0), values.max(0), color=color, alpha=0.22, linewidth=0)
        ax.plot(
            layers, np.median(values, 0), color=color, marker=marker, linestyle=line,
            markersize=4.5, linewidth=1.3, label=name,
        )  # fmt: skip
    ax.set_xlabel("layer")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylabel("change, per cent of the start")
    _tidy(ax)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(title)
    return figure


def examination(
    layers: Sequence[Mapping[str, Any]], losses: Sequence[float] = (), title: str = ""
) -> Any:
    """What ``diagnose`` saw: gradient and spread of each layer, and the loss over some steps.

    Args:
        layers: each with "gradient" and "spread", the first layer first.
        losses: the loss before each training step; without any there is no such panel.
        title: above the figure.
    """
    figure = _figure(9.4 if len(losses) else 5.0, 4.2)
    axes = figure.subplots(1, 2 if len(losses) else 1, squeeze=False)[0]
    series = {
        "gradient |dL/dz|": [float(layer["gradient"]) for layer in layers],
        "spread of z": [float(layer["spread"]) for layer in layers],
    }
    _draw_gradients(axes[:1], {"before training": series}, "size")
    if len(losses):
        axes[1].plot(range(len(losses)), losses, color=BLUE, linewidth=1.6)
        axes[1].set_title("steps on this batch", fontsize=11)
        axes[1].set_xlabel("training step")
        axes[1].set_ylabel("loss")
        _tidy(axes[1])
    figure.suptitle(title)
    return figure


def heat_maps(panels: Mapping[str, Mapping[str, Sequence[float]]], steps: Sequence[int]) -> Any:
    """Layers from top to bottom, training steps from left to right, one panel per quantity.

    Args:
        panels: for each quantity the numbers of each layer, one per step. Quantities that are not
            shares between 0 and 1 are drawn as powers of ten; what is 0 or NaN stays white.
        steps: the numbers of the steps.
    """
    rows = max(len(panels), 1)
    figure = _figure(8.0, 0.6 + sum(0.9 + 0.11 * len(layers) for layers in panels.values()))
    axes = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    for ax, (name, layers) in zip(axes, panels.items(), strict=False):
        values = np.array(list(layers.values()), np.float64)
        shares = name.startswith("share")
        with np.errstate(all="ignore"):
            shown = values if shares else np.log10(np.where(values > 0, values, np.nan))
        limits = {"vmin": 0, "vmax": 1} if shares else {}
        image = ax.imshow(
            shown, aspect="auto", interpolation="nearest", cmap="cividis", **limits,
            extent=(steps[0], steps[-1] + 1, len(layers), 0),
        )  # fmt: skip
        ax.set_yticks(np.arange(len(layers)) + 0.5, list(layers), fontsize=6)
        ax.set_title(name if shares else f"log10 of {name}", fontsize=9)
        figure.colorbar(image, ax=ax)
    axes[-1].set_xlabel("training step")
    return figure


# ------------------------------------------------------------------------------ what all share


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _styled(series: Mapping[str, Any], styles: Styles | None) -> Iterator[tuple[str, Any, Any]]:
    """Name, values and style of each series."""
    for (name, values), style in zip(series.items(), cycle(STYLES), strict=False):
        yield name, values, (styles or {}).get(name, style)


def _zones(ax: Any, reach: float) -> None:
    ax.axvspan(-RESPONSIVE, RESPONSIVE, zorder=0, **RESPONSIVE_ZONE)
    for side in (-1, 1):
        ax.axvspan(side * SATURATED, side * reach, zorder=0, **SATURATED_ZONE)


def _tidy(ax: Any, grid: bool = True) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)

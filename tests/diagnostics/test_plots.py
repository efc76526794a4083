"""The figures hold the data they were given, and drawing them touches nothing else."""

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.diagnostics import plots, summarize

pytest.importorskip("matplotlib", reason="figures need matplotlib, the extra plots")

RUNS = {
    "one": [
        {"step": [0, 10, 20], "loss": [2.0, 1.5, 0.5], "accuracy": [0.1, 0.4, 0.7]},
        {"step": [0, 10, 20], "loss": [2.2, 1.2, 0.4], "accuracy": [0.2, 0.5, 0.9]},
        {"step": [0, 10, 20], "loss": [2.1, 1.9, 0.7], "accuracy": [0.0, 0.3, 0.8]},
    ],
    "two": [{"step": [0, 10, 20], "loss": [2.3, 2.3, 2.4], "accuracy": [0.1, 0.1, 0.2]}],
}


def drawn(figure: Any) -> bytes:
    """The figure as a PNG file: drawing finds what building does not."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def line(ax: Any, label: str) -> Any:
    [found] = [line for line in ax.lines if line.get_label() == label]
    return found


def test_the_sigmoid_and_its_derivative() -> None:
    figure = plots.sigmoid_zones()
    curve, slope = figure.axes
    z, y = curve.lines[0].get_data()
    assert y == pytest.approx(1 / (1 + np.exp(-z)))
    z, dy = slope.lines[0].get_data()
    assert dy[1:-1] == pytest.approx((y[2:] - y[:-2]) / (z[2] - z[0]), abs=1e-4)
    assert [text.get_text() for text in slope.texts] == [
        "0.25  at z = 0", "0.0452  at z = 3", "0.00665  at z = 5",
    ]  # fmt: skip
    assert drawn(figure).startswith(b"\x89PNG")


def test_preactivations_are_darkest_where_most_values_are(rng: np.random.Generator) -> None:
    layers = [summarize(rng.normal(m, 0.05, 400)) for m in (-60.0, 0.1, 30.0)]
    panels = {"plain": {"a": layers, "b": layers[:2]}, "normed": {"a": layers[1:]}}
    figure = plots.preactivations(panels)
    titled = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(titled) == ["a, plain", "b, plain", "a, normed"]
    ax = titled["a, plain"]
    edges = np.array(plots.EDGES)
    colors = np.array(ax.collections[-1].get_array())
    for number, (stats, strip) in enumerate(zip(layers, colors[::2, :, 3], strict=True)):
        darkest = strip.argmax()
        assert edges[darkest] <= stats.mean <= edges[darkest + 1]
        assert (strip > 0).tolist() == [share > 0 for share in stats.histogram]
        ends = ax.lines[number].get_xdata()
        assert list(ends) == [stats.min, stats.max]
    assert colors.shape == (5, len(edges) - 1, 4)
    assert not colors[1::2, :, 3].any()  # the gaps between the layers
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first layer on top
    assert ax.get_xlim()[0] < -60 < 30 < ax.get_xlim()[1]
    assert drawn(figure).startswith(b"\x89PNG")


def test_gradient_norms_are_on_a_log_axis_and_zeros_below_it() -> None:
    panels = {
        "left": {"stuck": [0.0, 1e-20, 1e-3], "fine": [0.5, 0.2, 0.1]},
        "right": {"fine": [2.0, 3.0, math.nan]},
    }
    figure = plots.gradient_norms(panels, ylabel="size")
    left, right = figure.axes
    stuck = line(left, "stuck").get_ydata()
    assert stuck[1:] == pytest.approx([-20, -3])
    labels = {t.get_text(): t.get_position()[1] for t in left.get_yticklabels()}
    assert stuck[0] == labels["exactly 0"] < -20
    assert all(name == f"$10^{{{at:.0f}}}$" for name, at in labels.items() if name != "exactly 0")
    assert line(left, "fine").get_ydata() == pytest.approx(np.log10([0.5, 0.2, 0.1]))
    assert line(right, "fine").get_ydata()[:2] == pytest.approx(np.log10([2.0, 3.0]))
    assert math.isnan(line(right, "fine").get_ydata()[2])
    assert right.get_ylim() == left.get_ylim()
    assert left.get_ylim()[0] < stuck[0]
    assert [ax.get_title() for ax in figure.axes] == ["left", "right"]
    assert drawn(figure).startswith(b"\x89PNG")


def test_without_zeros_there_is_no_strip_for_them() -> None:
    figure = plots.gradient_norms({"": {"fine": [5e-310, 1.0]}})
    [ax] = figure.axes
    assert "exactly 0" not in [t.get_text() for t in ax.get_yticklabels()]
    assert ax.get_ylim()[0] <= math.log10(5e-310)
    assert drawn(figure)


def test_zeros_alone_can_be_drawn() -> None:
    assert drawn(plots.gradient_norms({"": {"dead": [0.0, 0.0]}}))


def test_training_curves_are_medians_within_the_range() -> None:
    figure = plots.training_curves(RUNS, chance=(2.3, 0.1))
    for ax, key, guess in zip(figure.axes, ("loss", "accuracy"), (2.3, 0.1), strict=True):
        values = np.array([run[key] for run in RUNS["one"]])
        assert list(line(ax, "one").get_xdata()) == [0, 10, 20]
        assert line(ax, "one").get_ydata() == pytest.approx(np.median(values, axis=0))
        band = ax.collections[0].get_paths()[0].vertices
        assert band[:, 1].min() == values.min()
        assert band[:, 1].max() == values.max()
        assert guess in [
            artist.get_ydata()[0] for artist in ax.lines if len(artist.get_xdata()) == 2
        ]
    assert drawn(figure).startswith(b"\x89PNG")


def test_a_style_of_ones_own() -> None:
    figure = plots.training_curves(RUNS, styles={"two": ("#123456", "x", ":")})
    two = line(figure.axes[0], "two")
    assert (two.get_color(), two.get_marker(), two.get_linestyle()) == ("#123456", "x", ":")
    assert line(figure.axes[0], "one").get_color() == plots.STYLES[0][0]


def test_weight_changes_are_in_per_cent() -> None:
    figure = plots.weight_changes({"n": [[0.1, 0.2], [0.3, 0.0], [0.2, 0.1]]})
    [ax] = figure.axes
    assert line(ax, "n").get_ydata() == pytest.approx([20, 10])
    assert list(line(ax, "n").get_xdata()) == [1, 2]
    assert drawn(figure).startswith(b"\x89PNG")


def test_the_overview_shows_gradients_and_accuracy() -> None:
    gradients = {"without": {"a": [0.0, 0.1]}, "with": {"a": [0.2, 0.1]}}
    figure = plots.overview(gradients, RUNS, (2.3, 0.1), "title")
    without, normed, accuracy = figure.axes
    assert line(without, "a").get_ydata()[1] == pytest.approx(-1)
    assert line(normed, "a").get_ydata() == pytest.approx(np.log10([0.2, 0.1]))
    assert list(line(accuracy, "two").get_ydata()) == [0.1, 0.1, 0.2]
    assert drawn(figure).startswith(b"\x89PNG")


def test_drawing_needs_neither_pyplot_nor_a_screen(tmp_path: Path) -> None:
    """In an interpreter of its own, with a backend that would fail if it were asked for."""
    code = (
        "import sys; from minigrad.diagnostics import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"plots.sigmoid_zones().savefig({str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "MPLBACKEND": "tkagg", "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert (tmp_path / "a.png").stat().st_size > 5000

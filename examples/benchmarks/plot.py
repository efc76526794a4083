"""The figure of docs/where-the-time-goes.md, from the numbers of a run of ``benchmark_cpu.py``.

    python examples/benchmarks/plot.py docs/benchmarks/cpu.json docs/images/where-the-time-goes.png

Needs matplotlib (extra ``plots``). Nothing here measures.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from goals import Result, is_main, size

from minigrad.diagnostics.plots import BLUE, GREEN, ORANGE, SKY

# What is added from one contender to the next, from the least to the whole.
PARTS = (
    ("gemm", "matrix products", BLUE),
    ("floor", "the rest, by hand", SKY),
    ("fused", "the engine, fused layers", ORANGE),
    ("minigrad", "the engine, layer by layer", GREEN),
)


def shares(contest: Result) -> list[float]:
    """What each of ``PARTS`` adds to the step, in units of PyTorch's; nothing is less than 0."""
    times = {name: float(np.median(values)) for name, values in contest["times"].items()}
    reached, found = 0.0, []
    for name, _, _ in PARTS:
        found.append(max(times[name] - reached, 0.0) / times["torch"])
        reached = max(times[name], reached)
    return found


def figure(results: Result) -> Any:
    """One bar for each size, on one thread."""
    from matplotlib.figure import Figure

    contests = [c for c in results["contests"] if is_main(c) and c["threads"] == 1]
    labels = [size(contest["problem"]) for contest in contests]
    widths = np.array([shares(contest) for contest in contests])
    made = Figure(figsize=(7.2, 3.4), layout="constrained")
    ax = made.subplots()
    left = np.zeros(len(labels))
    for (_, label, color), width in zip(PARTS, widths.T, strict=True):
        ax.barh(labels, width, left=left, color=color, label=label, height=0.65)
        left += width
    ax.axvline(1, color="0.2", linestyle="--", linewidth=1)
    ax.text(1.01, -0.75, "PyTorch", color="0.2", va="center")
    ax.invert_yaxis()
    ax.set_xlabel("time of a training step, PyTorch = 1 (one thread)")
    ax.set_ylabel("batch x width")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return made


def main(numbers: str, picture: str) -> None:
    """Read the one, write the other."""
    results = json.loads(Path(numbers).read_text(encoding="utf-8"))
    figure(results).savefig(picture, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The roofline, the goals and the tables of ``benchmark_gpu.py``: arithmetic on what it measured.

The roofline is the time that a step cannot fall below with these ceilings: the matrix products, at
the rate at which cuBLAS does products of that shape, and then what else must be read and written,
at the rate at which the GPU copies. Both ceilings are measured in the same run.
"""

import json
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from problem import Problem

Result = dict[str, Any]

NAMES = {
    "minigrad": "minigrad",
    "fused": "minigrad, fused",
    "captured": "minigrad, captured",
    "eager": "PyTorch eager",
    "compile": "torch.compile",
}

# Passes over a (batch, width) matrix in one layer with everything fused but the products.
# Forward: the statistics read z; normalising reads z and writes y. Backward: the sums read dy, y
# and z, and so does dz, which is written.
PASSES_PER_LAYER = 3 + 7
# Numbers read or written per parameter. SGD: w and g are read, w is written; Adam: w, g, m, v are
# read, and w, m, v written.
PASSES_PER_PARAMETER = {"SGD": 3, "Adam": 7}


def parameters(problem: Problem) -> int:
    """How many numbers are learnt: weights and biases of each Linear, gamma and beta."""
    linear = sum(m * n + n for m, n in pairwise(problem.widths))
    return linear + 2 * problem.depth * problem.width


def bytes_moved(problem: Problem) -> int:
    """What a step must read and write beside its matrix products, in float32."""
    activations = PASSES_PER_LAYER * problem.depth * problem.batch * problem.width
    return 4 * (activations + PASSES_PER_PARAMETER[problem.optimizer] * parameters(problem))


def roofline(problem: Problem, flops_per_second: float, bytes_per_second: float) -> float:
    """The bound of a step, in seconds."""
    return problem.gemm_flops / flops_per_second + bytes_moved(problem) / bytes_per_second


# -------------------------------------------------------------------------------------- goals


def seconds(contest: Result, name: str) -> float | None:
    """The median step of a contender; None if it did not take part."""
    times = contest["times"].get(name)
    return median(times) if times else None


def bound(contest: Result) -> float:
    """The roofline of a contest."""
    ceilings = contest["ceilings"]
    return roofline(Problem(**contest["problem"]), ceilings["flops"], ceilings["bytes"])


def goals(results: Result) -> list[tuple[str, float, float]]:
    """What was aimed at: (what is compared and where, the ratio, at most)."""
    found = []
    for contest in results["contests"]:
        fused = seconds(contest, "fused")
        if fused is None:
            continue
        for name, limit in (("eager", 1.0), ("compile", 1.15)):
            other = seconds(contest, name)
            if other is not None:
                found.append((f"fused / {NAMES[name]}, {label(contest)}", fused / other, limit))
        problem = contest["problem"]
        size = problem["batch"], problem["width"]
        captured, eager = seconds(contest, "captured"), seconds(contest, "eager")
        if size == (256, 256) and captured is not None and eager is not None:
            what = f"captured / {NAMES['eager']}, {label(contest)}"
            found.append((what, captured / eager, 1 / 3))
        if (*size, contest["precision"]) == (4096, 1024, "fp32"):
            found.append((f"fused / roofline, {label(contest)}", fused / bound(contest), 1.2))
    return found


def label(contest: Result) -> str:
    """The problem in a few words."""
    problem = contest["problem"]
    size = f"{problem['batch']}x{problem['width']}"
    return f"{size}, {problem['optimizer']}, {contest['precision']}"


# -------------------------------------------------------------------------------------- tables


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; "" without rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(results: Result) -> str:
    """The page."""
    parts = ["# A training step on a GPU", head(results)]
    for title, text in (
        ("The kernels against float64", checked(results)),
        ("Milliseconds per step", times(results)),
        ("Ratios", ratios(results)),
        ("Goals", aims(results)),
    ):
        if text:
            parts += [f"## {title}", text]
    return "\n\n".join(parts) + "\n"


def head(results: Result) -> str:
    """What the numbers depend on, and what is missing."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [f"{results['date']}. {machine['gpu']}. {versions}. {results['minutes']:.1f} minutes."]
    if results["quick"]:
        lines.append("A quick run: fewer turns than the numbers need to be relied on.")
    if not results["finished"]:
        lines.append("The run was cut short: what follows is what had been measured.")
    lines += [f"Left out: {name}, {reason}." for name, reason in results["absent"].items()]
    return "\n\n".join(lines)


def checked(results: Result) -> str:
    """The worst error of each kernel, per type."""
    worst: dict[tuple[str, str], float] = {}
    for check in results["checks"]:
        key = check["kernel"], check["dtype"]
        worst[key] = max(worst.get(key, 0.0), check["error"])
    kinds = list(dict.fromkeys(dtype for _, dtype in worst))
    rows = [
        [name, *(f"{worst[name, k]:.1e}" if (name, k) in worst else "" for k in kinds)]
        for name in dict.fromkeys(name for name, _ in worst)
    ]
    return table(["largest error / largest element", *kinds], rows)


def times(results: Result) -> str:
    """Median steps, and the roofline."""
    rows = []
    for contest in results["contests"]:
        values = [seconds(contest, name) for name in NAMES]
        rows.append(
            [
                label(contest),
                *("" if value is None else f"{1e3 * value:.3f}" for value in values),
                f"{1e3 * bound(contest):.3f}",
                f"{contest['ceilings']['flops'] / 1e12:.1f}",
                f"{contest['ceilings']['bytes'] / 1e9:.0f}",
            ]
        )
    return table(["", *NAMES.values(), "roofline", "TFLOP/s", "GB/s"], rows)


def ratios(results: Result) -> str:
    """minigrad over the others."""
    rows, others = [], ("captured", "eager", "compile")
    for contest in results["contests"]:
        fused, bare = seconds(contest, "fused"), seconds(contest, "minigrad")
        if fused is None or bare is None:
            continue
        times = [seconds(contest, name) for name in others]
        shown = ["" if other is None else f"{fused / other:.2f}" for other in times]
        rows.append(
            [label(contest), f"{fused / bare:.2f}", *shown, f"{fused / bound(contest):.2f}"]
        )
    columns = ["fused minigrad over", *(NAMES[name] for name in ("minigrad", *others)), "roofline"]
    return table(columns, rows)


def aims(results: Result) -> str:
    """Which goals were met."""
    rows = [
        [what, f"{limit:.3g}", f"{ratio:.2f}", "met" if ratio <= limit else "not met"]
        for what, ratio, limit in goals(results)
    ]
    return table(["", "at most", "measured", ""], rows)


def write(results: Result, folder: Path) -> list[Path]:
    """gpu.md and gpu.json."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "gpu.md", folder / "gpu.json"]
    paths[0].write_text(markdown(results), encoding="utf-8")
    paths[1].write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return paths

"""How ``benchmark_cpu.py`` tells what it measured: Markdown tables for the terminal and for a file,
and a JSON file with every number. Nothing here measures."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from contenders import PEERS
from goals import Result, check, compare, is_main, size
from problem import Problem

NAMES = {"torch": "PyTorch", "fused": "minigrad, fused", "captured": "minigrad, captured",
         "jax": "JAX jit", "torch_compile": "torch.compile", "dezero": "DeZero",
         "autograd": "HIPS autograd", "mygrad": "MyGrad", "pydynet": "PyDyNet"}  # fmt: skip
NOTHING = "-"


def table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table that can be read unrendered too; empty if there are no rows."""
    rows = list(rows)
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def markdown(results: Result) -> str:
    """The whole report."""
    sections = [
        ("", _opening(results)),
        ("## Goals", _goals(results)),
        *((f"## {title}", _steps(contests)) for title, contests in _by_kind(results)),
        ("## Other frameworks on NumPy", _peers(results)),
        ("## What bounds a step", _roofline(results)),
        ("## Memory and page faults", _alone(results)),
        ("## The engine alone", _engine(results)),
    ]
    text = "\n\n".join(f"{title}\n\n{body}".strip() for title, body in sections if body)
    return f"# The CPU benchmark: one run\n\n{text}\n"


# ------------------------------------------------------------------------------------ the sections


def _opening(results: Result) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "Written by `examples/benchmarks/cpu.py`; [README.md](README.md) says what is measured and "
        "how to read it. Ratios are of medians and below 1 where the first named is faster; in "
        "brackets the quartiles of the ratios turn by turn.",
        f"{results['date']}. {machine['cores']} cores, {machine['cpu']}. {versions}. "
        f"{results['minutes']:.1f} minutes.",
    ]
    if results["quick"]:
        lines.append("A quick run: fewer turns than the numbers need to be relied on.")
    if not results["finished"]:
        lines.append("The run was cut short: what follows is what had been measured.")
    lines += [f"Left out: {name}, {reason}." for name, reason in results["absent"].items()]
    return "\n\n".join(lines)


def _goals(results: Result) -> str:
    rows = [[c.what, c.where, f"{c.goal:g}", c.shown, c.verdict] for c in check(results)]
    return table(["", "where", "at most", "measured", ""], rows)


def _by_kind(results: Result) -> Iterator[tuple[str, list[Result]]]:
    for optimizer in ("SGD", "Adam"):
        for batchnorm in (True, False):
            kind = {"batchnorm": batchnorm, "optimizer": optimizer}
            yield (
                f"The step {'with' if batchnorm else 'without'} BatchNorm, {optimizer}",
                [
                    contest
                    for contest in results["contests"]
                    if kind.items() <= contest["problem"].items() and not contest["peers"]
                ],
            )


def _steps(contests: list[Result]) -> str:
    rows = [
        [
            size(contest["problem"]),
            str(contest["threads"]),
            _milliseconds(contest, "minigrad"),
            _ratio(contest, "minigrad", "torch"),
            _ratio(contest, "fused", "torch"),
            _ratio(contest, "minigrad", "floor"),
            _ratio(contest, "fused", "floor"),
            _ratio(contest, "captured", "torch"),
            _ratio(contest, "captured", "floor"),
            _ratio(contest, "captured", "jax"),
            _ratio(contest, "torch_compile", "torch"),
            _ratio(contest, "floor", "torch"),
            str(len(contest["times"]["minigrad"])),
        ]
        for contest in contests
    ]
    columns = ["batch x width", "threads", "minigrad, ms", "minigrad / PyTorch", "fused / PyTorch",
               "minigrad / floor", "fused / floor", "captured / PyTorch", "captured / floor",
               "captured / JAX jit", "torch.compile / PyTorch", "floor / PyTorch",
               "turns"]  # fmt: skip
    keep = [i for i in range(len(columns)) if any(row[i] != NOTHING for row in rows)]
    return table([columns[i] for i in keep], [[row[i] for i in keep] for row in rows])


def _peers(results: Result) -> str:
    rows = []
    for contest in results["contests"]:
        for name in PEERS:
            if name in contest["times"]:
                rows.append(
                    [
                        size(contest["problem"]),
                        str(contest["threads"]),
                        NAMES[name],
                        _ratio(contest, "minigrad", name),
                        _ratio(contest, name, "torch"),
                    ]
                )
    return table(["batch x width", "threads", "peer", "minigrad / peer", "peer / PyTorch"], rows)


def _roofline(results: Result) -> str:
    rows = []
    for contest in results["contests"]:
        if not is_main(contest) or "gemm" not in contest["times"]:
            continue
        problem = Problem(**contest["problem"])
        gemm, stream = (_median(contest, part) for part in ("gemm", "stream"))
        bound = gemm + stream
        rows.append(
            [
                size(contest["problem"]),
                str(contest["threads"]),
                f"{problem.gemm_flops / 1e9:.3g}",
                f"{problem.gemm_flops / gemm / 1e9:.0f}",
                f"{4 * problem.stream_floats / 1e6:.3g}",
                f"{4 * problem.stream_floats / stream / 1e9:.0f}",
                f"{1e3 * bound:.3g}",
                *(
                    f"{_median(contest, name) / bound:.2f}" if name in contest["times"] else NOTHING
                    for name in ("minigrad", "fused", "floor", "torch")
                ),
            ]
        )
    text = table(
        ["batch x width", "threads", "GFLOP", "GFLOP/s", "MB", "GB/s", "bound, ms",
         "minigrad / bound", "fused / bound", "floor / bound", "PyTorch / bound"],
        rows,
    )  # fmt: skip
    return text and (
        "With BatchNorm and SGD. The bound is the time of the matrix products alone (GFLOP over "
        "the rate at which NumPy does these very products) plus that of moving what else must be "
        "read and written (MB over the rate at which NumPy copies as much).\n\n" + text
    )


def _alone(results: Result) -> str:
    rows = [
        [
            size(row["problem"]),
            str(row["threads"]),
            NAMES.get(row["contender"], row["contender"]),
            NOTHING if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:.1f}",
            f"{row['faults']:.0f}",
            f"{1e3 * row['seconds']:.3g}",
        ]
        for row in results["alone"]
    ]
    columns = ["batch x width", "threads", "", "peak, MiB", "page faults per step", "ms, alone"]
    return table(columns, rows)


def _engine(results: Result) -> str:
    parts = []
    if "engine" in results:
        parts = [_chains(results["engine"]["chains"]), _depth(results["engine"]["depth"])]
    if "import_seconds" in results:
        milliseconds = 1e3 * np.array(results["import_seconds"])
        low, median, high = np.quantile(milliseconds, [0.25, 0.5, 0.75])
        parts.append(
            f"`import minigrad` after `import numpy`: {median:.1f} ms, quartiles {low:.1f} and "
            f"{high:.1f}, {len(milliseconds)} processes."
        )
    return "\n\n".join(parts)


def _chains(chains: list[Result]) -> str:
    rows = [
        [
            f"{chain['nodes']:,} additions of a {'leaf' if chain['shared'] else 'constant'}",
            NAMES.get(name, name),
            f"{1e6 * chain['forward'][name]:.2f}",
            f"{1e6 * chain['backward'][name]:.2f}",
            _ratio(chain, name, "torch"),
        ]
        for chain in chains
        for name in chain["times"]
    ]
    columns = ["chain", "", "forward, µs per node", "backward, µs per node", "both / PyTorch"]
    return table(columns, rows)


def _depth(depth: Result) -> str:
    rows = [
        [
            NAMES.get(name, name),
            *(f"{1e6 * s:.1f}" for s in seconds),
            f"{seconds[-1] / seconds[0]:.2f}",
        ]
        for name, seconds in depth["seconds_per_layer"].items()
    ]
    numbers = [f"{number:,}" for number in depth["depths"]]
    text = table(["layers", *numbers, "deepest / shallowest"], rows)
    return "Microseconds per layer of networks that differ in depth alone:\n\n" + text


def _ratio(contest: Result, name: str, base: str) -> str:
    if name == base and name in contest["times"]:
        return "1"
    measured = compare(contest, name, base)
    return NOTHING if measured is None else str(measured)


def _median(contest: Result, name: str) -> float:
    return float(np.median(contest["times"][name]))


def _milliseconds(contest: Result, name: str) -> str:
    return f"{1e3 * _median(contest, name):.3g}"


# ------------------------------------------------------------------------------------- the files


def write(results: Result, folder: Path) -> list[Path]:
    """cpu.md, the report, and cpu.json, every number, times in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    report, numbers = folder / "cpu.md", folder / "cpu.json"
    report.write_text(markdown(results), encoding="utf-8")
    goals = [{**dataclasses.asdict(c), "met": c.met, "verdict": c.verdict} for c in check(results)]
    text = json.dumps({**_rounded(results), "goals": _rounded(goals)}, indent=1)
    numbers.write_text(text + "\n", encoding="utf-8")
    return [report, numbers]


def _rounded(value: Any) -> Any:
    """Four digits of every float: more are noise."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value

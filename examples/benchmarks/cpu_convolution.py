"""How long a convolution takes on the CPU, forward and backward, beside PyTorch and DeZero.

    python examples/benchmarks/cpu_convolution.py [--seconds 20] [--out docs/benchmarks]

Kernels of 3x3 with padding 1, float32, one thread; gradients of input, weight and bias. The
contenders take turns in one process. What counts is the ratio of the medians of their processor
time, which with one thread is the time without what other programs take. The peak of memory is
measured in a process for each. Prints a table, and writes it as convolution.md.
"""

import argparse
import datetime
import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS", "OMP", "MKL"):  # read when the libraries are loaded
    os.environ[f"{_name}_NUM_THREADS"] = "1"
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # NumPy's BLAS for another processor
    os.environ.pop(_name, None)

try:
    import numpy as np
    from cpu import cores, cpu_model
    from goals import ratio

    import minigrad as mg
    import minigrad.functional as F
except ModuleNotFoundError as error:
    sys.exit(f"This benchmark needs {error.name}: pip install -e '.[bench]'")

CASES = {  # images, channels that come, channels that go, height and width: the goal
    (32, 16, 64, 32): 1.2,
    (32, 64, 64, 32): 1.5,
    (64, 1, 8, 28): 0.5,
    (32, 3, 16, 32): 0.9,
}
AGAINST_DEZERO, MEMORY = 1 / 3, 2.0  # at most

WRITTEN_BY = f"""\
Written by `examples/benchmarks/cpu_convolution.py`, which says what is measured. Ratios are of
medians and below 1 where minigrad is faster; in brackets the quartiles of the ratios turn by turn.
The goal is at most {AGAINST_DEZERO:.2f} of DeZero's time, and at most {MEMORY:g} times PyTorch's
peak of memory (what the first run adds to it)."""

Case = tuple[int, int, int, int]
Run = Callable[[], list[Any]]


def arrays(case: Case) -> list[np.ndarray]:
    """x, weight, bias, and the gradient that arrives."""
    n, c, o, size = case
    rng = np.random.default_rng(0)
    shapes = (n, c, size, size), (o, c, 3, 3), (o,), (n, o, size, size)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def minigrad(case: Case) -> Run:
    """The gradients of x, weight and bias, by minigrad."""
    *inputs, grad = arrays(case)
    x, w, b = (mg.tensor(a, requires_grad=True) for a in inputs)
    seed = mg.tensor(grad)

    def run() -> list[Any]:
        x.grad = w.grad = b.grad = None
        F.conv2d(x, w, b, padding=1).backward(seed)
        return [t.grad.numpy() for t in (x, w, b)]

    return run


def pytorch(case: Case) -> Run:
    """The same by PyTorch."""
    import torch

    torch.set_num_threads(1)
    *inputs, grad = arrays(case)
    x, w, b = (torch.tensor(a, requires_grad=True) for a in inputs)
    seed = torch.tensor(grad)

    def run() -> list[Any]:
        x.grad = w.grad = b.grad = None
        torch.nn.functional.conv2d(x, w, b, padding=1).backward(seed)
        return [t.grad.numpy() for t in (x, w, b)]

    return run


def dezero(case: Case) -> Run:
    """The same by DeZero, where it is installed."""
    if not hasattr(np, "int"):  # removed in NumPy 1.24, and named by DeZero 0.0.13 when imported
        np.int = int  # type: ignore[attr-defined]
    import dezero.functions as df
    from dezero import Variable

    *inputs, grad = arrays(case)
    x, w, b = (Variable(a) for a in inputs)

    def run() -> list[Any]:
        for variable in (x, w, b):
            variable.cleargrad()
        y = df.conv2d(x, w, b, stride=1, pad=1)
        y.grad = Variable(grad)
        y.backward()
        return [variable.grad.data for variable in (x, w, b)]

    return run


CONTENDERS = {"minigrad": minigrad, "PyTorch": pytorch, "DeZero": dezero}


def contest(case: Case, seconds: float) -> dict[str, list[float]]:
    """The seconds of each contender, turn by turn; those that are missing are left out."""
    runs: dict[str, Run] = {}
    for name, make in CONTENDERS.items():
        try:
            runs[name] = make(case)
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    expected = runs["minigrad"]()
    for name, run in runs.items():  # warms up, too
        for a, b in zip(run(), expected, strict=True):
            if not np.allclose(a, b, rtol=1e-3, atol=1e-3 * float(np.abs(b).max())):
                raise RuntimeError(f"{name} computes other gradients")
    times: dict[str, list[float]] = {name: [] for name in runs}
    names, deadline, turn = list(runs), time.perf_counter() + seconds, 0
    gc.disable()
    while turn < 5 or time.perf_counter() < deadline:
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            start = time.process_time()
            runs[name]()
            times[name].append(time.process_time() - start)
        turn += 1
    gc.enable()
    return times


def peak(name: str, case: Case) -> int:
    """Bytes that the first run adds to the most memory that a process of its own ever had."""
    command = [sys.executable, __file__, "--peak", name, "--case", "x".join(map(str, case))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(name: str, case: Case) -> None:
    """For the process of ``peak``: a small run first, so that all is loaded."""
    from worker import memory, restart_peak

    CONTENDERS[name]((2, 1, 1, 4))()
    run = CONTENDERS[name](case)
    before = restart_peak()
    if before is None:
        raise RuntimeError("the peak of memory can be measured on Linux with glibc only")
    run()
    print(memory("VmHWM") - before)


def table(results: dict[Case, dict[str, list[float]]], peaks: dict[Case, dict[str, int]]) -> str:
    """The results as Markdown."""
    lines = [
        "| images, channels, size | minigrad, ms | PyTorch, ms | ratio | at most | | of DeZero | "
        "peak of memory, MB | of PyTorch's |",
        "|---|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    for case, times in results.items():
        n, c, o, size = case
        cells = [f"{n}, {c} to {o}, {size}x{size}"]
        own = times["minigrad"]
        cells.append(f"{1e3 * np.median(own):.2f}")
        if "PyTorch" in times:
            found, goal = ratio(own, times["PyTorch"]), CASES[case]
            cells += [
                f"{1e3 * np.median(times['PyTorch']):.2f}",
                f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]",
                f"{goal:g}",
                "met" if found.value <= goal else "not met",
            ]
        else:
            cells += [""] * 4
        cells.append(f"{ratio(own, times['DeZero']).value:.2f}" if "DeZero" in times else "")
        memory = peaks[case]
        cells.append(f"{memory['minigrad'] / 1e6:.0f}")
        cells.append(
            f"{memory['minigrad'] / memory['PyTorch']:.2f}" if memory.get("PyTorch") else ""
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(results: dict[Case, Any], peaks: dict[Case, Any]) -> str:
    """The whole page."""
    versions = {
        "Python": platform.python_version(),
        "minigrad": mg.__version__,
        "numpy": np.__version__,
    }
    for name in ("torch", "dezero"):
        if name in sys.modules:
            versions[name] = version(name)
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return "\n\n".join(
        [
            "# Convolution on the CPU: one run",
            WRITTEN_BY,
            f"{datetime.date.today().isoformat()}. {cores()} cores, {cpu_model()}. {listed}.",
            table(results, peaks),
            "The kernel is explained in "
            "[`kernels/cpu_convolution.py`](../../minigrad/kernels/cpu_convolution.py).\n",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="for each case")
    parser.add_argument("--out", default="out", help="folder of convolution.md")
    parser.add_argument("--peak", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peak:
        n, c, o, size = map(int, options.case.split("x"))
        print_peak(options.peak, (n, c, o, size))
        return 0
    results = {case: contest(case, options.seconds) for case in CASES}
    named = set(results[next(iter(CASES))])
    peaks = {
        case: {name: peak(name, case) for name in ("minigrad", "PyTorch") if name in named}
        for case in CASES
    }
    text = page(results, peaks)
    print(text)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "convolution.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

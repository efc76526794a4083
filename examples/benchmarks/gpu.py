"""How long a training step takes on a GPU, beside PyTorch's and beside what the GPU allows.

    python examples/benchmarks/gpu.py --out docs/benchmarks

First every CUDA kernel is checked against float64. Then the step of the CPU benchmark (20 layers of
Linear, BatchNorm and Sigmoid, a linear head, softmax cross-entropy, backward, SGD or Adam) is timed
in minigrad, in minigrad with ``nn.fuse``, in PyTorch run eagerly and in ``torch.compile``, which
take turns; in float32 and in TF32. It needs CuPy and a GPU; without PyTorch it goes on alone. It
prints tables, and writes them (gpu.md) with every number (gpu.json). docs/benchmarks/README.md says
how to read them.
"""

import argparse
import datetime
import math
import platform
import re
import secrets
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import gpu_report as report
import numpy as np
from gpu_checks import checks
from gpu_contenders import MAKERS, inputs, missing_torch, set_precision
from problem import Problem

import minigrad as mg
from minigrad.backend import import_cupy

SIZES = "256x256,1024x1024,4096x1024,8192x2048"
PRECISIONS = {"fp32": "highest", "TF32": "high"}
OPTIMIZERS = ("SGD", "Adam")
TURN = 0.03  # seconds of work between two events
STARTED = time.perf_counter()


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="batch x width, ...")
    parser.add_argument("--depth", type=int, default=20, help="layers")
    parser.add_argument("--minutes", type=float, default=7.5,
                        help="after which nothing new is begun")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a rough look")
    parser.add_argument("--out", type=Path, default=Path("out"), help="for gpu.md and gpu.json")
    return parser.parse_args(argv)


def _sizes(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)x(\d+)", part.strip())
        if match is None or int(match[1]) < 2 or int(match[2]) < 1:
            raise argparse.ArgumentTypeError(
                f"got {part!r}, expected batch x width, such as 256x256, with a batch of 2 at least"
            )
        found.append((int(match[1]), int(match[2])))
    return found


# ------------------------------------------------------------------------------------- timing


def turn(contender: Any, steps: int, first: int) -> float:
    """Seconds per step, over ``steps`` steps between two events."""
    contender.synchronize()
    start, end = contender.event(), contender.event()
    start.record()
    for i in range(first, first + steps):
        contender.step(i)
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / steps


def contest(contenders: dict[str, Any], budget: float) -> dict[str, list[float]]:
    """The contenders in turns, each round begun by another; seconds per step of each turn."""
    steps = {}
    for name, contender in contenders.items():
        turn(contender, 3, 0)  # memory is found, clocks rise
        steps[name] = max(1, round(TURN / max(turn(contender, 3, 3), 1e-9)))
        steps[name] = min(steps[name], 200)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names, end, done = list(contenders), time.perf_counter() + budget, 0
    while done < 5 or (time.perf_counter() < end and done < 100):
        for name in names[done % len(names) :] + names[: done % len(names)]:
            times[name].append(turn(contenders[name], steps[name], done))
        done += 1
    return times


def timed(work: Any, budget: float) -> float:
    """The median seconds of ``work``, between events."""
    found: list[float] = []
    end = time.perf_counter() + budget
    while len(found) < 8 or (time.perf_counter() < end and len(found) < 200):
        start, stop = mg.cuda.Event(), mg.cuda.Event()
        start.record()
        work()
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) / 1e3)
    return median(found[3:])


def ceilings(problem: Problem, budget: float, quick: bool) -> dict[str, float]:
    """FLOP/s in the three products of a layer, and bytes/s in copying a large array."""
    cupy: Any = import_cupy()
    rng = np.random.default_rng(secrets.randbits(32))
    n, c = problem.batch, problem.width

    def draw(*shape: int) -> Any:
        return cupy.asarray(rng.standard_normal(shape, np.float32))

    x, w, g = draw(n, c), draw(c, c), draw(n, c)

    def products() -> None:
        x @ w.T
        g @ w
        g.T @ x

    large = cupy.arange(2**18 if quick else 2**27, dtype=np.float32)
    copied = cupy.empty_like(large)
    per_copy = timed(lambda: cupy.copyto(copied, large), budget)
    return {
        "flops": 6 * n * c * c / timed(products, budget),
        "bytes": 2 * large.nbytes / per_copy,
    }


def agree(contenders: dict[str, Any], precision: str) -> dict[str, list[float]]:
    """The first two losses of each, which must be the same: a step that differs is another one.

    Raises:
        RuntimeError: they are not.
    """
    losses = {name: [float(c.step(i)) for i in range(2)] for name, c in contenders.items()}
    first = next(iter(losses.values()))
    within = 1e-3 if precision == "fp32" else 2e-2
    for name, found in losses.items():
        if not all(math.isclose(a, b, rel_tol=within) for a, b in zip(found, first, strict=True)):
            raise RuntimeError(f"the losses of {name} are {found}, the first contender's {first}")
    return losses


# ------------------------------------------------------------------------------------- the run


def measure(options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Everything; ``results`` fills up on the way.

    Raises:
        RuntimeError: a kernel is wrong, or two contenders do not compute the same.
    """
    seed = secrets.randbits(32)
    results["seed"] = seed
    for check in checks(seed):
        results["checks"].append({**vars(check), "passed": check.passed})
    wrong = [c for c in results["checks"] if not c["passed"]]
    if wrong:
        raise RuntimeError(f"{len(wrong)} kernels are wrong, the first of them {wrong[0]}")
    say(f"{len(results['checks'])} comparisons with float64: all kernels are right")
    with_torch = "PyTorch" not in results["absent"]
    names = [name for name in MAKERS if with_torch or name in ("minigrad", "fused", "captured")]
    budget = 0.05 if options.quick else 4.0
    for batch, width in options.sizes:
        data = inputs(Problem(batch, width), seed)
        first = Problem(batch, width, depth=options.depth)
        contenders = {name: MAKERS[name](first, data) for name in names}
        for precision, word in PRECISIONS.items():
            set_precision(word, with_torch)
            limits = ceilings(first, budget / 8, options.quick)
            for optimizer in OPTIMIZERS:
                if time.perf_counter() - STARTED > 60 * options.minutes:
                    raise RuntimeError(f"{options.minutes:g} minutes are over")
                problem = Problem(batch, width, optimizer=optimizer, depth=options.depth)
                for name, contender in list(contenders.items()):
                    try:
                        contender.start(problem)
                    except Exception as error:
                        if name != "captured":
                            raise
                        del contenders[name]  # the others are compared all the same
                        results["absent"][f"minigrad, captured, {batch}x{width}"] = str(error)
                losses = agree(contenders, precision)
                results["contests"].append(
                    {
                        "problem": {
                            "batch": batch, "width": width, "optimizer": optimizer,
                            "depth": options.depth,
                        },
                        "precision": precision,
                        "ceilings": limits,
                        "losses": losses,
                        "times": contest(contenders, budget),
                    }
                )  # fmt: skip
                say(report.label(results["contests"][-1]))
        set_precision("highest", with_torch)
    results["finished"] = True


def say(line: str) -> None:
    """Progress, beside the report."""
    print(f"{time.perf_counter() - STARTED:4.0f} s  {line}", file=sys.stderr, flush=True)


def machine(with_torch: bool) -> dict[str, Any]:
    """The card and the versions; nothing that names the machine."""
    cupy: Any = import_cupy()
    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(0)["name"]
    versions = {"Python": platform.python_version(), "NumPy": np.__version__}
    versions |= {"CuPy": cupy.__version__, "CUDA driver": str(runtime.driverGetVersion())}
    for package in ("minigrad", *(["torch"] if with_torch else [])):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # run from the source
            versions[package] = mg.__version__
    return {"gpu": name.decode() if isinstance(name, bytes) else name, "versions": versions}


def main(argv: list[str] | None = None) -> int:
    """Check, measure, print, write. The exit code is 0; 1 if something is wrong or the time is
    over; 2 without a GPU; 130 if interrupted."""
    options = parse(argv)
    working, reason = mg.cuda.status()
    if not working:
        print(f"This benchmark needs a GPU: {reason}.", file=sys.stderr)
        return 2
    absent = missing_torch()
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(absent is None),
        "quick": options.quick,
        "finished": False,
        "absent": {} if absent is None else {"PyTorch": absent},
        "checks": [],
        "contests": [],
    }
    code = 0
    try:
        measure(options, results)
    except KeyboardInterrupt:
        say("Interrupted. What was measured is kept.")
        code = 130
    except (RuntimeError, MemoryError) as error:
        say(f"{error}. What was measured is kept.")
        code = 1
    results["minutes"] = (time.perf_counter() - STARTED) / 60
    print(report.markdown(results))
    paths = report.write(results, options.out)
    print(f"Written to {options.out}: {', '.join(path.name for path in paths)}.")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""How long a training step takes on the CPU, beside PyTorch, NumPy by hand and other frameworks.

    python examples/benchmarks/cpu.py          # or: make bench

The step: 20 layers of Linear (-BatchNorm) -Sigmoid and a linear head, softmax cross-entropy,
backward, SGD or Adam, all in float32. The contenders take turns in one process, so that whatever
else the machine does meets them alike, and what counts is the ratio of their medians. Beside the
times: page faults, peak memory, what the engine costs per operation, and what bounds a step.

docs/benchmarks/README.md says how each number is measured and read. It prints tables, and writes
them (cpu.md) with every number (cpu.json) into a folder. The frameworks that are not installed are
left out, with a line that says so.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

try:
    import report as report
    from contenders import COMPILERS, OWN, PEERS, missing
    from goals import Result, check, compare, in_threads, size
except ModuleNotFoundError as error:
    sys.exit(f"This benchmark needs {error.name}: pip install -e '.[bench]'")

WORKER = Path(__file__).with_name("worker.py")
SIZES = ("64x32", "128x64", "256x256", "256x512", "512x1024")
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                    "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")  # fmt: skip

# Where these are set, NumPy's BLAS runs another processor's kernels, at half its speed or less.
KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")

STARTED = time.perf_counter()

# ------------------------------------------------------------------------------ the command line


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--sizes", type=_list_of(_size), default=",".join(SIZES),
                        help="batch x width, separated by commas")  # fmt: skip
    parser.add_argument("--threads", type=_list_of(_positive), default=_default_threads(),
                        help="numbers of threads, the same on both sides")  # fmt: skip
    parser.add_argument("--peers", type=_peers, default="all",
                        help=f"all, none, or some of {','.join(PEERS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a rough look in under a minute")
    parser.add_argument("--out", type=Path, default=Path("out"),
                        help="folder for cpu.md and cpu.json")  # fmt: skip
    return parser.parse_args(argv)


def _list_of(kind: Any) -> Any:
    def items(text: str) -> list[Any]:
        return [kind(item) for item in text.split(",")]

    return items


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text.strip())
    if found is None or int(found[1]) < 2 or int(found[2]) < 1:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected batch x width, such as 64x32, with a batch of at least 2"
        )
    return int(found[1]), int(found[2])


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def _peers(text: str) -> list[str]:
    names = {"all": list(PEERS), "none": []}.get(text, text.split(","))
    if unknown := [name for name in names if name not in PEERS]:
        raise argparse.ArgumentTypeError(f"got {unknown}, expected some of {', '.join(PEERS)}")
    return names


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_threads() -> str:
    return "1,2" if cores() > 1 else "1"


# -------------------------------------------------------------------------------------- the plan


def contests(options: argparse.Namespace, present: set[str]) -> Iterator[Result]:
    """Who is timed against whom, and for how long. The goals speak of the first kind."""
    seconds, turn = (0.2, 0.02) if options.quick else (6.0, 0.03)

    def contest(names: list[str], share: float, *problem: Any) -> Result:
        batch, width, batchnorm, optimizer = problem
        return {
            "problem": {
                "batch": batch, "width": width, "batchnorm": batchnorm, "optimizer": optimizer,
            },
            "names": [name for name in names if name in present],
            "peers": any(name in PEERS for name in names),
            "seconds": seconds * share,
            "rounds": 5 if share == 1 else 4,
            "turn": turn,
        }  # fmt: skip

    for batch, width in options.sizes:
        compiled = ["captured", *COMPILERS]
        main = ["minigrad", "fused", "torch", "floor", "gemm", "stream", *compiled]
        yield contest(main, 1, batch, width, True, "SGD")
        yield contest(
            ["minigrad", "fused", "torch", "floor", *compiled], 0.5, batch, width, False, "SGD"
        )
        for batchnorm in (True, False):
            yield contest(
                ["minigrad", "fused", "torch", *compiled], 0.4, batch, width, batchnorm, "Adam"
            )
        others = [name for name in options.peers if name in present]
        if others and batch * width <= 256 * 256:
            yield contest(["minigrad", "fused", "torch", *others], 0.6, batch, width, True, "SGD")


def work(job: Result, threads: int, with_torch: bool) -> Iterator[Result]:
    """The results of a job, from a worker with that many threads."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    for name in KERNEL_VARIABLES:
        environment.pop(name, None)
    if threads == 1:  # XLA has threads of its own
        environment["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    command = [sys.executable, str(WORKER)]
    job = {**job, "threads": threads, "torch": with_torch}
    with subprocess.Popen(
        [*command, json.dumps(job)], env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            yield from map(json.loads, process.stdout)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"the worker for {job['job']} ended with {process.returncode}")


def import_seconds(processes: int) -> list[float]:
    """How long ``import minigrad`` takes once NumPy is there, in fresh processes."""
    code = (
        "import time, numpy; start = time.perf_counter(); import minigrad; "
        "print(time.perf_counter() - start)"
    )
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    found = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, check=True, env=environment
            ).stdout
        )
        for _ in range(processes + 1)
    ]
    return found[1:]  # the first one may have had to compile


def measure(options: argparse.Namespace, present: set[str], results: Result) -> None:
    """Everything. ``results`` fills up on the way, so an interruption leaves what is done."""
    with_torch = "torch" in present
    for threads in options.threads:
        jobs = list(contests(options, present))
        for result in work({"job": "contests", "contests": jobs}, threads, with_torch):
            if "times" in result:
                results["absent"] |= result.pop("absent")
                results["contests"].append(result)
                say(_line(result))
            else:
                results["machine"]["versions"] |= result["versions"]
    for batch, width in options.sizes:
        problem = {"batch": batch, "width": width, "batchnorm": True, "optimizer": "SGD"}
        for name in ("minigrad", "torch", "floor"):
            if name in present:
                job = {"job": "alone", "problem": problem, "name": name}
                job["seconds"] = 0.05 if options.quick else 0.3
                # The peak of one process is not that of the next: PyTorch's differ by a tenth.
                processes = range(1 if options.quick else 3)
                runs = [
                    r for _ in processes for r in work(job, options.threads[0], name == "torch")
                ]
                runs.sort(key=lambda result: result["peak_bytes"] or 0)
                results["alone"].append(runs[len(runs) // 2])
                say(f"{batch}x{width}, {name} alone")
    job = {
        "job": "engine",
        "turns": 3 if options.quick else 15,
        "nodes": 10_000,
        "depth_turns": 1 if options.quick else 3,
        "depths": [20, 200, 2_000] if options.quick else [20, 200, 2_000, 20_000],
    }
    [results["engine"]] = work(job, 1, with_torch)
    say("the engine alone")
    results["import_seconds"] = import_seconds(3 if options.quick else 21)
    results["finished"] = True


def _line(contest: Result) -> str:
    problem = contest["problem"]
    parts = [
        in_threads(contest["threads"]),
        size(problem),
        "BatchNorm" if problem["batchnorm"] else "no BatchNorm",
        problem["optimizer"],
    ]
    for base in contest["times"]:
        measured = compare(contest, "minigrad", base)
        if measured is not None and base not in ("minigrad", "gemm", "stream"):
            parts.append(f"{measured.value:.2f} of {base}")
    return ", ".join(parts)


def say(line: str) -> None:
    """Progress, beside the report."""
    print(f"{time.perf_counter() - STARTED:4.0f} s  {line}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------ the machine


def machine(present: set[str]) -> Result:
    """What the numbers depend on: cores, processor, versions. Nothing that names the machine."""
    distributions = ["minigrad-batchnorm", "numpy", *sorted(present & {"torch", "jax", *PEERS})]
    return {
        "cores": cores(),
        "cpu": cpu_model(),
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in distributions},
            **(_mkl() if "torch" in present else {}),
        },
    }


def _mkl() -> dict[str, str]:
    """What MKL, PyTorch's BLAS on most x86 machines, says of itself when it multiplies."""
    code = "import torch; x = torch.ones(8, 8); x @ x"
    environment = {**os.environ, "MKL_VERBOSE": "1"}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    found = re.search(r"MKL_VERBOSE (?:one)?MKL (.+?) Product.*? 64 architecture (.+?),", said)
    return {"PyTorch's MKL": f"{found[1]} (code for {found[2]})"} if found else {}


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write. The exit code is 0, 1 (a worker failed) or 130 (interrupted)."""
    options = parse(argv)
    absent = {}
    for name in ("torch", *COMPILERS, *options.peers):
        if (reason := missing(name)) is not None:
            absent[name] = reason
    present = {*OWN, "torch", *COMPILERS, *options.peers} - set(absent)
    results: Result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(present),
        "quick": options.quick,
        "finished": False,
        "absent": absent,
        "contests": [],
        "alone": [],
    }
    code = 0
    try:
        measure(options, present, results)
    except KeyboardInterrupt:
        say("Interrupted. What was measured is kept.")
        code = 130
    except RuntimeError as error:
        say(f"{error}. What was measured is kept.")
        code = 1
    results["minutes"] = (time.perf_counter() - STARTED) / 60
    print(report.markdown(results))
    checks = check(results)
    print(f"{sum(c.met for c in checks)} of {len(checks)} goals met.")
    paths = report.write(results, options.out)
    print(f"Written to {options.out}: {', '.join(path.name for path in paths)}.")
    return code


if __name__ == "__main__":
    sys.exit(main())

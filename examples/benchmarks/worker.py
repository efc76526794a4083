"""One measurement of ``benchmark_cpu.py``, in a process of its own.

    python examples/benchmarks/worker.py '{"job": "alone", ...}'

A process of its own, because the number of threads is fixed when NumPy is loaded, and because page
faults and peak memory depend on what ran before. The job is a JSON object, each result a line of
JSON on standard output; ``JOBS`` at the end says which there are.
"""

import contextlib
import ctypes
import gc
import json
import math
import os
import re
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from contenders import CONTENDERS, PARTS, PEERS, Step, loss_value
from problem import Problem

import minigrad as mg
import minigrad.functional as F

WORST_DISAGREEMENT = 1e-3  # relative, between the losses of two contenders after a step
MOST_ROUNDS = 100
REST = 0.03  # seconds until the other library's threads have stopped spinning for work

Result = dict[str, Any]

# ----------------------------------------------------------------------------------- interleaved


def contest(
    problem: Problem, names: list[str], threads: int, seconds: float, rounds: int, turn: float
) -> Result:
    """Contenders take turns for ``seconds``, and for at least so many ``rounds``: the seconds per
    step of each, turn by turn.

    A turn is as many steps as fit into ``turn`` seconds. In each round another one begins, so that
    what a contender leaves behind in caches and in the allocator meets the others alike.
    """
    steps, counts, absent = {}, {}, {}
    expected: list[float] | None = None
    for name in names:
        try:
            step = CONTENDERS[name](problem)
            losses, second = warm_up(step)
            if name not in PARTS:
                expected = expected or losses
                check_agreement(name, losses, expected)
        except Exception as error:
            if name not in PEERS:
                raise
            absent[name] = f"it failed with {type(error).__name__}: {error}".partition("\n")[0]
        else:
            steps[name], counts[name] = step, max(1, round(turn / second))
    names = list(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()  # what the libraries brought along is not searched for garbage again and again
    deadline = time.perf_counter() + seconds
    for start in range(MOST_ROUNDS):
        for i in range(len(names)):
            name = names[(start + i) % len(names)]
            gc.collect()
            if threads > 1:
                time.sleep(REST)
            if counts[name] > 1:
                steps[name]()  # wakes the threads, fills the caches
            times[name].append(timed(steps[name], counts[name]))
        if start + 1 >= rounds and time.perf_counter() > deadline:
            break
    gc.unfreeze()
    return {"threads": threads, "problem": vars_of(problem), "times": times, "absent": absent}


def warm_up(step: Step) -> tuple[list[float], float]:
    """The losses of the first two steps, and how long the second one took."""
    first = loss_value(step())
    started = time.perf_counter()
    second = loss_value(step())
    return [first, second], time.perf_counter() - started


def check_agreement(name: str, losses: list[float], expected: list[float]) -> None:
    """The first loss holds the forward passes to each other, the second one the gradients."""
    if not np.allclose(losses, expected, rtol=WORST_DISAGREEMENT, atol=0):
        raise RuntimeError(
            f"{name}: the losses of the first two steps are {losses}, expected {expected} as "
            f"for the others; it computes something else, so its time says nothing"
        )


def timed(step: Step, count: int) -> float:
    """Seconds per step."""
    started = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - started) / count


def vars_of(problem: Problem) -> Result:
    """What tells one problem from another."""
    return {
        "batch": problem.batch,
        "width": problem.width,
        "batchnorm": problem.batchnorm,
        "optimizer": problem.optimizer,
    }


# ----------------------------------------------------------------------------------------- alone


def alone(problem: Problem, name: str, threads: int, seconds: float) -> Result:
    """One contender without others: page faults per step once warm, and peak memory.

    The peak is that of building the network and training it for three steps, above what the
    process had after a tiny network had loaded all code.
    """
    warm_up(CONTENDERS[name](Problem(8, 8, problem.batchnorm, problem.optimizer)))
    gc.collect()
    before = restart_peak()
    step = CONTENDERS[name](problem)
    warm_up(step)
    step()
    peak = None if before is None else memory("VmHWM") - before
    times: list[float] = []
    faults: list[int] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < deadline:
        faults_before = minor_faults()
        times.append(timed(step, 1))
        faults.append(minor_faults() - faults_before)
    return {
        "problem": vars_of(problem),
        "contender": name,
        "threads": threads,
        "seconds": statistics.median(times),
        "faults": statistics.median(faults),
        "peak_bytes": peak,
    }


def minor_faults() -> int:
    """Pages that the kernel has had to give to this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def restart_peak() -> int | None:
    """Let the peak of the resident memory start again from here: its bytes; None if this is not
    Linux with glibc.

    malloc_trim(3) gives free memory back to the kernel: what importing a library has left over
    would otherwise hide what a small network needs. proc(5): writing 5 to clear_refs sets VmHWM to
    the current size.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError, TypeError):
        return None
    return memory("VmRSS")


def memory(which: str) -> int:
    """Bytes of this process, from /proc/self/status."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{which}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {which}")
    return 1024 * int(found[1])


# ------------------------------------------------------------------------------------ the engine


def libraries(with_torch: bool) -> Iterator[tuple[str, Any, Any]]:
    """Name, what makes Tensors, and the functions: of minigrad, and of PyTorch if wanted."""
    yield "minigrad", mg, F
    if with_torch:
        import torch

        yield "torch", torch, torch.nn.functional


def chain(turns: int, nodes: int, shared: bool, with_torch: bool) -> Result:
    """y = x + ... + x, one number at a time: seconds per node, forward and backward.

    ``shared``: all the x are one leaf, so each node sends on two gradients, and ``nodes`` of them
    add up in the leaf. Otherwise they are a constant, and each node sends on one.
    """

    def once(library: Any) -> tuple[float, float]:
        leaf = library.tensor([1.5], requires_grad=True)
        x = leaf if shared else library.tensor([1.5])
        started = time.perf_counter()
        y = leaf
        for _ in range(nodes):
            y = y + x
        forward = time.perf_counter()
        y.backward()
        del y  # taking the graph down is a part of it, wherever a library does it
        ended = time.perf_counter()
        expected = nodes + 1 if shared else 1
        if leaf.grad.item() != expected:
            raise RuntimeError(f"chain: the gradient is {leaf.grad.item()}, expected {expected}")
        return (forward - started) / nodes, (ended - forward) / nodes

    passes: dict[str, list[tuple[float, float]]] = {}
    for turn in range(turns + 1):
        for name, library, _ in libraries(with_torch):
            gc.collect()
            found = once(library)
            if turn:  # the first one warms up
                passes.setdefault(name, []).append(found)
    return {
        "nodes": nodes,
        "shared": shared,
        "times": {name: [sum(pair) for pair in pairs] for name, pairs in passes.items()},
        "forward": {
            name: statistics.median(forward for forward, _ in pairs)
            for name, pairs in passes.items()
        },
        "backward": {
            name: statistics.median(backward for _, backward in pairs)
            for name, pairs in passes.items()
        },
    }


def depths(turns: int, numbers: list[int], with_torch: bool) -> Result:
    """Seconds per layer of networks that differ in depth alone.

    A layer is Linear and ReLU on (4, 8) with one shared weight, the identity: signals and
    gradients pass unchanged, so no number becomes special (0, subnormal, infinite) on the way.
    In each turn every depth is run until as many layers have been passed as the deepest has.
    """
    times: dict[str, dict[int, list[float]]] = {}
    for _ in range(turns):
        for depth in numbers:
            for name, library, functional in libraries(with_torch):
                weight = library.tensor(np.eye(8, dtype=np.float32), requires_grad=True)
                x = library.tensor(np.full((4, 8), 0.5, np.float32))
                step = deep_step(functional, weight, x, depth)
                step()
                gc.collect()
                seconds = timed(step, math.ceil(max(numbers) / depth)) / depth
                times.setdefault(name, {}).setdefault(depth, []).append(seconds)
    return {
        "depths": numbers,
        "seconds_per_layer": {
            name: [statistics.median(by_depth[depth]) for depth in numbers]
            for name, by_depth in times.items()
        },
    }


def deep_step(functional: Any, weight: Any, x: Any, depth: int) -> Callable[[], None]:
    """Forward and backward through ``depth`` layers of Linear and ReLU."""

    def step() -> None:
        weight.grad = None
        y = x
        for _ in range(depth):
            y = functional.relu(functional.linear(y, weight))
        y.sum().backward()

    return step


# -------------------------------------------------------------------------------------- the jobs


def set_threads(threads: int, with_torch: bool) -> None:
    """The same number on both sides; the environment has asked for it already."""
    threadpoolctl.threadpool_limits(threads)
    if with_torch:
        import torch

        torch.set_num_threads(threads)
    for pool in threadpoolctl.threadpool_info():
        if pool["num_threads"] != threads:
            name, number = pool["internal_api"], pool["num_threads"]
            raise RuntimeError(f"{name} uses {number} threads, expected {threads}")


def contests(job: Result) -> Iterator[Result]:
    """All contenders in turns, one problem after the other."""
    for each in job["contests"]:
        problem = Problem(**each["problem"])
        limits = (each["seconds"], each["rounds"], each["turn"])
        times = contest(problem, each["names"], job["threads"], *limits)
        yield {**times, "peers": each["peers"]}
    yield {"versions": dict(filter(None, map(library, threadpoolctl.threadpool_info())))}


def library(pool: Result) -> tuple[str, str] | None:
    """Name and version of a library, and the kernel that it runs on this processor."""
    if not pool["version"]:
        return None
    kernel = pool.get("architecture")
    return pool["internal_api"], pool["version"] + (f" ({kernel} kernels)" if kernel else "")


def alone_job(job: Result) -> Iterator[Result]:
    """One contender in a process of its own."""
    yield alone(Problem(**job["problem"]), job["name"], job["threads"], job["seconds"])


def engine(job: Result) -> Iterator[Result]:
    """The cost of nodes and of layers."""
    chains = [chain(job["turns"], job["nodes"], shared, job["torch"]) for shared in (False, True)]
    yield {"chains": chains, "depth": depths(job["depth_turns"], job["depths"], job["torch"])}


JOBS: dict[str, Callable[[Result], Iterator[Result]]] = {
    "contests": contests,
    "alone": alone_job,
    "engine": engine,
}


def main() -> None:
    """Run the job in the first argument."""
    job = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")  # some peers warn when they are imported
    np.seterr(all="ignore")
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with contextlib.redirect_stdout(sys.stderr):  # and some print
        set_threads(job["threads"], job["torch"])
        for result in JOBS[job["job"]](job):
            print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()

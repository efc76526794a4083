"""What ``benchmark_cpu.py`` makes of its measurements: ratios with their spread, and which goals
they meet. The goals stand in one table, ``GOALS``."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from contenders import PEERS

Result = dict[str, Any]

# ------------------------------------------------------------------------------------------ ratios


@dataclass(frozen=True)
class Ratio:
    """How long one contender takes in units of another: below 1 it is the faster one.

    value: the ratio of the medians over all turns.
    low, high: the quartiles of the ratios turn by turn: how much a single turn says.
    sure_low, sure_high: a 95 % interval for ``value``, by drawing turns with replacement
        (Efron and Tibshirani, 1993, "An Introduction to the Bootstrap", chapter 13).
    """

    value: float
    low: float
    high: float
    sure_low: float
    sure_high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(times: list[float], others: list[float]) -> Ratio:
    """``times`` in units of ``others``, which were measured in the same turns."""
    a, b = np.array(times), np.array(others)
    low, high = np.quantile(a / b, [0.25, 0.75])
    drawn = np.random.default_rng(0).integers(0, len(a), (2000, len(a)))
    redone = np.median(a[drawn], axis=1) / np.median(b[drawn], axis=1)
    sure_low, sure_high = np.quantile(redone, [0.025, 0.975])
    value = float(np.median(a) / np.median(b))
    return Ratio(value, float(low), float(high), float(sure_low), float(sure_high))


def compare(contest: Result, name: str, base: str) -> Ratio | None:
    """``name`` in units of ``base``; None if one of them did not take part."""
    times = contest["times"]
    return ratio(times[name], times[base]) if name in times and base in times else None


def fastest_peer(contest: Result) -> str | None:
    """The NumPy framework, other than minigrad, with the smallest median."""
    present = [name for name in PEERS if name in contest["times"]]
    return min(present, key=lambda name: np.median(contest["times"][name]), default=None)


def size(problem: Result) -> str:
    """ "64x32": batch and width."""
    return f"{problem['batch']}x{problem['width']}"


def is_main(contest: Result) -> bool:
    """Whether this is the contest that most goals speak of: with BatchNorm and SGD, no peers."""
    problem = contest["problem"]
    return not contest["peers"] and problem["batchnorm"] and problem["optimizer"] == "SGD"


# ------------------------------------------------------------------------------------------- goals

GOALS: dict[str, Any] = {
    "step / PyTorch": {
        1: {"64x32": 0.45, "128x64": 0.60, "256x256": 0.95, "256x512": 0.97, "512x1024": 1.00},
        2: {"64x32": 0.45, "128x64": 0.65, "256x256": 0.97, "256x512": 1.00, "512x1024": 1.00},
    },
    "step / floor": 1.3,
    "step, captured / JAX jit": {
        "64x32": 1.0, "128x64": 0.95, "256x256": 0.95, "256x512": 0.85, "512x1024": 0.90,
    },
    "step, captured / floor": {
        1: {"64x32": 1.1, "128x64": 1.05, "256x256": 1.03, "256x512": 1.03, "512x1024": 1.03},
        2: dict.fromkeys(("64x32", "128x64", "256x256", "256x512", "512x1024"), 1.05),
    },
    "step / fastest NumPy peer": dict.fromkeys(("64x32", "128x64", "256x256"), 0.5),
    "node / PyTorch": 0.45,
    "peak memory / PyTorch": 1.0,
    "page faults per step": 0,
    "import, ms beyond NumPy": 15,
}  # fmt: skip
"""At most these, everywhere with BatchNorm and SGD; the first by threads and by size. The first two
are asked of the network as it is written, and beside it of the same after ``nn.fuse``."""


@dataclass(frozen=True)
class Check:
    """One goal beside what was measured."""

    what: str
    where: str
    goal: float
    value: float
    shown: str
    undecided: bool = False

    @property
    def met(self) -> bool:
        """Whether the measured value keeps the limit."""
        return self.value <= self.goal

    @property
    def verdict(self) -> str:
        """In words; "within noise" if the interval of the ratio reaches across the goal."""
        return ("met" if self.met else "not met") + (", within noise" if self.undecided else "")


def check(results: Result) -> list[Check]:
    """Every goal for which there is a measurement."""
    return [
        *_check_steps(results["contests"]),
        *_check_alone(results["alone"]),
        *_check_engine(results),
    ]


def _against(what: str, where: str, goal: float | None, measured: Ratio | None) -> Iterator[Check]:
    if goal is not None and measured is not None:
        undecided = measured.sure_low <= goal < measured.sure_high
        yield Check(what, where, goal, measured.value, str(measured), undecided)


def _check_steps(contests: list[Result]) -> Iterator[Check]:
    for contest in filter(is_main, contests):
        where, threads = size(contest["problem"]), contest["threads"]
        place = f"{where}, {in_threads(threads)}"
        goal = GOALS["step / PyTorch"].get(threads, {}).get(where)
        for name, what in (("minigrad", "step"), ("fused", "step, fused")):
            measured = compare(contest, name, "torch")
            yield from _against(f"{what} / PyTorch", place, goal, measured)
    for contest in filter(is_main, contests):
        place = f"{size(contest['problem'])}, {in_threads(contest['threads'])}"
        for name, what in (("minigrad", "step"), ("fused", "step, fused")):
            measured = compare(contest, name, "floor")
            yield from _against(f"{what} / floor", place, GOALS["step / floor"], measured)
    for contest in contests:
        where, threads = size(contest["problem"]), contest["threads"]
        problem = contest["problem"]
        place = f"{where}, {in_threads(threads)}" + (
            "" if is_main(contest) else
            f", {problem['optimizer']}{'' if problem['batchnorm'] else ', no BatchNorm'}"
        )  # fmt: skip
        if threads == 1 and not contest["peers"]:
            what = "step, captured / JAX jit"
            yield from _against(
                what, place, GOALS[what].get(where), compare(contest, "captured", "jax")
            )
        if not contest["peers"]:
            what = "step, captured / floor"
            goal = GOALS[what].get(threads, {}).get(where)
            yield from _against(what, place, goal, compare(contest, "captured", "floor"))
    what = "step / fastest NumPy peer"
    for contest in contests:
        peer = fastest_peer(contest)
        if peer is not None:
            where = size(contest["problem"])
            place = f"{where}, {in_threads(contest['threads'])}, {peer}"
            measured = compare(contest, "minigrad", peer)
            yield from _against(what, place, GOALS[what].get(where), measured)


def _check_alone(alone: list[Result]) -> Iterator[Check]:
    found = {(size(row["problem"]), row["contender"]): row for row in alone}
    for (where, name), row in found.items():
        other = found.get((where, "torch"), {}).get("peak_bytes")
        if name == "minigrad" and other and row["peak_bytes"]:
            value, what = row["peak_bytes"] / other, "peak memory / PyTorch"
            yield Check(what, where, GOALS[what], value, f"{value:.2f}")
    for (where, name), row in found.items():
        if name == "minigrad":
            value, what = row["faults"], "page faults per step"
            yield Check(what, where, GOALS[what], value, f"{value:.0f}")


def _check_engine(results: Result) -> Iterator[Check]:
    for chain in results.get("engine", {}).get("chains", []):
        place = f"chain of {chain['nodes']:,}, x is a {'leaf' if chain['shared'] else 'constant'}"
        measured = compare(chain, "minigrad", "torch")
        yield from _against("node / PyTorch", place, GOALS["node / PyTorch"], measured)
    if "import_seconds" in results:
        value, what = 1e3 * float(np.median(results["import_seconds"])), "import, ms beyond NumPy"
        yield Check(what, "", GOALS[what], value, f"{value:.1f}")


def in_threads(number: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{number} thread{'s' if number > 1 else ''}"

"""What the README promises of ``vanishing_gradient.py``, as checks on the numbers of a run.

Each check says what was measured, in the worst of all seeds, beside what was promised. They hold
for the default settings; with others the same numbers are shown, but nothing is required of them.
"""

import math
from typing import Any

LN_10 = math.log(10)
"""The loss of guessing among ten classes."""

Check = dict[str, Any]


def check(results: dict[str, Any]) -> list[Check]:
    """The checks on those parts of a run that are there."""
    checks = []
    if "before" in results:
        checks += _before(results["before"])
    for name, runs in results.get("training", {}).items():
        if runs:
            checks += _learns(name, runs) if _normed(name) else _is_stuck(name, runs)
            if not _normed(name) and results["settings"]["dtype"] == "float32":
                checks.append(_does_not_move(name, runs))
    for name, report in results.get("doctor", {}).items():
        checks.append(_verdict(name, [finding["kind"] for finding in report["findings"]]))
    return checks


def _claim(network: str, what: str, promised: str, measured: str, holds: bool) -> Check:
    return {
        "network": network,
        "what": what,
        "promised": promised,
        "measured": measured,
        "holds": bool(holds),
    }


def _normed(name: str) -> bool:
    return name.endswith("+ BN")


def _before(before: dict[str, dict[str, Any]]) -> list[Check]:
    """How the networks start: in (a) saturation stops the gradient, in (b) it is gone without any,
    in (c) there is much and it is not gone, and with BatchNorm it keeps its size."""
    claims = []
    for name, network in before.items():
        saturated = [z.saturated for z in network["z"]]
        share, factor, first = sum(saturated) / len(saturated), network["factor"], network["dz"][0]
        if _normed(name):
            inside = 1 - max(z.outside for z in network["z"])
            claims += [
                _claim(name, "z in [-3, 3]", "> 99%", f"{inside:.1%}", inside > 0.99),
                _claim(name, "factor per layer", "1 to 1.1", f"{factor:.3f}", 1 < factor < 1.1),
            ]
        elif name.startswith("a"):
            claims += [
                _claim(name, "saturated", "100%", f"{share:.1%}", min(saturated) == 1),
                _claim(name, "|dL/dz| of layer 1", "0", f"{first:.2g}", first == 0),
            ]
        elif name.startswith("b"):
            holds = 0.22 < factor < 0.25
            claims += [
                _claim(name, "saturated", "0%", f"{share:.1%}", max(saturated) == 0),
                _claim(name, "factor per layer", "0.22 to 0.25", f"{factor:.3f}", holds),
            ]
        else:
            claims += [
                _claim(name, "saturated", "> 40%", f"{share:.1%}", share > 0.4),
                _claim(name, "factor per layer", "> 0.9", f"{factor:.3f}", factor > 0.9),
            ]
    return claims


VERDICTS = {"a. shifted": "vanishing-by-saturation", "b. Xavier": "vanishing"}
"""What the doctor shall find; in the other networks nothing."""


def _verdict(name: str, kinds: list[str]) -> Check:
    found = ", ".join(kinds) or "nothing"
    promised = VERDICTS.get(name, "nothing")
    return _claim(name, "the doctor finds", promised, found, found == promised)


def _learns(name: str, runs: list[dict[str, Any]]) -> list[Check]:
    """A network with BatchNorm, on every seed."""
    early = min(
        max(a for s, a in zip(run["step"], run["accuracy"], strict=True) if s <= 200)
        for run in runs
    )
    end = min(run["accuracy"][-1] for run in runs)
    ratios = [r for run in runs for r in run["dw_ratio"]]
    measured = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [
        _claim(name, "accuracy by step 200", ">= 0.90", f"{early:.3f}", early >= 0.90),
        _claim(name, "accuracy at the end", ">= 0.95", f"{end:.3f}", end >= 0.95),
        _claim(name, "|dW| first : last", "0.1 to 10", measured,
               all(0.1 <= r <= 10 for r in ratios)),
    ]  # fmt: skip


def _is_stuck(name: str, runs: list[dict[str, Any]]) -> list[Check]:
    """A network without it, on every seed."""
    best = max(max(run["accuracy"]) for run in runs)
    loss = max((run["loss"][-1] for run in runs), key=lambda value: abs(value - LN_10))
    ratio = max(r for run in runs for r in run["dw_ratio"])
    near = abs(loss - LN_10) <= 0.05
    return [
        _claim(name, "best accuracy ever", "<= 0.15", f"{best:.3f}", best <= 0.15),
        _claim(name, "loss at the end", f"{LN_10:.3f} ± 0.05", f"{loss:.3f}", near),
        _claim(name, "|dW| first : last", "< 1e-9", f"{ratio:.2g}", ratio < 1e-9),
    ]


def _does_not_move(name: str, runs: list[dict[str, Any]]) -> Check:
    """In float32 the steps of layer 1 are too small to change a single bit of its weights."""
    same = sum(run["layer_1_identical"] for run in runs)
    measured = f"{same} of {len(runs)}"
    return _claim(name, "layer 1 unchanged", "all runs", measured, same == len(runs))

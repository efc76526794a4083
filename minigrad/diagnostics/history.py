"""What ``track`` has seen of a training run: as numbers, as heat maps, and judged."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .doctor import ORDER, Finding, Report
from .doctor.finding import listed
from .doctor.normalization import FAR
from .doctor.signal import EXPLODED, HALF, PASSES_ON, VANISHED
from .doctor.training import IDLE
from .doctor.units import DEAD
from .stats import jsonable

QUANTITIES = {
    "gradient": "|dL/dW|",
    "update": "|update| / |W|",
    "spread": "spread of the outputs over the samples",
    "saturated": "share of saturated units",
    "dead": "share of units that are 0 for the whole batch",
    "behind": "distance of running from batch mean, in standard deviations",
}
"""What is kept of each layer that has it."""

YOUNG = 28
"""So many steps take running statistics to within 5% of the batches', at a momentum of 0.1; before,
they are not judged."""

LEAP = 1.0
"""A rate is too high where a layer changes by more than its own size in one step. Layers that start
at 0 cannot do otherwise and do not count."""


class History:
    """A few numbers per layer and step."""

    def __init__(self, every: int, keep: int, rescaled: bool = False) -> None:
        self.every = every
        """From one step that counts to the next; doubled when there is no more room."""
        self.keep = keep
        self.rescaled = rescaled
        """Whether the optimiser divides each gradient by its own size, as Adam does."""
        self.steps: list[int] = []
        """The numbers of the steps that are kept, from 0."""
        self.values: dict[str, dict[str, list[float]]] = {}
        """For each quantity and layer one number per step; NaN where there was none, infinity for a
        gradient that was not finite."""

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"<History of {len(self)} steps, every {self.every}>"

    def add(self, step: int, row: Mapping[tuple[str, str], float]) -> None:
        """Keep what was seen in one step: numbers by quantity and layer."""
        for quantity, layer in row:
            layers = self.values.setdefault(quantity, {})
            layers.setdefault(layer, [math.nan] * len(self.steps))
        self.steps.append(step)
        for quantity, layers in self.values.items():
            for layer, numbers in layers.items():
                numbers.append(row.get((quantity, layer), math.nan))
        if len(self.steps) >= self.keep:
            del self.steps[1::2]
            for layers in self.values.values():
                for numbers in layers.values():
                    del numbers[1::2]
            self.every *= 2

    def table(self, quantity: str) -> np.ndarray[Any, Any]:
        """One of ``QUANTITIES``, (layers, steps).

        Raises:
            KeyError: no layer has it.
        """
        return np.array(list(self.values[quantity].values()))

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries and lists that JSON can hold (NaN becomes "nan")."""
        plain: dict[str, Any] = jsonable(
            {"every": self.every, "steps": self.steps, "values": self.values}
        )
        return plain

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The history as JSON, also written to ``path`` where one is given."""
        text = json.dumps(self.to_dict())
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def plot(self) -> Any:
        """A heat map for each quantity: layers from top to bottom, steps from left to right. Needs
        matplotlib (extra ``plots``)."""
        panels = {QUANTITIES[name]: self.values[name] for name in QUANTITIES if name in self.values}
        return plots.heat_maps(panels, self.steps)

    # --------------------------------------------------------------------------- judged

    def diagnose(self) -> Report:
        """What went wrong on the way, by the criteria of ``diagnose`` as far as these numbers tell.

        Of the kinds those that a run shows: non-finite, no-gradient, dead-units, vanishing,
        vanishing-by-saturation, exploding, rate-too-high, rate-too-low, stale-statistics.
        """
        findings = sorted(self._findings(), key=lambda f: ORDER[f.kind])
        explained = {kind for f in findings for kind in f.explains}
        left = [f for f in findings if f.kind not in explained]
        seen = f"{len(self)} steps, from {self.steps[0]} to {self.steps[-1]}" if self.steps else "0"
        return Report(left, [], [f"{seen}, of {len(self.values.get('update', {}))} layers"])

    def _findings(self) -> Iterator[Finding]:
        if not self.steps:
            return
        yield from self._gradients()
        yield from self._rates()
        yield from self._late("dead", DEAD, "dead-units", "of the units are 0 for all samples")
        if self.steps[-1] >= YOUNG:
            yield from self._late("behind", FAR, "stale-statistics", "standard deviations away")

    def _gradients(self) -> Iterator[Finding]:
        layers = list(self.values.get("update", {}))
        gradients = self.values.get("gradient", {})
        without = tuple(name for name in layers if name not in gradients)
        if without:
            yield Finding("no-gradient", without, f"{listed(without)} never had a gradient.")
        if not gradients:
            return
        table, names = self.table("gradient"), list(gradients)
        spoilt = np.argwhere(np.isinf(table).T)
        if len(spoilt):
            step, layer = spoilt[0]
            evidence = f"first seen in step {self.steps[step]}, in {names[layer]}."
            yield Finding("non-finite", (names[layer],), evidence)
            return
        with np.errstate(all="ignore"):
            share = _median(table[0] / table[-1])
        told = (
            f"in half of the steps, |dL/dW| of {names[0]} is at most {share:.2g} of that of "
            f"{names[-1]}"
        )
        if share < VANISHED and not (self.rescaled and self._passes_on()):
            flat = "saturated" in self.values
            saturated = _median(self.table("saturated")) if flat else 0.0
            kind = "vanishing-by-saturation" if saturated > HALF else "vanishing"
            evidence = f"{told} (vanished: below {VANISHED:g}); {saturated:.0%} are saturated."
            yield Finding(kind, (names[0],), evidence, {"share": share, "saturated": saturated})
        elif share > EXPLODED:
            evidence = f"{told.replace('at most', '')} (exploded: above {EXPLODED:g})."
            yield Finding("exploding", (names[0],), evidence, {"share": share})

    def _passes_on(self) -> bool:
        """Whether the last layer can still tell the samples apart: then an optimiser that rescales
        gradients makes up for what has vanished."""
        spread = self.table("spread") if "spread" in self.values else np.ones((1, 1))
        with np.errstate(all="ignore"):
            return _median(spread[-1] / spread[0]) > PASSES_ON

    def _rates(self) -> Iterator[Finding]:
        if "update" not in self.values:
            return
        table = self.table("update")
        moved = table[np.isfinite(table[:, 0])]
        largest = float(moved[np.isfinite(moved)].max(initial=0.0))
        told = f"at most, a layer changes by {largest:.2g} of its size in one step"
        if largest > LEAP:
            yield Finding("rate-too-high", ("optimizer",), f"{told} (a leap: above {LEAP:g}).")
        elif largest < IDLE:
            yield Finding("rate-too-low", ("optimizer",), f"{told} (idle: below {IDLE:g}).")

    def _late(self, quantity: str, limit: float, kind: str, unit: str) -> Iterator[Finding]:
        """Layers that are beyond a limit in the last of the steps, by the median of a tenth."""
        last = max(len(self.steps) // 10, 1)
        late = {k: _median(np.array(v[-last:])) for k, v in self.values.get(quantity, {}).items()}
        where = tuple(name for name, value in late.items() if value >= limit)
        if where:
            most = max(late[name] for name in where)
            evidence = f"{listed(where)}: at the end up to {most:.2g} {unit} (limit: {limit:g})."
            yield Finding(kind, where, evidence, {quantity: most})


def _median(values: np.ndarray[Any, Any]) -> float:
    """The median of what is a number; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan

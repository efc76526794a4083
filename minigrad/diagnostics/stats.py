"""One array in a few numbers: where its values lie, and how they stand to the sigmoid.

Everything is computed in float64, whatever the array's type: the square of a float32 gradient of
1e-26 would be 0, and "small" must not be mistaken for "exactly 0" here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..nn.utils import total_norm
from ..ops.ieee import ieee

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

RESPONSIVE = 3.0
"""Within [-3, 3] the sigmoid answers to its input: its slope is at least 18% of its largest."""

SATURATED = 5.0
"""Beyond 5, on either side, the sigmoid's slope is below 2.7% of its largest."""


EDGES = tuple(
    float(edge)
    for edge in (
        *-np.geomspace(1000, 5, 25)[:-1],
        *np.linspace(-5, 5, 41),
        *np.geomspace(5, 1000, 25)[1:],
    )
)
"""The borders of the bins of ``Stats.histogram``: 0.25 apart up to ±5, then growing by a quarter up
to ±1000. The outermost bins also count what lies beyond."""


@dataclass(frozen=True)
class Stats:
    """What is remembered of an array: the numbers below, and nothing that grows with it.

    Where some values are NaN or infinite, ``nonfinite`` counts them and the others are described;
    where all are, or there are none, the descriptions are NaN. ``batch_std`` is NaN where any is.
    """

    shape: tuple[int, ...]
    nonfinite: int
    min: float
    max: float
    mean: float
    std: float
    """Spread over all values (the root of the mean squared distance from the mean)."""
    batch_std: float
    """Spread over the first axis, the samples, at one place; root mean square over the places.
    0 means that all samples look alike here, however far apart the units are."""
    saturated: float
    """Share of the values with |z| > 5."""
    outside: float
    """Share of the values outside [-3, 3]."""
    slope: float
    """Mean of sigmoid'(z) = s(z) (1 - s(z)); at most 1/4."""
    slope_rms: float
    """Root of the mean of sigmoid'(z)^2: what passing back through the sigmoids multiplies the
    norm of a gradient by that has nothing to do with them."""
    percentiles: dict[int, float]
    """The values that 1, 5, 25, 50, 75, 95 and 99 per cent of all values lie below."""
    histogram: tuple[float, ...]
    """The share of the values in each of the bins between ``EDGES``."""


def summarize(array: Array) -> Stats:
    """The ``Stats`` of a NumPy or CuPy array of any shape and real type.

    >>> s = summarize(np.array([[-6.0, 1.0], [2.0, 3.0]]))
    >>> s.min, s.max, s.mean, s.saturated, s.outside
    (-6.0, 3.0, 0.0, 0.25, 0.25)
    """
    xp = array_module(array)
    all_values = array.astype(np.float64)
    finite = xp.isfinite(all_values)
    values = all_values[finite]
    nonfinite = int(all_values.size - values.size)
    if values.size == 0:
        nothing = dict.fromkeys(_NAMES, math.nan)
        quantiles = dict.fromkeys(PERCENTILES, math.nan)
        bins = (0.0,) * (len(EDGES) - 1)
        return Stats(
            tuple(array.shape), nonfinite, **nothing, percentiles=quantiles, histogram=bins
        )
    size = xp.abs(values)
    e = xp.exp(-size)
    slope = e / (1 + e) ** 2  # y (1 - y), without the rounding of 1 - y
    samples = all_values if nonfinite == 0 and array.ndim else values
    described = [
        values.min(),
        values.max(),
        values.mean(),
        ieee().run(xp.std, values),  # the spread of values beyond 1e154 is infinite
        xp.sqrt(ieee().run(xp.var, samples, axis=0).mean()),
        (size > SATURATED).mean(),
        (size > RESPONSIVE).mean(),
        slope.mean(),
        xp.sqrt((slope * slope).mean()),
        *xp.percentile(values, xp.asarray(PERCENTILES)),
    ]
    numbers = xp.stack(described).tolist()  # one transfer, where the array is on a GPU
    named = dict(zip(_NAMES, numbers, strict=False))
    if nonfinite:
        named["batch_std"] = math.nan
    # Counted by the inner edges, so that nothing falls outside.
    places = xp.searchsorted(xp.asarray(EDGES[1:-1]), values, side="right")
    counts = xp.bincount(places, minlength=len(EDGES) - 1)
    return Stats(
        tuple(array.shape),
        nonfinite,
        **named,
        percentiles=dict(zip(PERCENTILES, numbers[len(_NAMES) :], strict=True)),
        histogram=tuple((counts / values.size).tolist()),
    )


_NAMES = (
    "min", "max", "mean", "std", "batch_std", "saturated", "outside", "slope", "slope_rms",
)  # fmt: skip


def norm(array: Array) -> float:
    """The Euclidean norm of all values together: ``nn.utils.total_norm``, as a number."""
    return float(total_norm([array]))


def factor_per_layer(norms: Sequence[float | None]) -> float:
    """By how much a gradient changes from one layer to the one before it: the geometric mean.

    ``norms`` stand in the order of the layers, first to last, so with n of them the factor is
    (first / last)^(1 / (n - 1)). It is 0 where the first layer receives exactly 0, and NaN where
    there is no gradient to compare with.

    >>> factor_per_layer([0.125, 0.25, 0.5, 1.0])
    0.5
    """
    if len(norms) < 2 or norms[0] is None or not norms[-1]:
        return 0.0 if len(norms) > 1 and norms[0] == 0 else float("nan")
    return float((norms[0] / norms[-1]) ** (1 / (len(norms) - 1)))


def jsonable(value: Any) -> Any:
    """``value`` with NaN and infinities as the strings "nan", "inf" and "-inf", which JSON lacks,
    and with tuples as lists and keys as strings, as JSON would have them."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value

"""``summarize`` and ``norm`` against what NumPy says directly."""

import math

import numpy as np
import pytest

from minigrad.diagnostics import PERCENTILES, factor_per_layer, summarize
from minigrad.diagnostics.stats import EDGES, jsonable, norm


@pytest.mark.parametrize("shape", [(7,), (40, 3), (6, 4, 5)])
def test_the_numbers_are_those_of_numpy(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    z = rng.normal(0.7, 4.0, shape)
    s = summarize(z)
    sigmoid = 1 / (1 + np.exp(-z))
    slope = sigmoid * (1 - sigmoid)
    assert (s.shape, s.nonfinite, s.min, s.max) == (shape, 0, z.min(), z.max())
    expected = {
        "mean": z.mean(),
        "std": math.sqrt(np.mean((z - z.mean()) ** 2)),
        "batch_std": math.sqrt(np.mean((z - z.mean(axis=0)) ** 2)),
        "saturated": sum(abs(v) > 5 for v in z.flat) / z.size,
        "outside": sum(not -3 <= v <= 3 for v in z.flat) / z.size,
        "slope": slope.mean(),
        "slope_rms": np.linalg.norm(slope) / math.sqrt(z.size),
    }
    assert {name: getattr(s, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert s.percentiles == pytest.approx({p: np.percentile(z, p) for p in PERCENTILES})


def test_samples_that_look_alike_have_no_spread_over_the_batch() -> None:
    z = np.tile([[-40.0, 0.0, 90.0]], (8, 1))
    s = summarize(z)
    assert s.batch_std == 0
    assert s.std > 50


def test_the_histogram_counts_every_value_once(rng: np.random.Generator) -> None:
    z = rng.normal(0.0, 30.0, 500)
    z[:3] = [-5000.0, 0.1, 4e9]  # beyond the outermost edges, and in the bin from 0 to 0.25
    s = summarize(z)
    counts, _ = np.histogram(np.clip(z, EDGES[0], EDGES[-1]), bins=np.array(EDGES))
    assert np.array(s.histogram) * 500 == pytest.approx(counts)
    assert sum(s.histogram) == pytest.approx(1)


def test_the_slope_far_out_is_not_rounded_to_zero() -> None:
    s = summarize(np.array([60.0, -60.0], np.float32))
    assert s.slope == pytest.approx(math.exp(-60), rel=1e-6)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    z = np.array([[1.5, np.nan], [np.inf, -2.5], [-np.inf, 4.0]], np.float32)
    s = summarize(z)
    assert (s.nonfinite, s.min, s.max, s.mean) == (3, -2.5, 4.0, 1.0)
    assert s.outside == pytest.approx(1 / 3)
    assert math.isnan(s.batch_std)


@pytest.mark.parametrize("z", [np.zeros((0, 4)), np.full((2, 2), np.nan)])
def test_without_finite_values_nothing_is_claimed(z: np.ndarray) -> None:
    s = summarize(z)
    assert s.nonfinite == z.size
    assert all(math.isnan(v) for v in (s.min, s.max, s.mean, s.std, s.slope, s.saturated))
    assert sum(s.histogram) == 0


def test_integers_and_single_numbers_are_described_too() -> None:
    assert summarize(np.array([[6, 1], [2, 7]])).saturated == 0.5
    assert summarize(np.array(4.0)).outside == 1


def test_the_norm_is_zero_for_zeros_only(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 6))
    assert norm(x) == pytest.approx(math.sqrt((x**2).sum()), rel=1e-14)
    assert norm(np.array([3e-30, -4e-30], np.float32)) == pytest.approx(5e-30, rel=1e-6)
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert norm(np.zeros((3, 0))) == norm(np.zeros(4)) == 0
    assert math.isnan(norm(np.array([1.0, np.nan])))


def test_the_factor_per_layer_is_the_geometric_mean() -> None:
    factors = [0.5, 3.0, 0.2]
    norms = [factors[0] * factors[1] * factors[2] * 7, factors[1] * factors[2] * 7, 1.4, 7.0]
    assert factor_per_layer(norms) == pytest.approx(math.prod(factors) ** (1 / 3))
    assert factor_per_layer([0.0, 1e-30, 2.0]) == 0
    assert factor_per_layer([0.0, 0.0]) == 0
    assert math.isnan(factor_per_layer([2.0]))
    assert math.isnan(factor_per_layer([None, 2.0]))
    assert math.isnan(factor_per_layer([2.0, None]))


def test_what_json_lacks_becomes_text() -> None:
    values = {1: (math.nan, math.inf), "a": [-math.inf, 2.5, None, "b"]}
    assert jsonable(values) == {"1": ["nan", "inf"], "a": ["-inf", 2.5, None, "b"]}

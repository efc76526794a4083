"""examples/gamma_beta.py: what it says comes out of what it computes."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


@pytest.fixture
def script(example: Callable[[str], Any]) -> Any:
    return example("gamma_beta")


def test_gamma_and_beta_learn_to_undo_the_normalisation(
    script: Any, rng: np.random.Generator
) -> None:
    x = mg.tensor(rng.normal([2.0, -7.0], [0.02, 3.0], (64, 2)))
    layer = nn.BatchNorm1d(2).double()
    errors = script.learn_the_identity(layer, x, steps=80)
    assert errors[0] > 5
    assert errors[-1] < 1e-12
    assert layer.weight.data == pytest.approx(np.sqrt(x.data.var(axis=0) + layer.eps), rel=1e-10)
    assert layer.bias.data == pytest.approx(x.data.mean(axis=0), rel=1e-10)
    assert layer.weight.data[0] > 1.005 * x.data.std(axis=0)[0]  # eps matters here


def test_a_step_takes_away_two_fifths_of_what_is_missing(
    script: Any, rng: np.random.Generator
) -> None:
    x = mg.tensor(rng.normal(5.0, 3.0, (64, 3)))
    errors = script.learn_the_identity(nn.BatchNorm1d(3).double(), x, steps=12)
    ratios = [later / earlier for earlier, later in itertools.pairwise(errors)]
    assert ratios == pytest.approx([0.6] * 11, rel=1e-4)


def test_a_large_gamma_saturates_but_the_gradient_does_not_vanish(script: Any) -> None:
    seen = [script.with_gamma(gamma, depth=10) for gamma in (0.5, 1.0, 3.0, 10.0)]
    assert [s["saturated"] for s in seen] == sorted(s["saturated"] for s in seen)
    assert seen[0]["saturated"] == 0
    assert seen[-1]["saturated"] > 0.55
    slopes, factors = [s["slope"] for s in seen], [s["factor"] for s in seen]
    assert slopes == sorted(slopes, reverse=True)
    assert factors == sorted(factors)
    assert factors[0] > 0.95


def test_the_script_prints_what_it_measured(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main()
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[-4:] for line in text.splitlines() if line.strip()}
    assert rows["gamma"] != rows["beta"]
    assert rows["beta"] == rows["mu"]
    lines = [line for line in text.splitlines() if line.startswith("  sqrt(var + eps)")]
    assert lines[0].split()[-4:] in [line.split()[1:] for line in text.splitlines() if line]
    assert f"{script.with_gamma(10.0)['saturated']:.1%}" in text

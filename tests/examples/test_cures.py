"""examples/cures.py: which cures help, and the sentences come from the numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


@pytest.fixture
def script(example: Callable[[str], Any]) -> Any:
    return example("cures")


def test_what_is_the_same_for_all_samples_has_rank_1(script: Any, rng: np.random.Generator) -> None:
    x = mg.tensor(rng.normal(size=(32, 8)), mg.float32)
    apart = script.arriving(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)), x)
    assert apart["rank"] == 8
    same = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    nn.init.zeros_(same[0].weight)
    found = script.arriving(same, x)
    assert found["rank"] == 1
    assert found["spread"] < 1e-6 < apart["spread"]


def _runs(accuracies: list[float], rank: int = 1, steps: int | None = None) -> list[dict[str, Any]]:
    ends = {"spread": 0.1, "rank": rank}
    return [
        {"accuracy": [0.1, end], "factor": 0.5, "before": ends, "after": ends,
         "moved_layer_1": 0.25, "steps_to_target": steps}
        for end in accuracies
    ]  # fmt: skip


def test_sentences_follow_the_numbers(script: Any) -> None:
    told = script.sentences({"nothing": _runs([0.1]), "BatchNorm": _runs([0.95], 64),
                             "Adam": _runs([0.09]), "gain 10.15": _runs([0.4], 40)})  # fmt: skip
    assert told[0] == "Cured: BatchNorm (0.950)."
    assert told[1].startswith("Not cured: Adam (0.090).")
    assert "all alike" in told[1]
    assert told[2].startswith("In part: gain 10.15 (0.400).")
    assert "all alike" not in told[2]
    learnt = script.sentences({"Adam": _runs([0.95], 64)})
    assert learnt == ["Cured: Adam (0.950)."]


def test_the_first_step_at_the_target_needs_more_than_half_of_the_runs(script: Any) -> None:
    assert script.speed(_runs([0.95, 0.95], steps=44)) == "44"
    assert script.speed([*_runs([0.95], steps=44), *_runs([0.5])]) == "never"


@pytest.mark.slow
def test_a_quick_run_separates_the_cures(script: Any, tmp_path: Path) -> None:
    assert script.main(["--quick", "--out", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "cures.json").read_text("utf-8"))
    assert (tmp_path / "cures.png").stat().st_size > 10_000
    [runs] = zip(*stored["results"].values(), strict=True)
    found = dict(zip(stored["results"], runs, strict=True))
    ends = {name: run["accuracy"][-1] for name, run in found.items()}
    for name in ("BatchNorm", "tanh"):
        assert ends[name] > 0.85
        assert 0.9 < found[name]["factor"] < 1.1
    no_cure = ("nothing", "LayerNorm", "GroupNorm", "orthogonal", "Adam", "Adam, eps 1e-20",
               "lr x 1000")  # fmt: skip
    for name in no_cure:
        assert ends[name] < 0.2
        assert found[name]["after"]["rank"] == 1
    assert found["Adam, eps 1e-20"]["moved_layer_1"] > 0.1  # the steps were there


def test_settings_that_cannot_be_served_are_refused(
    script: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert script.main(["--batch-size", "5000", "--out", str(tmp_path)]) == 2
    assert "--batch-size" in capsys.readouterr().err

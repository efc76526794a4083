"""examples/train_eval.py: the running statistics, what eval mode guarantees, and the mistakes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.data import load_digits


@pytest.fixture
def script(example: Callable[[str], Any]) -> Any:
    return example("train_eval")


def test_the_share_of_the_way_is_a_projection(script: Any) -> None:
    start, goal = np.array([1.0, -2.0]), np.array([3.0, 4.0])
    assert script.share_of_the_way(start, start + 0.3 * (goal - start), goal) == pytest.approx(0.3)
    sideways = np.array([6.0, -2.0])  # at right angles to the way
    assert script.share_of_the_way(start, start + sideways, goal) == pytest.approx(0)


def test_running_statistics_approach_the_data_as_stated(script: Any) -> None:
    images, _ = load_digits(flatten=True)
    for k, mean, var in script.approach(images, (1, 5, 22)):
        assert mean == pytest.approx(1 - 0.9**k, abs=0.02)
        assert var == pytest.approx(1 - 0.9**k, abs=0.02)


def test_the_mistakes_cost_what_the_text_says(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main()
    text = capsys.readouterr().out

    def share(line_with: str, word: str = "accuracy") -> float:
        [line] = [line for line in text.splitlines() if line_with in line]
        return float(line.split(word)[1].split()[0].strip(";"))

    good = share("test accuracy", "test accuracy")
    assert good > 0.93
    assert "equal bit by bit True" in text
    assert share("batches of 2 ") < good - 0.2
    assert share("sorted by class") < 0.4
    assert "refused: BatchNorm1d: input of shape (1, 64)" in text
    forgotten = text.split("all 300 steps in eval mode")[1].split("accuracy ")[1]
    assert float(forgotten.split()[0]) < 0.3
    assert share("after 10 steps") < 0.3
    assert share("after 10 steps", "batch ") > 0.6

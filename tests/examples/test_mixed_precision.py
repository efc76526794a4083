"""examples/mixed_precision.py: what float16 loses, what the scale brings back, what BatchNorm
does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def test_the_table_says_what_the_text_says(
    example: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    example("mixed_precision").report(12)
    _, without, with_norm = capsys.readouterr().out.split("12 sigmoid layers")
    rows = [line.replace("% lost", "%").split() for line in without.splitlines()[2:] if line]
    cells = {int(row[0]): row[2:] for row in rows}
    assert cells[1] == ["0", "0", "0", "inf"]
    assert cells[4] == ["0", "0", "kept", "inf"]
    assert cells[7] == ["0", "kept", "kept", "inf"]
    assert cells[13] == ["kept", "kept", "kept", "inf"]
    normed = [line.split() for line in with_norm.splitlines()[2:] if line]
    assert len(normed) == 13
    assert all(row[2:] == ["kept", "kept", "kept", "inf"] for row in normed)
    sizes = [float(row[1]) for row in normed]
    assert max(sizes) < 2 * min(sizes)


def test_marks(example: Callable[[str], Any]) -> None:
    mark = example("mixed_precision").mark
    exact = np.array([0.5, 0.0, 0.25, -2.0, 1.0])
    assert mark(exact, exact) == "kept"
    assert mark(0 * exact, exact) == "0"
    assert mark(np.array([0.5, 0.0, 0.0, -2.0, 1.0]), exact) == "25% lost"
    assert mark(np.array([0.5, 0.0, np.inf, 1.0, 1.0]), exact) == "inf"

"""The table of docs/where-the-time-goes.md has the numbers of the run that is stored beside it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NUMBERS = Path(__file__).parents[2] / "docs" / "benchmarks" / "cpu.json"
COLUMNS = ("minigrad", "fused", "captured", "floor", "jax", "torch")


def test_the_ways_to_run_a_step_took_what_the_table_says(pages: dict[str, Any]) -> None:
    lines = str(pages["where-the-time-goes"].text).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| batch x width | eager"))
    table = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        size, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        table[size] = [float(cell) for cell in cells]
    contests = json.loads(NUMBERS.read_text(encoding="utf-8"))["contests"]
    found = 0
    for contest in contests:
        problem = contest["problem"]
        plain = problem["batchnorm"] and problem["optimizer"] == "SGD" and contest["threads"] == 1
        if not plain or "captured" not in contest["times"]:
            continue
        times = {name: 1e3 * float(np.median(contest["times"][name])) for name in COLUMNS}
        printed = table[f"{problem['batch']}x{problem['width']}"]
        assert printed[:6] == pytest.approx(list(times.values()), rel=0.006)
        ratios = [times["captured"] / times["floor"], times["captured"] / times["jax"]]
        assert printed[6:] == pytest.approx(ratios, abs=0.0051)
        found += 1
    assert found == len(table) == 5


def test_the_processor_is_the_one_of_the_run(pages: dict[str, Any]) -> None:
    text = str(pages["where-the-time-goes"].text)
    processor = json.loads(NUMBERS.read_text(encoding="utf-8"))["machine"]["cpu"]
    assert re.search(rf"named there, an {processor}", text)

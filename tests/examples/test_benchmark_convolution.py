"""The benchmark of the convolution runs, and compares like with like. No test asks how fast."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("threadpoolctl", reason="the benchmark needs it: pip install")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))

import cpu_convolution as benchmark

TINY = (2, 2, 3, 5)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "CASES", {TINY: 1.5})


def test_a_contender_with_other_gradients_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = benchmark.minigrad(TINY)
    wrong = {"minigrad": benchmark.minigrad, "other": lambda case: lambda: [2 * a for a in right()]}
    monkeypatch.setattr(benchmark, "CONTENDERS", wrong)
    with pytest.raises(RuntimeError, match="other computes other gradients"):
        benchmark.contest(TINY, 0)


def test_the_gradients_are_those_of_the_definition() -> None:
    x, _, _, grad = benchmark.arrays(TINY)
    dx, dw, db = benchmark.minigrad(TINY)()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    np.testing.assert_allclose(dw, np.einsum("nohw,nchwij->ocij", grad, windows), rtol=1e-4)
    np.testing.assert_allclose(db, grad.sum((0, 2, 3)), rtol=1e-4)
    assert dx.shape == x.shape


def test_the_table_says_what_was_measured() -> None:
    times = {"minigrad": [0.002, 0.004, 0.003], "PyTorch": [0.001, 0.002, 0.002]}
    text = benchmark.table({TINY: times}, {TINY: {"minigrad": 3_000_000, "PyTorch": 2_000_000}})
    row = text.splitlines()[-1]
    for cell in ("2, 2 to 3, 5x5", "3.00", "2.00", "1.50 [1.75, 2.00]", "met", "1.50"):
        assert f"| {cell} |" in row
    alone = benchmark.table({TINY: {"minigrad": [0.002]}}, {TINY: {"minigrad": 0}})
    assert alone.splitlines()[-1].count("|") == row.count("|")


def test_the_page_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "CONTENDERS", {"minigrad": benchmark.minigrad})
    monkeypatch.setattr(benchmark, "peak", lambda name, case: 1_000_000)
    assert benchmark.main(["--seconds", "0", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "convolution.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "| 2, 2 to 3, 5x5 |" in text

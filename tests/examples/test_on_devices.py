"""The examples on the stand-in for CuPy, and on a GPU where there is one.

They run to the end there, and print what they print on the CPU."""

import contextlib
import io
import json
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
from tests.devices import cuda, strict

__all__ = ["cuda", "strict"]  # fixtures

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = ["--depth", "4", "--width", "8", "--steps", "6", "--seeds", "1", "--batch-size", "32"]


@pytest.fixture(params=["strict", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Iterator[str]:
    """The device that is not the CPU; the default one at the end is the CPU again."""
    yield request.getfixturevalue(request.param)
    mg.set_default_device(None)


def printed(run: Callable[[], Any], device: str) -> str:
    """What ``run`` prints where tensors are made on ``device``."""
    mg.set_default_device(device)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run()
    return text.getvalue()


def words_and_numbers(text: str) -> tuple[list[str], list[float]]:
    number = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"
    return re.sub(number, "#", text).split(), [float(n) for n in re.findall(number, text)]


def same_text(run: Callable[[], Any], gpu: str, within: float) -> None:
    here, there = (words_and_numbers(printed(run, device)) for device in ("cpu", gpu))
    assert there[0] == here[0]
    assert there[1] == pytest.approx(here[1], rel=0.05, abs=within)


def test_quickstart(gpu: str) -> None:
    same_text(lambda: runpy.run_path(str(EXAMPLES / "quickstart.py")), gpu, within=0.02)


@pytest.mark.slow
def test_gamma_beta(gpu: str, example: Callable[[str], Any]) -> None:
    same_text(example("gamma_beta").main, gpu, within=1e-3)


@pytest.mark.slow
def test_train_eval(gpu: str, example: Callable[[str], Any]) -> None:
    same_text(example("train_eval").main, gpu, within=0.03)


def test_convolution(gpu: str, example: Callable[[str], Any]) -> None:
    for module in ("matplotlib", "rich"):
        pytest.importorskip(module, reason="the example needs the extra examples")
    script = example("convolution")
    x, y, *_ = script.load(script.parse([]), 0)
    found = []
    for device in ("cpu", gpu):
        mg.manual_seed(3)
        model = script.convolutions(True, 8, 2, 4).to(device)
        found.append(script.measure(model, x[:32].to(device), y[:32].to(device)))
    here, there = found
    assert there["dw"] == pytest.approx(here["dw"], rel=1e-3)
    assert there["spread"] == pytest.approx(here["spread"], rel=1e-3)
    settings = script.parse(["--steps", "2", "--device", gpu])
    run = script.train(settings, model, script.load(settings, 0), seed=0)
    assert len(run["loss"]) == 2


def test_vanishing_gradient(gpu: str, example: Callable[[str], Any], tmp_path: Path) -> None:
    for module in ("matplotlib", "rich"):
        pytest.importorskip(module, reason="the example needs the extra examples")
    script = example("vanishing_gradient")
    found = []
    for device in ("cpu", gpu):
        out = tmp_path / device
        assert script.main([*SHORT, "--device", device, "--out", str(out)]) == 0
        found.append(json.loads((out / "results.json").read_text(encoding="utf-8")))
    here, there = found
    for name, network in here["before"].items():
        assert there["before"][name]["dz"] == pytest.approx(network["dz"], rel=1e-3)
        assert there["before"][name]["factor"] == pytest.approx(network["factor"], rel=1e-3)

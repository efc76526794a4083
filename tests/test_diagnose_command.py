"""``python -m minigrad.diagnose``: the doctor for a user's file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minigrad import diagnose as command

SCRIPT = """
import numpy as np
from minigrad import nn, optim
from neighbour import WIDTH


def sick():
    return nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10), nn.Softmax(1))


def healthy():
    model = nn.Sequential(nn.Linear(5, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 3))
    return model, optim.Adam(model.parameters())


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 5)).astype(np.float32), rng.integers(0, 3, 50)


def images():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def nothing():
    return 3


constant = 3
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour.py").write_text("WIDTH = 16\n")
    path = tmp_path / "user_script.py"
    path.write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return str(path)


def test_what_is_found_is_said_and_written(script: str, capsys: Any, tmp_path: Path) -> None:
    assert command.main([f"{script}:sick", "--steps", "2", "--batch-size", "40"]) == 1
    said = capsys.readouterr().out
    assert "1. loss-mismatch" in said
    assert "of 40 samples" in said
    stored = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert [finding["kind"] for finding in stored["findings"]] == ["loss-mismatch"]
    assert "2 training steps (SGD)" in " ".join(said.split())


def test_own_data_and_an_optimiser_of_ones_own(script: str, capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "there"
    assert command.main([f"{script}:healthy", "--data", f"{script}:data", "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing found." in said
    assert "30 training steps (Adam)" in said
    assert "of 50 samples" in said


def test_images_and_no_optimiser(script: str, capsys: Any) -> None:
    options = ["--images", "--optimizer", "none"]
    assert command.main([f"{script}:images", *options]) == 0
    assert "training steps" not in capsys.readouterr().out


def test_the_rate_is_the_one_that_is_given(script: str, capsys: Any) -> None:
    assert command.main([f"{script}:images", "--images", "--lr", "1000"]) == 1
    assert "1. rate-too-high" in capsys.readouterr().out


def test_remedies_are_tried(script: str, capsys: Any) -> None:
    assert command.main([f"{script}:sick", "--try-remedies", "--batch-size", "32"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "tried: without the activation at the end: 200 steps end at" in said


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no_such.py:model", "expected an existing file"),
        ("no_colon", "expected an existing file"),
        ("user_script.py:missing", "there is no function missing"),
        ("user_script.py:constant", "there is no function constant"),
        ("user_script.py:nothing", "returned a int, expected a Module"),
    ],
)
def test_what_cannot_be_looked_at(script: str, capsys: Any, model: str, message: str) -> None:
    assert command.main([model]) == 2
    assert message in capsys.readouterr().err


def test_without_rich_it_is_plain_text(
    script: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert command.main([f"{script}:sick", "--steps", "0"]) == 1
    assert "1. loss-mismatch: the outputs of the model" in capsys.readouterr().out


def test_as_a_command(script: str) -> None:
    run = [sys.executable, "-m", "minigrad.diagnose", "user_script.py:sick", "--steps", "0"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""}
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    assert "loss-mismatch" in done.stdout

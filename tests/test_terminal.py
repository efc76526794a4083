"""No program of the package ends because standard output lacks a letter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

OBSERVED = """
import minigrad as mg
model = mg.nn.Sequential(mg.nn.Linear(3, 3), mg.nn.Sigmoid())
with mg.diagnostics.observe(model) as seen:
    model(mg.randn(4, 3)).sum().backward()
print(seen)
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize(
    "command",
    [
        ["-c", OBSERVED],
        ["-c", "import minigrad.terminal as t; t.replace_missing_letters(); print('σ ± 漢')"],
        ["-m", "minigrad.coursework", "--help"],
        ["-m", "minigrad.diagnose", "--help"],
        ["examples/gamma_beta.py"],
    ],
    ids=["observation", "letters", "coursework", "diagnose", "gamma_beta"],
)
def test_a_narrow_encoding(command: list[str], encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_the_main_example(encoding: str, tmp_path: Path) -> None:
    pytest.importorskip("rich", reason="the example needs the extra examples")
    pytest.importorskip("matplotlib", reason="the example needs the extra examples")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    options = [
        "--depth",
        "3",
        "--steps",
        "2",
        "--width",
        "8",
        "--seeds",
        "1",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, "examples/vanishing_gradient.py", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    assert b"UnicodeEncodeError" not in done.stderr

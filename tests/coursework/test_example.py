"""The dialogue in examples/coursework: each answer leads to the next attempt."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "coursework"


@pytest.fixture(scope="module")
def dialogue():
    spec = importlib.util.spec_from_file_location("dialogue", FOLDER / "dialogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_dialogue(dialogue, capsys):
    dialogue.main()
    first, second, third, fourth, fifth = capsys.readouterr().out.strip().split("\n\n")
    assert "mu and var as constants" in first
    assert "dgamma uses x where x_hat belongs" in first
    assert "path through the batch variance is missing" in second
    assert "Two things at once" in third
    assert "the third (the term through the variance) with factor 1.50" in fourth
    assert "passed, 12 points" in fifth


def test_the_keys_of_the_mistakes(dialogue):
    keys = [dialogue.judged(path).keys for path in sorted(FOLDER.glob("attempt_*.py"))]
    assert keys == [["B01", "G02"], ["B03", "B37"], ["B16+B42"], [], []]

"""examples/convolution.py: what it says comes out of what it computes."""

import argparse
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

pytest.importorskip("matplotlib")
pytest.importorskip("rich")

SHORT = ["--depth", "2", "--channels", "2", "--steps", "3", "--seeds", "1"]


@pytest.fixture
def script(example: Callable[[str], Any]) -> Any:
    return example("convolution")


@pytest.mark.parametrize(("size", "last"), [(8, 4), (28, 7)])
def test_both_networks_take_both_kinds_of_images(script: Any, size: int, last: int) -> None:
    for batchnorm in (False, True):
        model = script.convolutions(batchnorm, size, 4, 3)
        kinds = [type(layer) for layer in model]
        assert kinds.count(nn.Conv2d) == 4
        assert kinds.count(nn.BatchNorm2d) == (4 if batchnorm else 0)
        x = mg.randn(2, 1, size, size)
        assert model[:-3](x).shape == (2, 3, last, last)
        assert model(x).shape == (2, 10)
    assert script.linear_layers(size, 3, 4)(x).shape == (2, 10)


def test_images_are_moved_by_one_pixel(script: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 1, 4, 5)).astype(np.float32)
    moved = script.moved(mg.tensor(x))
    for name, axis, step, border in (
        ("moved up", 2, -1, -1),
        ("moved down", 2, 1, 0),
        ("moved left", 3, -1, -1),
        ("moved right", 3, 1, 0),
    ):
        expected = np.roll(x, step, axis)
        np.moveaxis(expected, axis, 0)[border] = 0
        np.testing.assert_array_equal(moved[name].numpy(), expected)


def test_batchnorm_restores_the_spread_and_the_gradient(script: Any) -> None:
    x, y, *_ = script.load(script.parse([]), 0)
    mg.manual_seed(0)
    plain, normed = (
        script.measure(script.convolutions(batchnorm, 8, 6, 8), x[:64], y[:64])
        for batchnorm in (False, True)
    )
    assert plain["factor"] < 0.6 < normed["factor"]
    assert plain["spread"][-1] < 0.1 * normed["spread"][-1]
    assert plain["dw"][0] < 0.1 * normed["dw"][0]


def test_a_captured_run_is_the_same(script: Any) -> None:
    found = []
    for capture in (False, True):
        settings = argparse.Namespace(
            data="digits", data_root=None, device="cpu", lr=0.01, steps=4, capture=capture
        )
        data = script.load(settings, 0)
        mg.manual_seed(0)
        model = script.convolutions(True, data[0].shape[-1], 2, 2)
        found.append(script.train(settings, model, data, 0))
    assert found[0] == found[1]


def test_the_story_is_told_and_drawn(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([*SHORT, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    rows = {
        re.split(r" *[│|] *", line)[1]: re.split(r" *[│|] *", line)[2:-1]
        for line in text.splitlines()
        if line.startswith(("│", "|"))
    }
    assert {script.PLAIN, script.NORMED, script.LINEAR, "1", "2"} <= set(rows)
    assert all(0 <= float(cell) <= 1 for cell in rows[script.LINEAR])
    for name in ("convolution-training", "convolution-gradients"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_a_folder_of_idx_files_will_do(
    script: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    for name, count in (("train", 130), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            path = tmp_path / f"{name}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(head + array.tobytes()))
    settings = script.parse(["--data", "mnist", "--data-root", str(tmp_path)])
    x, y, x_test, y_test = script.load(settings, 0)
    assert (x.shape, x_test.shape) == ((130, 1, 28, 28), (20, 1, 28, 28))
    np.testing.assert_array_equal(y_test.numpy(), labels)
    assert len(y) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--depth", "1"], "--depth and --channels begin at 2"),
        (["--lr", "nan"], "--lr: got nan"),
        (["--data-root", "here"], "--data-root: is for --data mnist"),
    ],
)
def test_settings_that_make_no_sense(
    script: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        script.parse(arguments)
    assert said in capsys.readouterr().err


def test_a_folder_without_mnist_is_named(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--data", "mnist", "--data-root", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err

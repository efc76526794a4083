"""examples/vanishing_gradient.py: the claims of the story, on one seed, and its options.

The full run is made once; what it claims is checked here on its numbers, not by its own checks,
which have tests further down.
"""

import contextlib
import copy
import json
import math
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

for module in ("matplotlib", "rich"):
    pytest.importorskip(module, reason="the example needs the extra examples")

ROOT = Path(__file__).parents[2]
PLAIN = ("a. shifted", "b. Xavier")
FIGURES = {"sigmoid", "preactivations", "gradients", "training", "weights", "overview"}
SHORT = ["--depth", "4", "--width", "8", "--steps", "6", "--seeds", "2", "--batch-size", "32"]


@pytest.fixture(scope="module")
def script(example: Callable[[str], Any]) -> Any:
    return example("vanishing_gradient")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with the default settings but for one seed, as a command."""
    out = tmp_path_factory.mktemp("full")
    command = [sys.executable, str(ROOT / "examples" / "vanishing_gradient.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    run = subprocess.run(
        [*command, "--seeds", "1", "--out", str(out)],
        capture_output=True, text=True, encoding="utf-8", env=environment, check=False,
    )  # fmt: skip
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {"code": run.returncode, "text": run.stdout, "out": out, **results}


def words(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


# ------------------------------------------------------------------------------- the claims


def test_all_promises_are_kept(full: dict[str, Any]) -> None:
    assert full["code"] == 0
    assert full["finished"] is True
    assert all(check["holds"] for check in full["checks"])
    assert "FAILS" not in full["text"]


def test_shifted_units_are_saturated_and_pass_nothing_back(full: dict[str, Any]) -> None:
    network = full["before"]["a. shifted"]
    for z in network["z"]:
        assert z["saturated"] == 1
        assert -104 < z["min"] < -90  # the biases reach from -100 to 80,
        assert 70 < z["max"] < 84  # and the weights add a little
    assert network["dz"][:19] == network["dw"][:19] == [0] * 19
    assert network["dz"][19] < 1e-20


def test_a_careful_start_saturates_nothing_and_loses_the_gradient(full: dict[str, Any]) -> None:
    network = full["before"]["b. Xavier"]
    assert max(max(-z["min"], z["max"]) for z in network["z"]) < 2.5
    factors = [a / b for a, b in zip(network["dz"][1:], network["dz"][2:], strict=False)]
    assert network["factor"] == pytest.approx(math.prod(factors) ** (1 / 18))
    assert network["factor"] == pytest.approx(0.236, abs=0.01)
    assert network["dw_ratio"] < 1e-10
    assert network["z"][-1]["batch_std"] < 1e-6


def test_saturation_alone_does_not_lose_it(full: dict[str, Any]) -> None:
    network = full["before"]["c. large weights"]
    assert np.mean([z["saturated"] for z in network["z"]]) == pytest.approx(0.45, abs=0.05)
    assert 0.9 < network["factor"] < 1.1


@pytest.mark.parametrize("start", ["a. shifted", "b. Xavier", "c. large weights"])
def test_batchnorm_restores_spread_and_gradient(full: dict[str, Any], start: str) -> None:
    network = full["before"][f"{start} + BN"]
    assert np.mean([z["outside"] for z in network["z"]]) < 0.003
    assert [z["std"] for z in network["z"]] == pytest.approx([1] * 20, abs=0.02)
    assert network["factor"] == pytest.approx(1.035, abs=0.02)
    assert 0.1 < network["dw_ratio"] < 10


def test_the_factor_is_the_product_of_slope_weights_and_sigma(full: dict[str, Any]) -> None:
    for name, network in full["before"].items():
        if name != "a. shifted":
            assert network["predicted_factor"] == pytest.approx(network["factor"], rel=0.06)


@pytest.mark.parametrize("start", PLAIN)
def test_without_batchnorm_nothing_is_learnt(full: dict[str, Any], start: str) -> None:
    [run] = full["training"][start]
    assert max(run["accuracy"]) <= 0.15
    assert abs(run["loss"][-1] - math.log(10)) < 0.05
    assert run["layer_1_identical"] is True
    assert run["moved"][0] == 0
    assert max(run["dw_ratio"]) < 1e-9


@pytest.mark.parametrize("start", PLAIN)
def test_with_batchnorm_every_layer_learns(full: dict[str, Any], start: str) -> None:
    [run] = full["training"][f"{start} + BN"]
    by_step_200 = [a for s, a in zip(run["step"], run["accuracy"], strict=True) if s <= 200]
    assert max(by_step_200) >= 0.90
    assert run["accuracy"][-1] >= 0.95
    assert min(run["moved"]) > 0.02
    assert all(0.1 < ratio < 10 for ratio in run["dw_ratio"])


def test_the_curves_have_a_point_per_epoch(full: dict[str, Any]) -> None:
    for [run] in full["training"].values():
        assert run["step"] == [*range(0, 600, 22), 600]  # 1437 samples: 22 batches of 64
        assert len(run["loss"]) == len(run["accuracy"]) == len(run["step"])


def test_eval_mode_and_its_traps(full: dict[str, Any]) -> None:
    found = full["afterwards"]
    assert found["repeatable"] is True
    assert found["alone_or_together"] < 1e-4
    assert found["eval_accuracy"] == full["training"]["b. Xavier + BN"][0]["accuracy"][-1]
    assert "(1, 64)" in found["batch_of_one_in_training_mode"]
    forgotten = found["forgotten"]
    assert forgotten["batches of 2"] < forgotten["batches of 8"] < forgotten["batches of 64"]
    assert forgotten["batches of 8, sorted by class"] < 0.5
    trap = {row["step"]: row for row in found["trap"]}
    assert trap[20]["eval"] < 0.3 < 0.7 < trap[20]["training"]
    assert trap[200]["eval"] > 0.9


def test_what_it_says_is_what_it_measured(full: dict[str, Any]) -> None:
    text = words(full["text"])
    xavier, large = full["before"]["b. Xavier"], full["before"]["c. large weights"]
    assert f"makes a factor of {xavier['factor']:.3f}" in text
    assert f"{xavier['dz_ratio']:.1e} arrive in layer 1" in text
    assert f"the factor is {large['factor']:.2f}" in text
    assert f"test accuracy {full['afterwards']['eval_accuracy']:.3f}" in text
    assert "in 19 of 20 layers the gradient is exactly 0" in text
    assert max(len(line) for line in full["text"].splitlines()) <= 80


def test_the_readme_has_these_numbers(full: dict[str, Any]) -> None:
    readme = words((ROOT / "README.md").read_text(encoding="utf-8"))
    assert f"a factor of {full['before']['b. Xavier']['factor']:.2f} per layer" in readme
    end = [full["training"][name][0]["accuracy"][-1] for name in ("b. Xavier + BN", "b. Xavier")]
    stated = re.search(r"handwritten digits is (0\.\d\d) instead of (0\.\d\d)", readme)
    assert stated is not None
    assert end == pytest.approx([float(number) for number in stated.groups()], abs=0.02)


def test_figures_and_numbers_are_left_behind(full: dict[str, Any]) -> None:
    assert {path.stem for path in full["out"].glob("*.png")} == FIGURES
    for path in full["out"].glob("*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert width > 800
        assert height > 400
    assert full["settings"]["steps"] == 600
    assert full["versions"]["numpy"] == np.__version__
    assert full["seconds"] > 0
    assert set(full["before"]["b. Xavier"]["z"][0]) >= {"percentiles", "histogram", "saturated"}


# -------------------------------------------------------------------------------- its checks

# network, check, and where in the results (a path) to put which number
BROKEN: list[tuple[str, str, str, Any]] = [
    ("a. shifted", "|dL/dz| of layer 1", "before dz 0", 1e-9),
    ("b. Xavier", "factor per layer", "before factor", 0.5),
    ("c. large weights", "factor per layer", "before factor", 0.5),
    ("b. Xavier + BN", "factor per layer", "before factor", 0.9),
    ("a. shifted", "best accuracy ever", "training 0 accuracy 3", 0.2),
    ("a. shifted", "loss at the end", "training 0 loss -1", 2.2),
    ("b. Xavier", "|dW| first : last", "training 0 dw_ratio 1", 1e-8),
    ("b. Xavier", "layer 1 unchanged", "training 0 layer_1_identical", False),
    ("b. Xavier + BN", "accuracy by step 200", "training 0 accuracy", [0.8] * 10 + [0.99] * 19),
    ("b. Xavier + BN", "accuracy at the end", "training 0 accuracy -1", 0.94),
    ("a. shifted + BN", "|dW| first : last", "training 0 dw_ratio 0", 11.0),
]


def put(results: Any, part: str, network: str, path: list[str], value: Any) -> None:
    place = results[part][network]
    for step in path[:-1]:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(path[-1]) if isinstance(place, list) else path[-1]] = value


class Z:
    """Stats of a layer as the checks read them."""

    def __init__(self, numbers: dict[str, Any]) -> None:
        self.__dict__.update(numbers)


@pytest.mark.parametrize(("network", "what", "path", "value"), BROKEN)
def test_a_broken_promise_is_noticed(
    full: dict[str, Any], example: Callable[[str], Any],
    network: str, what: str, path: str, value: Any,
) -> None:  # fmt: skip
    results = copy.deepcopy({key: full[key] for key in ("settings", "before", "training")})
    for measured in results["before"].values():
        measured["z"] = [Z(numbers) for numbers in measured["z"]]
    part, *rest = path.split()
    put(results, part, network, rest, value)
    failed = [c for c in example("experiment.claims").check(results) if not c["holds"]]
    assert [(c["network"], c["what"]) for c in failed] == [(network, what)]


@pytest.mark.parametrize("share", ["saturated", "outside"])
def test_a_wrong_range_is_noticed(
    full: dict[str, Any], example: Callable[[str], Any], share: str
) -> None:
    results = copy.deepcopy({key: full[key] for key in ("settings", "before")})
    for measured in results["before"].values():
        measured["z"] = [Z({**numbers, share: 0.3}) for numbers in measured["z"]]
    failed = {c["network"] for c in example("experiment.claims").check(results) if not c["holds"]}
    normed = {"a. shifted + BN", "b. Xavier + BN", "c. large weights + BN"}
    plain = {"a. shifted", "b. Xavier", "c. large weights"}
    assert failed == (plain if share == "saturated" else normed)


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--steps", "601"], 0)])
def test_only_the_default_settings_are_promised(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    failing = {"network": "n", "what": "w", "promised": "p", "measured": "m", "holds": False}
    monkeypatch.setattr(script.claims, "check", lambda results: [failing])
    monkeypatch.setattr(script, "tell", lambda s, results, show: results.update(finished=True))
    assert script.main([*options, "--seeds", "3", "--out", str(tmp_path)]) == code
    text = words(capsys.readouterr().out)
    assert "FAILS" in text
    assert ("a finding and not a fault" in text) == (code == 0)


# -------------------------------------------------------------------------------- the parts


def settings(script: Any, **changes: Any) -> Any:
    return script.Settings(**{"depth": 4, "width": 8, "steps": 6, "batch_size": 32, **changes})


def test_with_and_without_batchnorm_start_from_the_same_weights(script: Any) -> None:
    weights = []
    for batchnorm in (False, True):
        mg.manual_seed(3)
        model = script.build(settings(script), "a. shifted", batchnorm, 64, 10)
        weights.append(script.hidden_weights(model))
        assert sum(isinstance(layer, nn.BatchNorm1d) for layer in model) == (4 if batchnorm else 0)
    assert [w.shape for w in weights[0]] == [(8, 64), (8, 8), (8, 8), (8, 8)]
    for plain, normed in zip(*weights, strict=True):
        assert np.array_equal(plain, normed)


def test_large_weights_have_the_stated_spread(script: Any) -> None:
    layer = nn.Linear(400, 300)
    script.large(layer)
    assert layer.weight.data.std() == pytest.approx(10 / 20, rel=0.02)
    assert not layer.bias.data.any()


def test_measuring_leaves_the_network_as_it_was(script: Any) -> None:
    data = script.load(settings(script), 0)
    model = script.build(settings(script), "b. Xavier", True, 64, 10)
    state = copy.deepcopy(model.state_dict())
    script.measure(model, data.x_train[:50], data.y_train[:50])
    script.both_modes(model, data)
    script.afterwards(model, data)
    for name, value in model.state_dict().items():
        assert np.array_equal(value.data, state[name].data), name
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("batchnorm", [False, True])
def test_the_quick_measurement_is_that_of_the_full_one(script: Any, batchnorm: bool) -> None:
    data = script.load(settings(script), 0)
    mg.manual_seed(1)
    model = script.build(settings(script), "b. Xavier", batchnorm, 64, 10)
    state = copy.deepcopy(model.state_dict())
    sample = data.x_train[:50], data.y_train[:50]
    quick, full = script.gradients(model, *sample), script.measure(model, *sample)
    assert len(quick["dz"]) == len(quick["dw"]) == 4
    assert quick == {name: full[name] for name in quick}
    for name, value in model.state_dict().items():
        assert np.array_equal(value.data, state[name].data), name


def test_the_split_is_that_of_the_seed(script: Any) -> None:
    first, again, other = (script.load(settings(script), seed) for seed in (1, 1, 2))
    assert first.x_train.shape == (1437, 64)
    assert first.x_test.shape == (360, 64)
    assert np.array_equal(first.x_test.data, again.x_test.data)
    assert not np.array_equal(first.x_test.data, other.x_test.data)


# ------------------------------------------------------------------------------- the options


@pytest.fixture
def without_figures(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time of a short run."""
    monkeypatch.setattr(script.files, "figures", lambda results: {})


@pytest.mark.usefixtures("without_figures")
def test_the_options_reach_the_run(script: Any, tmp_path: Path) -> None:
    options = [*SHORT, "--dtype", "float64", "--lr", "0.05", "--out", str(tmp_path / "new" / "x")]
    assert script.main(options) == 0
    results = json.loads((tmp_path / "new" / "x" / "results.json").read_text(encoding="utf-8"))
    chosen = {"depth": 4, "width": 8, "steps": 6, "seeds": 2, "batch_size": 32, "lr": 0.05}
    assert results["settings"] | chosen | {"dtype": "float64"} == results["settings"]
    assert len(results["before"]["b. Xavier"]["z"]) == 4
    assert [run["seed"] for run in results["training"]["a. shifted + BN"]] == [0, 1]
    assert results["training"]["b. Xavier"][0]["step"] == [0, 1, 2, 3, 4, 5, 6]
    model = script.build(settings(script, dtype="float64"), "b. Xavier", True, 64, 10)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}


@pytest.mark.usefixtures("without_figures")
def test_a_captured_run_has_the_same_results(script: Any, tmp_path: Path) -> None:
    """To the last bit: the file has all digits."""
    found = []
    for more in ([], ["--capture"]):
        folder = tmp_path / f"out{len(more)}"
        assert script.main([*SHORT, "--seeds", "1", *more, "--out", str(folder)]) == 0
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        found.append(results["training"])
    assert found[0] == found[1]


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.usefixtures("without_figures")
def test_mnist_from_a_folder(script: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    for part, count in (("train", 300), ("t10k", 70)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, count))
    options = ["--data", "mnist", "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert script.main([*SHORT, "--seeds", "1", *options]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["before"]["b. Xavier"]["z"][0]["shape"] == [256, 8]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--data", "mnist", "--data-root", "nowhere"], "nowhere"),
        (["--device", "tpu"], "tpu"),
        (["--batch-size", "1438"], "--batch-size: got 1438, expected at most 1437"),
        (["--out", __file__], "--out: "),
        (["--out", f"{__file__}/below"], "--out: "),
    ],
)
def test_settings_that_cannot_be_served_are_refused_at_once(
    script: Any, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert script.main(options) == 2
    printed = capsys.readouterr()
    assert reason in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--depth", "2"], ["--seeds", "0"], ["--steps", "-1"], ["--dtype", "int8"],
        ["--lr", "-1"], ["--lr", "nan"], ["--lr", "inf"], ["--lr", "0"], ["--lr", "fast"],
        ["--batch-size", "1"], ["--data-root", "folder"],
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(
    script: Any, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        script.main(options)
    assert stopped.value.code == 2
    assert options[0] in capsys.readouterr().err


# ------------------------------------------------------------------------------------ Ctrl-C


@contextlib.contextmanager
def stopped_after(steps: int, advance: Callable[[str], None]) -> Any:
    """A progress bar on whose step number ``steps`` somebody presses Ctrl-C."""
    seen = 0

    def step(description: str) -> None:
        nonlocal seen
        seen += 1
        if seen == steps:
            raise KeyboardInterrupt
        advance(description)

    yield step


def test_ctrl_c_leaves_what_was_finished(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(
        script.report.Terminal, "progress", lambda self, total: stopped_after(33, lambda _: None)
    )
    assert script.main([*SHORT, "--out", str(tmp_path)]) == 130  # 4 runs of 6 per seed
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["finished"] is False
    assert {name: len(runs) for name, runs in results["training"].items()} == {
        "a. shifted": 2, "a. shifted + BN": 1, "b. Xavier": 1, "b. Xavier + BN": 1,
    }  # fmt: skip
    assert {path.stem for path in tmp_path.glob("*.png")} == FIGURES
    text = capsys.readouterr().out
    assert "Interrupted" in text
    assert text.count("Median over the seeds") == text.count("3. Afterwards") == 1
    assert "layer 1 unchanged" in text


@pytest.mark.parametrize(
    ("function", "left"),
    [("before_training", {"sigmoid"}), ("train", {"sigmoid", "preactivations", "gradients"})],
)
def test_ctrl_c_before_anything_was_trained(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, function: str, left: set[str]
) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(script, function, interrupt)
    assert script.main([*SHORT, "--out", str(tmp_path)]) == 130
    assert {path.stem for path in tmp_path.glob("*.png")} == left
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["finished"] is False


@pytest.mark.parametrize("module", ["numpy", "matplotlib"])
def test_ctrl_c_during_the_imports_is_short(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "vanishing_gradient.py")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )  # fmt: skip
    assert run.returncode == 130
    assert run.stdout == run.stderr == ""

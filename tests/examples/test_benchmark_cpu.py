"""The benchmark runs, compares like with like, and reckons correctly. No test asks how fast."""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim

pytest.importorskip("threadpoolctl", reason="the benchmark sets threads with it: pip install")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))

import contenders
import cpu as benchmark_cpu
import goals
import plot
import report
import worker
from floor import Floor
from problem import Problem

# ------------------------------------------------------------------------ everybody does the same


@pytest.mark.parametrize("batchnorm", [True, False])
def test_the_floor_trains_as_minigrad_does(batchnorm: bool) -> None:
    problem = Problem(16, 6, batchnorm, depth=3, inputs=5, classes=4)
    layers: list[nn.Module] = []
    for i, (weight, bias) in enumerate(problem.weights):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with mg.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        norm = [nn.BatchNorm1d(problem.width)] if batchnorm else []
        layers += [linear] if i == problem.depth else [linear, *norm, nn.Sigmoid()]
    model = nn.Sequential(*layers)
    optimizer = optim.SGD(model.parameters(), lr=problem.lr)
    x, y = (mg.tensor(array) for array in problem.data)
    floor = Floor(problem)
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        assert floor.step() == pytest.approx(loss.item(), rel=1e-5)
        expected = np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])
        np.testing.assert_allclose(floor.gradients, expected, rtol=1e-4, atol=2e-6)
    expected = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])
    np.testing.assert_allclose(floor.parameters, expected, rtol=1e-5, atol=1e-6)
    for i, layer in enumerate(layer for layer in layers if isinstance(layer, nn.BatchNorm1d)):
        np.testing.assert_allclose(floor.running_mean[i], layer.running_mean.numpy(), rtol=1e-4)
        np.testing.assert_allclose(floor.running_var[i], layer.running_var.numpy(), rtol=1e-4)
        assert floor.batches == layer.num_batches_tracked.item() == 4


@pytest.mark.parametrize("batchnorm", [True, False])
@pytest.mark.parametrize("name", ["torch", "floor", "captured", "jax", *contenders.PEERS])
@pytest.mark.filterwarnings("ignore")  # PyDyNet misses CuPy, loudly
def test_contenders_train_the_same_network(name: str, batchnorm: bool) -> None:
    if (reason := contenders.missing(name)) is not None:
        pytest.skip(f"{name}: {reason}")
    problem = Problem(16, 8, batchnorm)
    expected, losses = (
        [contenders.loss_value(step()) for _ in range(3)]
        for step in (contenders.minigrad(problem), contenders.CONTENDERS[name](problem))
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert expected[2] < expected[1] < expected[0]


@pytest.mark.parity
@pytest.mark.parametrize("batchnorm", [True, False])
def test_adam_trains_the_same_network_as_in_pytorch(batchnorm: bool) -> None:
    pytest.importorskip("torch", reason="compares with PyTorch: make parity")
    problem = Problem(16, 8, batchnorm, "Adam")
    expected, losses = (
        [contenders.loss_value(step()) for _ in range(3)]
        for step in (contenders.torch(problem), contenders.minigrad(problem))
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_a_contender_that_computes_something_else_is_not_timed() -> None:
    worker.check_agreement("other", [2.0, 1.9001], [2.0, 1.9])
    with pytest.raises(RuntimeError, match=r"other: the losses .* \[2.0, 1.9\]"):
        worker.check_agreement("other", [2.0, 1.91], [2.0, 1.9])


def test_a_peer_that_fails_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(problem: Problem) -> contenders.Step:
        raise TypeError("no such thing\nas this")

    def wrong(problem: Problem) -> contenders.Step:
        return lambda: 7.0

    monkeypatch.setitem(worker.CONTENDERS, "dezero", broken)
    monkeypatch.setitem(worker.CONTENDERS, "mygrad", wrong)
    found = worker.contest(Problem(4, 3), ["minigrad", "dezero", "mygrad"], 1, 0, 1, 0)
    assert list(found["times"]) == ["minigrad"]
    assert found["absent"]["dezero"] == "it failed with TypeError: no such thing"
    assert "computes something else" in found["absent"]["mygrad"]
    monkeypatch.setitem(worker.CONTENDERS, "floor", wrong)
    with pytest.raises(RuntimeError, match="floor: the losses"):
        worker.contest(Problem(4, 3), ["minigrad", "floor"], 1, 0, 1, 0)


def test_contenders_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def named(name: str) -> Any:
        return lambda problem: lambda: order.append(name) or 1.0

    for name in ("minigrad", "floor", "gemm"):
        monkeypatch.setitem(worker.CONTENDERS, name, named(name))
    names = ["minigrad", "floor", "gemm"]
    found = worker.contest(Problem(4, 3), names, 1, seconds=0, rounds=5, turn=0)
    assert {name: len(turns) for name, turns in found["times"].items()} == dict.fromkeys(names, 5)
    rounds = [order[i : i + 3] for i in range(6, 21, 3)]  # two steps each have warmed up
    assert rounds[:4] == [names, [*names[1:], names[0]], [names[2], *names[:2]], names]


# --------------------------------------------------------------------------------- what it counts


@pytest.mark.parametrize("batchnorm", [True, False])
def test_flops_are_those_of_the_products_made(
    batchnorm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem(6, 5, batchnorm, depth=3, inputs=7, classes=4)
    step, counted = contenders.gemm(problem), 0
    dot = np.dot

    def counting_dot(a: Any, b: Any, out: Any) -> Any:
        nonlocal counted
        counted += 2 * a.shape[0] * a.shape[1] * b.shape[1]
        return dot(a, b, out)

    monkeypatch.setattr(contenders.np, "dot", counting_dot)
    step()
    assert counted == problem.gemm_flops


def test_numbers_moved_by_hand_count() -> None:
    """One layer of 2 units on 3 samples, 6 numbers an array; 2 * 2 + 2 parameters and a head."""
    plain = Problem(3, 2, batchnorm=False, depth=1, inputs=2, classes=1)
    forward = 6 * (2 + 2)  # bias and Sigmoid: read, write
    backward = 6 * (3 + 1)  # Sigmoid: read two, write one; bias: read
    update = 3 * (6 + 3)
    assert plain.stream_floats == forward + backward + update
    normed = Problem(3, 2, batchnorm=True, depth=1, inputs=2, classes=1)
    assert normed.stream_floats - plain.stream_floats == 6 * (2 + 3)


def test_the_stream_moves_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(8, 6)
    step, moved = contenders.stream(problem), 0

    def counting_copy(target: Any, source: Any) -> None:
        nonlocal moved
        assert target is not source
        moved += target.size + source.size

    monkeypatch.setattr(contenders.np, "copyto", counting_copy)
    step()
    assert problem.stream_floats - 2 * 8 * 6 < moved <= problem.stream_floats


def test_peak_memory_sees_what_was_there_and_is_gone() -> None:
    before = worker.restart_peak()
    if before is None:
        pytest.skip("needs Linux with glibc")
    np.ones(1 << 22)  # 32 MiB
    assert 31 << 20 < worker.memory("VmHWM") - before < 36 << 20  # Linux counts in batches of pages
    assert worker.memory("VmRSS") - before < 4 << 20


def test_faults_are_counted() -> None:
    before = worker.minor_faults()
    kept = np.ones(1 << 22)
    assert worker.minor_faults() > before
    assert kept.size


@pytest.mark.parametrize("shared", [True, False])
def test_a_chain_gives_both_passes(shared: bool) -> None:
    found = worker.chain(turns=2, nodes=50, shared=shared, with_torch=False)
    assert len(found["times"]["minigrad"]) == 2
    both = found["forward"]["minigrad"] + found["backward"]["minigrad"]
    assert both == pytest.approx(np.mean(found["times"]["minigrad"]))  # of two, the median


def test_deep_networks_pass_signals_unchanged() -> None:
    weight = mg.tensor(np.eye(8, dtype=np.float32), requires_grad=True)
    x = mg.tensor(np.full((4, 8), 0.5, np.float32))
    worker.deep_step(F, weight, x, 30)()
    # Each of 30 layers adds dy^T x = sum over 4 rows of 1 * 0.5.
    np.testing.assert_allclose(weight.grad.numpy(), np.full((8, 8), 30 * 4 * 0.5))


# -------------------------------------------------------------------------------- what it reckons


def test_a_ratio_is_of_medians_and_its_spread_of_pairs() -> None:
    found = goals.ratio([2.0, 3.0, 4.0, 5.0, 60.0], [4.0, 4.0, 8.0, 8.0, 8.0])
    assert found.value == 4.0 / 8.0
    assert (found.low, found.high) == (0.5, 0.75)  # of 0.5, 0.75, 0.5, 0.625, 7.5
    assert found.sure_low <= found.value <= found.sure_high


def test_the_interval_of_a_ratio_is_narrow_where_turns_agree() -> None:
    same = goals.ratio([3.0] * 9, [4.0] * 9)
    assert (same.sure_low, same.sure_high) == (0.75, 0.75)
    apart = goals.ratio([1.0, 3.0, 5.0] * 3, [4.0] * 9)
    assert apart.sure_low < 0.75 < apart.sure_high


@pytest.fixture
def results() -> dict[str, Any]:
    """One contest, one with peers, and the rest, with times that are easily reckoned with."""
    problem = {"batch": 64, "width": 32, "batchnorm": True, "optimizer": "SGD"}
    main = {"minigrad": [4.0] * 5, "fused": [3.0] * 5, "torch": [10.0] * 5, "floor": [2.5] * 5,
            "gemm": [0.5] * 5, "stream": [1.5] * 5}  # fmt: skip
    peers = {"minigrad": [4.0] * 5, "torch": [10.0] * 5, "mygrad": [20.0] * 5, "dezero": [5.0] * 5}
    alone = [
        {"problem": problem, "contender": name, "threads": 1, "seconds": 1.0, "faults": faults,
         "peak_bytes": peak}
        for name, faults, peak in (("minigrad", 0, 3 << 20), ("torch", 9, 4 << 20))
    ]  # fmt: skip
    chain = {
        "nodes": 10_000, "shared": True,
        "times": {"minigrad": [1.0] * 3, "torch": [2.0] * 3},
        "forward": {"minigrad": 0.4, "torch": 1.0},
        "backward": {"minigrad": 0.6, "torch": 1.0},
    }  # fmt: skip
    return {
        "date": "2001-02-03", "minutes": 1.5, "quick": False, "finished": True, "absent": {},
        "machine": {"cores": 3, "cpu": "Some Processor", "versions": {"Python": "3.11.1"}},
        "contests": [
            {"threads": 1, "problem": problem, "peers": False, "times": main},
            {"threads": 1, "problem": problem, "peers": True, "times": peers},
        ],
        "alone": alone,
        "engine": {"chains": [chain],
                   "depth": {"depths": [2, 20], "seconds_per_layer": {"minigrad": [2e-6, 3e-6]}}},
        "import_seconds": [0.011, 0.012, 0.018],
    }  # fmt: skip


def test_goals_are_met_or_not(results: dict[str, Any]) -> None:
    found = {check.what: check for check in goals.check(results)}
    assert {what: (check.value, check.verdict) for what, check in found.items()} == {
        "step / PyTorch": (0.4, "met"),
        "step, fused / PyTorch": (0.3, "met"),
        "step / floor": (1.6, "not met"),
        "step, fused / floor": (1.2, "met"),
        "step / fastest NumPy peer": (0.8, "not met"),
        "peak memory / PyTorch": (0.75, "met"),
        "page faults per step": (0, "met"),
        "node / PyTorch": (0.5, "not met"),
        "import, ms beyond NumPy": (12.0, "met"),
    }
    assert found["step / fastest NumPy peer"].where == "64x32, 1 thread, dezero"


def test_a_goal_within_the_noise_is_called_so(results: dict[str, Any]) -> None:
    results["contests"][0]["times"]["minigrad"] = [3.0, 4.0, 5.0, 6.0, 3.5, 4.2, 4.4]
    results["contests"][0]["times"]["torch"] = [10.0] * 7
    results["contests"][0]["times"]["floor"] = [1.0] * 7
    del results["contests"][0]["times"]["fused"]
    verdicts = {check.what: check.verdict for check in goals.check(results)}
    assert verdicts["step / PyTorch"] == "met, within noise"
    assert verdicts["step / floor"] == "not met"


def test_without_pytorch_the_other_goals_stand(results: dict[str, Any]) -> None:
    for part in (*results["contests"], *results["engine"]["chains"]):
        del part["times"]["torch"]
    del results["alone"][1]
    assert {check.what for check in goals.check(results)} == {
        "step / floor", "step, fused / floor", "step / fastest NumPy peer", "page faults per step",
        "import, ms beyond NumPy",
    }  # fmt: skip
    assert "minigrad / PyTorch" not in report.markdown(results)


def test_the_report_shows_what_was_measured(results: dict[str, Any]) -> None:
    text = report.markdown(results)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    steps = ("0.40", "0.30", "1.60", "1.20", "0.25")
    assert ["64x32", "1", "4e+03", *(f"{r} [{r}, {r}]" for r in steps), "5"] in rows
    assert ["64x32", "1", "MyGrad", "0.20 [0.20, 0.20]", "2.00 [2.00, 2.00]"] in rows
    assert ["64x32", "1", "minigrad", "3.0", "0", "1e+03"] in rows
    assert ["minigrad", "2.0", "3.0", "1.50"] in rows
    roofline = next(row for row in rows if len(row) == 11 and row[0] == "64x32")
    assert roofline[6:] == ["2e+03", "2.00", "1.50", "1.25", "5.00"]  # of 0.5 s + 1.5 s


def test_the_figure_adds_up_to_what_was_measured(results: dict[str, Any], tmp_path: Path) -> None:
    contest = results["contests"][0]
    assert plot.shares(contest) == pytest.approx([0.05, 0.2, 0.05, 0.1])
    contest["times"]["fused"] = [2.0] * 5  # less than the floor: the engine added nothing
    assert plot.shares(contest) == pytest.approx([0.05, 0.2, 0, 0.15])
    (tmp_path / "cpu.json").write_text(json.dumps(results), encoding="utf-8")
    plot.main(str(tmp_path / "cpu.json"), str(tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_tables_are_aligned() -> None:
    assert report.table(["a", "bcd"], [["xyz", "1"]]).splitlines() == [
        "| a   | bcd |",
        "| --- | --- |",
        "| xyz | 1   |",
    ]
    assert report.table(["a"], []) == ""


# --------------------------------------------------------------------------------------- the runs


def run(folder: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    code = benchmark_cpu.main(["--out", str(folder), "--peers", "none", *arguments])
    numbers = json.loads((folder / "cpu.json").read_text(encoding="utf-8"))
    return code, (folder / "cpu.md").read_text(encoding="utf-8"), numbers


LARGE = ("torch", "torch_compile", "jax")  # downloads that the tests do without


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        benchmark_cpu, "missing", lambda name: "not wanted" if name in LARGE else None
    )


def test_a_tiny_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_torch(monkeypatch)
    code, text, numbers = run(tmp_path, "--sizes", "8x4", "--threads", "1", "--quick")
    assert code == 0
    assert text in capsys.readouterr().out
    assert "Left out: torch, not wanted." in text
    assert [set(contest["times"]) for contest in numbers["contests"]] == [
        {"minigrad", "fused", "captured", "floor", "gemm", "stream"},
        {"minigrad", "fused", "captured", "floor"},
        {"minigrad", "fused", "captured"},
        {"minigrad", "fused", "captured"},
    ]
    assert all(len(c["times"]["minigrad"]) >= 4 for c in numbers["contests"])
    assert [row["contender"] for row in numbers["alone"]] == ["minigrad", "floor"]
    assert numbers["engine"]["depth"]["depths"] == [20, 200, 2000]
    assert {goal["what"] for goal in numbers["goals"]} == {
        "step / floor", "step, fused / floor", "page faults per step", "import, ms beyond NumPy",
    }  # fmt: skip
    assert numbers["finished"]
    written = text + json.dumps(numbers)
    for name in (platform.node(), str(tmp_path), f"{Path.home()}/"):  # of this machine
        assert name not in written


@pytest.mark.parity
@pytest.mark.slow
def test_a_tiny_run_beside_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="compares with PyTorch: make parity")
    code, text, numbers = run(tmp_path, "--sizes", "8x4", "--threads", "1", "--quick")
    assert code == 0
    assert "minigrad / PyTorch" in text
    assert all("torch" in contest["times"] for contest in numbers["contests"])
    assert {goal["what"] for goal in numbers["goals"]} >= {
        "peak memory / PyTorch", "node / PyTorch"
    }  # fmt: skip


@pytest.mark.parametrize(("end", "expected"), [(KeyboardInterrupt, 130), (RuntimeError, 1)])
def test_a_run_that_is_cut_short_keeps_what_was_measured(
    end: type[BaseException], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(options: Any, present: Any, results: dict[str, Any]) -> None:
        results["import_seconds"] = [0.25]
        raise end("cut short")

    monkeypatch.setattr(benchmark_cpu, "measure", measure)
    code, text, numbers = run(tmp_path)
    assert code == expected
    assert "cut short" in text
    assert numbers["import_seconds"] == [0.25]


def test_a_worker_that_fails_is_named() -> None:
    job = {"job": "alone", "name": "nobody", "problem": {"batch": 4, "width": 3}, "seconds": 0}
    with pytest.raises(RuntimeError, match="the worker for alone ended with 1"):
        list(benchmark_cpu.work(job, 1, with_torch=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "64"], "got '64', expected batch x width"),
        (["--sizes", "1x8"], "a batch of at least 2"),
        (["--threads", "0"], "expected a whole number from 1"),
        (["--peers", "keras"], "expected some of dezero, autograd"),
    ],
)
def test_bad_options_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark_cpu.main(arguments)
    assert message in capsys.readouterr().err


def test_the_kernels_of_the_blas_libraries_are_named() -> None:
    pool = {"internal_api": "openblas", "version": "0.3", "architecture": "SkylakeX"}
    assert worker.library(pool) == ("openblas", "0.3 (SkylakeX kernels)")
    assert worker.library({"internal_api": "mkl", "version": "2024"}) == ("mkl", "2024")
    assert worker.library({"internal_api": "openmp", "version": None}) is None

"""The GPU benchmark without a GPU: it says why it cannot run; on the stand-in it runs from end to
end, finds what is wrong, and reckons correctly. Nothing here is a measurement."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.kernels import cublas as direct
from minigrad.kernels import cuda as kernels
from minigrad.kernels import cuda_steps
from tests.devices import emulated, strict
from tests.strict_cupy.runtime import CuBLAS, Function

__all__ = ["emulated", "strict"]  # fixtures

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))

import gpu as benchmark_gpu
import gpu_checks
import gpu_contenders as contenders
import gpu_report as report
from problem import Problem

QUICK = ["--quick", "--depth", "2", "--sizes", "6x5"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices that the emulator can do in no time."""
    monkeypatch.setattr(gpu_checks, "SHAPES", [(9, 7)])
    monkeypatch.setattr(benchmark_gpu, "TURN", 1e-4)


# ---------------------------------------------------------------------------------- from end to end


def test_without_a_gpu_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    assert benchmark_gpu.main(["--out", str(tmp_path)]) == 2
    assert "needs a GPU: switched off by the environment" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_it_runs_on_the_stand_in(
    small: None, emulated: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark_gpu.main([*QUICK, "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert results["finished"]
    assert [(c["problem"]["optimizer"], c["precision"]) for c in results["contests"]] == [
        ("SGD", "fp32"), ("Adam", "fp32"), ("SGD", "TF32"), ("Adam", "TF32"),
    ]  # fmt: skip
    for contest in results["contests"]:
        assert {"minigrad", "fused", "captured"} <= set(contest["times"])
        assert all(len(times) >= 5 for times in contest["times"].values())
        assert all(value > 0 for value in contest["ceilings"].values())
    assert all(check["passed"] for check in results["checks"])
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert "stand-in, no GPU" in page
    assert "A quick run" in page
    assert "| 6x5, Adam, TF32 |" in page
    assert mg.get_float32_matmul_precision() == "highest"


def test_a_capture_that_fails_is_reported_and_the_others_are_compared(
    small: None, emulated: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cublas = CuBLAS()
    cublas.cublasGemmEx = Function(lambda *_: 15)
    monkeypatch.setattr(direct, "load", lambda version: cublas)
    assert benchmark_gpu.main([*QUICK, "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert [set(c["times"]) & {"minigrad", "fused", "captured"} for c in results["contests"]] == [
        {"minigrad", "fused"}
    ] * 4
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "Left out: minigrad, captured, 6x5, cublasGemmEx of cuBLAS failed" in page


def test_a_wrong_kernel_ends_it(
    small: None,
    emulated: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = kernels.FORWARD[ops.Sigmoid]
    wrong = {**kernels.FORWARD, ops.Sigmoid: lambda op, x: right(op, x) * 1.001}
    monkeypatch.setattr(kernels, "FORWARD", wrong)
    assert benchmark_gpu.main([*QUICK, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "kernels are wrong" in error
    assert "'sigmoid'" in error
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert not results["finished"]
    assert {c["kernel"] for c in results["checks"] if not c["passed"]} == {"sigmoid"}


def test_a_kernel_that_does_not_run_is_wrong(small: None, emulated: str) -> None:
    def check(op: Any) -> float:
        rng = np.random.default_rng(1)
        return gpu_checks.of_operation(rng, op, [rng.normal(size=(2, 3, 4))])

    assert check(lambda: ops.BatchNorm(1e-5)) == math.inf
    assert not gpu_checks.Check("x", "float32", (1, 1), math.nan).passed


def test_every_kernel_is_checked(small: None, emulated: str) -> None:
    named = {check.kernel for check in gpu_checks.checks(seed=3)}
    activations = 3  # each with the kernel for Linear
    statistics = 1
    assert len(named) == len(kernels.FORWARD) - 1 + activations + len(cuda_steps.STEP) + statistics


def test_time_that_is_over_ends_it(small: None, emulated: str, tmp_path: Path) -> None:
    assert benchmark_gpu.main([*QUICK, "--minutes", "0", "--out", str(tmp_path)]) == 1
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert results["checks"]
    assert not results["contests"]
    assert "cut short" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("sizes", ["6", "1x5", "6x0", "axb"])
def test_sizes_that_are_none(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark_gpu.parse(["--sizes", sizes])
    assert "expected batch x width" in capsys.readouterr().err


# --------------------------------------------------------------------------- all do the same work


@pytest.mark.parity
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_pytorch_and_minigrad_train_the_same_network(
    optimizer: str, strict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="compares with PyTorch: make parity")
    monkeypatch.setattr(contenders.Torch, "device", "cpu")
    problem = Problem(16, 6, optimizer=optimizer, depth=3, inputs=5, classes=4)
    data = contenders.inputs(problem, seed=7)
    some = {name: contenders.MAKERS[name](problem, data) for name in ("minigrad", "fused", "eager")}
    for contender in some.values():
        contender.start(problem)
    first = benchmark_gpu.agree(some, "fp32")
    for contender in some.values():
        contender.start(problem)  # from the first weights again
    assert benchmark_gpu.agree(some, "fp32") == first


def test_contenders_that_differ_are_not_compared() -> None:
    some = {name: SimpleNamespace(step=lambda i, d=d: 2 + d) for name, d in (("a", 0), ("b", 0.01))}
    with pytest.raises(RuntimeError, match="the losses of b are"):
        benchmark_gpu.agree(some, "fp32")
    assert benchmark_gpu.agree(some, "TF32")["a"] == [2, 2]


def test_input_sets_are_different_and_fresh() -> None:
    problem = Problem(8, 5)
    one, two = contenders.inputs(problem, seed=1), contenders.inputs(problem, seed=2)
    assert len({x.tobytes() for x, _ in [*one, *two]}) == 2 * contenders.SETS


def test_every_contender_takes_each_place_in_turn() -> None:
    """So that nobody always comes after the same one."""
    begun: list[str] = []

    class Moment:
        def record(self) -> None: ...

        def synchronize(self) -> None: ...

        def elapsed_time(self, end: Any) -> float:
            return 180.0

    def contender(name: str) -> Any:
        return SimpleNamespace(
            synchronize=lambda: None, event=Moment, step=lambda i: begun.append(name)
        )

    times = benchmark_gpu.contest({name: contender(name) for name in "abc"}, budget=0)
    assert begun[18:33] == list("abcbcacababcbca")
    assert times == {name: [0.18] * 5 for name in "abc"}


# -------------------------------------------------------------------------------- the arithmetic


def test_the_parameters_are_those_of_the_network(strict: str) -> None:
    problem = Problem(4, 6, depth=3)
    made = contenders.Minigrad(problem, contenders.inputs(problem, 0), fused=True)
    assert report.parameters(problem) == sum(p.numel() for p in made.model.parameters())


def test_the_roofline_of_a_step() -> None:
    problem = Problem(4096, 1024, inputs=1024, classes=10)
    hidden = 20 * 6 * 4096 * 1024**2 - 2 * 4096 * 1024**2
    assert problem.gemm_flops == hidden + 6 * 4096 * 1024 * 10
    numbers = 10 * 20 * 4096 * 1024 + 3 * report.parameters(problem)
    assert report.bytes_moved(problem) == 4 * numbers
    expected = problem.gemm_flops / 5e13 + 4 * numbers / 4e12
    assert report.roofline(problem, 5e13, 4e12) == pytest.approx(expected)


def contest(precision: str = "fp32", **times: float) -> dict[str, Any]:
    return {
        "problem": {"batch": 4096, "width": 1024, "optimizer": "Adam", "depth": 20},
        "precision": precision,
        "ceilings": {"flops": 5e13, "bytes": 4e12},
        "times": {name: [t, t * 0.9, t * 1.5] for name, t in times.items()},
    }


def test_goals_compare_medians() -> None:
    problem = Problem(4096, 1024, optimizer="Adam")
    bound = report.roofline(problem, 5e13, 4e12)
    one = contest(minigrad=3 * bound, fused=bound * 1.1, eager=bound * 1.2, compile=bound)
    found = report.goals({"contests": [one, contest("TF32", fused=bound, eager=bound / 2)]})
    assert [(round(ratio, 4), limit) for _, ratio, limit in found] == [
        (round(1.1 / 1.2, 4), 1.0), (1.1, 1.15), (1.1, 1.2), (2.0, 1.0),
    ]  # fmt: skip
    page = report.aims({"contests": [one, contest("TF32", fused=bound, eager=bound / 2)]})
    assert [line.rsplit("|", 2)[1].strip() for line in page.splitlines()[2:]] == [
        "met", "met", "met", "not met",
    ]  # fmt: skip


def test_captured_is_compared_with_eager_where_layers_are_small() -> None:
    one = contest(minigrad=0.02, fused=0.01, captured=0.003, eager=0.012)
    one["problem"] |= {"batch": 256, "width": 256}
    (_, small) = report.goals({"contests": [one]})
    assert small == ("captured / PyTorch eager, 256x256, Adam, fp32", 0.25, 1 / 3)
    assert "| 0.50 | 3.33 | 0.83 |  |" in report.ratios({"contests": [one]})


def test_what_did_not_take_part_leaves_its_column_empty() -> None:
    one = contest(minigrad=0.02, fused=0.01)
    assert "| 4096x1024, Adam, fp32 | 20.000 | 10.000 |  |  |  |" in report.times(
        {"contests": [one]}
    )
    assert "| 0.50 |  |  |  |" in report.ratios({"contests": [one]})
    assert report.aims({"contests": [contest("TF32", minigrad=1.0)]}) == ""

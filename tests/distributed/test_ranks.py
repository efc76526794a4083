"""Several processes give what one gives: each case of ``ranks.py`` under mpiexec."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDE_PYTHON = Path(sys.executable).parent / "mpiexec"
MPIEXEC = str(BESIDE_PYTHON) if BESIDE_PYTHON.exists() else shutil.which("mpiexec")

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(
        MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
        reason="mpi4py or mpiexec is missing; pip install mpi4py mpich",
    ),
]


CASES = [
    "collectives",
    "inputs_that_differ",
    "sync_batchnorm",
    "second_order",
    "float32_far_from_zero",
    "too_few_samples",
    "training_with_sgd",
    "training_with_adam",
    "training_with_accumulation",
    "accumulation_and_unused",
    "a_convolutional_network",
    "parameters_that_drift_apart",
    "rank_0_cannot_save",
    "models_that_differ",
]


@functools.cache
def run(processes: int, *cases: str) -> subprocess.CompletedProcess[str]:
    """The ``cases``, one after another, in so many processes."""
    assert MPIEXEC is not None
    program = Path(__file__).parent / "ranks.py"
    command = [MPIEXEC, "-n", str(processes), sys.executable, "-W", "error", str(program), *cases]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("case", CASES)
def test_each_rank(case: str, processes: int) -> None:
    result = run(processes, *CASES)  # the first that fails ends those after it too
    assert result.stdout.count(f"{case}: done") == processes, result.stderr


def test_plain_batchnorm_is_another_function() -> None:
    result = run(2, "plain_batchnorm_is_another_function")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("before", "after"), [(3, 2), (2, 1)])
def test_a_run_goes_on_with_another_number_of_processes(
    before: int, after: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.npz"
    for processes, case in ((before, "a_run_that_is_saved"), (after, "a_run_that_goes_on")):
        result = run(processes, f"{case}={path}")
        assert result.stdout.count(": done") == processes, result.stderr


def test_an_error_in_one_rank_ends_all() -> None:
    result = run(3, "one_rank_raises")
    assert result.returncode != 0
    assert "rank 1 of 3 failed" in result.stderr
    assert "KeyError: 'the culprit'" in result.stderr


def test_a_rank_that_is_killed_ends_all() -> None:
    assert run(3, "one_rank_is_killed").returncode != 0


def losses_of(processes: int, *options: str) -> list[float]:
    assert MPIEXEC is not None
    program = str(ROOT / "examples" / "distributed.py")
    command = [MPIEXEC, "-n", str(processes), sys.executable, "-W", "error", program, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=True
    )
    return [float(line.rpartition(" ")[2]) for line in result.stdout.splitlines()]


def test_the_example_prints_the_same_for_any_number_of_processes() -> None:
    convolutional = losses_of(1, "--epochs", "1", "--net", "conv")
    assert losses_of(2, "--epochs", "1", "--net", "conv") == pytest.approx(convolutional, abs=2e-6)
    options = ("--epochs", "1", "--depth", "6")
    one = losses_of(1, *options)
    assert len(one) == 1
    assert losses_of(2, *options) == pytest.approx(one, abs=2e-6)
    assert losses_of(2, *options, "--plain") != pytest.approx(one, abs=1e-3)

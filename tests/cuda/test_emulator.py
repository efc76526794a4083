"""The emulator runs what CUDA would run, and refuses or finds what CUDA would let pass."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cuda.emulator import (
    NULL,
    EmulatorError,
    Module,
    sanitizer_unavailable,
    signatures,
    unavailable,
)

SOURCE = """
extern "C" __global__ void indices(int* out, int n) {
    const int i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y
                + threadIdx.y * blockDim.x + threadIdx.x;
    if (i < n) out[i] = i * 10 + threadIdx.y;
}

extern "C" __global__ void reversed(const float* x, float* y) {  // through shared memory
    __shared__ float shared[64];
    shared[threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void without_barrier(const float* x, float* y) {
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = shared[63 - threadIdx.x];
}

extern "C" __global__ void warp_sums(const float* x, float* y) {
    float value = x[threadIdx.x];
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(~0u, value, lane);
    float other = x[threadIdx.x];
    for (int lane = 16; lane > 0; lane /= 2) other += __shfl_down_sync(~0u, other, lane);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = value + other;
}

extern "C" __global__ void past_the_end(const float* x, float* y, int n) {
    if (int(threadIdx.x) <= n) y[0] += x[threadIdx.x];
}

extern "C" __global__ void some_wait(float* y) {
    if (threadIdx.x < 3) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void scalars(
    double* y, int a, long long b, float c, double d, const float* z) {
    y[0] = d + a + b + c + (z ? 1000 : 0);
}
"""


@pytest.fixture(autouse=True)
def _(request: pytest.FixtureRequest) -> None:
    if unavailable():
        pytest.skip(f"CUDA kernels cannot be emulated: {unavailable()}")


def launch(name: str, grid: Any, block: Any, *args: Any, sanitizer: str | None = None) -> None:
    if sanitizer and sanitizer_unavailable(sanitizer):
        pytest.skip(str(sanitizer_unavailable(sanitizer)))
    Module(SOURCE, (), sanitizer).get_function(name)(grid, block, args)


X = np.random.default_rng(3).standard_normal(128).astype(np.float32)


def test_every_thread_of_every_block_runs_once() -> None:
    out = np.full(100, -1, np.int32)
    launch("indices", (3, 2), (5, 4), out, np.int32(100))
    np.testing.assert_array_equal(out, np.arange(100) * 10 + np.arange(100) // 5 % 4)


@pytest.mark.parametrize(
    "sanitizer", [None, pytest.param("address", marks=pytest.mark.slow),
                  pytest.param("thread", marks=pytest.mark.slow)]
)  # fmt: skip
def test_shared_memory_and_barriers(sanitizer: str | None) -> None:
    y = np.zeros(128, np.float32)
    launch("reversed", (2,), (64,), X, y, sanitizer=sanitizer)
    np.testing.assert_array_equal(y, X.reshape(2, 64)[:, ::-1].reshape(-1))


def test_shuffles() -> None:
    y = np.zeros(4, np.float32)
    launch("warp_sums", (1,), (128,), X, y)
    np.testing.assert_allclose(y, 2 * X.reshape(4, 32).sum(axis=1), rtol=1e-5)


def test_scalars_and_null() -> None:
    y = np.zeros(1)
    numbers = np.int32(1), np.int64(2**40), np.float32(0.5), np.float64(0.25)
    launch("scalars", (1,), (1,), y, *numbers, NULL)
    assert y[0] == 2**40 + 1.75
    launch("scalars", (1,), (1,), y, *numbers, X)
    assert y[0] == 2**40 + 1001.75


def test_the_signature_is_read_from_the_source() -> None:
    assert [tuple(p) for p in signatures(SOURCE)["past_the_end"]] == [
        ("x", "float", True, True),
        ("y", "float", True, False),
        ("n", "int", False, False),
    ]


F, D = np.zeros(64, np.float32), np.zeros(64)
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "a Python int": (((1,), (64,), F, F, 64), "n is a int, expected a int32"),
    "64 bits for 32": (((1,), (64,), F, F, np.int64(64)), "n is a int64"),
    "a number for an array": (((1,), (64,), 1.0, F, np.int32(1)), "x is a float"),
    "another type": (((1,), (64,), D, F, np.int32(1)), "x is float64, expected float32"),
    "strides": (((1,), (64,), X[::2], F, np.int32(1)), "x has strides"),
    "too few": (((1,), (64,), F, F), "2 arguments, expected 3"),
    "too many threads": (((1,), (64, 32), F, F, np.int32(1)), "more than 1024"),
    "an empty grid": (((0,), (64,), F, F, np.int32(1)), "the grid is"),
    "a grid too high": (((1, 65536), (64,), F, F, np.int32(1)), "the grid is"),
    "NumPy's int in a grid": (((np.int64(1),), (64,), F, F, np.int32(1)), "the grid is"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_launch_that_cupy_would_let_pass_is_refused(what: str) -> None:
    (grid, block, *args), complaint = REFUSED[what]
    with pytest.raises(EmulatorError, match=complaint):
        launch("past_the_end", grid, block, *args)


def test_a_source_that_does_not_compile_is_an_error() -> None:
    module = Module('extern "C" __global__ void wrong(float* x) { x[0] = expp(1.0f); }')
    with pytest.raises(EmulatorError, match="expp"):
        module.get_function("wrong")((1,), (1,), (F,))


@pytest.mark.slow
def test_a_read_past_the_end_is_found() -> None:
    y = np.zeros(1, np.float32)
    with pytest.raises(EmulatorError, match="heap-buffer-overflow"):
        launch("past_the_end", (1,), (64,), X[:20], y, np.int32(20), sanitizer="address")


@pytest.mark.slow
def test_a_missing_barrier_is_found() -> None:
    with pytest.raises(EmulatorError, match="data race"):
        launch("without_barrier", (1,), (64,), X[:64], np.zeros(64, np.float32), sanitizer="thread")


def test_a_barrier_that_some_threads_never_reach_is_found() -> None:
    code = (
        "import numpy as np\nfrom tests.cuda.test_emulator import SOURCE, Module\n"
        "Module(SOURCE).get_function('some_wait')((1,), (8,), (np.zeros(8, 'f4'),))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == 77
    assert "others wait for it at a barrier" in result.stderr

"""Matrix products asked of cuBLAS: through CuPy, and past it, as while a step is captured."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import import_cupy
from minigrad.events import Listener, events
from minigrad.kernels import cublas
from tests.devices import cuda, emulated
from tests.strict_cupy import linalg, runtime
from tests.strict_cupy.runtime import CuBLAS

__all__ = ["cuda", "emulated"]  # fixtures

NUMBERS = linalg.API["cublas"]
DIGITS = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-14}
LAYOUTS = ["plain", "transposed", "strided"]
SHAPES = [(5, 3, 4), (1, 3, 4), (5, 1, 4), (5, 3, 1), (1, 1, 1), (33, 65, 17)]


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def cupy(request: pytest.FixtureRequest) -> Any:
    """Of the stand-in, and of a GPU."""
    request.getfixturevalue(request.param)
    return import_cupy()


def as_laid(array: Any, how: str, cupy: Any) -> Any:
    """On the device, lying as said."""
    if how == "transposed":
        return cupy.asarray(np.ascontiguousarray(array.T)).T
    if how == "strided":
        wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]), array.dtype)
        wide[::2, 1::3] = array
        return cupy.asarray(wide)[::2, 1::3]
    return cupy.asarray(array)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("captured", [False, True], ids=["cupy", "direct"])
def test_products(
    shape: tuple[int, int, int],
    dtype: str,
    captured: bool,
    cupy: Any,
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
) -> None:
    n, k, m = shape
    a, b = rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(k, m)).astype(dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    within = DIGITS[dtype] * (np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))).max()
    for left, right in product(LAYOUTS, repeat=2):
        stream = cupy.cuda.Stream(non_blocking=True)
        there = as_laid(a, left, cupy), as_laid(b, right, cupy)
        cupy.cuda.Device().synchronize()
        with stream:
            direct = cublas.Direct(cupy, stream)
            direct.prepare()
            monkeypatch.setattr(events, "listener", listening(direct) if captured else None)
            y = cublas.product(*there)
            stream.synchronize()
        assert (y.shape, y.dtype, y.flags.c_contiguous) == ((n, m), dtype, True)
        np.testing.assert_allclose(
            y.get().astype(np.float64), exact, rtol=0, atol=within, err_msg=f"{left}, {right}"
        )


def listening(gemm: Any) -> Listener:
    listener = Listener()
    listener.gemm = gemm
    return listener


def test_tf32_if_it_was_asked_for(cupy: Any, rng: np.random.Generator) -> None:
    a, b = (rng.normal(size=(64, 64)).astype(np.float32) for _ in range(2))
    exact = a.astype(np.float64) @ b
    off = {}
    try:
        for precision in ("high", "highest"):
            mg.set_float32_matmul_precision(precision)
            y = cublas.product(cupy.asarray(a), cupy.asarray(b))
            off[precision] = np.abs(y.get() - exact).max()
    finally:
        mg.set_float32_matmul_precision("highest")
    assert off["highest"] < 1e-4 < off["high"] < 0.1


def test_the_numbers_are_those_of_cublas() -> None:
    """As CuPy has them: see ``tests/strict_cupy/make_api.py``."""
    assert [NUMBERS[f"R_{n}F"] for n in (16, 32, 64)] == list(cublas.ELEMENTS.values())
    compute = NUMBERS["COMPUTE_32F"], NUMBERS["COMPUTE_64F"]
    assert {"e": compute[0], "f": compute[0], "d": compute[1]} == cublas.COMPUTE
    assert NUMBERS["COMPUTE_32F_FAST_TF32"] == cublas.COMPUTE_TF32
    assert (NUMBERS["OP_N"], NUMBERS["OP_T"]) == (cublas.ROW_BY_ROW, cublas.COLUMN_BY_COLUMN)
    assert NUMBERS["GEMM_DEFAULT"] == cublas.DEFAULT_ALGORITHM


def test_a_failure_of_cublas_is_an_error(emulated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = import_cupy()
    monkeypatch.setattr(CuBLAS, "multiply", lambda self, *_: 13)
    monkeypatch.setattr(runtime.cuda, "cublas", CuBLAS())
    monkeypatch.setattr(cublas, "load", lambda version: runtime.cuda.cublas)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        monkeypatch.setattr(events, "listener", listening(cublas.Direct(cupy, stream)))
        with pytest.raises(RuntimeError, match="cublasGemmEx of cuBLAS failed with status 13"):
            cublas.product(cupy.ones((2, 3)), cupy.ones((3, 2)))


def test_a_library_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"libcublas\.so\.99, .*train without cuda\.graph"):
        cublas.load(990_402)

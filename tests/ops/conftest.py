"""What the tests of operations share: derivatives, layouts and types checked in one line each."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck

Function = Callable[..., mg.Tensor]


@pytest.fixture(params=[False, True], ids=["rules", "kernels"])
def rules_and_kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test by the rules of ``ops/``, and again with kernels in their place."""
    with mg.use_kernels(request.param):
        yield


@pytest.fixture
def check() -> Callable[..., None]:
    """``check(fn, *arrays)``: first and second derivatives there are the slopes they should be."""

    def checked(fn: Function, *arrays: Any, second: bool = True) -> None:
        inputs = tuple(mg.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays)
        gradcheck(fn, inputs)
        if second:
            gradgradcheck(fn, inputs)

    return checked


def transposed(array: np.ndarray) -> np.ndarray:
    return np.asfortranarray(array) if array.ndim else array


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def negative(array: np.ndarray) -> np.ndarray:
    return array[..., ::-1].copy()[..., ::-1] if array.ndim else array


def results(fn: Function, arrays: list[np.ndarray], cotangent: np.ndarray | None = None) -> Any:
    """The output and the gradients of ``fn``, at arrays that keep their layout."""
    inputs = [mg.from_numpy(a).requires_grad_() for a in arrays]
    y = fn(*inputs)
    if cotangent is None:
        cotangent = np.asarray(np.random.default_rng(5).standard_normal(y.shape))
    grads = mg.grad(y, inputs, mg.tensor(cotangent.astype(y.dtype)))
    return y, grads, cotangent


@pytest.fixture
def check_layouts() -> Callable[..., None]:
    """``check_layouts(fn, *arrays)``: how the numbers lie in memory makes no difference."""

    def checked(fn: Function, *arrays: np.ndarray) -> None:
        y, grads, cotangent = results(fn, [np.array(a) for a in arrays])
        for layout in (transposed, strided, negative):
            laid = [layout(np.array(a)) for a in arrays]
            y2, grads2, _ = results(fn, laid, layout(cotangent))
            for one, other in zip((y, *grads), (y2, *grads2), strict=True):
                np.testing.assert_allclose(
                    other.detach().numpy(),
                    one.detach().numpy(),
                    rtol=1e-12,
                    atol=1e-13,
                    err_msg=f"{layout.__name__} inputs",
                )

    return checked


@pytest.fixture
def check_types() -> Callable[..., None]:
    """``check_types(fn, *arrays)``: what goes in as float16, 32 or 64 comes out as such, forward
    and backward, and is the float64 result rounded."""

    def checked(fn: Function, *arrays: np.ndarray) -> None:
        rounded = [np.asarray(a).astype(np.float16) for a in arrays]  # exact in all three types
        y, _, cotangent = results(fn, [a.astype(np.float64) for a in rounded])
        seed = cotangent.astype(np.float16)
        y, grads, _ = results(fn, [a.astype(np.float64) for a in rounded], seed)
        exact = [t.detach().numpy() for t in (y, *grads)]
        for dtype, tolerance in ((np.float16, 2e-2), (np.float32, 2e-5)):
            y, grads, _ = results(fn, [a.astype(dtype) for a in rounded], seed)
            for found, expected in zip((y, *grads), exact, strict=True):
                assert found.dtype == dtype, f"{dtype.__name__} became {found.dtype}"
                np.testing.assert_allclose(
                    found.detach().numpy().astype(np.float64),
                    expected,
                    rtol=tolerance,
                    atol=tolerance,
                )

    return checked

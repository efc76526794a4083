"""Tensors on a GPU that is not the current one: CuPy alone would refuse to work on them."""

from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
from minigrad import functional as F
from tests.devices import strict
from tests.strict_cupy.stand_in import module as cupy
from tests.test_devices import OPERATIONS, through

__all__ = ["strict"]  # a fixture


@pytest.fixture(autouse=True)
def _(strict: str) -> None:
    """On the stand-in, which has two devices."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_runs_where_its_inputs_are(name: str, rng: np.random.Generator) -> None:
    function, shapes = OPERATIONS[name]
    inputs = [rng.uniform(low, high, shape) for shape, low, high in shapes]
    seeds = [rng.standard_normal(64), *(rng.standard_normal(a.shape) for a in inputs)]
    for expected, got in zip(
        through(function, inputs, seeds, "cpu"),
        through(function, inputs, seeds, "cuda:1"),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert cupy.cuda.Device().id == 0


def test_two_gpus_in_one_operation_are_an_error_that_names_both() -> None:
    a, b = mg.ones(3, device="cuda:0"), mg.ones(3, device="cuda:1")
    with pytest.raises(TypeError, match=r"cuda:0 and cuda:1.*\.to\('cuda:0'\)"):
        a + b


def test_gradients_flow_between_gpus(rng: np.random.Generator) -> None:
    values = rng.standard_normal((3, 4))
    x = mg.tensor(values, device="cuda:0", requires_grad=True)
    there = x.to("cuda:1")
    loss = ((there * there).to("cuda:0") * x).sum() + (there.exp().to("cpu")).sum().to("cuda:0")
    loss.backward()
    assert x.grad is not None
    assert x.grad.device == "cuda:0"
    np.testing.assert_allclose(x.grad.cpu().numpy(), 3 * values**2 + np.exp(values), rtol=1e-12)
    assert cupy.cuda.Device().id == 0


IN_PLACE: dict[str, Callable[[mg.Tensor], object]] = {
    "add_": lambda x: x.add_(1),
    "mul_": lambda x: x.mul_(x),
    "copy_": lambda x: x.copy_(mg.zeros_like(x)),
    "zero_": lambda x: x.zero_(),
    "setitem": lambda x: x.__setitem__(0, 5.0),
    "comparison": lambda x: x > mg.zeros_like(x),
    "invert": lambda x: ~(x == 1),
    "argmax": lambda x: x.argmax(),
    "zeros_like": lambda x: mg.zeros_like(x),
    "cast": lambda x: x.double().long(),
    "print": lambda x: repr(x),
    "one_hot": lambda x: F.one_hot(x.long(), 8),
    "dropout": lambda x: F.dropout(x, 0.5),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_everything_else_runs_where_its_tensor_is(name: str) -> None:
    x = mg.tensor([1.0, 2.0, 3.0], device="cuda:1")
    result = IN_PLACE[name](x)
    assert getattr(result, "device", "cuda:1") == "cuda:1"
    assert cupy.cuda.Device().id == 0


def test_a_gpu_that_is_not_there_is_an_error_that_says_how_many_are() -> None:
    with pytest.raises(RuntimeError, match="got 'cuda:2', but there are 2 GPUs here"):
        mg.ones(3, device="cuda:2")
    with pytest.raises(RuntimeError, match="got 'cuda:2', but there are 2 GPUs here"):
        mg.set_default_device("cuda:2")
    assert mg.ones(3).device == "cpu"

"""Mixed precision: which operation runs in which type, and that nothing else changes."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from tests.devices import strict

__all__ = ["strict"]  # a fixture


@pytest.fixture
def half(rng):
    return mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float16)


@pytest.fixture
def single(rng):
    return mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float32)


PRODUCTS = {
    "linear": lambda x: nn.Linear(3, 2)(x),
    "matmul": lambda x: x @ x.T,
    "conv2d": lambda x: nn.Conv2d(1, 2, 2)(x.reshape(1, 1, 4, 3)),
}
WIDE = {
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(),
    "var": lambda x: x.var(0),
    "norm": lambda x: x.norm(),
    "exp": lambda x: x.exp(),
    "pow": lambda x: x**3,
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, (3,)),
    "group_norm": lambda x: F.group_norm(x, 3),
    "cross_entropy": lambda x: F.cross_entropy(x, mg.tensor([2, 0, 1, 1])),
    "mse_loss": lambda x: F.mse_loss(x, x.detach() * 2),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, x.detach() * 0 + 0.3),
}
AS_IT_COMES = {
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "add": lambda x: x + x,
    "scalar": lambda x: 3 * x - 0.5,
    "batch_norm": lambda x: nn.BatchNorm1d(3)(x),
    "reshape": lambda x: x.reshape(3, 4)[1:],
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_run_in_float16(name, half, single):
    for x in (half, single):
        with mg.autocast("cpu"):
            y = PRODUCTS[name](x)
        assert y.dtype == mg.float16


@pytest.mark.parametrize("name", WIDE)
def test_what_loses_digits_runs_in_float32(name, half, single):
    for x in (half, single):
        with mg.autocast("cpu"):
            y = WIDE[name](x)
        assert y.dtype == mg.float32
    assert WIDE[name](half).dtype == mg.float16  # outside


@pytest.mark.parametrize("name", AS_IT_COMES)
def test_the_rest_runs_as_it_comes(name, half, single):
    with mg.autocast("cpu"):
        assert AS_IT_COMES[name](half).dtype == mg.float16
        assert AS_IT_COMES[name](single).dtype == mg.float32


def test_where_the_two_meet_the_wider_one_wins(half, single):
    with pytest.raises(TypeError, match="float16 and float32"):
        half + single
    with mg.autocast("cpu"):
        assert (half + single).dtype == mg.float32
        assert mg.cat([half, single]).dtype == mg.float32
        assert mg.where(half > 0, half, single).dtype == mg.float32


def test_float64_and_integers_are_left_alone(rng):
    x = mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float64)
    with mg.autocast("cpu"):
        assert (x @ x.T).dtype == mg.float64
        assert mg.tensor([1, 2]).sum().dtype == mg.int64


def test_a_product_is_the_exact_one_of_rounded_factors(rng):
    """Rounded once more at the end: the sum inside is taken in float32."""
    a, b = rng.standard_normal((5, 700)), rng.standard_normal((700, 2))
    with mg.autocast("cpu"):
        y = mg.tensor(a, dtype=mg.float32) @ mg.tensor(b, dtype=mg.float32)
    exact = a.astype(np.float16).astype(np.float64) @ b.astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(y.numpy(), exact, rtol=2**-10)


def test_parameters_and_gradients_stay_float32(rng):
    def network():
        mg.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 3))

    x = mg.tensor(rng.standard_normal((16, 6)), dtype=mg.float32)
    labels = mg.tensor(rng.integers(0, 3, 16))
    mixed, exact = network(), network()
    with mg.autocast("cpu"):
        loss = F.cross_entropy(mixed(x), labels)
    (loss * 1024).backward()
    (F.cross_entropy(exact(x), labels) * 1024).backward()
    for (name, p), q in zip(mixed.named_parameters(), exact.parameters(), strict=True):
        assert p.dtype == p.grad.dtype == mg.float32, name
        if name != "0.bias":  # which BatchNorm takes away: its gradient is rounding
            size = abs(q.grad.numpy()).max()
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=0.01 * size)
            assert not np.array_equal(p.grad.numpy(), q.grad.numpy()), name


def test_a_fused_model_gives_what_its_parts_give(rng):
    def network():
        mg.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid())

    x = mg.tensor(rng.standard_normal((16, 6)), dtype=mg.float32)
    with mg.autocast("cpu"):
        apart, together = network()(x), nn.fuse(network())(x)
    assert together.dtype == mg.float16
    np.testing.assert_allclose(together.detach().numpy(), apart.detach().numpy(), atol=1e-3)


def test_it_ends_with_its_block_and_can_be_switched_off(single):
    assert not mg.is_autocast_enabled()
    with mg.autocast("cpu"):
        assert mg.is_autocast_enabled()
        with mg.autocast("cpu", enabled=False):
            assert (single @ single.T).dtype == mg.float32
        assert (single @ single.T).dtype == mg.float16
    assert (single @ single.T).dtype == mg.float32
    with pytest.raises(ZeroDivisionError), mg.autocast("cpu"):
        1 / 0  # noqa: B018
    assert not mg.is_autocast_enabled()

    @mg.autocast("cpu")
    def product(x):
        return x @ x.T

    assert product(single).dtype == mg.float16


def test_another_device_is_left_alone(single, strict):
    there = single.to(strict)
    with mg.autocast("cuda"):
        assert (single @ single.T).dtype == mg.float32
        assert (there @ there.T).dtype == mg.float16
        assert there.half().sum().dtype == mg.float32


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cpu", "bfloat16"), "NumPy has no bfloat16"),
        (("cpu", mg.float32), "dtype is float32, expected float16"),
        (("tpu",), "got 'tpu', expected 'cpu'"),
    ],
)
def test_other_types_and_devices_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        mg.autocast(*arguments)

"""Initialisation: the spread of the weights, and what it does to signals and gradients."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


def drawn(function, *args, shape=(200, 300), **options) -> np.ndarray:
    """What ``function`` puts into a tensor of the given shape."""
    tensor = mg.zeros(*shape)
    assert function(tensor, *args, **options) is tensor
    return tensor.numpy()


# 60,000 draws: a standard deviation is found to 0.3% of itself.


def test_uniform() -> None:
    values = drawn(init.uniform_, -2.0, 5.0)
    assert values.min() >= -2
    assert values.max() <= 5
    assert values.mean() == pytest.approx(1.5, abs=0.05)
    assert values.std() == pytest.approx(7 / math.sqrt(12), rel=0.02)
    assert drawn(init.uniform_).min() >= 0


def test_normal() -> None:
    values = drawn(init.normal_, 3.0, 0.5)
    assert values.mean() == pytest.approx(3, abs=0.02)
    assert values.std() == pytest.approx(0.5, rel=0.02)


def test_truncated_normal() -> None:
    values = drawn(init.trunc_normal_, 1.0, 2.0, a=-1.0, b=3.0)
    assert values.min() >= -1
    assert values.max() <= 3
    assert values.mean() == pytest.approx(1, abs=0.03)
    # Within one standard deviation of the mean: variance 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911.
    assert values.std() == pytest.approx(2 * math.sqrt(0.29112), rel=0.02)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.0), (9.0, 10.0), (-10.0, -9.0)])
def test_truncating_everything_away_is_an_error(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="next to nothing"):
        init.trunc_normal_(mg.zeros(2, 2), a=a, b=b)


def test_constants() -> None:
    assert np.all(drawn(init.constant_, 2.5, shape=(2, 3)) == 2.5)
    assert np.all(drawn(init.ones_, shape=(2,)) == 1)
    tensor = mg.ones(3)
    assert np.all(init.zeros_(tensor).numpy() == 0)


@pytest.mark.parametrize("gain", [1.0, 5 / 3])
@pytest.mark.parametrize(("shape", "fans"), [((200, 300), 500), ((20, 30, 5, 4), 1000)])
def test_xavier(shape, fans: int, gain: float) -> None:
    std = gain * math.sqrt(2 / fans)
    assert drawn(init.xavier_normal_, gain, shape=shape).std() == pytest.approx(std, rel=0.03)
    values = drawn(init.xavier_uniform_, gain, shape=shape)
    assert values.std() == pytest.approx(std, rel=0.03)
    assert np.abs(values).max() == pytest.approx(gain * math.sqrt(6 / fans), rel=0.01)


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 600), ("fan_out", 400)])
@pytest.mark.parametrize(("a", "activation", "gain"), [
    (0, "relu", math.sqrt(2)),
    (0.5, "leaky_relu", math.sqrt(1.6)),
    (0, "linear", 1.0),
])  # fmt: skip
def test_kaiming(mode, fan: int, a: float, activation: str, gain: float) -> None:
    options = {"a": a, "mode": mode, "nonlinearity": activation, "shape": (200, 300, 2)}
    std = gain / math.sqrt(fan)
    assert drawn(init.kaiming_normal_, **options).std() == pytest.approx(std, rel=0.02)
    values = drawn(init.kaiming_uniform_, **options)
    assert values.std() == pytest.approx(std, rel=0.02)
    assert np.abs(values).max() <= math.sqrt(3) * std * (1 + 1e-6)


def test_what_xavier_and_kaiming_are_for(rng) -> None:
    """Twenty layers: signals keep their size with the right gain, and lose it with another."""
    x = mg.tensor(rng.normal(size=(64, 256)).astype(np.float32))

    def spread_after_20_layers(fill, activation) -> float:
        signal = x
        with mg.no_grad():
            for _ in range(20):
                signal = activation(signal @ fill(mg.zeros(256, 256)).T)
        return float(np.sqrt((signal.numpy() ** 2).mean()))

    assert 0.3 < spread_after_20_layers(init.xavier_normal_, lambda z: z) < 3
    assert 0.2 < spread_after_20_layers(init.kaiming_normal_, mg.relu) < 3
    assert spread_after_20_layers(init.xavier_normal_, mg.relu) < 0.01


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (4, 3, 2)])
def test_orthogonal(shape) -> None:
    tensor = init.orthogonal_(mg.zeros(*shape, dtype=mg.float64), gain=3.0)
    matrix = tensor.numpy().reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_of_nothing() -> None:
    assert init.orthogonal_(mg.zeros(0, 3)).shape == (0, 3)


def test_orthogonal_matrices_favour_no_sign() -> None:
    """A QR decomposition alone prefers some matrices; 400 draws of the first element do not."""
    first = [init.orthogonal_(mg.zeros(2, 2)).numpy()[0, 0] for _ in range(400)]
    assert 0.4 < np.mean(np.array(first) > 0) < 0.6


@pytest.mark.parametrize(
    "function",
    [init.xavier_normal_, init.xavier_uniform_, init.kaiming_normal_, init.kaiming_uniform_,
     init.orthogonal_],
)  # fmt: skip
def test_a_vector_has_no_fans(function) -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), expected at least two axes"):
        function(mg.zeros(3))


def test_gains() -> None:
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("sigmoid") == 1
    with pytest.raises(ValueError, match=r"got 'swish', expected one of linear, .*leaky_relu"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="mode is 'fan'"):
        init.kaiming_normal_(mg.zeros(2, 2), mode="fan")


def test_parameters_are_filled_unrecorded_and_keep_their_type() -> None:
    weight = nn.Parameter(np.zeros((3, 2), np.float16))
    init.xavier_uniform_(weight)
    assert weight.is_leaf
    assert weight.requires_grad
    assert weight.dtype == mg.float16


def test_a_seed_gives_the_same_numbers_in_every_type() -> None:
    results = []
    for dtype in (mg.float64, mg.float32):
        mg.manual_seed(8)
        results.append(init.normal_(mg.zeros(4, 5, dtype=dtype)).numpy())
    np.testing.assert_array_equal(results[0].astype(np.float32), results[1])


@pytest.mark.parity
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_pytorchs(torch, name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3)
    )


def test_a_range_that_is_upside_down():
    with pytest.raises(ValueError, match="uniform_: a is 2 and b is 1, expected a <= b"):
        init.uniform_(mg.zeros(3), 2, 1)

"""Dropout: only in training, with the expected value kept, from the one generator."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_in_training_a_share_is_dropped_and_the_rest_scaled() -> None:
    y = nn.Dropout(0.25)(mg.full((200, 200), 3.0)).numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 4.0)
    # 40,000 draws: the share has a standard deviation of 0.0022.
    assert kept.mean() == pytest.approx(0.75, abs=0.01)


def test_in_evaluation_the_input_passes() -> None:
    x = mg.tensor([1.5, -2.0])
    assert nn.Dropout(0.9).eval()(x) is x


def test_a_seed_gives_the_same_mask() -> None:
    layer, x = nn.Dropout(0.5), mg.ones(50)
    mg.manual_seed(11)
    first = layer(x).numpy()
    assert np.any(layer(x).numpy() != first)
    mg.manual_seed(11)
    np.testing.assert_array_equal(layer(x).numpy(), first)


def test_the_gradient_passes_where_the_signal_did(rng) -> None:
    x = mg.tensor(rng.normal(size=100) + 5, requires_grad=True)
    dy = rng.normal(size=100)
    y = nn.Dropout(0.4)(x)
    y.backward(mg.tensor(dy))
    factor = y.detach().numpy() / x.detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), dy * factor)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_is_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match="Dropout: p is"):
        nn.Dropout(p)


def test_repr() -> None:
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25)"


@pytest.mark.parametrize("p", ["a", None, [0.5], True])
def test_what_is_no_number_is_refused(p: object) -> None:
    with pytest.raises(TypeError, match=r"Dropout: p is .*, expected a number"):
        nn.Dropout(p)


def test_nan_is_no_probability() -> None:
    with pytest.raises(ValueError, match="Dropout: p is nan, expected a probability"):
        nn.Dropout(float("nan"))

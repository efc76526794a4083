"""Embedding: rows by number."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_rows_are_looked_up_and_their_gradients_added_up(rng) -> None:
    layer = nn.Embedding(5, 3, dtype=mg.float64)
    table = layer.weight.detach().numpy()
    words, dy = np.array([[4, 1], [1, 0]]), rng.normal(size=(2, 2, 3))
    y = layer(mg.tensor(words))
    np.testing.assert_array_equal(y.detach().numpy(), table[words])
    y.backward(mg.tensor(dy))
    expected = np.zeros((5, 3))
    expected[4], expected[1], expected[0] = dy[0, 0], dy[0, 1] + dy[1, 0], dy[1, 1]
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected)


@pytest.mark.parametrize("padding", [2, -3])
def test_the_padding_row_is_zero_and_stays(padding: int) -> None:
    layer = nn.Embedding(5, 3, padding_idx=padding)
    assert layer.padding_idx == 2
    assert np.all(layer.weight.detach().numpy()[2] == 0)
    assert np.all(layer.weight.detach().numpy()[[0, 1, 3, 4]] != 0)
    layer(mg.tensor([2, 3])).sum().backward()
    assert np.all(layer.weight.grad.numpy()[2] == 0)
    assert np.all(layer.weight.grad.numpy()[3] == 1)
    assert repr(layer) == "Embedding(5, 3, padding_idx=2)"


def test_it_starts_normal() -> None:
    values = nn.Embedding(300, 200).weight.detach().numpy()
    assert values.std() == pytest.approx(1, rel=0.02)
    assert abs(values.mean()) < 0.02


def test_errors() -> None:
    with pytest.raises(IndexError, match="padding_idx"):
        nn.Embedding(5, 3, padding_idx=5)
    with pytest.raises(IndexError, match="an index is 7"):
        nn.Embedding(5, 3)(mg.tensor([0, 7]))
    with pytest.raises(TypeError, match="expected integers"):
        nn.Embedding(5, 3)(mg.ones(2))
    with pytest.raises(TypeError, match="positional"):
        nn.Embedding(5, 3, 0, 1.0)  # PyTorch's fourth is max_norm


@pytest.mark.parity
def test_values_and_gradients_are_pytorchs(torch, rng) -> None:
    ours, theirs = nn.Embedding(5, 3, padding_idx=1), torch.nn.Embedding(5, 3, padding_idx=1)
    ours.load_state_dict(theirs.state_dict())
    words, dy = rng.integers(0, 5, size=(4, 6)), rng.normal(size=(4, 6, 3)).astype(np.float32)
    y, t = ours(mg.tensor(words)), theirs(torch.tensor(words))
    np.testing.assert_array_equal(y.detach().numpy(), t.detach().numpy())
    y.backward(mg.tensor(dy))
    t.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-5)

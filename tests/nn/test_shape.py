"""Identity, Flatten and Unflatten."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_identity_passes_its_input_and_takes_any_arguments() -> None:
    x = mg.tensor([1.5])
    assert nn.Identity()(x) is x
    assert nn.Identity(54, bias=False)(x) is x
    assert repr(nn.Identity()) == "Identity()"


def test_flatten_keeps_the_batch() -> None:
    x = mg.tensor(np.arange(24.0).reshape(2, 3, 4))
    assert nn.Flatten()(x).shape == (2, 12)
    np.testing.assert_array_equal(nn.Flatten()(x).numpy()[1], np.arange(12.0, 24.0))
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"


def test_unflatten_is_the_way_back(rng) -> None:
    x = mg.tensor(rng.normal(size=(2, 12, 3)), requires_grad=True)
    dy = rng.normal(size=(2, 3, 4, 3))
    for dim, sizes in ((1, (3, 4)), (-2, (3, -1)), (1, [-1, 4])):
        y = nn.Unflatten(dim, sizes)(x)
        np.testing.assert_array_equal(y.data, x.data.reshape(2, 3, 4, 3))
        x.grad = None
        y.backward(mg.tensor(dy))
        np.testing.assert_array_equal(x.grad.data, dy.reshape(2, 12, 3))
    assert repr(nn.Unflatten(1, (1, 8, 8))) == "Unflatten(dim=1, unflattened_size=(1, 8, 8))"


@pytest.mark.parametrize("sizes", [(5, 2), (5, -1), (-1, -1), (-2, -6), (0, -1), ()])
def test_unflatten_refuses_lengths_that_do_not_make_up_the_axis(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Unflatten: axis 1 of the input, .* has 12 elements"):
        nn.Unflatten(1, sizes)(mg.ones(2, 12))


def test_unflatten_names_an_axis_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="Unflatten"):
        nn.Unflatten(2, (3, 4))(mg.ones(2, 12))


@pytest.mark.parity
@pytest.mark.parametrize(("dim", "sizes"), [(1, (3, -1)), (-1, (2, 2, 1)), (0, (2,))])
def test_unflatten_is_pytorchs(torch, rng, dim: int, sizes: tuple[int, ...]) -> None:
    x = rng.normal(size=(2, 6, 4))
    theirs = torch.nn.Unflatten(dim, sizes)
    ours = nn.Unflatten(dim, sizes)
    np.testing.assert_array_equal(ours(mg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy())
    assert repr(ours) == repr(theirs)

"""sort, argsort, topk."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

TIES = [[1.0, 2, 2, 1], [3, 3, 3, 0.5], [0.5, -1, 5, 5]]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sort(dim, device, rng):
    a = rng.standard_normal((4, 5))
    for descending in (False, True):
        values, indices = mg.tensor(a).sort(dim, descending=descending)
        expected = np.sort(a, dim)
        expected = np.flip(expected, dim) if descending else expected
        np.testing.assert_array_equal(values.cpu().numpy(), expected)
        picked = np.take_along_axis(a, indices.cpu().numpy(), dim)
        np.testing.assert_array_equal(picked, expected)


def test_equal_elements_stay_in_their_order():
    t = mg.tensor(TIES)
    assert t.argsort(1).tolist() == [[0, 3, 1, 2], [3, 0, 1, 2], [1, 0, 2, 3]]
    assert t.argsort(1, descending=True).tolist() == [[1, 2, 0, 3], [0, 1, 2, 3], [2, 3, 0, 1]]


def test_nan_is_the_largest():
    t = mg.tensor([0.5, np.nan, -2.0, np.inf])
    assert t.argsort().tolist() == [2, 0, 3, 1]
    assert t.argsort(descending=True).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("largest", [True, False])
def test_topk(largest, device, rng):
    a = rng.standard_normal((3, 6))
    values, indices = mg.tensor(a).topk(2, 1, largest=largest)
    ordered = np.sort(a, 1)
    expected = ordered[:, ::-1][:, :2] if largest else ordered[:, :2]
    np.testing.assert_array_equal(values.cpu().numpy(), expected)
    np.testing.assert_array_equal(np.take_along_axis(a, indices.cpu().numpy(), 1), expected)


def test_gradients_go_back_to_their_places(rng):
    x = mg.tensor(rng.standard_normal((3, 5)), requires_grad=True)
    for values in (lambda x: x.sort(1)[0], lambda x: x.topk(2, 0).values):
        assert gradcheck(values, (x,))
        assert gradgradcheck(lambda x, values=values: values(x) ** 3, (x,))


def test_scalars_and_nothing():
    assert mg.tensor(2.5).sort().values.item() == 2.5
    assert mg.tensor(2.5).topk(1).indices.item() == 0
    assert mg.zeros(0, 3).sort(0).values.shape == (0, 3)
    assert mg.zeros(2, 3).topk(0).values.shape == (2, 0)


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="k is 4, expected 0 to 3"):
        mg.ones(2, 3).topk(4)

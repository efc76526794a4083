"""index_select, index_add, scatter_add, nonzero."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures


def test_index_select_reads_slices(device, rng):
    a, picks = rng.standard_normal((3, 4)), np.array([3, 0, 3])
    y = mg.tensor(a).index_select(1, mg.tensor(picks))
    np.testing.assert_array_equal(y.cpu().numpy(), a[:, picks])
    assert mg.tensor(2.5).index_select(0, mg.tensor([0])).item() == 2.5


def test_index_add_adds_each(device, rng):
    a, source, picks = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), [2, 0, 2]
    expected = a.copy()
    np.add.at(expected, picks, -1.5 * source)
    y = mg.tensor(a).index_add(0, mg.tensor(picks), mg.tensor(source), alpha=-1.5)
    np.testing.assert_allclose(y.cpu().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dim", [0, 1])
def test_scatter_add_is_the_reverse_of_gather(dim, device, rng):
    a, source = rng.standard_normal((4, 4)), rng.standard_normal((3, 3))
    picks = np.array([[0, 2, 1], [2, 2, 0]])
    expected = a.copy()
    for i, j in np.ndindex(2, 3):
        place = (picks[i, j], j) if dim == 0 else (i, picks[i, j])
        expected[place] += source[i, j]
    y = mg.tensor(a).scatter_add(dim, mg.tensor(picks), mg.tensor(source))
    np.testing.assert_allclose(y.cpu().numpy(), expected, rtol=1e-12)


def test_derivatives(rng):
    x, source = (mg.tensor(rng.standard_normal((3, 3)), requires_grad=True) for _ in range(2))
    rows, picks = mg.tensor([2, 0, 2]), mg.tensor([[0, 2, 1], [2, 2, 0]])
    for function in (
        lambda x, s: x.index_select(1, rows) * s,
        lambda x, s: x.index_add(1, rows, s) ** 2,
        lambda x, s: x.scatter_add(0, picks, s) ** 2,
    ):
        assert gradcheck(function, (x, source))
        assert gradgradcheck(function, (x, source))


def test_nonzero(device):
    a = np.array([[0.0, 1.5, 0.0], [-2.0, 0.0, 3.0]])
    t = mg.tensor(a)
    assert t.nonzero().tolist() == [[0, 1], [1, 0], [1, 2]]
    assert [places.tolist() for places in t.nonzero(as_tuple=True)] == [[0, 1, 1], [1, 0, 2]]
    assert mg.tensor(0.0).nonzero().shape == (0, 0)
    assert mg.tensor(2.0).nonzero().shape == (1, 0)
    assert mg.zeros(2, 2).nonzero().shape == (0, 2)


def test_what_does_not_fit_is_refused():
    t, rows = mg.ones(3, 4), mg.tensor([0, 2])
    with pytest.raises(IndexError, match="index_select: an index is 7"):
        t.index_select(0, mg.tensor([7]))
    with pytest.raises(TypeError, match="float32 with 1 axes, expected integers"):
        t.index_select(0, mg.ones(2))
    with pytest.raises(ValueError, match=r"source has shape \(3, 4\), expected \(2, 4\)"):
        t.index_add(0, rows, t)
    with pytest.raises(ValueError, match=r"index has shape \(5, 2\)"):
        t.scatter_add(0, mg.zeros(5, 2, dtype=mg.int64), t)
    with pytest.raises(IndexError, match="scatter_add: an index is 3"):
        t.scatter_add(0, mg.full((1, 2), 3), t)
    with pytest.raises(TypeError, match="scatter_add: the index is float32"):
        t.scatter_add(0, mg.ones(1, 2), t)

"""Which elements an index names, in which order, and that a view is a view."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

SHAPE = (2, 3, 4, 5)  # all different, so that no axis can stand for another
PAIR = mg.tensor([1, 0])

# An index with integers beside arrays, and the same in two steps, where nothing is ambiguous.
MIXED = {
    "0, :, pair": ((0, slice(None), PAIR), lambda x: x[0][:, [1, 0]]),
    "pair, :, 0": ((PAIR, slice(None), 0), lambda x: x[:, :, 0][[1, 0]]),
    "pair, 0, :, pair": (([1, 0], 0, slice(None), [2, 4]), lambda x: x[:, 0][[1, 0], :, [2, 4]]),
    ":, -1, ..., pair": ((slice(None), -1, ..., PAIR), lambda x: x[:, -1][..., [1, 0]]),
    "0, None, pair": ((0, None, PAIR), lambda x: x[0][None, [1, 0]]),
    "pair, 0, pair": ((PAIR, 0, PAIR), lambda x: x[:, 0][[1, 0], [1, 0]]),
    "0-d tensor": ((mg.tensor(1), slice(None), PAIR), lambda x: x[1][:, [1, 0]]),
    "NumPy's integer": ((np.int64(1), slice(None), PAIR), lambda x: x[1][:, [1, 0]]),
    "0-d array": ((np.array(1), slice(None), PAIR), lambda x: x[1][:, [1, 0]]),
    "0, :, mask": (
        (0, slice(None), mg.tensor([True, False, False, True])),
        lambda x: x[0][:, [0, 3]],
    ),
    "mask of two axes, 1": (
        (mg.tensor(np.arange(6).reshape(2, 3) % 2 == 1), 1),
        lambda x: x[:, :, 1][np.array([0, 1, 1]), np.array([1, 0, 2])],
    ),
    "True": (True, lambda x: x[None]),
    "False": (mg.tensor(False), lambda x: x[None][:0]),
    ":, True, 1": ((slice(None), True, 1), lambda x: x[:, 1][:, None]),
    "True, :, pair": ((True, slice(None), PAIR), lambda x: x[:, [1, 0]].swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", MIXED)
def test_an_integer_beside_arrays_takes_its_axis_away_first(name, rng):
    index, in_two_steps = MIXED[name]
    values = rng.standard_normal(SHAPE)
    expected = in_two_steps(values)
    x = mg.tensor(values, requires_grad=True)
    np.testing.assert_array_equal(x[index].detach().numpy(), expected)
    gradcheck(lambda t: t[index] ** 2, x)
    # Each element of the result says where it came from, and so where a write has to go.
    came_from = in_two_steps(np.arange(values.size).reshape(SHAPE))
    written = values.copy()
    fresh = rng.standard_normal(expected.shape)
    written.reshape(-1)[came_from] = fresh
    y = mg.tensor(values)
    y[index] = mg.tensor(fresh)
    np.testing.assert_array_equal(y.numpy(), written)


@pytest.mark.parametrize("name", MIXED)
def test_integers_beside_arrays_on_every_device(name, rng, device):
    index, in_two_steps = MIXED[name]
    values = rng.standard_normal(SHAPE)
    expected = in_two_steps(values)
    x = mg.tensor(values, requires_grad=True)
    parts = index if isinstance(index, tuple) else (index,)
    moved = tuple(part.to(device) if isinstance(part, mg.Tensor) else part for part in parts)
    for places in (index, moved):  # indices that lie on the host, and on the device
        y = x[places]
        np.testing.assert_array_equal(y.detach().cpu().numpy(), expected)
    y.backward(mg.tensor(expected))
    back = np.zeros(SHAPE)
    np.add.at(back.reshape(-1), in_two_steps(np.arange(values.size).reshape(SHAPE)), expected)
    np.testing.assert_array_equal(x.grad.cpu().numpy(), back)
    with mg.no_grad():
        x[moved] = 0.0
        assert not x[moved].cpu().numpy().any()
        x[0, 0, 0, 0].fill_(7.0)
    assert x.detach().cpu().numpy()[0, 0, 0, 0] == 7


@pytest.mark.parametrize("index", [2, -1, (2,), np.int64(2), mg.tensor(2), (2, ...)])
def test_an_element_is_a_view(index):
    x = mg.tensor([1.5, 2.5, 3.5])
    assert x[index].shape == ()
    x[index].fill_(9.0)
    assert x.tolist() == [1.5, 2.5, 9]
    x.data[2] = 4.0
    assert x[index].item() == 4


def test_what_is_written_into_rows_and_elements_is_not_lost():
    x = mg.tensor([[1.5, 2.5], [3.5, 4.5]])
    x[0, 1].add_(5.0)
    x[mg.tensor(1)].mul_(2.0)
    for row in x:
        for element in row:
            element.sub_(0.5)
    assert x.tolist() == [[1, 7], [6.5, 8.5]]


def test_a_write_to_an_element_is_noticed_by_backward():
    a, b = mg.tensor([2.0, 3.0], requires_grad=True), mg.tensor([5.0, 7.0])
    y = (a * b).sum()
    b[0].fill_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_assignment_through_lists_of_booleans():
    x = mg.zeros(3, 3)
    x[[True, False, True], 1:] = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.tolist() == [[0, 1, 2], [0, 0, 0], [0, 3, 4]]
    x[True] = mg.tensor([[5.0, 6.0, 7.0]])
    assert x.tolist() == [[5, 6, 7]] * 3
    x[False] = 0.0
    x[[False, True, False], 0] = 9.0
    assert x.tolist() == [[5, 6, 7], [9, 6, 7], [5, 6, 7]]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, r"index: got 5 for axis 0 of the shape \(2, 3\), expected -2 to 1"),
        ((0, mg.tensor([0, -4])), IndexError, r"index: got -4 for axis 1 .*, expected -3 to 2"),
        ((..., 3), IndexError, r"index: got 3 for axis 1 of the shape \(2, 3\)"),
        ((0, None, 0, 0), IndexError, r"got 3 indices for a tensor of shape \(2, 3\), expected at"),
        (1.5, IndexError, "index: got 1.5, expected integers, slices"),
        ("a", IndexError, "index: got 'a', expected integers"),
        ([[0], [0, 1]], IndexError, "index: a list holds lists of unequal lengths"),
        (mg.tensor([True]), IndexError, r"index: got a mask of shape \(1,\), expected \(2,\)"),
        (([0, 1], [0, 1, 2]), IndexError, r"arrays of shapes \[\(2,\), \(3,\)\], .* not broadcast"),
        ((..., ...), IndexError, "index: .*ellips"),
        (np.float64(1.0), TypeError, "index: an array of float64, expected integers or booleans"),
    ],
)
def test_indices_that_name_nothing(index, error, message):
    x = mg.ones(2, 3)
    with pytest.raises(error, match=message):
        x[index]
    with pytest.raises(error, match=message):
        x[index] = 0.0
    assert x.tolist() == [[1, 1, 1]] * 2


def test_an_axis_without_elements():
    with pytest.raises(IndexError, match=r"got 0 for axis 0 of the shape \(0, 3\), which has no"):
        mg.ones(0, 3)[0]


@pytest.mark.parametrize(
    ("index", "shape"), [(0, (3,)), ((0, 0), ()), ((0, [0, 2]), (2,)), ([1, 1], (2, 3))]
)
def test_a_value_that_does_not_fit(index, shape):
    x = mg.ones(2, 3)
    expected = re.escape(f"setitem: the value has shape (4,), expected {shape} or one that broad")
    with pytest.raises(ValueError, match=expected):
        x[index] = mg.ones(4)
    assert x.tolist() == [[1, 1, 1]] * 2

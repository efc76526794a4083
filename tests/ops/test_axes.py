"""Axes are counted from either end, and those that do not exist are named."""

import numpy as np
import pytest

from minigrad.ops.axes import keep_dims, normalize_dim, normalize_dims


@pytest.mark.parametrize(
    ("dim", "ndim", "expected"),
    [
        (None, 3, (0, 1, 2)),
        ((), 3, (0, 1, 2)),
        (-1, 3, (2,)),
        (1, 3, (1,)),
        ((-1, 0), 3, (2, 0)),
        (np.int64(1), 2, (1,)),
        (0, 0, (0,)),  # a 0-d tensor has one axis to name, as in PyTorch
        (-1, 0, (0,)),
        (None, 0, ()),
    ],
)
def test_axes_are_counted_from_the_front(dim, ndim, expected):
    assert normalize_dims(dim, ndim, "sum") == expected


@pytest.mark.parametrize(
    ("dim", "ndim", "error", "message"),
    [
        (2, 2, IndexError, r"sum: dim 2 does not exist in a tensor with 2 axes.*-2 to 1"),
        (-3, 2, IndexError, r"sum: dim -3 does not exist in a tensor with 2 axes"),
        (1, 0, IndexError, r"sum: dim 1 does not exist in a tensor with 0 axes.*-1 to 0"),
        ((0, -2), 2, ValueError, r"sum: dim \(0, -2\) names the same axis twice"),
        (1.0, 2, TypeError, r"sum: dim is 1\.0, expected an integer"),
        ("0", 2, TypeError, r"sum: dim is '0', expected an integer"),
    ],
)
def test_axes_that_do_not_exist(dim, ndim, error, message):
    with pytest.raises(error, match=message):
        normalize_dims(dim, ndim, "sum")


def test_one_axis():
    assert normalize_dim(-2, 3, "cat") == 1


def test_keep_dims():
    assert keep_dims((4, 3, 2), (0, 2)) == (1, 3, 1)

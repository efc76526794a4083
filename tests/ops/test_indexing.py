"""Reading elements and adding back into where they came from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
import minigrad.functional as F
from minigrad.ops import Embedding, GetItem, OneHot, Scatter, call_op
from minigrad.ops.indexing import is_advanced

X = (3, 4)
INDICES = {
    "a row": 1,
    "a negative row": -1,
    "an element": (2, 0),
    "a column": (slice(None), 1),
    "steps": (slice(1, 3), slice(None, None, 2)),
    "backwards": (slice(None, None, -1), slice(3, 0, -2)),
    "nothing": slice(2, 2),
    "new axes": (Ellipsis, None, 0),
    "everything": Ellipsis,
    "rows twice": ([0, 2, 0],),
    "pairs": ([0, 2, 0], [1, 1, 1]),
    "columns twice": (slice(None), [0, 0, 3]),
    "a table of rows": np.array([[0, 1], [-1, 0]]),
    "outer": (np.array([[0], [2]]), np.array([1, 3])),
    "no rows": [],
    "a mask": np.array([[True, False, True, False]] * 2 + [[False] * 3 + [True]]),
    "a mask of rows": np.array([True, False, True]),
    "a mask and a slice": (np.array([True, False, True]), slice(1, None)),
    "an all-false mask": np.zeros((3, 4), bool),
    "a tensor": mg.tensor([2, 0, 2]),
    "a tensor of one": mg.tensor(1),
    "a NumPy integer": np.int64(2),
    "small integers": np.array([2, 0, 2], np.int8),
}


def plain(index):
    """``index`` for NumPy, whose rules are the reference."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(p.numpy() if isinstance(p, mg.Tensor) else p for p in parts)


def expected_gradient(index, g):
    """Which element each output element came from is read off from an array of numbers."""
    numbers = np.arange(12).reshape(X)
    if any(isinstance(p, list) and not p for p in plain(index)):
        return np.zeros(X)
    came_from = numbers[plain(index)]
    dx = np.zeros(12)
    for place, value in zip(np.ravel(came_from), np.ravel(g), strict=True):
        dx[place] += value
    return dx.reshape(X)


@pytest.mark.parametrize("name", INDICES)
def test_reading_and_its_gradient(name, rng):
    index = INDICES[name]
    x = mg.tensor(rng.standard_normal(X), requires_grad=True)
    y = x[index]
    expected = x.detach().numpy()[[]] if name == "no rows" else x.detach().numpy()[plain(index)]
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = np.asarray(rng.standard_normal(y.shape))
    (dx,) = mg.grad(y, x, mg.tensor(g))
    np.testing.assert_allclose(dx.numpy(), expected_gradient(index, g), atol=1e-15)


@pytest.mark.parametrize("name", INDICES)
def test_gradients_layouts_types(name, rng, check, check_layouts, check_types):
    index = INDICES[name]
    x = rng.standard_normal(X)
    for checked in (check, check_layouts, check_types):
        checked(lambda t: t[index] ** 2, x)


def test_changing_an_index_afterwards_changes_no_gradient():
    x = mg.tensor([1.5, 2.5, 3.5], requires_grad=True)
    index = np.array([0, 2])
    y = x[index]
    index[:] = 1
    assert mg.grad(y, x, mg.tensor([3.0, 5.0]))[0].tolist() == [3, 0, 5]


def test_a_gradient_of_half_precision_adds_up():
    x = mg.tensor(np.array([1.5], np.float16), requires_grad=True)
    (dx,) = mg.grad(x[[0, 0, 0]], x, mg.tensor(np.array([1, 2, 4], np.float16)))
    assert dx.dtype == np.float16
    assert dx.tolist() == [7]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, IndexError, "3"),
        ([0, 7], IndexError, "7"),
        ((0, 0, 0), IndexError, "got 3 indices"),
        (mg.tensor([0.5]), TypeError, "index: an array of float32, expected integers or booleans"),
        ([0.5], TypeError, "index: an array of float64, expected integers or booleans"),
        (np.array([True, False]), IndexError, "a mask of shape"),
        ("a", IndexError, "expected integers"),
        (1.5, IndexError, "expected integers"),
    ],
)
def test_indices_that_do_not_fit(index, error, message):
    with pytest.raises(error, match=message):
        mg.ones(3, 4)[index]


def test_which_indices_may_name_an_element_twice():
    assert is_advanced((slice(None), np.array([0, 0])))
    assert not is_advanced((slice(None), 1, None, Ellipsis))


def test_scatter_adds_where_an_index_repeats(check):
    op = Scatter((np.array([0, 2, 0]),), (3,))
    x = np.array([1.5, 2.5, 4.0])
    np.testing.assert_array_equal(call_op(op, x), [5.5, 0, 2.5])
    check(lambda t: call_op(Scatter((np.array([0, 2, 0]),), (3,)), t) ** 2, x)
    check(lambda t: call_op(Scatter((slice(1, 3),), (4,)), t) ** 2, x[:2])


# ----------------------------------------------------------------------------------- properties


@st.composite
def arrays_and_indices(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    integers = hnp.integer_array_indices(
        shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4)
    )
    masks = hnp.arrays(bool, shape).map(lambda mask: (mask,))
    index = draw(st.one_of(basic, integers, masks))
    return shape, index if isinstance(index, tuple) else (index,)


@given(arrays_and_indices(), st.integers(0, 2**32 - 1))
def test_scatter_is_the_adjoint_of_reading(both, seed):
    """<x[index], g> = <x, scatter(g)> for all x and g."""
    shape, index = both
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    y = call_op(GetItem(index), x)
    g = np.asarray(rng.standard_normal(y.shape))
    back = call_op(Scatter(index, shape), g)
    assert float((x * back).sum()) == pytest.approx(float((y * g).sum()), abs=1e-11)


# -------------------------------------------------------------------------- embedding and labels


@pytest.mark.parametrize("padding_idx", [None, 2, -4])
def test_embedding(padding_idx, rng, check):
    weight = rng.standard_normal((6, 3))
    index = np.array([[0, 2, 5], [2, 2, 1]])
    t = mg.tensor(weight, requires_grad=True)
    y = F.embedding(mg.tensor(index), t, padding_idx)
    assert y.shape == (2, 3, 3)
    g = rng.standard_normal(y.shape)
    expected = np.zeros_like(weight)
    for place in np.ndindex(index.shape):
        np.testing.assert_array_equal(y.detach().numpy()[place], weight[index[place]])
        if padding_idx is None or index[place] != 2:
            expected[index[place]] += g[place]
    np.testing.assert_allclose(mg.grad(y, t, mg.tensor(g))[0].numpy(), expected, atol=1e-15)
    if padding_idx is None:  # a row without a gradient of its own has a slope all the same
        check(lambda w: F.embedding(mg.tensor(index), w) ** 2, weight)


def test_embedding_with_padding_has_second_derivatives(check):
    index = mg.tensor([[0, 2], [1, 0]])
    check(
        lambda w: F.embedding(index, w, 2)[:, 0] ** 2 + F.embedding(index, w, 2)[1, 1],
        [[1.5, 2.5], [0.5, -1.0], [3.0, 4.0]],
    )


def test_embedding_keeps_layouts_and_types(rng, check_layouts, check_types):
    index = mg.tensor([3, 0, 3])
    check_layouts(lambda w: F.embedding(index, w), rng.standard_normal((4, 2)))
    check_types(lambda w: F.embedding(index, w, 0), rng.standard_normal((4, 2)))


def test_embedding_of_no_and_of_one_index(rng):
    weight = mg.tensor(rng.standard_normal((4, 2)), requires_grad=True)
    y = F.embedding(mg.tensor(np.zeros((0, 3), int)), weight)
    assert y.shape == (0, 3, 2)
    assert mg.grad(y, weight, mg.zeros(0, 3, 2, dtype=np.float64))[0].numpy().sum() == 0
    assert F.embedding(mg.tensor(3), weight, 1).shape == (2,)


def test_embedding_keeps_the_index():
    assert Embedding.unsaved == (0, 2)


def test_one_hot():
    labels = np.array([[2, 0], [1, 2]])
    y = call_op(OneHot(3, np.float32), labels)
    assert y.dtype == np.float32
    for place in np.ndindex(2, 2, 3):
        assert y[place] == (labels[place[:2]] == place[2])
    assert OneHot(3, np.float32).backward(y, y, labels) is None
    assert F.one_hot(mg.tensor(1), 3).tolist() == [0, 1, 0]

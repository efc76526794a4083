"""Operations that move numbers: nothing is lost on the way, and the gradient comes back."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from minigrad.backend import CPU
from minigrad.ops import call_op

# name: (the operation, the shape it is given, the index of an output element -> that of the input)
MOVES = {
    "reshape": (
        lambda x: x.reshape(4, 6),
        (2, 3, 4),
        lambda i, j: np.unravel_index(6 * i + j, (2, 3, 4)),
    ),
    "reshape -1": (lambda x: x.reshape(-1, 2), (3, 4), lambda i, j: divmod(2 * i + j, 4)),
    "flatten": (lambda x: x.flatten(), (3, 4), lambda i: divmod(i, 4)),
    "flatten 1": (lambda x: x.flatten(1), (2, 3, 4), lambda i, j: (i, *divmod(j, 4))),
    "flatten 0 1": (lambda x: x.flatten(0, 1), (2, 3, 4), lambda i, j: (*divmod(i, 3), j)),
    "permute": (lambda x: x.permute(2, 0, 1), (2, 3, 4), lambda i, j, k: (j, k, i)),
    "permute list": (lambda x: x.permute([1, -1, 0]), (2, 3, 4), lambda i, j, k: (k, i, j)),
    "transpose": (lambda x: x.transpose(0, 2), (2, 3, 4), lambda i, j, k: (k, j, i)),
    "T": (lambda x: x.T, (3, 4), lambda i, j: (j, i)),
    "mT": (lambda x: x.mT, (2, 3, 4), lambda i, j, k: (i, k, j)),
    "squeeze": (lambda x: x.squeeze(), (1, 3, 1, 2), lambda i, j: (0, i, 0, j)),
    "squeeze 1": (lambda x: x.squeeze(1), (3, 1, 1), lambda i, j: (i, 0, j)),
    "squeeze of a long axis": (lambda x: x.squeeze(0), (3, 1), lambda i, j: (i, j)),
    "squeeze two": (lambda x: x.squeeze((0, -1)), (1, 3, 1, 1), lambda i, j: (0, i, j, 0)),
    "unsqueeze": (lambda x: x.unsqueeze(1), (3, 2), lambda i, j, k: (i, k)),
    "unsqueeze -1": (lambda x: x.unsqueeze(-1), (3, 2), lambda i, j, k: (i, j)),
    "expand": (lambda x: x.expand(2, 3, 4), (3, 1), lambda i, j, k: (j, 0)),
    "expand -1": (lambda x: x.expand(2, -1, 4), (3, 1), lambda i, j, k: (j, 0)),
    "split": (lambda x: x.split(2, 1)[1], (2, 5), lambda i, j: (i, j + 2)),
    "split last": (lambda x: x.split(2, 1)[2], (2, 5), lambda i, j: (i, j + 4)),
    "split sizes": (lambda x: x.split([1, 0, 3])[2], (4, 2), lambda i, j: (i + 1, j)),
    "chunk": (lambda x: x.chunk(3, -1)[1], (2, 5), lambda i, j: (i, j + 2)),
}


@pytest.mark.parametrize("name", MOVES)
def test_every_number_goes_where_it_should(name, rng):
    move, shape, source = MOVES[name]
    x = rng.standard_normal(shape)
    y = move(mg.tensor(x)).numpy()
    for index in np.ndindex(y.shape):
        assert y[index] == x[tuple(source(*index))], f"{name}: element {index}"


@pytest.mark.parametrize("name", MOVES)
def test_every_gradient_comes_back(name, rng):
    """Exactly: dL/dx collects dL/dy from every place its number went to."""
    move, shape, source = MOVES[name]
    x = mg.tensor(rng.standard_normal(shape), requires_grad=True)
    y = move(x)
    g = rng.standard_normal(y.shape)
    expected = np.zeros(shape)
    for index in np.ndindex(g.shape):
        expected[tuple(source(*index))] += g[index]
    (dx,) = mg.grad(y, x, mg.tensor(g))
    np.testing.assert_allclose(dx.numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("name", MOVES)
def test_gradients_layouts_types(name, rng, check, check_layouts, check_types):
    move, shape, _ = MOVES[name]
    x = rng.standard_normal(shape)
    for checked in (check, check_layouts, check_types):
        checked(lambda t: move(t) ** 3, x + 2 * np.sign(x))


@pytest.mark.parametrize(
    ("move", "before", "after"),
    [
        (lambda x: x.reshape(()), (1, 1), ()),
        (lambda x: x.reshape(1, 1), (), (1, 1)),
        (lambda x: x.reshape(3, 0), (0, 2), (3, 0)),
        (lambda x: x.flatten(), (), (1,)),
        (lambda x: x.flatten(1), (2, 0, 3), (2, 0)),
        (lambda x: x.permute(), (), ()),
        (lambda x: x.T, (), ()),
        (lambda x: x.T, (3,), (3,)),
        (lambda x: x.transpose(0, -1), (), ()),
        (lambda x: x.squeeze(), (), ()),
        (lambda x: x.squeeze(0), (), ()),
        (lambda x: x.unsqueeze(0), (), (1,)),
        (lambda x: x.unsqueeze(-1), (), (1,)),
        (lambda x: x.expand(3), (), (3,)),
        (lambda x: x.expand(2, 0), (1,), (2, 0)),
        (lambda x: x.expand(0, -1), (1, 2), (0, 2)),
        (lambda x: x.split(3)[0], (0,), (0,)),
        (lambda x: x.chunk(3)[2], (0, 2), (0, 2)),
    ],
)
def test_odd_shapes(move, before, after, rng):
    x = mg.tensor(np.asarray(rng.standard_normal(before)), requires_grad=True)
    y = move(x)
    assert y.shape == after
    g = np.asarray(rng.standard_normal(after))
    (dx,) = mg.grad(y, x, mg.tensor(g))
    assert dx.shape == before
    assert dx.numpy().sum() == pytest.approx(g.sum())


# ------------------------------------------------------------------------------------- joining


@pytest.mark.parametrize(
    ("shapes", "dim"),
    [
        (((2, 3), (1, 3)), 0),
        (((2, 3), (2, 1), (2, 2)), 1),
        (((2, 3), (2, 2)), -1),
        (((3,),), 0),
        (((0, 3), (2, 3)), 0),
        (((2, 0), (2, 0)), 1),
    ],
)
def test_cat(shapes, dim, rng, check, check_layouts, check_types):
    xs = [rng.standard_normal(shape) for shape in shapes]
    y = mg.cat([mg.tensor(x) for x in xs], dim).numpy()
    pieces = [np.moveaxis(x, dim, 0).tolist() for x in xs]
    rows = list(itertools.chain.from_iterable(pieces))
    np.testing.assert_array_equal(np.moveaxis(y, dim, 0).tolist(), rows)
    for checked in (check, check_layouts, check_types):
        checked(lambda *ts: mg.cat([t * t for t in ts], dim), *xs)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_stack(dim, rng, check):
    a, b, c = (rng.standard_normal((2, 3)) for _ in range(3))
    y = mg.stack([mg.tensor(v) for v in (a, b, c)], dim).numpy()
    assert y.shape[dim] == 3
    for i, v in enumerate((a, b, c)):
        np.testing.assert_array_equal(y.take(i, axis=dim), v)
    check(lambda *ts: mg.stack(ts, dim) ** 2, a, b, c)


def test_stack_of_single_numbers(check):
    assert mg.stack([mg.tensor(1.5), mg.tensor(2.5)]).tolist() == [1.5, 2.5]
    check(lambda a, b: mg.stack([a, b]) ** 2, 1.5, 2.5)


def test_the_same_tensor_in_two_places(check, rng):
    check(lambda x: mg.cat([x, x * 2, x]) ** 2, rng.standard_normal((2, 2)))


def test_cat_of_integers_and_floats():
    """The integers take the floating type, as in arithmetic; float32 stays float32."""
    y = mg.cat([mg.tensor([1, 2]), mg.tensor([1.5])])
    assert y.dtype == np.float32
    assert y.tolist() == [1, 2, 1.5]
    assert mg.cat([mg.tensor([1, 2]), mg.tensor([True])]).dtype == np.int64


def test_moving_nowhere():
    """On one device the gradient goes there and back unchanged."""
    x = mg.tensor([1.5, 2.5], requires_grad=True)
    y = call_op(ops.Move(CPU, CPU), x)
    assert mg.grad(y, x, mg.tensor([3.0, 5.0]))[0].tolist() == [3, 5]


# ----------------------------------------------------------------------------------- properties

shape = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(shape, st.data())
def test_permuting_back(shape, data):
    dims = tuple(data.draw(st.permutations(range(len(shape)))))
    x = mg.tensor(np.arange(math.prod(shape)).reshape(shape))
    y = x.permute(*dims)
    assert y.shape == tuple(shape[d] for d in dims)
    back = y.permute(*np.argsort(dims).tolist()) if dims else y.permute()
    np.testing.assert_array_equal(back.numpy(), x.numpy())


@given(shape, st.data())
def test_reshaping_there_and_back(shape, data):
    """Any regrouping of the prime factors holds the same numbers in the same order."""
    n = math.prod(shape)
    first = data.draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0] or [1]))
    x = mg.tensor(np.arange(n).reshape(shape))
    y = x.reshape(first, n // first)
    assert y.flatten().tolist() == list(range(n))
    np.testing.assert_array_equal(y.reshape(shape).numpy(), x.numpy())


@given(st.integers(0, 7), st.integers(1, 4), st.integers(0, 1))
def test_cat_undoes_split_and_chunk(length, size, dim):
    x = mg.tensor(np.arange(2 * length).reshape((2, length) if dim else (length, 2)))
    for pieces in (x.split(size, dim), x.chunk(size, dim)):
        np.testing.assert_array_equal(mg.cat(pieces, dim).numpy(), x.numpy())
        assert len({p.shape[dim] for p in pieces[:-1]}) <= 1
    assert all(p.shape[dim] <= size for p in x.split(size, dim))
    assert len(x.chunk(size, dim)) <= size


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_cat_and_split_are_each_others_adjoint(sizes, seed):
    """<cat(xs), g> = sum of <x, its stretch of g>, which is what Cat's backward cuts out."""
    rng = np.random.default_rng(seed)
    xs = [mg.tensor(rng.standard_normal((2, n)), requires_grad=True) for n in sizes]
    g = mg.tensor(rng.standard_normal((2, sum(sizes))))
    y = mg.cat(xs, 1)
    for dx, stretch in zip(mg.grad(y, xs, g), g.split(sizes, 1), strict=True):
        np.testing.assert_array_equal(dx.numpy(), stretch.numpy())

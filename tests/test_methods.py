"""A Tensor's methods and operators: what they accept, what type comes out, what they refuse."""

import itertools
import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.uint8, np.int8, np.int16, np.int32, np.int64]

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


# ------------------------------------------------------------------------------------ operators


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators_are_the_methods(sign):
    a, b = mg.tensor([1.5, 2.5]), mg.tensor([2.0, 3.0])
    method = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}[sign]
    expected = [OPERATORS[sign](x, y) for x, y in zip([1.5, 2.5], [2.0, 3.0], strict=True)]
    np.testing.assert_allclose(OPERATORS[sign](a, b).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(getattr(a, method)(b).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(getattr(mg, method)(a, b).numpy(), expected, rtol=1e-6)


def test_signs():
    x = mg.tensor([1.5, -2.5])
    assert (-x).tolist() == [-1.5, 2.5]
    assert (+x) is x
    assert abs(x).tolist() == [1.5, 2.5]
    assert x.neg().tolist() == [-1.5, 2.5]


def test_alpha():
    a, b = mg.tensor([1.5, 2.5]), mg.tensor([2.0, 3.0])
    assert a.add(b, alpha=3).tolist() == [7.5, 11.5]
    assert a.sub(b, alpha=0.5).tolist() == [0.5, 1.0]
    assert a.add(2, alpha=3).tolist() == [7.5, 8.5]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sign", OPERATORS)
def test_numbers_take_the_type_of_the_tensor(sign, dtype):
    x = mg.tensor(np.array([1.5, 2.0], dtype))
    for number in (2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2)):
        assert OPERATORS[sign](x, number).dtype == dtype
        assert OPERATORS[sign](number, x).dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("other", [*INTEGERS, bool])
@pytest.mark.parametrize("sign", OPERATORS)
def test_integers_take_the_type_of_the_floats(sign, other, dtype):
    """Tensors of integers and booleans with floating ones, either way round."""
    x = mg.tensor(np.array([1.5, 2.0], dtype))
    n = mg.tensor(np.array([1, 1], other))
    for y, expected in (
        (OPERATORS[sign](x, n), [OPERATORS[sign](v, 1) for v in (1.5, 2.0)]),
        (OPERATORS[sign](n, x), [OPERATORS[sign](1, v) for v in (1.5, 2.0)]),
    ):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy().astype(float), expected, rtol=1e-3)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_with_numbers(dtype):
    n = mg.tensor(np.array([3, 5], dtype))
    assert (n + 2).dtype == dtype
    assert (n * 2).tolist() == [6, 10]
    assert (n + 0.5).dtype == np.float32
    assert (0.5 + n).tolist() == [3.5, 5.5]
    assert (n / 2).tolist() == [1.5, 2.5]
    assert (n / n).dtype == np.float32
    assert (n**2).dtype == dtype
    assert (n**0.5).dtype == np.float32
    assert (2.0**n).tolist() == [8, 32]
    for function in (mg.exp, mg.log, mg.sqrt, mg.sin, mg.tanh, mg.sigmoid, mg.rsqrt, mg.reciprocal):
        assert function(n).dtype == np.float32
    for function in (mg.square, mg.abs):
        assert function(n).dtype == dtype


def test_a_number_minus_unsigned_integers():
    """-x has no place in them: 0.5 - 3 is -2.5, not 0.5 + 253."""
    n = mg.tensor(np.array([3, 0], np.uint8))
    assert (0.5 - n).tolist() == [-2.5, 0.5]
    assert (5 - n).tolist() == [2, 5]


def test_integers_of_two_types():
    small, large = mg.tensor(np.array([3], np.int8)), mg.tensor(np.array([500], np.int64))
    assert (small + large).dtype == np.int64
    assert (small + large).item() == 503
    assert (mg.tensor([True]) + large).item() == 501


@pytest.mark.parametrize("function", [*OPERATORS.values(), mg.maximum, mg.minimum])
def test_two_floating_types_do_not_mix(function):
    with pytest.raises(
        TypeError, match=r"float32 and float64, expected one floating type.*\.float"
    ):
        function(mg.tensor([1.5]), mg.tensor([1.5], dtype=np.float64))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (operator.add, "add"),
        (operator.sub, "sub"),
        (operator.mul, "mul"),
        (operator.truediv, "div"),
        (operator.pow, "pow"),
        (mg.maximum, "maximum"),
        (mg.minimum, "minimum"),
    ],
)
def test_shapes_that_do_not_broadcast(function, name):
    with pytest.raises(ValueError, match=rf"{name}: shapes \(2, 3\) and \(2,\) do not broadcast"):
        function(mg.ones(2, 3), mg.ones(2))


def test_integers_to_negative_powers_are_no_matter_of_shapes():
    with pytest.raises(ValueError, match="negative") as caught:
        mg.tensor([2, 1]) ** mg.tensor([-1, -1])
    assert "broadcast" not in str(caught.value)


@pytest.mark.parametrize("other", [np.ones(2), [1.0, 2.0], (1.0, 2.0)])
@pytest.mark.parametrize("function", [*OPERATORS.values(), *COMPARISONS])
def test_arrays_and_lists_must_be_wrapped(function, other):
    """Which type should the result have? The user says so, by wrapping."""
    with pytest.raises(TypeError, match=rf"{type(other).__name__}, expected a Tensor or a number"):
        function(mg.ones(2), other)
    with pytest.raises(TypeError, match=rf"{type(other).__name__}, expected a Tensor or a number"):
        function(other, mg.ones(2))


@pytest.mark.parametrize("other", [None, 1j, object(), {}])
@pytest.mark.parametrize("function", OPERATORS.values())
def test_what_is_no_number(function, other):
    for pair in ((mg.ones(2), other), (other, mg.ones(2))):
        with pytest.raises(TypeError, match="unsupported operand"):
            function(*pair)


# ---------------------------------------------------------------------------------- comparisons


@pytest.mark.parametrize("compare", COMPARISONS)
def test_comparisons(compare):
    a, b = [1.5, 2.0, -3.0], [2.0, 2.0, -4.0]
    expected = [compare(x, y) for x, y in zip(a, b, strict=True)]
    y = compare(mg.tensor(a), mg.tensor(b))
    assert y.dtype == np.bool_
    assert y.tolist() == expected
    assert compare(mg.tensor(a), 2.0).tolist() == [compare(x, 2.0) for x in a]
    assert compare(2.0, mg.tensor(a)).tolist() == [compare(2.0, x) for x in a]
    assert compare(mg.tensor(a), mg.tensor([1, 2, 3])).dtype == np.bool_
    assert compare(mg.tensor(1.5), mg.tensor(2.5)).shape == ()
    assert not compare(mg.tensor(a, requires_grad=True), 2.0).requires_grad


def test_equal_to_nothing():
    """As for any object; and a Tensor can be in a set, by identity."""
    x = mg.tensor([1.5])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert len({x, x, mg.tensor([1.5])}) == 2


def test_not():
    x = mg.tensor([1.5, -1.5])
    assert (~(x > 0)).tolist() == [False, True]
    with pytest.raises(TypeError):
        operator.invert(x)


# --------------------------------------------------------------------------------- one by one


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.clamp(), ValueError, "clamp: got neither min nor max"),
        (lambda x: x.clamp("0"), TypeError, "clamp: a bound is a str, expected two numbers or"),
        (lambda x: x.clamp(mg.ones(2)), ValueError, r"clamp: shapes \(2, 3\) and \(2,\) do not"),
        (
            lambda x: x.minimum([1.0]),
            TypeError,
            r"minimum: one operand .* the other a list",
        ),
        (
            lambda x: mg.where(x, x, x),
            TypeError,
            "where: the condition is float32, expected a bool",
        ),
        (
            lambda x: mg.where([True], x, x),
            TypeError,
            "where: the condition is list, expected a bo",
        ),
        (lambda x: mg.where(x, 1.0, x), TypeError, "where: the condition is float32"),
        (lambda x: mg.tensor([1, 2]).mean(), TypeError, r"mean: the tensor is int64.*use \.float"),
        (lambda x: x.sum(2), IndexError, r"sum: dim 2 does not exist in a tensor with 2 axes"),
        (lambda x: x.mean((0, 0)), ValueError, r"mean: dim \(0, 0\) names the same axis twice"),
        (lambda x: x.std(5), IndexError, "std: dim 5"),
        (lambda x: x.softmax(2), IndexError, "softmax: dim 2"),
        (lambda x: x.log_softmax(-3), IndexError, "log_softmax: dim -3"),
        (lambda x: x.softmax("0"), TypeError, "softmax: dim is '0', expected an integer"),
        (lambda x: x.cumsum(2), IndexError, "cumsum: dim 2"),
        (lambda x: x.argmax(2), IndexError, "argmax: dim 2"),
        (lambda x: x.sum(dim=0, axis=0), TypeError, "sum: got both axis= and dim="),
        (
            lambda x: x.sum(keepdim=True, keepdims=True),
            TypeError,
            "got both keepdims= and keepdim=",
        ),
        (lambda x: x @ mg.ones(4), ValueError, r"matmul: shapes \(2, 3\) and \(4,\).* has 3 .* 4,"),
        (lambda x: x @ mg.ones(2, 3), ValueError, r"matmul: shapes \(2, 3\) and \(2, 3\)"),
        (
            lambda x: x @ mg.tensor(2.0),
            ValueError,
            r"matmul: .*expected at least one axis each; us",
        ),
        (lambda x: x @ 2.0, TypeError, "matmul: the other operand is a float"),
        (
            lambda x: mg.ones(2, 3, 4) @ mg.ones(3, 4, 5),
            ValueError,
            r"matmul: shapes \(2, 3, 4\) a",
        ),
        (lambda x: x.mm(mg.ones(3)), ValueError, "mm: operands have 2 and 1 axes, expected 2 each"),
        (lambda x: x.bmm(x), ValueError, "bmm: operands have 2 and 2 axes, expected 3 each"),
        (
            lambda x: mg.ones(2, 3, 4).bmm(mg.ones(1, 4, 5)),
            ValueError,
            "bmm: stacks of 2 and 1 mat",
        ),
        (lambda x: x.dot(x), ValueError, "dot: operands have 2 and 2 axes, expected 1 each"),
        (lambda x: x.outer(mg.ones(2)), ValueError, r"outer: .*\(2, 3\)"),
        (
            lambda x: x.reshape(4, 2),
            ValueError,
            r"reshape: 6 elements of shape \(2, 3\) do not fit",
        ),
        (lambda x: x.reshape(-1, -1), ValueError, r"reshape: (6 elements|got)"),
        (lambda x: x.reshape(-2, 3), ValueError, r"reshape"),
        (lambda x: x.flatten(1, 0), ValueError, "flatten: start_dim 1 comes after end_dim 0"),
        (lambda x: x.flatten(2), IndexError, "flatten: dim 2"),
        (lambda x: x.squeeze(2), IndexError, "squeeze: dim 2"),
        (lambda x: x.unsqueeze(3), IndexError, "unsqueeze: dim 3"),
        (
            lambda x: x.expand(2, 4),
            ValueError,
            r"expand: shape \(2, 3\) does not repeat to \(2, 4\)",
        ),
        (lambda x: x.expand(3), ValueError, r"expand: shape \(2, 3\) does not repeat to \(3,\)"),
        (lambda x: x.expand(-1, 2, 3), ValueError, r"expand: .*-1"),
        (
            lambda x: x.permute(0),
            ValueError,
            "permute: got 1 axes for a tensor with 2, expected all",
        ),
        (lambda x: x.permute(0, 0), ValueError, "permute: dim .* names the same axis twice"),
        (lambda x: x.permute(), ValueError, "permute: got 0 axes"),
        (lambda x: x.transpose(0, 2), IndexError, "transpose: dim 2"),
        (lambda x: mg.ones(3).mT, IndexError, "transpose: dim -2"),
        (lambda x: x.split(0), ValueError, "split: split_size is 0, expected at least 1"),
        (lambda x: x.split([1, 2]), ValueError, r"split: lengths \[1, 2\] do not add up to 2"),
        (lambda x: x.split([3, -1]), ValueError, r"split: lengths \[3, -1\] do not add up to 2"),
        (lambda x: x.split(1, 2), IndexError, "split: dim 2"),
        (lambda x: mg.tensor(2.5).split(1), (ValueError, IndexError), "split"),
        (lambda x: mg.tensor(2.5).chunk(1), (ValueError, IndexError), "chunk"),
        (lambda x: x.chunk(0), ValueError, "chunk: chunks is 0, expected at least 1"),
        (lambda x: x.gather(0, [0]), TypeError, "gather: the other operand is a list"),
        (lambda x: x.gather(0, x), TypeError, "gather: the index is float32, expected integers"),
        (lambda x: x.gather(0, mg.tensor([0])), ValueError, r"gather: the index has shape \(1,\)"),
        (lambda x: x.gather(0, mg.tensor([[0] * 4])), ValueError, r"gather: .*\(1, 4\).*\(2, 3\)"),
        (
            lambda x: x.gather(0, mg.tensor([[0, 2, 0]])),
            IndexError,
            r"gather: an index is 2 \(at po",
        ),
        (lambda x: x.gather(1, mg.tensor([[-1]])), IndexError, r"gather: an index is -1 .*0 to 2"),
        (lambda x: mg.tensor(2.5).gather(0, mg.tensor(-1)), IndexError, "-1"),
        (lambda x: len(mg.tensor(2.5)), TypeError, "len: a 0-d tensor has no length"),
        (lambda x: list(mg.tensor(2.5)), TypeError, "0-d"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.ones(2, 3))


@pytest.mark.parametrize("name", ["var", "std"])
def test_the_second_argument_of_var_is_not_taken_for_another(name):
    """In PyTorch ``x.var(0, False)`` means the biased variance. Here it must not quietly mean
    something else; ``x.var(False)`` means that here, too."""
    x = mg.tensor([[1.0, 2.0, 4.0], [2.0, 4.0, 9.0]])
    with pytest.raises(TypeError):
        getattr(x, name)(0, False)
    biased = getattr(np, name)(x.numpy())
    assert getattr(x, name)(False).item() == pytest.approx(biased, rel=1e-6)


def test_where_promotes_numbers_and_integers():
    """A fraction is not cut to fit the integers beside it."""
    condition, n = mg.tensor([True, False]), mg.tensor([1, 2])
    assert mg.where(condition, n, 2.5).tolist() == [1, 2.5]
    assert mg.where(condition, 2.5, n).tolist() == [2.5, 2]
    assert mg.where(condition, n, 2.5).dtype == np.float32
    assert mg.where(condition, n, 7).dtype == np.int64
    assert mg.where(condition, mg.tensor([1.5, 2.5]), n).tolist() == [1.5, 2]
    assert mg.where(condition, n, mg.tensor([1.5, 2.5])).tolist() == [1, 2.5]
    assert n.where(condition, 7).tolist() == [1, 7]


def test_numpy_spelling():
    x = mg.tensor([[1.5, 2.5], [3.5, 7.5]])
    for name in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp", "argmax"):
        ours = getattr(x, name)(dim=0, keepdim=True)
        numpys = getattr(x, name)(axis=0, keepdims=True)
        np.testing.assert_array_equal(ours.numpy(), numpys.numpy())
        assert numpys.shape == (1, 2)
    for name in ("softmax", "log_softmax", "cumsum"):
        np.testing.assert_array_equal(
            getattr(x, name)(dim=0).numpy(), getattr(x, name)(axis=0).numpy()
        )


# ------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize(("name", "best"), [("argmax", max), ("argmin", min)])
def test_where_the_extremes_are(name, best):
    values = [[3.0, 9.0, 1.0], [7.0, 9.0, 0.5]]
    x = mg.tensor(values)
    columns = list(zip(*values, strict=True))
    assert getattr(x, name)(0).tolist() == [c.index(best(c)) for c in columns]
    assert getattr(x, name)(-1).tolist() == [r.index(best(r)) for r in values]
    flat = list(itertools.chain(*values))
    assert getattr(mg, name)(x).item() == flat.index(best(flat)), "the first of several"
    assert getattr(x, name)(1, keepdim=True).shape == (2, 1)
    assert getattr(x, name)(0).dtype == np.int64
    for dim in (None, 0, -1):
        assert getattr(mg.tensor(2.5), name)(dim).item() == 0


# ------------------------------------------------------------------------------ reading elements


def test_length_and_iteration():
    x = mg.tensor([[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]], requires_grad=True)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]]
    first, *_ = x
    assert mg.grad(first.sum(), x)[0].tolist() == [[1, 1], [0, 0], [0, 0]]


@given(st.integers(0, 2), st.data())
def test_gather(dim, data):
    """y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on, element by element."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (3, 4, 2)
    lengths = [data.draw(st.integers(0, 5 if a == dim else n)) for a, n in enumerate(shape)]
    index = rng.integers(0, shape[dim], lengths)
    x = mg.tensor(rng.standard_normal(shape), requires_grad=True)
    y = mg.gather(x, dim, mg.tensor(index))
    g = rng.standard_normal(index.shape)
    expected, dx = np.empty(index.shape), np.zeros(shape)
    for place in np.ndindex(index.shape):
        source = (*place[:dim], index[place], *place[dim + 1 :])
        expected[place] = x.data[source]
        dx[source] += g[place]
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    np.testing.assert_allclose(mg.grad(y, x, mg.tensor(g))[0].numpy(), dx, atol=1e-14)


def test_gather_of_a_single_number():
    x = mg.tensor(2.5, requires_grad=True)
    y = x.gather(0, mg.tensor(0))
    assert y.item() == 2.5
    assert mg.grad(y, x)[0].item() == 1


def test_shapes_by_other_names():
    x = mg.ones(2, 3)
    assert x.view(3, 2).shape == (3, 2)
    assert x.view([6]).shape == (6,)
    assert x.swapaxes(0, 1).shape == (3, 2)
    assert x.broadcast_to(4, 2, 3).shape == (4, 2, 3)
    assert x.expand((4, 2, 3)).shape == (4, 2, 3)


def test_squeezing_no_axes_changes_nothing():
    assert mg.ones(1, 2).squeeze(()).shape == (1, 2)


def test_pieces_are_tuples():
    x = mg.tensor([1.5, 2.5, 3.5])
    assert [p.tolist() for p in x.split(2)] == [[1.5, 2.5], [3.5]]
    assert [p.tolist() for p in x.split([2, 1])] == [[1.5, 2.5], [3.5]]
    assert [p.tolist() for p in x.chunk(2)] == [[1.5, 2.5], [3.5]]
    assert len(x.chunk(5)) == 3
    assert isinstance(x.split(1), tuple)


# -------------------------------------------------------------------------------- types that mix


@pytest.mark.parametrize(
    "product", [lambda a, b: a @ b, lambda a, b: b @ a, lambda a, b: a.mm(b), mg.matmul]
)
def test_products_of_floats_and_integers(product):
    """Never float64 in silence: promoted to the floating type, as in arithmetic, or refused."""
    a, b = mg.tensor([[1.5, 2.0], [0.5, 1.0]]), mg.tensor([[1, 2], [3, 4]])
    try:
        y = product(a, b)
    except TypeError:
        return
    assert y.dtype == np.float32


def test_products_of_two_floating_types():
    with pytest.raises(TypeError, match="MatMul: inputs are float32 and float64"):
        mg.ones(2, 2) @ mg.ones(2, 2, dtype=np.float64)


# --------------------------------------------------------------------------------------- in place


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("add_", lambda x: x.add_(2), [3.5, 4.5]),
        ("add_ alpha", lambda x: x.add_(mg.tensor([1.0, 2.0]), alpha=3), [4.5, 8.5]),
        ("sub_", lambda x: x.sub_(mg.tensor(0.5)), [1.0, 2.0]),
        ("sub_ alpha", lambda x: x.sub_(1, alpha=0.5), [1.0, 2.0]),
        ("mul_", lambda x: x.mul_(mg.tensor([2.0, 4.0])), [3.0, 10.0]),
        ("div_", lambda x: x.div_(np.float64(0.5)), [3.0, 5.0]),
        ("copy_", lambda x: x.copy_(mg.tensor([7, 8])), [7, 8]),
        ("copy_ a list", lambda x: x.copy_([7.5]), [7.5, 7.5]),
        ("fill_", lambda x: x.fill_(4), [4, 4]),
        ("zero_", lambda x: x.zero_(), [0, 0]),
    ],
)
def test_changes_in_place(name, change, expected):
    x = mg.tensor([1.5, 2.5])
    memory = x.data
    assert change(x) is x, "so that changes can be chained"
    assert x.data is memory
    assert x.tolist() == expected
    assert x.dtype == np.float32


def test_assignment_in_place():
    x = mg.tensor([[1.5, 2.5], [3.5, 4.5]])
    memory = x.data
    x += 1
    x -= mg.tensor([0.5, 1.0])
    x *= 2
    x /= 4
    assert x.tolist() == [[1.0, 1.25], [2.0, 2.25]]
    x[0] = 7
    x[:, 1] = mg.tensor([8.0, 9.0])
    x[mg.tensor([[True, False], [False, False]])] = -1
    assert x.tolist() == [[-1, 8], [2, 9]]
    assert x.data is memory


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.add_([1.0, 2.0]), TypeError, "add_: the other operand is a list, expected a"),
        (lambda x: x.mul_(np.ones(2)), TypeError, "mul_: the other operand is a ndarray"),
        (lambda x: x.__setitem__(0, "a"), TypeError, "setitem: the value is a str"),
        (lambda x: x.copy_(mg.ones(3)), ValueError, r"copy_: the source has shape \(3,\), expecte"),
        (
            lambda x: x.add_(mg.ones(3)),
            ValueError,
            r"add_: .* shape \(3,\), expected \(2,\)",
        ),
        (lambda x: x.mul_(mg.ones(3, 2)), ValueError, r"mul_: .* shape \(3, 2\), expected \(2,\)"),
        (lambda x: x.fill_(mg.ones(2)), ValueError, r"fill_: the value has shape \(2,\)"),
        (lambda x: x.fill_([1.0]), TypeError, "fill_: the value is a list, expected a Tensor or"),
    ],
)
def test_changes_in_place_that_are_refused(change, error, message):
    x = mg.tensor([1.5, 2.5])
    with pytest.raises(error, match=message):
        change(x)
    assert x.tolist() == [1.5, 2.5]


CHANGES = {
    "add_": lambda x: x.add_(1.0),
    "mul_": lambda x: x.mul_(x),
    "fill_": lambda x: x.fill_(1.0),
    "copy_": lambda x: x.copy_([1.0, 2.0, 4.0]),
    "setitem": lambda x: x.__setitem__(0, 5.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_memory_that_cannot_be_changed(name):
    one = mg.tensor([1.5])
    with pytest.raises(RuntimeError, match=rf"{name}: the tensor shows one element in several"):
        CHANGES[name](one.expand(3))
    assert one.tolist() == [1.5]
    array = np.array([1.5, 2.5, 3.5], np.float32)
    array.flags.writeable = False
    with pytest.raises(RuntimeError, match=rf"{name}: the tensor is read-only; change a .clone"):
        CHANGES[name](mg.from_numpy(array))
    CHANGES[name](one.expand(3).clone())


def test_division_in_place_by_zero():
    assert mg.tensor([1.5, -2.5, 0.0]).div_(0).tolist()[:2] == [math.inf, -math.inf]


def test_no_number_among_integers():
    n = mg.tensor([1, 2])
    with pytest.raises(ValueError, match="NaN"):
        n[0] = math.nan
    assert n.tolist() == [1, 2]


@pytest.mark.parametrize("number", [np.complex64(1j), np.longdouble(2)])
@pytest.mark.parametrize("function", [*OPERATORS.values(), *COMPARISONS])
def test_numbers_of_types_that_no_tensor_holds(function, number):
    for pair in ((mg.ones(2), number), (number, mg.ones(2))):
        with pytest.raises(
            TypeError, match=rf"{type(number).__name__}, expected a Tensor or a rea"
        ):
            function(*pair)


def test_numbers_are_rounded_to_the_type_of_the_tensor_first():
    """0.1 is rounded to float32 once, as PyTorch does; not added in float64 and rounded after."""
    x = mg.tensor([1.0])
    assert (x + 0.1).item() == float(np.float32(1) + np.float32(0.1))
    assert math.isclose((x * 1e-3).item(), 1e-3, rel_tol=1e-7)


# ------------------------------------------------------------------------------------ views


def test_a_view_shows_what_is_written_into_it():
    x = mg.zeros(2, 3)
    x.view(6)[4] = 7.0
    assert x.tolist() == [[0, 0, 0], [0, 7, 0]]
    assert x.view(-1, 2).shape == (3, 2)
    assert x.T.view(3, 2, 1).shape == (3, 2, 1)  # no element moves
    assert mg.zeros(0, 3).T.view(0).shape == (0,)


def test_a_view_that_would_have_to_copy_is_refused():
    x = mg.zeros(2, 3)
    with pytest.raises(
        RuntimeError, match=r"view: elements of shape \(3, 2\) do not lie .*use resh"
    ):
        x.T.view(6)
    assert x.T.reshape(6).shape == (6,)
    with pytest.raises(ValueError, match="do not fit"):
        x.view(4)


def test_sizes_and_moves_that_do_not_exist():
    with pytest.raises(IndexError, match="size: dim 3 does not exist in a tensor with 2 axes"):
        mg.zeros(2, 3).size(3)
    assert mg.zeros(2, 3).size(-1) == 3
    with pytest.raises(ValueError, match=r"to: got 'gpu', expected a device \('cpu', 'cuda'"):
        mg.zeros(2).to("gpu")
    assert mg.zeros(2).to("float64").dtype == np.float64


@pytest.mark.parametrize(
    "index", [((0, 0), (1, 1)), ((0, 0),), (range(2), (1, 1)), ((0, 0), [1, 1])], ids=str
)
def test_sequences_inside_an_index_add_up_what_is_read_twice(index):
    values, seed = np.array([[1.5, 2.0], [3.0, 4.0]]), np.random.default_rng(4)
    x = mg.tensor(values, requires_grad=True)
    y = x[index]
    assert y.tolist() == values[index].tolist()
    grad = seed.normal(size=y.shape)
    y.backward(mg.tensor(grad))
    expected = np.zeros((2, 2))
    np.add.at(expected, index, grad)
    np.testing.assert_allclose(x.grad.numpy(), expected)

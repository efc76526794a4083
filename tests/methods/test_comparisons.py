"""Masks that are combined, and choices between Tensors and numbers."""

import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck

BITWISE = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


@pytest.mark.parametrize("sign", BITWISE)
def test_masks_and_integers_are_combined_bit_by_bit(sign):
    function = BITWISE[sign]
    for a, b in (([True, True, False, False], [True, False, True, False]), ([6, 5], [3, -4])):
        expected = [function(x, y) for x, y in zip(a, b, strict=True)]
        assert function(mg.tensor(a), mg.tensor(b)).tolist() == expected
        assert function(mg.tensor(a), b[0]).tolist() == [function(x, b[0]) for x in a]
        assert function(b[0], mg.tensor(a)).tolist() == [function(b[0], x) for x in a]
    assert function(mg.tensor([True]), mg.tensor([1], dtype=mg.int8)).dtype == np.int8
    assert function(mg.tensor([True, False]), mg.tensor([[True]])).shape == (1, 2)


@pytest.mark.parametrize("sign", BITWISE)
def test_what_cannot_be_combined_bit_by_bit(sign):
    function, mask = BITWISE[sign], mg.tensor([True, False])
    with pytest.raises(TypeError, match=r"an operand is float32, expected booleans or integers"):
        function(mg.ones(2), mask)
    with pytest.raises(TypeError, match=r"an operand is float64, expected booleans or integers"):
        function(mask, 0.5)
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) do not broadcast"):
        function(mask, mg.tensor([True] * 3))
    with pytest.raises(TypeError, match="ndarray, expected a Tensor or a number"):
        function(mask, np.array([True, False]))
    with pytest.raises(TypeError, match="unsupported operand"):
        function(mask, None)


def test_comparisons_of_shapes_that_do_not_go_together():
    for compare in (operator.lt, operator.ge, operator.eq, operator.ne):
        with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) do not broadcast"):
            compare(mg.ones(2), mg.ones(3))


def test_the_larger_of_a_tensor_and_a_number(rng):
    x = mg.tensor([-1.5, 0.5, 2.5], requires_grad=True)
    y = mg.maximum(x, 0.5)
    assert y.tolist() == [0.5, 0.5, 2.5]
    g = rng.standard_normal(3).astype(np.float32)
    (dx,) = mg.grad(y, x, mg.tensor(g))
    np.testing.assert_array_equal(dx.numpy(), g * np.float32([0, 0.5, 1]))  # a tie is shared
    assert x.minimum(0).tolist() == [-1.5, 0, 0]
    n = mg.tensor([1, 3])
    assert n.maximum(2).tolist() == [2, 3]
    assert n.maximum(2).dtype == np.int64
    assert n.maximum(1.5).tolist() == [1.5, 3]
    assert mg.tensor([True, False]).maximum(2).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [(1, 2, np.int64), (1, 2.5, np.float32), (2.5, True, np.float32), (True, False, np.bool_)],
)
def test_a_choice_between_two_numbers(a, b, dtype):
    y = mg.where(mg.tensor([[True, False]]), a, b)
    assert y.tolist() == [[a, b]]
    assert y.dtype == dtype


def test_choices_that_do_not_fit():
    mask = mg.tensor([True, False])
    with pytest.raises(ValueError, match=r"where: shapes \(2,\) and \(3,\) and \(\) do not broad"):
        mg.where(mask, mg.ones(3), 1.5)
    with pytest.raises(TypeError, match="where: other is a str"):
        mg.where(mask, 1, "a")
    with pytest.raises(TypeError, match="maximum: the other operand is a NoneType"):
        mask.maximum(None)


def test_clamp_between_tensors(rng):
    """A bound gets the gradient where it stands in."""
    x, low, high = (
        mg.tensor(a, requires_grad=True)
        for a in (rng.standard_normal((5, 4)), rng.standard_normal(4) - 0.6, np.full((5, 1), 0.7))
    )
    expected = np.clip(x.detach().numpy(), low.detach().numpy(), high.detach().numpy())
    np.testing.assert_array_equal(x.clamp(low, high).detach().numpy(), expected)
    assert gradcheck(lambda x, low, high: x.clamp(low, high), (x, low, high))
    y = mg.tensor([np.nan, 0.5, 2.0]).clamp(mg.tensor([0.3, np.nan, 0.3]), mg.tensor([1.0, 1, 1]))
    assert np.isnan(y.numpy()).tolist() == [True, True, False]
    assert mg.tensor([0.5]).clamp(mg.tensor([2.0]), mg.tensor([1.0])).item() == 1.0
    with pytest.raises(TypeError, match="two numbers or two Tensors"):
        x.clamp(low, 1.0)


def test_clamp_in_place():
    t = mg.tensor([-2.0, 0.5, 3.0])
    assert t.clamp_(-1, 1) is t
    assert t.tolist() == [-1.0, 0.5, 1.0]
    with pytest.raises(TypeError, match=r"clamp_: a tensor of int64 .* cannot hold"):
        mg.tensor([1, 5]).clamp_(max=2.5)

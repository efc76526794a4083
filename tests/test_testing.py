"""gradcheck and gradgradcheck: what they accept, what they refuse, and what they say."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.core.autograd import apply
from minigrad.ops import Op, Sigmoid, Sum
from minigrad.testing import FULL_JACOBIAN, GradcheckError, gradcheck, gradgradcheck


def points(rng, *shapes):
    return tuple(mg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes)


class Cube(Op):
    """Right to the second order."""

    saves = ("x",)

    def forward(self, x):
        return x * x * x

    def backward(self, grad, y, x):
        return grad * (3 * x * x)


class WrongFactor(Cube):
    saves = ("x",)

    def backward(self, grad, y, x):
        return grad * (2 * x * x)


class WrongAtOnePlace(Cube):
    saves = ("x",)

    def backward(self, grad, y, x):
        g = grad * (3 * x * x)
        g[1, 2] += 0.01
        return g


class RightOnceOnly(Cube):
    """First derivatives are right; the derivative of the rule is not, because it holds a constant
    that depends on x."""

    saves = ("x",)

    def forward(self, x):
        self.slope = 3 * x * x
        return x * x * x

    def backward(self, grad, y, x):
        slope = mg.Tensor(self.slope) if isinstance(grad, mg.Tensor) else self.slope
        return grad * slope


SMALL, LARGE = (4, 3), (40, 30)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_a_right_rule_passes_both_for_small_and_large_inputs(rng, shape):
    (x,) = points(rng, shape)
    assert (np.prod(shape) ** 2 > FULL_JACOBIAN) == (shape == LARGE)
    assert gradcheck(lambda x: apply(Cube(), x), x)
    assert gradgradcheck(lambda x: apply(Cube(), x), (x,))


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_a_wrong_factor_is_found_with_place_and_values(rng, shape):
    (x,) = points(rng, shape)
    with pytest.raises(GradcheckError, match=r"input 0.*backward gives .*slope is") as caught:
        gradcheck(lambda x: apply(WrongFactor(), x), x)
    error = caught.value
    assert error.input == 0
    assert error.analytic / error.numeric == pytest.approx(2 / 3, rel=1e-4)
    assert len(error.index) == 2


@pytest.mark.parametrize("shape", [SMALL, (25, 4)])
def test_a_single_wrong_element_is_named(rng, shape):
    (x,) = points(rng, shape)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: apply(WrongAtOnePlace(), x), x)
    assert caught.value.index == (1, 2)
    assert caught.value.analytic - caught.value.numeric == pytest.approx(0.01, rel=1e-3)


def test_the_second_order_is_a_check_of_its_own(rng):
    (x,) = points(rng, SMALL)
    assert gradcheck(lambda x: apply(RightOnceOnly(), x), x)
    with pytest.raises(GradcheckError):
        gradgradcheck(lambda x: apply(RightOnceOnly(), x), x)


def test_seeds_are_not_ones(rng):
    """A BatchNorm whose dx is 0 passes when seeded with ones; it must not pass here."""

    class NoGradient(mg.ops.BatchNorm):
        saves = ("x", "gamma")

        def backward(self, grad, y, x, gamma=None, beta=None):
            return (grad * 0,)

    (x,) = points(rng, (6, 3))
    y = apply(NoGradient(1e-5), x)
    y.sum().backward()
    right = mg.tensor(x.data, requires_grad=True)
    F.batch_norm(right, None, None, training=True).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), right.grad.numpy(), atol=1e-12)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: apply(NoGradient(1e-5), x), x)


def test_which_input_is_wrong(rng):
    class WrongSecond(Op):
        saves = ("a", "b")

        def forward(self, a, b):
            return a * b

        def backward(self, grad, y, a, b):
            return grad * b, grad * a * 1.001

    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: apply(WrongSecond(), a, b), points(rng, (3,), (3,)))
    assert caught.value.input == 1


def test_a_missing_gradient_is_a_wrong_gradient(rng):
    class Forgotten(Cube):
        def backward(self, grad, y, x):
            return None

    (x,) = points(rng, SMALL)
    with pytest.raises(GradcheckError, match="backward gives 0"):
        gradcheck(lambda x: apply(Forgotten(), x), x)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * 2 + 0 * x.sum(), x)


def test_nan_is_never_right(rng):
    class NotANumber(Cube):
        def backward(self, grad, y, x):
            return grad * float("nan")

    (x,) = points(rng, SMALL)
    with pytest.raises(GradcheckError, match="nan"):
        gradcheck(lambda x: apply(NotANumber(), x), x)
    with pytest.raises(GradcheckError, match="NaN or infinity"):
        gradcheck(lambda x: x * float("inf"), x)


def test_several_outputs_constants_and_other_arguments(rng):
    x, w = points(rng, (3, 4), (4, 2))
    constant = mg.tensor(rng.standard_normal((3, 2)))

    def function(x, w, constant, scale, labels):
        y = x @ w * scale + constant
        return y, y.sum(0), y.argmax(1), labels

    labels = mg.tensor([1, 2])
    assert gradcheck(function, (x, w, constant, 3.0, labels))
    assert gradgradcheck(function, (x, w, constant, 3.0, labels))


def test_an_output_that_does_not_depend_on_an_input(rng):
    x, z = points(rng, (3,), (2,))
    assert gradcheck(lambda x, z: (x * x, mg.ones(2, dtype=mg.float64)), (x, z))


def test_nothing_of_the_callers_is_changed(rng):
    (x,) = points(rng, (3,))
    before = x.data.copy()
    gradcheck(lambda x: x.exp(), x)
    gradgradcheck(lambda x: x.exp(), x)
    assert x.grad is None
    np.testing.assert_array_equal(x.data, before)


def test_a_function_that_is_not_deterministic(rng):
    (x,) = points(rng, (50,))
    with pytest.raises(GradcheckError, match="differs between two calls"):
        gradcheck(lambda x: F.dropout(x, 0.5), x)


def test_a_function_that_changes_its_input(rng):
    (x,) = points(rng, (5,))

    def spoil(x):
        with mg.no_grad():
            x.mul_(1.01)
        return x * 2

    with pytest.raises(GradcheckError, match="changed its input 0"):
        gradcheck(spoil, x)


def test_float32_is_refused():
    with pytest.raises(TypeError, match=r"input 0 is float32, expected float64"):
        gradcheck(lambda x: x * 2, mg.ones(3, requires_grad=True))


def test_nothing_to_check():
    with pytest.raises(ValueError, match="requires_grad"):
        gradcheck(lambda x: x * 2, mg.ones(3, dtype=mg.float64))


def test_0d_and_empty_inputs(rng):
    scalar, empty = points(rng, (), (0, 3))
    assert gradcheck(lambda x: x * x, scalar)
    assert gradcheck(lambda x, e: x * e.sum() + x, (scalar, empty))
    assert gradgradcheck(lambda x: x.sin(), scalar)


def test_the_name_of_the_input_is_the_position_among_all_arguments(rng):
    x, w = points(rng, (3,), (3,))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda c, x: apply(WrongFactor(), x) * c, (2.0, x))
    assert caught.value.input == 1
    assert w.grad is None


def test_the_operations_used_here_are_the_packages_own(rng):
    (x,) = points(rng, (2, 3))
    assert gradgradcheck(lambda x: apply(Sum((0,)), apply(Sigmoid(), x)), x)

"""Gradient clipping, and all parameters as one vector."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    total_norm,
    vector_to_parameters,
)


def with_gradients(*gradients: object) -> list:
    parameters = []
    for gradient in gradients:
        array = np.array(gradient, dtype=np.float64)
        parameters.append(nn.Parameter(np.ones_like(array)))
        parameters[-1].grad = mg.tensor(array)
    return parameters


def test_the_gradients_are_one_vector_whose_length_is_limited() -> None:
    a, b = with_gradients([[2.0, -4.0]], [4.0])  # length 6
    norm = clip_grad_norm_([a, b, nn.Parameter([1.0])], 3.0)
    assert norm.item() == pytest.approx(6)
    assert norm.shape == ()
    np.testing.assert_allclose(a.grad.numpy(), [[1, -2]], rtol=1e-6)
    np.testing.assert_allclose(b.grad.numpy(), [2], rtol=1e-6)


def test_short_gradients_stay_bit_for_bit() -> None:
    (a,) = with_gradients([0.1, -0.7])
    clip_grad_norm_(a, 3.0)
    assert a.grad.numpy().tolist() == [0.1, -0.7]


@pytest.mark.parametrize(("p", "norm"), [(1.0, 10), (3.0, (8 + 64 + 64) ** (1 / 3)), (math.inf, 4)])
def test_other_norms(p: float, norm: float) -> None:
    a, b = with_gradients([[2.0, -4.0]], [4.0])
    assert clip_grad_norm_([a, b], 0.5, norm_type=p).item() == pytest.approx(norm)
    np.testing.assert_allclose(a.grad.numpy(), np.array([[2, -4]]) * 0.5 / norm, rtol=1e-5)


def test_half_precision_gradients_do_not_overflow() -> None:
    parameter = nn.Parameter(np.ones(2, np.float16))
    parameter.grad = mg.tensor(np.array([30000, 40000], np.float16))
    assert clip_grad_norm_(parameter, 5.0).item() == pytest.approx(50000, rel=1e-3)
    np.testing.assert_allclose(parameter.grad.numpy(), [3, 4], rtol=1e-2)


def test_without_gradients_the_norm_is_zero() -> None:
    assert clip_grad_norm_([nn.Parameter([1.0])], 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_norm_that_is_no_number_can_be_an_error(bad: float) -> None:
    a, b = with_gradients([bad], [4.0])
    with pytest.raises(RuntimeError, match=f"the norm of the gradients is {bad}"):
        clip_grad_norm_([a, b], 1.0, error_if_nonfinite=True)
    assert b.grad.item() == 4, "no gradient has changed"
    clip_grad_norm_([b], 1.0, error_if_nonfinite=True)
    assert b.grad.item() == pytest.approx(1)


def test_values_are_limited_one_by_one() -> None:
    a, b = with_gradients([[2.0, -4.0]], [0.25])
    clip_grad_value_([a, b], 2.5)
    assert a.grad.numpy().tolist() == [[2.0, -2.5]]
    assert b.grad.numpy().tolist() == [0.25]


def test_bad_limits() -> None:
    (a,) = with_gradients([2.0])
    for call in (
        lambda: clip_grad_norm_(a, -1.0),
        lambda: clip_grad_norm_(a, math.nan),
        lambda: clip_grad_norm_(a, 1.0, norm_type=0),
        lambda: clip_grad_value_(a, -1.0),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()
    assert a.grad.item() == 2


def test_a_graph_through_the_old_gradient_notices() -> None:
    x = nn.Parameter([3.0])
    ((x**3).sum()).backward(create_graph=True)
    penalty = (x.grad * x.grad).sum()
    clip_grad_norm_(x, 1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        penalty.backward()
    x.grad = None  # ends the circle that create_graph made


def test_optim_offers_the_same_functions() -> None:
    assert optim.clip_grad_norm_ is clip_grad_norm_
    assert optim.clip_grad_value_ is clip_grad_value_


@pytest.mark.parity
@pytest.mark.parametrize("p", [2.0, 1.0, math.inf])
@pytest.mark.parametrize("limit", [0.7, 1e3])
def test_clipping_is_pytorchs(torch, rng, p: float, limit: float) -> None:
    gradients = [rng.normal(size=(3, 4)), rng.normal(size=5)]
    ours = with_gradients(*gradients)
    theirs = [torch.nn.Parameter(torch.ones(g.shape, dtype=torch.float64)) for g in gradients]
    for parameter, gradient in zip(theirs, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    a = clip_grad_norm_(ours, limit, p)
    b = torch.nn.utils.clip_grad_norm_(theirs, limit, p)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e25])
@pytest.mark.parametrize("norm_type", [2.0, 3.5, 10.0])
def test_norms_whose_powers_leave_the_range_of_float32(size: float, norm_type: float) -> None:
    gradient = (np.random.default_rng(3).uniform(0.5, 2, 7) * size).astype(np.float32)
    parameter = nn.Parameter(np.full(7, 1.5, np.float32))
    parameter.grad = mg.tensor(gradient)
    ratios = gradient.astype(np.float64) / size
    expected = size * (ratios**norm_type).sum() ** (1 / norm_type)
    norm = clip_grad_norm_([parameter], 3.0, norm_type)
    np.testing.assert_allclose(norm.item(), expected, rtol=1e-6)
    shrink = min(1.0, 3.0 / (expected + 1e-6))
    np.testing.assert_allclose(parameter.grad.numpy(), gradient * shrink, rtol=1e-5)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_the_norm_of_what_is_not_finite(p: float) -> None:
    big, infinite, nan = (np.array([1e200, value]) for value in (3e199, -np.inf, np.nan))
    assert float(total_norm([big, infinite], p)) == np.inf
    assert np.isnan(float(total_norm([big, nan], p)))
    assert np.isnan(float(total_norm([infinite, nan], p)))
    assert float(total_norm([np.zeros(3), np.zeros((0, 2))], p)) == 0
    assert float(total_norm([np.zeros((0, 2))], p)) == 0


def some_parameters() -> list:
    shapes = [(2, 3), (), (0, 2), (4,)]
    rng = np.random.default_rng(3)
    return [nn.Parameter(rng.normal(size=shape)) for shape in shapes]


def test_parameters_as_a_vector_and_back() -> None:
    parameters = some_parameters()
    vector = parameters_to_vector(iter(parameters))
    arrays = [p.detach().numpy().ravel() for p in parameters]
    np.testing.assert_array_equal(vector.detach().numpy(), np.concatenate(arrays))
    weights = np.linspace(-1.5, 2.5, 11)
    (vector * mg.tensor(weights)).sum().backward()
    np.testing.assert_array_equal(parameters[0].grad.numpy(), weights[:6].reshape(2, 3))
    np.testing.assert_array_equal(parameters[3].grad.numpy(), weights[7:])
    memory = parameters[0].data
    vector_to_parameters(mg.tensor(weights), iter(parameters))
    assert parameters[0].data is memory
    np.testing.assert_array_equal(parameters_to_vector(parameters).detach().numpy(), weights)
    assert all(p.is_leaf and p.requires_grad for p in parameters)


def test_a_vector_that_does_not_fit_changes_nothing() -> None:
    parameters = some_parameters()
    before = parameters_to_vector(parameters).tolist()
    for bad in (mg.rand(10), mg.rand(12), mg.rand(11, 1)):
        with pytest.raises(ValueError, match=r"expected \(11,\), all elements of 4 parameters"):
            vector_to_parameters(bad, parameters)
    with pytest.raises(TypeError, match="vec is a list, expected a Tensor"):
        vector_to_parameters([1.5] * 11, parameters)
    with pytest.raises(ValueError, match="got no parameters"):
        parameters_to_vector([])
    assert parameters_to_vector(parameters).tolist() == before


def test_a_graph_that_needs_the_old_parameters_names_who_wrote() -> None:
    w = nn.Parameter([1.5, 2.5])
    y = (w * w).sum()
    vector_to_parameters(mg.tensor([0.5, -0.5]), [w])
    with pytest.raises(RuntimeError, match="vector_to_parameters"):
        y.backward()

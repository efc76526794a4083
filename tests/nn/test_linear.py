"""Linear: values, gradients, where its weights start, and its errors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
def test_values_and_gradients(rng, bias: bool, leading: tuple) -> None:
    layer = nn.Linear(4, 3, bias=bias, dtype=mg.float64)
    x, dy = rng.normal(size=(*leading, 4)), rng.normal(size=(*leading, 3))
    w = layer.weight.detach().numpy()
    b = layer.bias.detach().numpy() if bias else np.zeros(3)
    inputs = mg.tensor(x, requires_grad=True)
    y = layer(inputs)
    y.backward(mg.tensor(dy))
    np.testing.assert_allclose(y.detach().numpy(), np.einsum("oi,...i->...o", w, x) + b)
    np.testing.assert_allclose(inputs.grad.numpy(), np.einsum("oi,...o->...i", w, dy))
    rows, drows = x.reshape(-1, 4), dy.reshape(-1, 3)
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.einsum("no,ni->oi", drows, rows))
    if bias:
        np.testing.assert_allclose(layer.bias.grad.numpy(), drows.sum(0))


def test_weights_start_uniform_within_one_over_the_root_of_the_inputs() -> None:
    layer = nn.Linear(400, 300)
    bound = 1 / 20
    for parameter in (layer.weight, layer.bias):
        values = parameter.detach().numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.95 * bound
        assert abs(values.mean()) < 0.1 * bound
    spread = layer.weight.detach().numpy().std()
    assert spread == pytest.approx(bound / np.sqrt(3), rel=0.02)


def test_a_seed_gives_the_same_weights_in_every_type() -> None:
    mg.manual_seed(3)
    single = nn.Linear(4, 3)
    mg.manual_seed(3)
    double = nn.Linear(4, 3, dtype=mg.float64)
    assert double.weight.dtype == mg.float64
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy().astype(np.float32))
    before = double.weight.detach().numpy().copy()
    double.reset_parameters()
    assert np.all(double.weight.detach().numpy() != before)


def test_without_bias_there_is_none() -> None:
    layer = nn.Linear(4, 3, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Linear(in_features=4, out_features=3, bias=False)"


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0)])
def test_no_features_at_all(inputs: int, outputs: int) -> None:
    layer = nn.Linear(inputs, outputs)
    y = layer(mg.zeros(2, inputs))
    assert y.shape == (2, outputs)
    y.sum().backward()
    assert layer.weight.grad.shape == (outputs, inputs)


def test_a_wrong_number_of_features_is_named() -> None:
    layer = nn.Linear(8, 3)
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the text is what is tested
        layer(mg.ones(5, 7))
    assert str(caught.value) == (
        "Linear: input has 7 features in its last axis, expected 8 (weight is (3, 8))"
    )
    with pytest.raises(ValueError, match="Linear: input has no axes, expected 8"):
        layer(mg.tensor(1.0))


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), [[1.0, 2.0, 3.0]], mg.ones(2, 3).long()])
def test_what_is_no_floating_tensor_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="Linear: the input is"):
        nn.Linear(3, 2)(wrong)


def test_types_are_not_mixed_in_silence() -> None:
    with pytest.raises(TypeError, match="float64 and float32"):
        nn.Linear(3, 2)(mg.ones(2, 3, dtype=mg.float64))


@pytest.mark.parametrize("size", [2.5, "3", True, None])
def test_sizes_are_integers(size: object) -> None:
    with pytest.raises(TypeError, match=r"Linear: in_features is .*, expected an integer"):
        nn.Linear(size, 2)


def test_sizes_are_not_negative() -> None:
    with pytest.raises(ValueError, match="Linear: out_features is -1"):
        nn.Linear(2, -1)


def test_sizes_may_come_from_numpy() -> None:
    assert nn.Linear(np.int64(3), 2).weight.shape == (2, 3)


def test_errors_about_the_input_name_the_layer_and_have_no_other_cause() -> None:
    layer = nn.Linear(8, 3)
    for wrong, kind in ((mg.ones(2, 7), ValueError), (mg.ones(2, 8, dtype=mg.int64), TypeError)):
        with pytest.raises(kind, match=r"^Linear: (the )?input") as caught:
            layer(wrong)
        assert caught.value.__context__ is None
    with pytest.raises(TypeError, match="float64 and float32"):
        layer(mg.ones(2, 8, dtype=mg.float64))

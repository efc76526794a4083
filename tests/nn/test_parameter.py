"""Parameter: a Tensor that requires a gradient and survives copying."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_it_is_a_leaf_that_requires_a_gradient() -> None:
    parameter = nn.Parameter([1.5, -2.0])
    assert isinstance(parameter, mg.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter.dtype == mg.float32
    assert not nn.Parameter([1.5], requires_grad=False).requires_grad


def test_its_data_are_a_copy() -> None:
    source = mg.tensor([1.5, -2.0])
    parameter = nn.Parameter(source)
    source.data[0] = 7.0
    np.testing.assert_array_equal(parameter.detach().numpy(), [1.5, -2.0])


def test_integers_cannot_be_learnt() -> None:
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter(np.array([1, 2]))
    assert nn.Parameter(np.array([1, 2]), requires_grad=False).dtype == mg.int64


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_copy_is_a_parameter_of_its_own(copier, requires_grad: bool) -> None:
    parameter = nn.Parameter(np.array([[1.5, -2.0]]), requires_grad)
    twin = copier(parameter)
    assert type(twin) is nn.Parameter
    assert twin.requires_grad is requires_grad
    assert twin.dtype == mg.float64
    twin.data[0, 0] = 7.0
    np.testing.assert_array_equal(parameter.detach().numpy(), [[1.5, -2.0]])


def test_its_repr_says_what_it_is() -> None:
    text = repr(nn.Parameter([1.5]))
    assert text.startswith("Parameter containing:\ntensor([1.5]")
    assert "requires_grad=True" in text

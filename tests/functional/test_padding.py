"""pad: NumPy's values, derivatives, and what does not fit."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", MODES)
def test_copies_of_the_elements(mode, device, rng):
    a = rng.standard_normal((2, 3, 4))
    y = F.pad(mg.tensor(a), (1, 2, 2, 0), mode)
    expected = np.pad(a, ((0, 0), (2, 0), (1, 2)), MODES[mode])
    np.testing.assert_array_equal(y.cpu().numpy(), expected)


def test_a_constant_and_less(device, rng):
    a = rng.standard_normal((3, 4))
    y = F.pad(mg.tensor(a), (1, 2, 0, 3), value=0.7)
    expected = np.pad(a, ((0, 3), (1, 2)), constant_values=0.7)
    np.testing.assert_array_equal(y.cpu().numpy(), expected)
    np.testing.assert_array_equal(F.pad(mg.tensor(a), (-1, -2)).cpu().numpy(), a[:, 1:-2])
    y = F.pad(mg.tensor(a), (-1, 2, -2, 1), value=0.7).cpu().numpy()
    expected = np.pad(a[2:, 1:], ((0, 1), (0, 2)), constant_values=0.7)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("mode", ["constant", *MODES])
def test_derivatives(mode, rng):
    x = mg.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    assert gradcheck(lambda x: F.pad(x, (2, 1, 1, 2), mode), (x,))
    assert gradgradcheck(lambda x: F.pad(x, (2, 1, 1, 2), mode) ** 2, (x,))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((1,),), "got 1 numbers for 2 axes"),
        (((1, 1, 1, 1, 1, 1),), "got 6 numbers for 2 axes"),
        (((1, 1), "mirror"), "mode is 'mirror'"),
        (((1, 1), "reflect", 2.0), "'reflect' takes no value"),
        (((0, 4), "reflect"), "expected at most 3 in mode 'reflect'"),
        (((-5, 0), "circular"), "not fewer than 0 elements"),
        (((-3, -3),), "takes more than the 4 elements of axis 1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        F.pad(mg.ones(3, 4), *arguments)

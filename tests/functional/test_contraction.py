"""einsum: NumPy's values, derivatives, and what does not fit."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import gradcheck, gradgradcheck
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures

CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ji", (2, 3)),
    ("ii", (3, 3)),
    ("iij->ji", (3, 3, 2)),
    ("i,j->ji", (3,), (4,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ab,bc,ad->", (2, 3), (3, 4), (2, 2)),
    ("i...,...->i...", (2, 3), (3,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
]


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in CASES])
def test_values_and_derivatives(equation, shapes, device, rng):
    arrays = [rng.standard_normal(shape) for shape in shapes]
    tensors = [mg.tensor(a, requires_grad=True) for a in arrays]
    y = mg.einsum(equation, *tensors)
    np.testing.assert_allclose(
        y.detach().cpu().numpy(), np.einsum(equation, *arrays), rtol=1e-11, atol=1e-13
    )
    if device == "cpu":
        assert gradcheck(lambda *ts: mg.einsum(equation, *ts), tensors)
        assert gradgradcheck(lambda *ts: mg.einsum(equation, *ts) ** 2, tensors)


def test_a_list_of_operands_and_empty_axes():
    assert mg.einsum("ij,jk->ik", [mg.ones(2, 0), mg.ones(0, 3)]).tolist() == [[0.0] * 3] * 2
    assert mg.einsum("i,i->i", mg.zeros(0), mg.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ("equation", "shapes", "says"),
    [
        ("ij,jk->ik", [(2, 3)], "has 2 operands, got 1 Tensors"),
        ("ij->i", [(2,)], "names 2 axes, but operand 0 has 1"),
        ("i->i", [(2, 3)], "names 1 axes, but operand 0 has 2"),
        ("ij,jk->ik", [(2, 3), (4, 2)], "the axis 'j' is 3 long in one place and 4"),
        ("ij->ik", [(2, 3)], "must name letters of the operands, each once"),
        ("ij->ii", [(2, 3)], "each once"),
        ("i1->i", [(2, 3)], "expected letters and ..."),
    ],
)
def test_what_does_not_fit_is_refused(equation, shapes, says):
    with pytest.raises(ValueError, match=says):
        mg.einsum(equation, *(mg.ones(shape) for shape in shapes))
    with pytest.raises(TypeError, match="operand 0 is a list"):
        mg.einsum("i,i", [1.0], mg.ones(1))

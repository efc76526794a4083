"""LayerNorm: each sample on its own."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_values_by_hand() -> None:
    # Mean 3, variance 8/3 of (1, 3, 5); x_hat = (-2, 0, 2) / sqrt(8/3 + eps).
    layer = nn.LayerNorm(3, eps=1.0, dtype=mg.float64)
    layer.load_state_dict({"weight": [2.0, 3.0, 5.0], "bias": [0.5, 0.25, -1.0]})
    scaled = 2 / np.sqrt(8 / 3 + 1)
    y = layer(mg.tensor([[1.0, 3.0, 5.0]]).double()).detach().numpy()
    np.testing.assert_allclose(y, [[0.5 - 2 * scaled, 0.25, 5 * scaled - 1]])


def test_a_sample_does_not_depend_on_the_others_nor_on_the_mode(rng) -> None:
    layer = nn.LayerNorm((2, 3), dtype=mg.float64)
    x = rng.normal(size=(4, 2, 3))
    with mg.no_grad():
        together = layer(mg.tensor(x)).numpy()
        alone = layer.eval()(mg.tensor(x[2])).numpy()
    np.testing.assert_allclose(together[2], alone, rtol=1e-12)


@pytest.mark.parametrize("shape", [4, [4], (4,), np.int64(4)])
def test_one_length_needs_no_tuple(shape: object) -> None:
    layer = nn.LayerNorm(shape)
    assert layer.normalized_shape == (4,)
    assert layer.weight.shape == (4,)


def test_options() -> None:
    assert list(nn.LayerNorm(4, elementwise_affine=False).state_dict()) == []
    assert list(nn.LayerNorm(4, bias=False).state_dict()) == ["weight"]
    assert repr(nn.LayerNorm(4, bias=False)) == (
        "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=False)"
    )
    with pytest.raises(ValueError, match="layer_norm: input has shape"):
        nn.LayerNorm(4)(mg.ones(2, 3))


@pytest.mark.parity
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}])
def test_values_and_gradients_are_pytorchs(torch, rng, options: dict) -> None:
    ours = nn.LayerNorm((2, 3), dtype=mg.float64, **options)
    theirs = torch.nn.LayerNorm((2, 3), dtype=torch.float64, **options)
    state = {name: rng.normal(size=(2, 3)) + 1 for name in ours.state_dict()}
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x, dy = rng.normal(size=(5, 2, 3)) * 4 + 7, rng.normal(size=(5, 2, 3))
    a, b = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, t = ours(a), theirs(b)
    y.backward(mg.tensor(dy))
    t.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-12)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, -1e-5, float("inf"), float("nan")])
def test_an_eps_that_would_give_no_number(eps: float) -> None:
    with pytest.raises(ValueError, match=r"LayerNorm: eps is .*, expected a number above 0"):
        nn.LayerNorm(3, eps=eps)
    if not eps >= 0:
        with pytest.raises(ValueError, match="layer_norm: eps is"):
            mg.functional.layer_norm(mg.ones(2, 3), 3, eps=eps)

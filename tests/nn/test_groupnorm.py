"""GroupNorm and RMSNorm as modules; ``tests/ops/test_normalization.py`` tests their mathematics."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_values_by_hand() -> None:
    # Groups (1, 3) and (5, 9): means 2 and 7, variances 1 and 4; with eps 3 and the second 4 + 3.
    layer = nn.GroupNorm(2, 4, eps=3.0, dtype=mg.float64)
    layer.load_state_dict({"weight": [2.0, 3.0, 5.0, 7.0], "bias": [0.5, 0.25, -1.0, 0.0]})
    y = layer(mg.tensor([[1.0, 3.0, 5.0, 9.0]]).double()).detach().numpy()
    wide = 2 / np.sqrt(7)
    np.testing.assert_allclose(y, [[0.5 - 2 / 2, 0.25 + 3 / 2, -1 - 5 * wide, 7 * wide]])
    # The mean square of (1, 7) is 25; with eps 11 the root is 6.
    root = nn.RMSNorm(2, eps=11.0, dtype=mg.float64)
    root.load_state_dict({"weight": [3.0, -2.0]})
    np.testing.assert_allclose(
        root(mg.tensor([[1.0, 7.0]]).double()).detach().numpy(), [[0.5, -14 / 6]]
    )


def test_a_sample_does_not_depend_on_the_others_nor_on_the_mode(rng) -> None:
    x = rng.normal(size=(4, 6, 3))
    for layer in (nn.GroupNorm(3, 6, dtype=mg.float64), nn.RMSNorm((6, 3), dtype=mg.float64)):
        with mg.no_grad():
            together = layer(mg.tensor(x)).numpy()
            alone = layer.eval()(mg.tensor(x[2:3])).numpy()
        np.testing.assert_allclose(together[2:3], alone, rtol=1e-12)


def test_options() -> None:
    assert list(nn.GroupNorm(2, 4, affine=False).state_dict()) == []
    assert list(nn.GroupNorm(2, 4, bias=False).state_dict()) == ["weight"]
    assert list(nn.RMSNorm(4, elementwise_affine=False).state_dict()) == []
    assert nn.RMSNorm((2, 4)).weight.shape == (2, 4)
    assert nn.GroupNorm(2, 4).weight.tolist() == [1.0] * 4
    assert nn.GroupNorm(2, 4).bias.tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_groups is 3, expected a divisor of the 4"),
        (lambda: nn.GroupNorm(0, 4), ValueError, "GroupNorm: num_groups is 0"),
        (lambda: nn.GroupNorm(2, 4, eps=0.0), ValueError, "GroupNorm: eps is 0.0"),
        (lambda: nn.RMSNorm(4, eps=-1.0), ValueError, "RMSNorm: eps is -1.0"),
        (
            lambda: nn.GroupNorm(2, 4)(mg.ones(3, 6)),
            ValueError,
            r"GroupNorm: input has shape \(3, 6\), expected \(N, 4, \.\.\.\)",
        ),
        (lambda: nn.RMSNorm(4)(mg.ones(2, 3)), ValueError, "rms_norm: input has shape"),
        (lambda: nn.GroupNorm(2, 4)([1.0]), TypeError, "group_norm: the input is a list"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parity
def test_names_are_pytorchs(torch) -> None:
    for make in (
        lambda library: library.GroupNorm(2, 4),
        lambda library: library.GroupNorm(4, 4, eps=0.5, affine=False),
        lambda library: library.RMSNorm((2, 4)),
        lambda library: library.RMSNorm(4, eps=0.5, elementwise_affine=False),
    ):
        ours, theirs = make(nn), make(torch.nn)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert repr(ours).startswith(repr(theirs).split(", bias=")[0].rstrip(")"))

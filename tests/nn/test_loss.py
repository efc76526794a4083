"""Loss modules: each passes its options on; class weights are state."""

import math

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.testing import gradcheck, gradgradcheck

LOGITS = np.log(np.array([[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]))  # so that softmax gives these
LABELS = np.array([2, 0])
A, B = -math.log(0.7), -math.log(0.3)  # the two rows' losses


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (A + B) / 2),
        ({"reduction": "sum"}, A + B),
        ({"reduction": "none"}, [A, B]),
        ({"ignore_index": 0}, A),
        ({"weight": mg.tensor(np.array([3.0, 1.0, 5.0]))}, (5 * A + 3 * B) / 8),
    ],
)
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_cross_entropy_and_nll(loss: type, options: dict, expected: object) -> None:
    value = loss(**options)(mg.tensor(LOGITS), mg.tensor(LABELS))
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-12)


def test_label_smoothing() -> None:
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.3, reduction="none")
    expected = 0.7 * np.array([A, B]) - 0.1 * LOGITS.sum(1)
    value = smoothed(mg.tensor(LOGITS), mg.tensor(LABELS))
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-12)


def test_squared_and_huber() -> None:
    x, t = mg.tensor([1.0, -2.0, 0.5]), mg.tensor([0.0, 1.0, 0.25])
    assert nn.MSELoss()(x, t).item() == pytest.approx((1 + 9 + 0.0625) / 3)
    assert nn.MSELoss(reduction="sum")(x, t).item() == pytest.approx(10.0625)
    assert nn.HuberLoss()(x, t).item() == pytest.approx((0.5 + 2.5 + 0.03125) / 3)
    assert nn.HuberLoss("sum", 2.0)(x, t).item() == pytest.approx(0.5 + 2 * (3 - 1) + 0.03125)
    assert repr(nn.HuberLoss(delta=2.0)) == "HuberLoss(delta=2.0)"


def test_absolute_and_smooth() -> None:
    x, t = mg.tensor([1.0, -2.0, 0.5]), mg.tensor([0.0, 1.0, 0.25])
    assert nn.L1Loss()(x, t).item() == pytest.approx(4.25 / 3)
    assert nn.L1Loss(reduction="sum")(x, t).item() == pytest.approx(4.25)
    assert nn.SmoothL1Loss()(x, t).item() == pytest.approx((0.5 + 2.5 + 0.03125) / 3)
    assert nn.SmoothL1Loss("sum", 2.0)(x, t).item() == pytest.approx(0.25 + 2 + 0.015625)
    assert nn.SmoothL1Loss("sum", 0.0)(x, t).item() == pytest.approx(4.25)
    assert repr(nn.SmoothL1Loss(beta=2.0)) == "SmoothL1Loss(beta=2.0)"
    for beta in (-0.5, float("nan")):
        with pytest.raises(ValueError, match=f"SmoothL1Loss: beta is {beta}, expected a number fr"):
            nn.SmoothL1Loss(beta=beta)
        with pytest.raises(ValueError, match=f"smooth_l1_loss: beta is {beta}"):
            F.smooth_l1_loss(x, t, beta=beta)


def test_binary_cross_entropy_with_logits() -> None:
    x, t = np.array([0.7, -1.2]), np.array([1.0, 0.25])
    s = 1 / (1 + np.exp(-x))
    plain = -(t * np.log(s) + (1 - t) * np.log(1 - s))
    ours = nn.BCEWithLogitsLoss()(mg.tensor(x), mg.tensor(t))
    assert ours.item() == pytest.approx(plain.mean())
    options = {"weight": mg.tensor(np.array([2.0, 3.0])), "pos_weight": mg.tensor(np.array([4.0]))}
    weighted = nn.BCEWithLogitsLoss(reduction="none", **options)(mg.tensor(x), mg.tensor(t))
    positive = -(4 * t * np.log(s) + (1 - t) * np.log(1 - s)) * [2, 3]
    np.testing.assert_allclose(weighted.numpy(), positive)


def test_weights_move_and_are_saved_with_the_module() -> None:
    loss = nn.CrossEntropyLoss(mg.tensor([1.0, 2.0, 3.0]))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.double().weight.dtype == mg.float64
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss,
        nn.NLLLoss,
        nn.MSELoss,
        nn.HuberLoss,
        nn.BCEWithLogitsLoss,
        nn.L1Loss,
        nn.SmoothL1Loss,
    ],
)
def test_an_unknown_reduction_is_refused_at_once(loss: type) -> None:
    with pytest.raises(ValueError, match=f"{loss.__name__}: reduction is 'average'"):
        loss(reduction="average")


def test_options_in_an_order_of_the_past_are_refused() -> None:
    with pytest.raises(TypeError, match="positional"):
        nn.CrossEntropyLoss(None, True)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options", "target", "weighted"),
    [
        ("CrossEntropyLoss", {}, "labels", False),
        ("CrossEntropyLoss", {}, "labels", True),
        ("CrossEntropyLoss", {"label_smoothing": 0.2, "ignore_index": 1}, "labels", False),
        ("CrossEntropyLoss", {"label_smoothing": 0.2, "ignore_index": 1}, "labels", True),
        ("CrossEntropyLoss", {"reduction": "sum"}, "shares", True),
        ("NLLLoss", {"ignore_index": 2}, "labels", False),
        ("NLLLoss", {"ignore_index": 2}, "labels", True),
        ("MSELoss", {}, "shares", False),
        ("HuberLoss", {"delta": 0.3}, "shares", False),
        ("L1Loss", {}, "shares", False),
        ("SmoothL1Loss", {"beta": 0.3}, "shares", False),
        ("SmoothL1Loss", {"beta": 0.0, "reduction": "sum"}, "shares", False),
        ("BCEWithLogitsLoss", {"reduction": "none"}, "shares", False),
        ("BCEWithLogitsLoss", {"reduction": "none"}, "shares", True),
    ],
)
def test_values_and_gradients_are_pytorchs(
    torch, rng, name: str, options: dict, target: str, weighted: bool
) -> None:
    x, weight = rng.normal(size=(6, 4)), rng.uniform(0.5, 2, size=4)
    t = rng.integers(0, 4, size=6) if target == "labels" else rng.dirichlet(np.ones(4), size=6)
    results = []
    for modules, tensor in ((nn, mg.tensor), (torch.nn, torch.tensor)):
        extra = {"weight": tensor(weight)} if weighted else {}
        a = tensor(x, requires_grad=True)
        loss = getattr(modules, name)(**options, **extra)(a, tensor(t))
        (loss * 1.5).sum().backward()
        results.append((loss.detach().numpy(), a.grad.numpy()))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("delta", [float("nan"), 0.0, -1.5])
def test_a_delta_that_is_not_above_0_is_refused(delta: float) -> None:
    with pytest.raises(ValueError, match=f"HuberLoss: delta is {delta}, expected a number above 0"):
        nn.HuberLoss(delta=delta)


def test_a_delta_that_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="HuberLoss: delta is 'sum', expected a number"):
        nn.HuberLoss("mean", "sum")


def test_binary_cross_entropy_of_probabilities(rng):
    """That of logits gives the same through a sigmoid; at 0 and 1 it ends at 100."""
    x = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    target = mg.tensor(rng.uniform(0.1, 0.9, (4, 3)), requires_grad=True)
    factor = mg.tensor(rng.uniform(0.5, 2, 3))
    got = nn.BCELoss(factor)(x.sigmoid(), target)
    expected = nn.BCEWithLogitsLoss(factor)(x, target)
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)
    assert gradcheck(lambda x, t: F.binary_cross_entropy(x.sigmoid(), t), (x, target))
    assert gradgradcheck(lambda x, t: F.binary_cross_entropy(x.sigmoid(), t), (x, target))
    p = mg.tensor([0.0, 1.0, 0.0], requires_grad=True)
    y = F.binary_cross_entropy(p, mg.tensor([0.0, 1.0, 0.25]), reduction="none")
    np.testing.assert_allclose(y.detach().numpy(), [0.0, 0.0, 25.0])
    (slope,) = mg.grad(y, p, mg.tensor([0.3, -1.2, 0.8]))
    np.testing.assert_allclose(slope.numpy(), [0.0, 0.0, -0.8 * 0.25e12], rtol=1e-6)
    with pytest.raises(ValueError, match="expected probabilities from 0 to 1"):
        F.binary_cross_entropy(mg.tensor([1.5, 0.2]), mg.tensor([0.5, 0.5]))


def test_the_divergence_of_two_distributions(rng):
    t, p = (a / a.sum(1, keepdims=True) for a in rng.uniform(0.1, 1, (2, 4, 3)))
    log_p = mg.tensor(np.log(p), requires_grad=True)
    expected = (t * np.log(t / p)).sum() / 4
    got = nn.KLDivLoss(reduction="batchmean")(log_p, mg.tensor(t))
    assert got.item() == pytest.approx(expected, rel=1e-12)
    logs = nn.KLDivLoss(reduction="sum", log_target=True)(log_p, mg.tensor(np.log(t)))
    assert logs.item() == pytest.approx(4 * expected, rel=1e-12)
    target = mg.tensor(t, requires_grad=True)
    assert gradcheck(lambda a, b: F.kl_div(a, b, "sum"), (log_p, target))
    assert gradgradcheck(lambda a, b: F.kl_div(a, b, "sum"), (log_p, target))
    certain = F.kl_div(mg.tensor([-0.5, -2.0]), mg.tensor([1.0, 0.0]), "none")
    np.testing.assert_allclose(certain.numpy(), [0.5, 0.0])
    for make in (
        lambda: F.kl_div(log_p, target, "average"),
        lambda: nn.KLDivLoss(reduction="average"),
    ):
        with pytest.raises(ValueError, match="reduction is 'average', expected"):
            make()


def test_a_target_below_zero_is_no_probability():
    """Its logarithm is not a number, and so is its loss; a target of 0 costs nothing."""
    target = mg.tensor([0.0, -0.2, 0.4])
    loss = nn.KLDivLoss(reduction="none")(mg.tensor([-0.7, -0.3, -1.1]), target)
    assert np.isnan(loss.numpy()).tolist() == [False, True, False]
    assert loss[0].item() == 0

"""A learning rate that is a Tensor is the number that it holds at each step."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

KINDS = [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad]
kinds = pytest.mark.parametrize("kind", KINDS)


def weights(rng) -> list:
    return [nn.Parameter(rng.normal(size=shape)) for shape in ((3, 2), (4,))]


def step(optimizer, tensors, rng) -> None:
    for tensor in tensors:
        tensor.grad = mg.tensor(rng.normal(size=tensor.shape))
    optimizer.step()


@kinds
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_change_in_place_is_seen(kind, shape) -> None:
    runs = []
    for rate in (mg.full(shape, 0.5, dtype=np.float64), 0.5):
        rng = np.random.default_rng(3)
        tensors = weights(rng)
        optimizer = kind(tensors, lr=rate)
        step(optimizer, tensors, rng)
        if isinstance(rate, mg.Tensor):
            rate.mul_(0.25)
        else:
            optimizer.param_groups[0]["lr"] = 0.125
        step(optimizer, tensors, rng)
        runs.append([tensor.detach().numpy() for tensor in tensors])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_type_of_the_rate_does_not_reach_the_weights() -> None:
    weight = nn.Parameter(np.ones(2, np.float32))
    optimizer = optim.SGD([weight], lr=mg.tensor(0.5, dtype=np.float64))
    weight.grad = mg.tensor(np.ones(2, np.float32))
    optimizer.step()
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight.detach().numpy(), [0.5, 0.5])


def test_a_schedule_fills_the_tensor() -> None:
    rate = mg.tensor(0.1)  # float32, in which the rates are rounded
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=rate)
    schedule = optim.ExponentialLR(optimizer, gamma=0.3)
    for t in range(1, 6):
        optimizer.step()
        schedule.step()
        assert optimizer.param_groups[0]["lr"] is rate
        assert rate.item() == np.float32(float(np.float32(0.1)) * 0.3**t)
    assert schedule.get_last_lr() == [rate.item()]
    rate.mul_(2.0)
    with pytest.raises(RuntimeError, match="but this schedule set it to"):
        schedule.step()


def test_a_plateau_fills_the_tensor() -> None:
    rate = mg.tensor(0.5, dtype=np.float64)
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=rate)
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for loss in (1.0, 2.0, 3.0):
        schedule.step(loss)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.125


def test_groups_that_share_a_tensor_cannot_have_different_rates() -> None:
    rate = mg.tensor(0.5)
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([{"params": [a]}, {"params": [b]}], lr=rate)
    alike = optim.LambdaLR(optimizer, lambda t: 1 / (t + 1))
    alike.step()
    assert rate.item() == 0.25
    with pytest.raises(ValueError, match="group 1 is a Tensor that an earlier group has"):
        optim.LambdaLR(optimizer, [lambda t: 1.0, lambda t: 2.0])
    assert rate.item() == 0.25


def test_a_state_has_a_rate_of_its_own_once_loaded() -> None:
    rate, tensors = mg.tensor(0.5), [nn.Parameter([1.0])]
    saved = optim.SGD(tensors, lr=rate).state_dict()
    other = optim.SGD(tensors, lr=0.1)
    other.load_state_dict(saved)
    rate.fill_(9.0)
    found = other.param_groups[0]["lr"]
    assert isinstance(found, mg.Tensor)
    assert found.item() == 0.5


def test_a_schedule_goes_on_from_a_saved_state(tmp_path) -> None:
    def build() -> tuple:
        optimizer = optim.SGD([nn.Parameter([1.0])], lr=mg.tensor(0.5))
        return optimizer, optim.StepLR(optimizer, 2, gamma=0.3)

    optimizer, schedule = build()
    for _ in range(3):
        optimizer.step()
        schedule.step()
    mg.save({"o": optimizer.state_dict(), "s": schedule.state_dict()}, tmp_path / "run.npz")
    state = mg.load(tmp_path / "run.npz")
    again, later = build()
    again.load_state_dict(state["o"])
    later.load_state_dict(state["s"])
    for _ in range(3):
        for o, s in ((optimizer, schedule), (again, later)):
            o.step()
            s.step()
        assert again.param_groups[0]["lr"].item() == optimizer.param_groups[0]["lr"].item()


def test_a_copied_optimiser_has_a_rate_of_its_own() -> None:
    rate = mg.tensor(0.5)
    twin = copy.deepcopy(optim.SGD([nn.Parameter([1.0])], lr=rate))
    rate.fill_(9.0)
    assert twin.param_groups[0]["lr"].item() == 0.5


@kinds
@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (mg.tensor([0.1, 0.2]), r"shape \(2,\)"),
        (mg.tensor(1), "Tensor of int"),
        (mg.tensor(0.1, requires_grad=True), "requires_grad=True"),
        (mg.tensor(-0.5), "lr is -0.5, expected at least 0"),
    ],
)
def test_other_tensors_are_refused(kind, rate, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind([nn.Parameter([1.0])], lr=rate)


@pytest.mark.parity
def test_a_state_of_pytorchs_with_a_tensor_and_a_schedule() -> None:
    torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: make parity")

    def build(library, lr) -> tuple:
        weight = library.tensor([1.0], requires_grad=True)
        module = torch.optim if library is torch else optim
        optimizer = module.SGD([weight], lr=lr)
        return optimizer, module.lr_scheduler.ExponentialLR(optimizer, gamma=0.3)

    theirs, their_schedule = build(torch, torch.tensor(0.7))
    for _ in range(2):
        theirs.step()
        their_schedule.step()
    own, schedule = build(mg, mg.tensor(0.2))
    own.load_state_dict(theirs.state_dict())
    schedule.load_state_dict(their_schedule.state_dict())
    for _ in range(3):
        own.step()
        theirs.step()
        schedule.step()
        their_schedule.step()
        found = own.param_groups[0]["lr"]
        assert found.item() == pytest.approx(theirs.param_groups[0]["lr"].item(), rel=1e-6)

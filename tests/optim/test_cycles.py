"""OneCycleLR and warm restarts."""

import math
import re

import pytest

import minigrad as mg
from minigrad import nn, optim


def sgd(**options: object) -> optim.SGD:
    return optim.SGD([nn.Parameter([1.5])], lr=0.7, momentum=0.9, **options)


def test_one_cycle_by_hand() -> None:
    """0.1 to 0.8 in steps 0 to 4, then to 0.025 in steps 4 to 9."""
    optimizer = sgd()
    schedule = optim.OneCycleLR(
        optimizer,
        0.8,
        total_steps=10,
        pct_start=0.5,
        anneal_strategy="linear",
        div_factor=8.0,
        final_div_factor=4.0,
        base_momentum=0.5,
        max_momentum=0.9,
    )
    rates, momenta = [], []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        if len(rates) < 11:
            schedule.step()
    up = [0.1 + 0.175 * i for i in range(5)]
    down = [0.8 - 0.155 * i for i in range(1, 6)]
    assert rates == pytest.approx([*up, *down, 0.025], rel=1e-12)
    back = [0.5 + 0.08 * i for i in range(1, 6)]
    assert momenta == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, *back, 0.9], rel=1e-12)
    before = schedule.state_dict(), dict(optimizer.param_groups[0])
    with pytest.raises(ValueError, match="step 11, but the cycle has 10 steps"):
        schedule.step()
    assert before == (schedule.state_dict(), optimizer.param_groups[0])


def test_three_phases_by_hand() -> None:
    """With "cos", half of a phase is half of the way: 0.1, 0.8 at 2, 0.1 at 4, 0.025 at 9."""
    optimizer = optim.Adam([nn.Parameter([1.5])], betas=(0.8, 0.99))
    schedule = optim.OneCycleLR(
        optimizer, 0.8, epochs=5, steps_per_epoch=2, div_factor=8.0, final_div_factor=4.0,
        three_phase=True,
    )  # fmt: skip
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.99)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    last = [0.0625 + 0.0375 * math.cos(math.pi * i / 5) for i in range(1, 6)]
    assert rates == pytest.approx([0.1, 0.45, 0.8, 0.45, 0.1, *last], rel=1e-12)


def test_a_highest_rate_for_each_group() -> None:
    groups = [{"params": [nn.Parameter([1.5])]}, {"params": [nn.Parameter([2.5])]}]
    schedule = optim.OneCycleLR(optim.SGD(groups), [0.5, 0.25], total_steps=10)
    assert schedule.get_last_lr() == pytest.approx([0.02, 0.01], rel=1e-12)
    with pytest.raises(ValueError, match="max_lr has 3 rates, expected one, or 2"):
        optim.OneCycleLR(optim.SGD(groups), [0.5, 0.25, 0.3], total_steps=10)


def test_a_cycle_goes_on_from_its_state() -> None:
    first, second = sgd(), sgd()
    schedule = optim.OneCycleLR(first, 0.8, total_steps=12)
    for _ in range(5):
        schedule.step()
    other = optim.OneCycleLR(second, 0.3, total_steps=90, anneal_strategy="linear")
    second.load_state_dict(first.state_dict())
    other.load_state_dict(schedule.state_dict())
    for _ in range(6):
        for name in ("lr", "momentum"):
            assert first.param_groups[0][name] == second.param_groups[0][name]
        schedule.step()
        other.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no length, expected total_steps, or epochs and steps_per_epoch"),
        ({"epochs": 3}, "no length"),
        ({"total_steps": 0}, "total_steps is 0"),
        ({"total_steps": 9, "pct_start": 1.5}, "pct_start is 1.5, expected 0 to 1"),
        ({"total_steps": 9, "anneal_strategy": "exp"}, "anneal_strategy is 'exp'"),
        ({"total_steps": 9, "div_factor": 0.0}, "div_factor is 0.0, expected more than 0"),
        ({"total_steps": 9, "max_momentum": 0.5}, "max_momentum 0.5, expected 0 <= base"),
    ],
)
def test_what_is_no_cycle(options: dict, message: str) -> None:
    optimizer = sgd()
    before = dict(optimizer.param_groups[0])
    with pytest.raises(ValueError, match=re.escape(message)):
        optim.OneCycleLR(optimizer, 0.8, **options)
    assert optimizer.param_groups[0] == before


def test_an_optimiser_without_momentum() -> None:
    optimizer = optim.Adagrad([nn.Parameter([1.5])])
    with pytest.raises(ValueError, match="Adagrad has neither momentum nor betas"):
        optim.OneCycleLR(optimizer, 0.8, total_steps=9)
    optim.OneCycleLR(optimizer, 0.5, total_steps=9, cycle_momentum=False)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02, rel=1e-12)


@pytest.mark.parametrize("options", [{"T_0": 0}, {"T_0": 2.5}, {"T_0": 3, "T_mult": 0}])
def test_what_is_no_run(options: dict) -> None:
    with pytest.raises(ValueError, match="expected an integer of at least 1"):
        optim.CosineAnnealingWarmRestarts(sgd(), **options)


@pytest.mark.parametrize(
    "make", [lambda o: optim.OneCycleLR(o, 0.8, 9), lambda o: optim.ReduceLROnPlateau(o)]
)
def test_what_is_no_part_of_a_sequence(make) -> None:
    optimizer = sgd()
    with pytest.raises(ValueError, match=r"schedule 1 is a .*, which cannot be a part of it"):
        optim.SequentialLR(optimizer, [optim.StepLR(optimizer, 2), make(optimizer)], [3])


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pct_start": 0.1, "anneal_strategy": "linear"},
        {"three_phase": True, "div_factor": 4.0, "final_div_factor": 30.0},
        {"pct_start": 0.0},
        {"pct_start": 1.0},
        {"base_momentum": 0.2, "max_momentum": 0.6},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_cycle_is_pytorchs(torch, options: dict, name: str) -> None:
    extra = {"momentum": 0.9} if name == "SGD" else {}
    ours = getattr(optim, name)([nn.Parameter([1.5])], lr=0.7, **extra)
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))], lr=0.7, **extra)
    a = optim.OneCycleLR(ours, 0.8, total_steps=23, **options)
    b = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.8, total_steps=23, **options)
    for step in range(23):
        p, q = ours.param_groups[0], theirs.param_groups[0]
        assert p["lr"] == pytest.approx(q["lr"], rel=1e-9)
        momentum = (p["momentum"], q["momentum"]) if name == "SGD" else (p["betas"], q["betas"])
        assert momentum[0] == pytest.approx(momentum[1], rel=1e-9)
        if step == 9:
            ours.load_state_dict(theirs.state_dict())
            a.load_state_dict(b.state_dict())
        if step < 22:
            a.step(), theirs.step(), b.step()


def test_a_cycle_is_saved_in_a_checkpoint(tmp_path) -> None:
    schedule = optim.OneCycleLR(sgd(), 0.8, total_steps=12)
    mg.save(schedule.state_dict(), tmp_path / "x.npz")
    assert mg.load(tmp_path / "x.npz") == schedule.state_dict()

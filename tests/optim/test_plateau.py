"""ReduceLROnPlateau."""

import math

import pytest

import minigrad as mg
from minigrad import nn, optim


def made(**options: object) -> optim.ReduceLROnPlateau:
    optimizer = optim.SGD([nn.Parameter([1.5])], lr=0.8)
    return optim.ReduceLROnPlateau(optimizer, **options)


def rates(schedule: optim.ReduceLROnPlateau, measures: list) -> list:
    found = []
    for measure in measures:
        schedule.step(measure)
        found.append(schedule.optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr() == found[-1:]
    return found


def test_patience_and_cooldown_by_hand() -> None:
    schedule = made(factor=0.5, patience=1, cooldown=2)
    # best 3; bad 1, 2: reduced; two calls of rest; bad 1, 2: reduced
    measures = [3.0, 3.0, 4.0, 5.0, 5.0, 5.0, math.nan]
    assert rates(schedule, measures) == [0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2]


@pytest.mark.parametrize(
    ("options", "measures", "improves"),
    [
        ({}, [10.0, 8.9], True),
        ({}, [10.0, 9.1], False),
        ({"threshold_mode": "abs"}, [10.0, 9.8], True),
        ({"threshold_mode": "abs"}, [10.0, 9.95], False),
        ({"mode": "max"}, [10.0, 11.1], True),
        ({"mode": "max"}, [10.0, 10.9], False),
        ({"mode": "max", "threshold_mode": "abs"}, [10.0, 10.2], True),
        ({"mode": "max", "threshold_mode": "abs"}, [10.0, 10.05], False),
    ],
)
def test_what_counts_as_better(options: dict, measures: list, improves: bool) -> None:
    schedule = made(factor=0.5, patience=0, threshold=0.1, **options)
    assert rates(schedule, measures) == [0.8, 0.8 if improves else 0.4]


def test_the_rate_has_a_floor_and_tiny_steps_are_left_out() -> None:
    assert rates(made(factor=0.5, patience=0, min_lr=0.3), [2.0] * 4) == [0.8, 0.4, 0.3, 0.3]
    assert rates(made(factor=0.5, patience=0, eps=0.25), [2.0] * 4) == [0.8, 0.4, 0.4, 0.4]


def test_it_goes_on_from_a_rate_set_by_hand() -> None:
    schedule = made(factor=0.5, patience=0)
    schedule.step(2.0)
    schedule.optimizer.param_groups[0]["lr"] = 0.6
    schedule.step(mg.tensor(3.0))
    assert schedule.get_last_lr() == [0.3]


def test_a_saved_one_goes_on(tmp_path) -> None:
    first, second = made(factor=0.5, patience=1, mode="max"), made()
    rates(first, [2.0, 1.0])
    mg.save({"o": first.optimizer.state_dict(), "s": first.state_dict()}, tmp_path / "x.npz")
    state = mg.load(tmp_path / "x.npz")
    second.optimizer.load_state_dict(state["o"])
    second.load_state_dict(state["s"])
    assert rates(second, [1.5, 1.0, 1.0]) == rates(first, [1.5, 1.0, 1.0]) == [0.4, 0.4, 0.2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "low"}, "mode is 'low'"),
        ({"threshold_mode": "log"}, "threshold_mode is 'log'"),
        ({"factor": 1.0}, "factor is 1.0"),
        ({"patience": -1}, "patience is -1"),
        ({"min_lr": math.nan}, "min_lr is nan"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


@pytest.mark.parametrize("measure", [None, "low", [2.0, 3.0], mg.tensor([2.0, 3.0])])
def test_a_measure_is_a_number(measure: object) -> None:
    schedule = made()
    before = schedule.state_dict()
    with pytest.raises(TypeError, match="expected a number, such as the loss"):
        schedule.step(measure)
    assert schedule.state_dict() == before


@pytest.mark.parity
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_two_hundred_steps_are_pytorchs(torch, rng, mode: str, threshold_mode: str) -> None:
    options = {
        "mode": mode,
        "threshold_mode": threshold_mode,
        "factor": 0.7,
        "patience": 3,
        "threshold": 0.01,
        "cooldown": 2,
        "min_lr": 1e-3,
    }
    ours = made(**options)
    stepper = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.8)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(stepper, **options)
    for step in range(200):
        measure = float(rng.normal()) + 0.05 * step * (1 if mode == "max" else -1)
        ours.step(measure), theirs.step(measure)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)
        if step == 90:
            ours.optimizer.load_state_dict(stepper.state_dict())
            ours.load_state_dict(theirs.state_dict())

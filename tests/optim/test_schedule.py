"""Schedules: rates by hand, joined, saved, and beside PyTorch's."""

import math

import pytest

import minigrad as mg
from minigrad import nn, optim


def optimizer(*rates: float) -> optim.SGD:
    groups = [{"params": [nn.Parameter([1.0])], "lr": rate} for rate in rates or (0.8,)]
    return optim.SGD(groups)


def rates(schedule: optim.LRScheduler, steps: int) -> list:
    """The first group's rate at each of ``steps`` steps."""
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.step()
    return found


CASES = {
    "StepLR": (lambda s, o: s.StepLR(o, step_size=2, gamma=0.5), [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]),
    "MultiStepLR": (
        lambda s, o: s.MultiStepLR(o, milestones=[1, 4], gamma=0.5),
        [0.8, 0.4, 0.4, 0.4, 0.2, 0.2],
    ),
    "MultiStepLR, twice the same": (
        lambda s, o: s.MultiStepLR(o, milestones=[3, 1, 3], gamma=0.5),
        [0.8, 0.4, 0.4, 0.1, 0.1, 0.1],
    ),
    "ExponentialLR": (lambda s, o: s.ExponentialLR(o, gamma=0.5), [0.8, 0.4, 0.2, 0.1, 0.05]),
    "LinearLR": (
        lambda s, o: s.LinearLR(o, start_factor=0.25, total_iters=3),
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8],
    ),
    "LinearLR down": (
        lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=4),
        [0.8, 0.6, 0.4, 0.2, 0.0, 0.0],
    ),
    "CosineAnnealingLR": (
        lambda s, o: s.CosineAnnealingLR(o, T_max=4),
        [0.8, 0.4 + 0.4 / math.sqrt(2), 0.4, 0.4 - 0.4 / math.sqrt(2), 0.0],
    ),
    "CosineAnnealingLR with a floor, and climbing again": (
        lambda s, o: s.CosineAnnealingLR(o, T_max=2, eta_min=0.2),
        [0.8, 0.5, 0.2, 0.5, 0.8, 0.5],
    ),
    "CosineAnnealingWarmRestarts": (
        lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=2, eta_min=0.2),
        [0.8, 0.5, 0.8, 0.5, 0.8],
    ),
    "CosineAnnealingWarmRestarts, longer each time": (
        lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=1, T_mult=2),
        [0.8, 0.8, 0.4, 0.8, 0.4 + 0.4 / math.sqrt(2), 0.4, 0.4 - 0.4 / math.sqrt(2), 0.8],
    ),
    "LambdaLR": (lambda s, o: s.LambdaLR(o, lambda t: 1 / (t + 1)), [0.8, 0.4, 0.8 / 3, 0.2]),
    "SequentialLR": (
        lambda s, o: s.SequentialLR(
            o,
            [
                s.LinearLR(o, start_factor=0.5, total_iters=2),
                s.CosineAnnealingLR(o, T_max=2),
                s.ExponentialLR(o, gamma=0.5),
            ],
            milestones=[2, 4],
        ),
        [0.4, 0.6, 0.8, 0.4, 0.8, 0.4, 0.2],
    ),
}
cases = pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)


@cases
def test_rates_by_hand(make, expected: list) -> None:
    schedule = make(optim, optimizer())
    assert rates(schedule, len(expected)) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@cases
def test_each_group_has_its_own_base(make, expected: list) -> None:
    schedule = make(optim, optimizer(0.3, 0.8))
    for _ in expected[1:]:
        schedule.step()
    assert schedule.get_last_lr()[1] == pytest.approx(expected[-1], rel=1e-12, abs=1e-15)
    assert schedule.optimizer.param_groups[1]["lr"] == schedule.get_last_lr()[1]


@cases
def test_a_saved_schedule_goes_on(make, expected: list) -> None:
    first, second = optimizer(), optimizer()
    schedule = make(optim, first)
    for _ in range(3):
        schedule.step()
    resumed = make(optim, second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert rates(resumed, len(expected) - 3) == pytest.approx(expected[3:], rel=1e-12, abs=1e-15)


def test_last_epoch_goes_on_too() -> None:
    first, second = optimizer(), optimizer()
    schedule = optim.ExponentialLR(first, gamma=0.5)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="last_epoch is 2, but group 0 has no 'initial_lr'"):
        optim.ExponentialLR(second, gamma=0.5, last_epoch=2)
    second.load_state_dict(first.state_dict())
    resumed = optim.ExponentialLR(second, gamma=0.5, last_epoch=2)
    assert resumed.get_last_lr() == schedule.get_last_lr() == [0.1]


def test_a_function_for_each_group() -> None:
    schedule = optim.LambdaLR(optimizer(0.3, 0.8), [lambda t: 1 + t, lambda t: 1 - t / 10])
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.6, 0.72])
    with pytest.raises(ValueError, match="got 1 functions, expected 2"):
        optim.LambdaLR(optimizer(0.3, 0.8), [lambda t: 1.0])


def test_a_group_that_comes_later_starts_from_its_own_rate() -> None:
    stepper = optimizer()
    schedule = optim.ExponentialLR(stepper, gamma=0.5)
    stepper.add_param_group({"params": [nn.Parameter([1.0])], "lr": 0.4})
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.4, 0.2])


def test_the_optimiser_steps_with_the_rate_that_was_set() -> None:
    x = nn.Parameter([0.0])
    stepper = optim.SGD([x], lr=0.8)
    schedule = optim.StepLR(stepper, step_size=1, gamma=0.5)
    for _ in range(3):
        x.grad = mg.tensor([1.0])
        stepper.step()
        schedule.step()
    assert x.item() == pytest.approx(-(0.8 + 0.4 + 0.2))


def test_a_rate_that_something_else_changed_is_an_error() -> None:
    stepper = optimizer()
    schedule = optim.StepLR(stepper, step_size=3)
    stepper.param_groups[0]["lr"] = 0.01
    with pytest.raises(RuntimeError, match=r"rate of group 0 is 0.01, but this schedule set it"):
        schedule.step()
    stepper = optimizer()
    warm_up, decay = optim.LinearLR(stepper), optim.ExponentialLR(stepper, gamma=0.9)
    decay.step()
    with pytest.raises(RuntimeError, match="join schedules with SequentialLR"):
        warm_up.step()


def test_a_changed_initial_rate_counts() -> None:
    stepper = optimizer()
    schedule = optim.ExponentialLR(stepper, gamma=0.5)
    stepper.param_groups[0]["initial_lr"] = 8.0
    schedule.step()
    assert schedule.get_last_lr() == [4.0]


def test_what_cannot_be_a_schedule() -> None:
    stepper, other = optimizer(), optimizer()
    linear = optim.LinearLR(stepper)
    for call, kind, message in [
        (lambda: optim.StepLR(nn.Linear(2, 2), 3), TypeError, "got a Linear, expected an Optim"),
        (lambda: optim.StepLR(stepper, 0), ValueError, "StepLR: step_size is 0"),
        (lambda: optim.CosineAnnealingLR(stepper, 0), ValueError, "T_max is 0"),
        (lambda: optim.LinearLR(stepper, total_iters=0), ValueError, "total_iters is 0"),
        (lambda: optim.LinearLR(stepper, 0.0), ValueError, "factors are 0.0 and 1.0"),
        (lambda: optim.LinearLR(stepper, 0.5, 1.5), ValueError, "factors are 0.5 and 1.5"),
        (lambda: optim.SequentialLR(stepper, [], []), ValueError, "one milestone less"),
        (lambda: optim.SequentialLR(stepper, [linear], [3]), ValueError, "one milestone less"),
        (
            lambda: optim.SequentialLR(stepper, [linear] * 3, [4, 2]),
            ValueError,
            "expected growing numbers",
        ),
        (
            lambda: optim.SequentialLR(other, [linear], []),
            ValueError,
            "schedule 0 was made for another optimiser",
        ),
        (lambda: optim.LRScheduler(stepper), NotImplementedError, "rate is not written"),
    ]:
        with pytest.raises(kind, match=message):
            call()


def test_repr_says_where_it_is() -> None:
    schedule = optim.StepLR(optimizer(), 1, gamma=0.5)
    schedule.step()
    assert repr(schedule) == "StepLR(last_epoch=1, lr=[0.4])"


@pytest.mark.parity
@cases
def test_rates_are_pytorchs(torch, make, expected: list) -> None:
    ours = make(optim, optimizer())
    stepper = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.8)
    theirs = make(torch.optim.lr_scheduler, stepper)
    for step in range(25):
        assert ours.get_last_lr()[0] == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12)
        assert ours.last_epoch == theirs.last_epoch == step
        ours.step()
        stepper.step()
        theirs.step()


def test_a_last_epoch_below_minus_one_is_refused() -> None:
    o = optimizer(0.7)
    o.param_groups[0]["initial_lr"] = 0.7
    with pytest.raises(ValueError, match="last_epoch is -5, expected at least -1"):
        optim.LinearLR(o, last_epoch=-5)
    assert o.param_groups[0]["lr"] == 0.7


def schedules():
    def optimizer():
        return optim.SGD([mg.nn.Parameter([1.5])], lr=0.8)

    first, second = optimizer(), optimizer()
    yield (
        optim.CosineAnnealingLR(first, T_max=7, eta_min=0.05),
        optim.CosineAnnealingLR(second, T_max=90),
    )
    first, second = optimizer(), optimizer()
    yield optim.StepLR(first, step_size=2, gamma=0.3), optim.StepLR(second, step_size=5)
    first, second = optimizer(), optimizer()
    yield (
        optim.SequentialLR(
            first,
            [optim.LinearLR(first, 0.2, total_iters=3), optim.StepLR(first, 2, 0.5)],
            [3],
        ),
        optim.SequentialLR(
            second,
            [optim.LinearLR(second, 0.9, total_iters=8), optim.StepLR(second, 9, 0.9)],
            [6],
        ),
    )


@pytest.mark.parametrize("pair", range(3))
def test_a_schedule_is_restored_with_the_numbers_it_was_made_with(pair, tmp_path):
    saved, other = list(schedules())[pair]
    for _ in range(4):
        saved.step()
    mg.save({"o": saved.optimizer.state_dict(), "s": saved.state_dict()}, tmp_path / "x.npz")
    state = mg.load(tmp_path / "x.npz")
    other.optimizer.load_state_dict(state["o"])
    other.load_state_dict(state["s"])
    for _ in range(6):
        assert other.get_last_lr() == saved.get_last_lr()
        saved.step()
        other.step()


@pytest.mark.parametrize("state", [{}, {"last_epoch": -1}, {"last_epoch": 2.5}, 3])
def test_what_is_no_state_of_a_schedule_is_refused(state):
    schedule, _ = next(schedules())
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="expected a number from 0"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


def test_a_state_that_gives_no_rate_is_refused():
    schedule = optim.CosineAnnealingLR(optimizer(0.8), T_max=7)
    schedule.step()
    before = schedule.state_dict(), schedule.optimizer.param_groups[0]["lr"]
    for T_max in (0, "seven"):
        with pytest.raises(ValueError, match="gives no learning rate"):
            schedule.load_state_dict({"last_epoch": 3, "T_max": T_max})
        assert before == (schedule.state_dict(), schedule.optimizer.param_groups[0]["lr"])

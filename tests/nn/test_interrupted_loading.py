"""Ctrl-C while a state is loaded: all of it is there afterwards, or nothing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
from minigrad import nn, optim

PACKAGE = str(Path(mg.__file__).parent)


def interrupted(function: Callable[[], None]) -> Iterator[int]:
    """Call ``function`` again and again, interrupted at another line of the package each time."""
    moment = left = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line" and frame.f_code.co_filename.startswith(PACKAGE):
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    while True:
        left = moment + 1
        sys.settrace(trace)
        try:
            function()
        except KeyboardInterrupt:
            yield moment
        else:
            return
        finally:
            sys.settrace(None)
        moment += 1


def test_a_module_is_never_half_of_one_state_and_half_of_another() -> None:
    new = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).state_dict()
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    old = {name: mg.tensor(t) for name, t in model.state_dict().items()}
    outcomes = set()

    def which() -> str:
        now = model.state_dict()
        for label, state in (("old", old), ("new", new)):
            if all(now[name].tolist() == state[name].tolist() for name in state):
                return label
        return "a mixture"

    for _ in interrupted(lambda: model.load_state_dict(new)):
        outcomes.add(which())
        model.load_state_dict(old)
    assert outcomes == {"old", "new"}


@pytest.mark.parametrize("make", [optim.Adam, lambda p: optim.SGD(p, 0.1, 0.9)])
def test_an_optimiser_neither(make: Any) -> None:
    p = nn.Parameter([1.5, 2.5])

    def trained(steps: int, lr: float) -> Any:
        optimizer = make([p])
        optimizer.param_groups[0]["lr"] = lr
        for _ in range(steps):
            p.grad = mg.tensor([0.5, -0.25])
            optimizer.step()
        return optimizer

    optimizer, new = trained(1, 0.5), trained(3, 0.25).state_dict()

    def state() -> Any:
        lr = optimizer.param_groups[0]["lr"]
        return lr, {k: str(v) for k, v in optimizer.state_dict()["state"][0].items()}

    old, before = optimizer.state_dict(), state()
    old = {
        "state": {0: dict(old["state"][0])},
        "param_groups": old["param_groups"],
    }
    outcomes = []
    for _ in interrupted(lambda: optimizer.load_state_dict(new)):
        outcomes.append(state())
        optimizer.load_state_dict(old)
    optimizer.load_state_dict(new)
    after = state()
    assert before != after
    assert {str(o) for o in outcomes} == {str(before), str(after)}


def test_a_schedule_neither() -> None:
    optimizer = optim.SGD([nn.Parameter([1.5])], lr=0.8)

    def made(start: float, total: int, milestone: int) -> optim.SequentialLR:
        parts = [optim.LinearLR(optimizer, start, total_iters=total), optim.StepLR(optimizer, 2)]
        return optim.SequentialLR(optimizer, parts, [milestone])

    new = made(0.25, 4, 3)
    new.step()
    after = new.state_dict()
    schedule = made(0.5, 9, 7)
    before = schedule.state_dict()

    def state() -> str:
        return str((schedule.state_dict(), optimizer.param_groups[0]["lr"]))

    whole = {state()}
    schedule.load_state_dict(after)
    whole.add(state())
    assert len(whole) == 2
    schedule.load_state_dict(before)
    outcomes = set()
    for _ in interrupted(lambda: schedule.load_state_dict(after)):
        outcomes.add(state())
        schedule.load_state_dict(before)
    assert outcomes == whole

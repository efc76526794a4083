"""Ctrl-C while a state is loaded: all of it is there afterwards, or nothing."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import minigrad as mg
from minigrad import nn, optim


def interrupted(function: Callable[[], None], file: str) -> Iterator[int]:
    """Call ``function`` again and again, interrupted at another line of ``file`` each time."""
    moment = left = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line" and frame.f_code.co_filename.endswith(file):
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

    for _ in interrupted(lambda: model.load_state_dict(new), "nn/state.py"):
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
    for _ in interrupted(lambda: optimizer.load_state_dict(new), "optim/optimizer.py"):
        outcomes.append(state())
        optimizer.load_state_dict(old)
    optimizer.load_state_dict(new)
    after = state()
    assert before != after
    assert {str(o) for o in outcomes} == {str(before), str(after)}

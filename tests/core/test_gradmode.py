"""no_grad, enable_grad, set_grad_enabled."""

import asyncio
import functools
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.interrupts import interrupted


def recorded() -> bool:
    return (mg.tensor([2.0], requires_grad=True) * 3).requires_grad


def test_no_grad_records_nothing_and_ends():
    with mg.no_grad():
        assert not recorded()
        assert not mg.is_grad_enabled()
    assert recorded()


def test_enable_grad_inside_no_grad():
    with mg.no_grad():
        with mg.enable_grad():
            assert recorded()
        assert not recorded()


def test_set_grad_enabled_takes_a_condition():
    for mode in (True, False):
        with mg.set_grad_enabled(mode):
            assert recorded() is mode


def test_an_exception_ends_it_too():
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert recorded()


def test_as_a_decorator_also_of_a_function_that_calls_itself():
    @mg.no_grad()
    def countdown(n):
        return [recorded()] + (countdown(n - 1) if n else [])

    assert countdown(3) == [False] * 4
    assert recorded()


def test_each_thread_has_its_own_mode():
    answers = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: answers.append(recorded()))
        thread.start()
        thread.join()
    assert answers == [True]


def test_set_grad_enabled_as_a_statement_holds_until_the_next():
    mg.set_grad_enabled(False)
    try:
        assert not recorded()
    finally:
        mg.set_grad_enabled(True)
    assert recorded()


def test_set_grad_enabled_as_a_decorator_holds_within_the_function_only():
    @mg.set_grad_enabled(False)
    def function():
        return recorded()

    assert recorded()
    assert function() is False
    assert recorded()


def test_a_generator_cannot_be_decorated():
    with pytest.raises(TypeError, match="generator"):

        @mg.no_grad()
        def numbers():
            yield recorded()


@pytest.mark.parametrize("mode", [True, False])
def test_set_grad_enabled_can_be_entered_again(mode):
    switch = mg.set_grad_enabled(mode)
    for _ in range(3):
        with switch:
            assert recorded() is mode
        assert recorded()


def test_one_object_inside_itself():
    off = mg.no_grad()
    with off:
        with off:
            assert not recorded()
        assert not recorded()
    assert recorded()


class Answer:
    def __call__(self):
        return recorded()


class Asked(nn.Module):
    def forward(self, sign):
        return recorded() is sign


def test_whatever_can_be_called_can_be_decorated():
    assert mg.no_grad()(functools.partial(recorded))() is False
    assert mg.no_grad()(Answer())() is False
    assert mg.no_grad()(Answer().__call__)() is False
    assert mg.no_grad()(Asked())(False)
    assert mg.no_grad()(len)([2, 3]) == 2
    assert recorded()


class Numbers:
    def __call__(self):
        yield recorded()


async def answer():
    return recorded()


@pytest.mark.parametrize("later", [functools.partial(Numbers()), Numbers(), answer])
def test_what_runs_later_cannot_be_decorated(later):
    with pytest.raises(TypeError, match="runs later"):
        mg.no_grad()(later)


def test_a_class_cannot_be_decorated():
    with pytest.raises(TypeError, match="Answer is a class; decorate its methods"):
        mg.no_grad()(Answer)


def test_each_task_has_its_own_mode():
    async def without(inside, done):
        with mg.no_grad():
            inside.set()
            await done.wait()
            return recorded()

    async def beside(inside, done):
        await inside.wait()
        answer = recorded()
        done.set()
        return answer

    async def main():
        inside, done = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(without(inside, done), beside(inside, done))

    assert asyncio.run(main()) == [False, True]
    assert recorded()


# Python ignores what is raised in the callback of a weak reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_at_any_moment_leaves_the_mode_as_it_was():
    x = mg.tensor([[0.5, -1.5]], requires_grad=True)
    layer = nn.Linear(2, 1)
    errors = np.geterr()

    def run():
        layer.zero_grad()
        loss = (layer(x) * 2).sum()
        loss.backward()
        with mg.no_grad():
            layer(x)
        mg.grad((layer(x) ** 2).sum(), x, create_graph=True)

    places = 0
    for place in interrupted(run):
        places += 1
        # Python enters __exit__, which is a function as well, before it can do anything.
        if not (place.endswith("__exit__") and "gradmode" in place):
            assert mg.is_grad_enabled(), place
        mg.set_grad_enabled(True)
        assert np.geterr() == errors, place
    assert places > 200

"""no_grad, enable_grad, set_grad_enabled."""

import threading

import pytest

import minigrad as mg


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

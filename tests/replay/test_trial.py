"""When a replay counts as doing what the step does."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.replay.trial import altered, difference, is_symmetric

INF, NAN = float("inf"), float("nan")


def near(name: str, value: Any, expected: Any, beside: float = 1.0) -> bool:
    """Whether ``value`` passes where ``expected`` is due, with another gradient beside it."""
    found = {name: np.float32(value), "the gradient of b": np.float32([beside])}
    wanted = {name: np.float32(expected), "the gradient of b": np.float32([beside])}
    what = difference(found, wanted)
    assert what in (None, name)
    return what is None


def test_results_agree_to_three_digits_of_the_largest() -> None:
    assert near("output 0", [1.0005, 2], [1, 2])
    assert not near("output 0", [1.005, 2], [1, 2])
    assert not near("output 0", [1e-9], [-2e-9])


def test_a_gradient_that_is_zero_but_for_rounding_is_measured_by_the_others() -> None:
    assert near("the gradient of a", [1e-9], [-2e-9])
    assert not near("the gradient of a", [1e-9], [-2e-9], beside=1e-6)
    assert not near("the gradient of a", [1e-3], [-2e-3])


def test_what_is_no_number_must_be_where_it_was_and_excuses_nothing() -> None:
    assert near("output 0", [INF, NAN, 1], [INF, NAN, 1])
    assert not near("output 0", [5, INF], [1, INF])
    assert not near("output 0", [5, NAN], [1, NAN])
    assert not near("output 0", [1, 2], [1, NAN])


def test_a_gradient_must_be_there_or_not() -> None:
    one = np.float32([1])
    assert difference({"a": None}, {"a": None}) is None
    assert difference({"a": None}, {"a": one}) == "a"
    assert difference({"a": one}, {"a": None}) == "a"


def test_integers_must_be_equal() -> None:
    assert difference({"n": np.int64(7)}, {"n": np.int64(7)}) is None
    assert difference({"n": np.int64(10**9)}, {"n": np.int64(10**9 + 1)}) == "n"


def test_other_inputs_are_of_the_same_kind() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, -4.0]])
    assert altered(x).tolist() == [[-3.0, 2.25], [1.5, 0.75]]
    labels = altered(mg.tensor([3, 0, 1]))
    assert (labels.tolist(), labels.dtype) == ([1, 0, 3], np.int64)


def test_inputs_that_cannot_be_told_from_others() -> None:
    assert is_symmetric(mg.zeros(2, 3))
    assert is_symmetric(mg.tensor([1, 2, 1]))
    assert not is_symmetric(mg.ones(3))
    assert not is_symmetric(mg.tensor([1, 2]))
    assert not is_symmetric(mg.tensor(5)), "a single integer is taken as it is"

"""Numbers of an optimiser that change from step to step: the learning rate, Adam's count.

A rule computes with them in Python, ``lr / (1 - beta1**t)``, before it multiplies an array with the
result. In a plan each would be the number that it was. So while a rule is recorded it is given
``Number`` objects: arithmetic gives others, which remember how they were computed, and where one
meets an array it becomes a place in memory, which the plan reads. ``LiveNumbers.refresh`` computes
all anew, with Python's floats as the rule does, and writes them to their places.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array

Key = tuple[Any, ...]


class LiveNumbers:
    """All numbers of one recording.

    ``read`` gives those that rules start from: the options and counts, by name.
    """

    def __init__(self, read: Callable[[], dict[Key, Any]]) -> None:
        self.read = read
        self.values = read()
        self.places: dict[tuple[Key, str], Array] = {}
        self.questions: dict[Key, bool] = {}

    def number(self, *name: Any) -> "Number":
        """The number of this name."""
        return Number(self, name)

    def value(self, key: Key, values: dict[Key, Any]) -> Any:
        """What a number is now."""
        if isinstance(key[0], str):
            return values[key]
        function, *operands = key
        return function(*(self.value(o, values) if type(o) is tuple else o for o in operands))

    def place(self, number: "Number", kind: np.dtype[Any]) -> Array:
        """The memory () that holds ``number`` in an array's own type, as NumPy would convert it."""
        key = number.key, kind.char
        if key not in self.places:
            self.places[key] = np.full((), self.value(number.key, self.values), kind)
        return self.places[key]

    def ask(self, key: Key) -> bool:
        """Whether a number is other than 0, and that it will be asked again."""
        self.questions[key] = answer = bool(self.value(key, self.values))
        return answer

    def refresh(self) -> bool:
        """Write what the numbers are now. False if a rule would go another way with them."""
        values = self.read()
        if values != self.values:
            for key, answer in self.questions.items():
                if bool(self.value(key, values)) is not answer:
                    return False
            self.values = values
            for (key, _), place in self.places.items():
                place[...] = self.value(key, values)
        return True


class Number:
    """A number that knows how it is computed."""

    __eq__ = None  # type: ignore[assignment]  # a comparison would be answered once and for all
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, numbers: LiveNumbers, key: Key) -> None:
        self.numbers, self.key = numbers, key

    def __bool__(self) -> bool:
        return self.numbers.ask(self.key)


def _arithmetic(name: str, turned: bool) -> Callable[[Number, Any], Any]:
    function, ufunc = getattr(operator, name), getattr(np, UFUNCS[name])

    def method(self: Number, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return ufunc(other, self) if turned else ufunc(self, other)
        operand = other.key if isinstance(other, Number) else other
        pair = (operand, self.key) if turned else (self.key, operand)
        return Number(self.numbers, (function, *pair))

    return method


UFUNCS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power"}
for _name in UFUNCS:
    setattr(Number, f"__{_name}__", _arithmetic(_name, turned=False))
    setattr(Number, f"__r{_name}__", _arithmetic(_name, turned=True))


def placed(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of a function of NumPy, with places for the numbers among them."""
    if not any(type(value) is Number for value in inputs):
        return inputs
    kinds = {value.dtype for value in inputs if isinstance(value, np.ndarray)}
    if len(kinds) != 1 or (kind := kinds.pop()).kind != "f":
        raise TypeError(f"a number meets arrays of {kinds or kind}, expected one floating type")
    return tuple(v.numbers.place(v, kind) if type(v) is Number else v for v in inputs)

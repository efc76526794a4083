"""What is asked for and not there: an AttributeError that names the nearest name that is."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..core.variable import Variable


def missing(owner: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error for ``name``, which ``owner`` lacks; ``names`` are those it has."""
    text = f"{owner} has no attribute {name!r}"
    close = [] if name.startswith("_") else difflib.get_close_matches(name, names, n=1)
    return AttributeError(f"{text}; there is {close[0]!r}" if close else text)


class Nearest(Variable):
    """A Tensor, asked for a method that it lacks."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker keeps to the names there are

        def __getattr__(self, name):
            if hasattr(type(self), name):  # a property refused: its own words
                return object.__getattribute__(self, name)
            raise missing(f"{type(self).__name__!r} object", name, dir(type(self)))

"""What is asked for and not there: an AttributeError that names the nearest name that is."""

import difflib
from collections.abc import Iterable


def missing(owner: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error for ``name``, which ``owner`` lacks; ``names`` are those it has."""
    text = f"{owner} has no attribute {name!r}"
    close = [] if name.startswith("_") else difflib.get_close_matches(name, names, n=1)
    return AttributeError(f"{text}; there is {close[0]!r}" if close else text)

"""Ctrl-C at every moment of a run.

Python looks for it where a function of its own begins, and where a call of one in C has returned;
these are the moments at which a function for ``sys.setprofile`` can raise it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


def points(run: Callable[[], object]) -> int:
    """How many moments there are in ``run``."""
    return _traced(run, at=-1)


def interrupted(run: Callable[[], object], every: int = 1) -> Iterator[str]:
    """Run it again and again, each time with a KeyboardInterrupt at a later moment, ``every`` so
    many; gives the place of each."""
    for at in range(0, points(run), every):
        where: list[str] = []
        with contextlib.suppress(KeyboardInterrupt):
            _traced(run, at, where)
        if where:  # a run may be shorter than the first, which filled a cache
            yield where[0]  # by now the traceback, and all that it held, is gone


def _traced(run: Callable[[], object], at: int, where: list[str] | None = None) -> int:
    count = 0

    def tick(frame: Any) -> None:
        nonlocal count
        count += 1
        if count == at + 1 and where is not None:
            where.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
            raise KeyboardInterrupt

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_return"):
            tick(frame)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count

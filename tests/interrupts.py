"""Ctrl-C at every moment of a run: Python looks for it where a function begins, where a call
returns, and at the lines in between."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

PACKAGE = "minigrad"


def points(run: Callable[[], object]) -> int:
    """How many moments there are in ``run``."""
    return _traced(run, at=-1)


def interrupted(run: Callable[[], object], every: int = 1, first: int = 0) -> Iterator[str]:
    """Run it again and again, each time with a KeyboardInterrupt at a later moment; says where."""
    for at in range(first, points(run), every):
        where: list[str] = []
        try:
            _traced(run, at, where)
        except KeyboardInterrupt:
            yield where[0]


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

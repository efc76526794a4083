"""Where in a user's program are we? Found on the stack, and so only looked for when it is needed.

A module does not know its own name, nor does an operation know its module: whoever holds them
knows. While a module runs, those that hold it are on the stack of calls.
"""

import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def frames() -> Iterator[FrameType]:
    """The stack of calls, the newest first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def module_path() -> str:
    """The module that is running, as ``"3.BatchNorm1d"``: its path in the outermost one and its
    class; "" outside of all modules."""
    running: list[Any] = []  # the innermost first
    for frame in frames():
        owner = frame.f_locals.get("self")
        is_module = frame.f_code.co_name == "forward" and hasattr(owner, "named_modules")
        if is_module and (not running or running[-1] is not owner):
            running.append(owner)
    if not running:
        return ""
    names: list[str] = []
    for inner, outer in pairwise(running):
        known = {id(module): name for name, module in outer.named_modules()}
        names.insert(0, known.get(id(inner), "?"))
    return ".".join([*names, type(running[0]).__name__])


def user_line() -> str:
    """The line of the program that called the package, as ``"train.py:12"``."""
    for frame in frames():
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""

"""Whether operations are recorded for backward, at this moment, and what else holds for a while."""

import functools
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
RUNS_LATER = 0x20 | 0x80 | 0x200  # inspect's CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR

grad_mode = ContextVar("grad_mode", default=True)
"""True if operations are recorded. Every thread and every task of asyncio has a value of its own;
a task starts with that of the code which created it."""

autocasting: ContextVar[Callable[..., Any] | None] = ContextVar("autocasting", default=None)
"""Within ``mg.autocast``: what converts the inputs of an operation to the type that it runs in."""

recomputing = ContextVar("recomputing", default=False)
"""True while a backward pass runs a part of the model again (``mg.checkpoint``)."""


class _Within(ContextDecorator):
    """What the three have in common: a mode within, and the one before afterwards."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.before: list[bool] = []  # a stack: one object may be entered again inside itself

    def _recreate_cm(self) -> "_Within":
        return _Within(self.wanted)  # a decorated function may call itself, or run twice

    def __enter__(self) -> None:
        before = grad_mode.get()
        self.before.append(before)
        try:
            grad_mode.set(self.wanted)
        except BaseException:  # Ctrl-C at this moment: Python will not call __exit__
            grad_mode.set(before)
            raise

    def __exit__(self, *exception: object) -> None:
        grad_mode.set(self.before[-1])  # first, and then the rest: Ctrl-C may come in between
        del self.before[-1]

    def __call__(self, function: Function) -> Function:
        name = getattr(function, "__name__", type(function).__name__)
        if isinstance(function, type):
            raise TypeError(
                f"{type(self).__name__}: {name} is a class; decorate its methods instead"
            )
        code = _code_of(function)
        if code is not None and code.co_flags & RUNS_LATER:
            raise TypeError(
                f"{type(self).__name__}: {name} is a generator or an async function, whose body "
                f"runs later, outside of the decorator; put a `with` into the body"
            )
        return super().__call__(function)


def _code_of(function: Any) -> Any:
    """The code that a call of ``function`` runs; None if it is not written in Python."""
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__"):  # an object with a __call__, such as a module
        function = type(function).__call__
    return getattr(function, "__code__", None)


class no_grad(_Within):
    """Within it, nothing is recorded: no gradients, and no memory kept for them.

    ``with no_grad():``, or as a decorator: ``@no_grad()``. Each thread has a mode of its own, and
    so has each task of asyncio.
    """

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_Within):
    """Within it, operations are recorded, also inside ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_Within):
    """Record operations from now on if ``mode`` is true, and not if it is false.

    As a statement it holds until the next; ``with set_grad_enabled(condition):`` ends it, and as a
    decorator it holds within the function.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        super().__enter__()
        self.entered_by_constructor = True

    def __enter__(self) -> None:
        if not self.entered_by_constructor:
            super().__enter__()
        self.entered_by_constructor = False

    def __call__(self, function: Function) -> Function:
        if self.entered_by_constructor:
            self.entered_by_constructor = False
            self.__exit__()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread or task."""
    return grad_mode.get()

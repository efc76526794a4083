"""Whether operations are recorded for backward, in this thread and at this moment."""

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
CO_GENERATOR = 0x20  # inspect.CO_GENERATOR, without importing inspect


class _GradMode(threading.local):
    enabled = True


mode = _GradMode()


class _Within(ContextDecorator):
    """What the three have in common: a mode within, and the one before afterwards."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def _recreate_cm(self) -> "_Within":
        return _Within(self.wanted)  # a decorated function may call itself, or run twice

    def __enter__(self) -> None:
        self.before, mode.enabled = mode.enabled, self.wanted

    def __exit__(self, *exception: object) -> None:
        mode.enabled = self.before

    def __call__(self, function: Function) -> Function:
        if function.__code__.co_flags & CO_GENERATOR:
            raise TypeError(
                f"{type(self).__name__}: {function.__name__} is a generator, whose body runs when "
                f"it is asked for values, outside of the decorator; put a `with` into the body"
            )
        return super().__call__(function)


class no_grad(_Within):
    """Within it, nothing is recorded: no gradients, and no memory kept for them.

    ``with no_grad():``, or as a decorator: ``@no_grad()``. Each thread has a mode of its own.
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
        self.__enter__()

    def __enter__(self) -> None:
        if not hasattr(self, "before"):  # the constructor has entered already
            super().__enter__()

    def __call__(self, function: Function) -> Function:
        self.__exit__()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.enabled

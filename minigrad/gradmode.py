"""Whether operations are recorded for backward, in this thread and at this moment."""

import threading
from contextlib import ContextDecorator


class _GradMode(threading.local):
    enabled = True


mode = _GradMode()


class set_grad_enabled(ContextDecorator):
    """Within it, operations are recorded for backward if ``mode`` is true, and not if it is false.

    Use as ``with set_grad_enabled(False):`` or as a decorator. Each thread has a mode of its own.
    """

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def _recreate_cm(self) -> "set_grad_enabled":
        return set_grad_enabled(self.mode)  # a decorated function may call itself, or run twice

    def __enter__(self) -> None:
        self.before, mode.enabled = mode.enabled, self.mode

    def __exit__(self, *exception: object) -> None:
        mode.enabled = self.before


class no_grad(set_grad_enabled):
    """Within it, nothing is recorded: no gradients, and no memory kept for them."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Within it, operations are recorded, also inside ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.enabled

"""What a wing of the package may listen to: arrays are read or written, something is refused.

The engine says what it does, and usually nobody listens. ``replay/`` listens while it captures a
step, because the Python of the step does not run again in a replay: it notes which memory the step
reads and writes, notes the checks that must be made again, and refuses what a replay would leave
out.
"""

import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

Arguments = ParamSpec("Arguments")


class Listener:
    """What can be heard. A listener overrides what it wants to know."""

    gemm: Callable[..., None] | None = None
    """What shall make matrix products on a GPU while it listens, if not cuBLAS by way of CuPy."""

    def read(self, *arrays: Any) -> None:
        """An operation reads ``arrays``, which lie on a GPU."""

    def wrote(self, *arrays: Any) -> None:
        """The memory of ``arrays`` was changed in place."""

    def checked(self, check: "partial[None]") -> None:
        """Make ``check``, which raises if labels or indices are wrong."""
        check()

    def drawn_anew(self, shape: tuple[int, ...], draw: Callable[[Any], None]) -> Any:
        """Random numbers of this shape are wanted: an array that ``draw`` has filled, and fills
        again when the step is repeated; or None, if that is nobody's business."""

    def gave_gradients(self, leaves: Any) -> None:
        """A backward pass is about to give gradients to ``leaves``."""

    def leaves_the_step(self, what: str, instead: str) -> None:
        """The program does ``what`` ("draws ..."), which is not work on arrays of one device."""


class _Events(threading.local):
    """In each thread of its own."""

    listener: Listener | None = None


events = _Events()


def tell(event: str, *arguments: Any) -> None:
    """Call the method ``event`` of the listener, if there is one."""
    if events.listener is not None:
        getattr(events.listener, event)(*arguments)


def telling(check: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Have the listener make each call of ``check``, if there is one: it may repeat it."""

    @wraps(check)
    def checking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if events.listener is None:
            check(*args, **kwargs)
        else:
            events.listener.checked(partial(check, *args, **kwargs))

    return checking

"""While a step is captured as a CUDA graph: what is refused in it, and what is noted.

``replay/`` replays the work that a step has given to a GPU. The Python of the step does not run
again then. So what a replay would leave out, in silence, is refused where it is asked for, all over
the package; and what must be done for each replay, or kept for it, is noted.
"""

import threading
import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

Arguments = ParamSpec("Arguments")


class _Capture(threading.local):
    """In each thread of its own."""

    active = False
    gemm: Callable[..., None] | None = None
    """What makes matrix products meanwhile, as CuPy refuses to."""

    def begin(self, gemm: Callable[..., None], parameters: list[Any]) -> None:
        """Only ``parameters`` may get gradients."""
        self.parameters = {id(p) for p in parameters}
        self.forget()
        self.gemm, self.active = gemm, True

    def forget(self) -> None:
        """Note from here on, and nothing that was before."""
        self.checks: list[Callable[[], object]] = []  # of labels and indices, to be made again
        self.read: list[weakref.ref[Any]] = []  # the memory of what went into operations,
        self.written: list[weakref.ref[Any]] = []  # and of what was changed in place

    def end(self) -> None:
        """Capture no more."""
        self.gemm, self.active = None, False
        self.forget()


capture = _Capture()


def repeated_in_replays(check: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Have a check of what the host remembers noted while a step is captured."""

    @wraps(check)
    def checking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        check(*args, **kwargs)
        if capture.active:
            capture.checks.append(partial(check, *args, **kwargs))

    return checking


def refuse_while_capturing(what: str, instead: str) -> None:
    """Raise a RuntimeError if a step is being captured, which cannot do this: "draws ..."."""
    if capture.active:
        raise RuntimeError(f"cuda.graph: the step {what}, which a replay would not; {instead}")

"""What is heard while a step is captured: what must be kept and done again, and what is refused.

The Python of the step does not run again in a replay. So the memory that it reads must stay, the
checks of labels and indices must be made again, and what a replay would leave out in silence is an
error where it happens.
"""

import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..backend import Array, owner
from ..events import Listener, events
from ..tensor import Tensor
from .notes import raw


class Recording(Listener):
    """Within ``with``, it listens to this thread. Only ``parameters`` may get gradients."""

    def __init__(self, gemm: Callable[..., None] | None, parameters: list[Any]) -> None:
        self.gemm = gemm
        self.parameters = {id(p) for p in parameters}
        self.forget()

    def __enter__(self) -> "Recording":
        events.listener = self
        return self

    def __exit__(self, *exception: object) -> None:
        events.listener = None

    def forget(self) -> None:
        """Start again, as if nothing had been heard."""
        self.checks: list[Callable[[], object]] = []
        self.memory_read: list[weakref.ref[Any]] = []
        self.memory_written: list[weakref.ref[Any]] = []

    def read(self, *arrays: Array) -> None:
        """References that do not keep the memory: what dies within the step need not stay."""
        self.memory_read += [weakref.ref(owner(array)) for array in arrays]

    def wrote(self, *arrays: Array) -> None:
        """Likewise."""
        self.memory_written += [weakref.ref(owner(array)) for array in arrays]

    def checked(self, check: partial[None]) -> None:
        """Made now, and again before each replay. A plan notes what it computes with inputs, and
        not what a check does."""
        check = partial(check.func, *raw(check.args), **raw(check.keywords))
        check()
        self.checks.append(check)

    def gave_gradients(self, leaves: Iterable[Tensor]) -> None:
        """A replay gives gradients to the parameters that it knows of."""
        for leaf in leaves:
            if id(leaf) not in self.parameters:
                raise RuntimeError(
                    f"capture: the step gives a gradient to a tensor of shape {leaf.shape}, "
                    f"which is no parameter of the model; pass a model that holds all that is "
                    f"trained"
                )

    def leaves_the_step(self, what: str, instead: str) -> None:
        """There is nothing that could be replayed."""
        raise RuntimeError(f"capture: the step {what}, which a replay would not; {instead}")

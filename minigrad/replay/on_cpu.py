"""Recording a step on the CPU: as a plan of NumPy's calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import Array, default_generator, get_rng_state
from .notes import Call, Noted, OtherPath, book, noting
from .plan import Plan
from .recording import Recording
from .update import Update


class PlanRecording(Recording):
    """It also hears of random numbers."""

    drew = False

    def forget(self) -> None:
        super().forget()
        self.draws: list[Callable[[], None]] = []

    def drawn_anew(self, shape: tuple[int, ...], draw: Callable[[Array], None]) -> Array:
        """An array that is filled now, and again before each replay."""
        self.drew = True
        place = np.empty(shape)
        draw(place)
        self.draws.append(lambda: draw(place))
        return place if book.calls is None else place.view(Noted)


class PlanRecorder:
    """Records the calls of NumPy."""

    plan: Plan

    def __init__(self, parameters: list[Any]) -> None:
        self.parameters = parameters
        self.calls: list[Call] = []
        self.draws: list[Callable[[], None]] = []
        self.drew = False

    @contextmanager
    def around(self) -> Iterator[Recording]:
        """Within it the step is listened to."""
        recording = PlanRecording(None, self.parameters)
        try:
            with recording:
                yield recording
        finally:
            self.drew, self.draws = recording.drew, recording.draws

    def record(self, step: Callable[[], Any], tensors: list[Any]) -> Any:
        """Run the step once more, with ``tensors`` noting what is done with them."""
        before = [(tensor, tensor.array) for tensor in tensors]
        try:
            for tensor, array in before:
                tensor.array = array.view(Noted)
            with noting() as self.calls:
                return step()
        finally:
            for tensor, array in before:
                tensor.array = array

    def finish(self, kept: list[Array], model: list[Any]) -> None:
        """Make the plan."""
        self.plan = Plan(self.calls, kept, [tensor.array for tensor in model])
        self.model, self.calls = model, []

    def must_be_noted(self, array: Array, what: str) -> None:
        """What a replay leaves was computed in a way that was noted."""
        if not isinstance(array, Noted):
            raise RuntimeError(
                f"capture: {what}, of shape {array.shape}, was computed in a way that cannot be "
                f"noted, or from nothing that changes; compute it with operations on Tensors"
            )

    def update(self, optimizer: Any, gradients: list[Any]) -> Update:
        """What makes the optimiser's step."""
        return Update(optimizer, [(p, array) for p, _, array in gradients])

    def launch(self) -> None:
        """Replay.

        Raises:
            OtherPath: a question has another answer. All is as before then.
        """
        state = get_rng_state() if self.draws else None
        for draw in self.draws:
            draw()
        before = [t.array.copy() for t in self.model] if self.plan.restores else []
        try:
            self.plan.run()
        except OtherPath:
            for tensor, array in zip(self.model, before, strict=False):
                tensor.array[...] = array
            if state is not None:
                default_generator().bit_generator.state = state
            raise

"""Which layer and which operation makes a call: for those who read a plan."""

from typing import Any, NamedTuple

from ..core import execute
from ..core.where import frames, module_path


class Origin(NamedTuple):
    """Where a call came from; each part may be empty."""

    layer: str = ""
    operation: str = ""
    direction: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


DIRECTION = {
    execute.forward.__code__: "forward",
    execute.backward.__code__: "backward",
}


class Origins:
    """Finds the origin of the call that is being made. An operation is asked for once: in its
    backward pass no module runs."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Any, str]] = {}  # with the operation, so that it stays

    def now(self) -> Origin:
        """From the functions that are running."""
        for frame in frames():
            direction = DIRECTION.get(frame.f_code)
            if direction:
                op = frame.f_locals["op"]
                if id(op) not in self.layers:
                    self.layers[id(op)] = op, module_path()
                return Origin(self.layers[id(op)][1], op.name, direction)
        return Origin(module_path())

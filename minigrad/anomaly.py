"""Where does a NaN or an infinity come from? ``with mg.detect_anomaly():`` stops at its source.

While it is on, each operation is looked at, forward and backward: the first that makes a number
which is not finite out of numbers that are raises an ``AnomalyError``. That costs time (each result
is read once more, and on a GPU waited for), so it is for finding a fault and not for training.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from .backend import Array, array_module, on_device_of
from .core import execute
from .core.op import Op
from .core.where import module_path, user_line


class AnomalyError(RuntimeError):
    """An operation made infinity or NaN out of finite numbers.

    Attributes:
        operation: its name, such as ``"Log"``.
        half: "forward" or "backward".
        module: the path of the module that it ran in, such as ``"3.BatchNorm1d"``; "" for none.
        line: where the user's program called it, such as ``"train.py:12"``.
    """

    def __init__(self, message: str, operation: str, half: str, module: str, line: str) -> None:
        super().__init__(message)
        self.operation, self.half, self.module, self.line = operation, half, module, line


class _Watching(threading.local):
    """In each thread of its own: how many ``with`` blocks are open."""

    depth = 0


watching = _Watching()

# While a block is open in any thread, these take the place of the two functions of ``execute``. So
# watching costs nothing where nobody watches.
plain_forward, plain_backward = execute.forward, execute.backward
open_blocks, lock = 0, threading.Lock()


class detect_anomaly:
    """Within it, in this thread, the first operation that makes a number which is not finite out of
    finite ones raises. It names the operation, the module that it ran in, shapes, and the line.

    PyTorch's name, which looks at NaN in the backward pass only.

    Raises:
        AnomalyError: of the operation, at once in the forward pass, or in ``backward``, where the
            line is the one that recorded the operation.
    """

    def __enter__(self) -> None:
        global open_blocks
        with lock:
            open_blocks += 1
            execute.forward, execute.backward = watched_forward, watched_backward
        watching.depth += 1

    def __exit__(self, *exception: object) -> None:
        global open_blocks
        watching.depth -= 1
        with lock:
            open_blocks -= 1
            if not open_blocks:
                execute.forward, execute.backward = plain_forward, plain_backward


def not_finite(values: Iterable[Any]) -> bool:
    """Whether one of ``values``, arrays or shapes, holds infinity or NaN."""
    for value in values:
        if getattr(getattr(value, "dtype", None), "kind", "") == "f":
            with on_device_of(value):
                if not array_module(value).isfinite(value).all():
                    return True
    return False


def watched_forward(op: Op, arrays: Sequence[Array]) -> Array:
    """``execute.forward``, and a look at its result."""
    output = plain_forward(op, arrays)
    if watching.depth:
        made_at = module_path(), user_line()
        if not_finite([output]) and not not_finite(arrays):
            raise error(op, "forward", made_at, arrays, [output])
        op.made_at = made_at
    return output


def watched_backward(op: Op, grad: Array, saved: Sequence[Any]) -> Any:
    """``execute.backward``, and a look at its result."""
    input_grads = plain_backward(op, grad, saved)
    if watching.depth:
        results = input_grads if type(input_grads) is tuple else (input_grads,)
        if not_finite(results) and not not_finite([grad, *saved]):
            raise error(op, "backward", op.made_at or ("", ""), [grad, *saved], results)
    return input_grads


def error(
    op: Op, half: str, made_at: tuple[str, str], inputs: Sequence[Any], results: Sequence[Any]
) -> AnomalyError:
    """The error that says which operation it was, and where."""
    module, line = made_at
    shapes = ", ".join(str(tuple(value.shape)) for value in inputs)
    bad = next(r for r in results if r is not None and not_finite([r]))
    with on_device_of(bad):
        xp = array_module(bad)
        count, nan = int((~xp.isfinite(bad)).sum()), int(xp.isnan(bad).sum())
    verb = "computed" if half == "forward" else "recorded"
    return AnomalyError(
        f"{op.name}.{half}{f' in {module}' if module else ''} made {count} of {bad.size} numbers "
        f"of its result of shape {tuple(bad.shape)} not finite ({nan} NaN, {count - nan} "
        f"infinite) out of finite ones of shapes {shapes}; it was {verb} at {line or '?'}",
        op.name,
        half,
        module,
        line,
    )

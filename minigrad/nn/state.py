"""Loading a state dict: everything is checked before anything is written."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import as_array
from ..backend import is_array
from ..core.versions import mark_written
from ..tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` returns: the names it did not find, and those it did not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def load_into(
    owner: str,
    own: Mapping[str, Tensor],
    given: Mapping[str, Any],
    strict: bool,
    by: str = "load_state_dict",
) -> IncompatibleKeys:
    """Copy the values of ``given`` into the Tensors of ``own`` with the same names. Errors about
    what was changed in place name ``by``.

    Raises:
        TypeError: ``given`` is no mapping.
        ValueError: something does not fit; nothing has been written.

    See ``all_or_nothing`` for interruptions.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{owner}: the state is a {type(given).__name__}, expected a dict of names and values, "
            f"as state_dict() gives it"
        )
    # PyTorch's layers before 0.4.1 did not count batches: where the count is missing, it stays.
    uncounted = {name for name in own if name.rpartition(".")[2] == "num_batches_tracked"}
    missing = [name for name in own if name not in given and name not in uncounted]
    unexpected = [name for name in given if name not in own]
    faults = []
    if strict and missing:
        faults.append(f"missing: {', '.join(map(repr, missing))}")
    if strict and unexpected:
        faults.append(f"unexpected: {', '.join(map(repr, unexpected))}")
    arrays = {}
    for name, tensor in own.items():
        if name not in given:
            continue
        try:
            arrays[name] = fitted(given[name], tensor)
        except (TypeError, ValueError, RuntimeError) as error:  # PyTorch's Tensors raise all three
            faults.append(f"{name!r} {error}")
    if faults:
        listed = "\n  ".join(faults)
        raise ValueError(f"{owner}: the state does not fit, nothing was loaded:\n  {listed}")

    def copy_all() -> None:
        for name, array in arrays.items():
            own[name].copy_(array)
            mark_written(own[name].array, by=by)

    all_or_nothing(copy_all)
    return IncompatibleKeys(missing, unexpected)


def all_or_nothing(swap: Callable[[], None]) -> None:
    """Call ``swap``, which puts in place what was prepared, and may be called twice.

    If Ctrl-C interrupts it, it is called again before the interruption goes on: nobody is left with
    half of one state and half of another.
    """
    try:
        swap()
    except BaseException:
        swap()
        raise


def fitted(value: Any, like: Tensor) -> Any:
    """``value`` as a new array in the type and on the device of ``like``.

    Raises:
        ValueError: it has another shape, or is no number of a fitting kind.
    """
    if isinstance(value, Tensor):
        value = value.data
    elif not is_array(value):
        value = np.asarray(value)
    if tuple(value.shape) != like.shape:
        raise ValueError(f"has shape {tuple(value.shape)}, expected {like.shape}")
    if value.dtype.kind not in "fiub" or (value.dtype.kind == "f" and like.dtype.kind != "f"):
        raise ValueError(f"is {value.dtype}, expected {like.dtype}")
    return as_array(value, like.dtype, like.device)

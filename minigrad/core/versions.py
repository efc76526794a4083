"""When was this memory last written in place?

A rule that reads an array in its backward pass needs the array as it was in the forward pass.
Copying every array to be safe would double the memory; instead each in-place write takes a number
from the clock that also numbers the operations (``graph.next_order``). An array whose last write
has a larger number than an operation that saved it is no longer what that operation saw.

The number belongs to the memory rather than to a tensor, so that a write through a view or a
detached tensor counts as well.
"""

import weakref
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, forget_host_copy, owner
from ..events import events
from .graph import next_order

# address -> [weak reference, number of the last write, by whom]
_written: dict[int, list[Any]] = {}
latest = 0
"""The number of the last write of all: no operation that is younger can be stale."""


def _forget(written: dict[int, list[Any]], key: int, _: Any) -> None:
    """The memory has gone. (At the end of the process the module's names may have gone before.)"""
    written.pop(key, None)


def mark_written(*arrays: Array, by: str = "") -> None:
    """Note that the memory of each of ``arrays`` has just been written in place; ``by`` whom, if a
    reader of an error would not guess it."""
    global latest
    latest = next_order()
    if events.listener is not None:
        events.listener.wrote(*arrays)
    for array in arrays:
        memory = array if array.base is None else owner(array)
        if type(memory) is not np.ndarray:
            forget_host_copy(memory)
        key = id(memory)
        entry = _written.get(key)
        if entry is None:
            # The entry goes when the memory does; without that, a new array at the same address
            # would inherit it.
            gone = weakref.ref(memory, partial(_forget, _written, key))
            _written[key] = [gone, latest, by]
        else:
            entry[1:] = latest, by


def entries_of(arrays: list[Array]) -> list[list[Any]]:
    """What ``mark_again`` needs, for memory on the host that is written again and again."""
    mark_written(*arrays)
    return [_written[id(array if array.base is None else owner(array))] for array in arrays]


def mark_again(entries: list[list[Any]], by: str = "") -> None:
    """Note that their memory has just been written in place; as ``mark_written``."""
    global latest
    latest = next_order()
    for entry in entries:
        entry[1:] = latest, by


def written_since(array: Array, order: int) -> bool:
    """Whether the memory of ``array`` was written in place after number ``order``."""
    entry = _written.get(id(array if array.base is None else owner(array)))
    return entry is not None and entry[1] > order


def writer(array: Array) -> str:
    """Who wrote the memory of ``array`` last, if that was said."""
    entry = _written.get(id(array if array.base is None else owner(array)))
    return "" if entry is None else entry[2]

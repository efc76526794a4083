"""What the host remembers of integers that it has sent to a GPU."""

import weakref

from .library import Array, owner

host_copies: dict[int, tuple[weakref.ref[Array], Array]] = {}


def host_copy(array: Array) -> Array:
    """The host's copy of an integer array on a GPU, if there is one; else the array itself.

    Labels and indices are checked before use, because CuPy reads another element in silence where
    an index does not exist. Checking them on the GPU would make each training step wait for it.
    """
    entry = host_copies.get(id(array))
    return array if entry is None else entry[1]


def hand_on_host_copy(source: Array, target: Array) -> None:
    """Note that ``target`` has been filled with ``source``, and with it what the host knows."""
    entry = host_copies.get(id(source))
    if entry is not None:
        remember(target, entry[1])


def remember(array: Array, copy: Array) -> None:
    """Note that ``copy``, on the host, holds what ``array`` does on a GPU."""
    key = id(array)
    # The entry goes when the array does: another may get its address. At the end of the process the
    # names of this file may go first, so the method is taken now.
    forget = host_copies.pop
    host_copies[key] = weakref.ref(array, lambda _: forget(key, None)), copy


def forget_host_copy(array: Array) -> None:
    """Note that the memory of ``array`` has been written in place."""
    host_copies.pop(id(owner(array)), None)

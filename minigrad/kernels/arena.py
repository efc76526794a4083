"""Memory for a CUDA graph: what it was captured with stays its own for as long as it lives.

A graph works at fixed addresses. An array that the step lets go of while it is captured leaves a
place that every replay will write to: it may be given to a later array of the same step, and to
nobody else. CuPy's pool does almost this. But where memory runs out it returns free blocks to the
system, also those that a graph refers to; and when a pool goes, blocks that were free in it are
lost until the process ends (both tried with CuPy 14.2).
"""

import weakref
from collections import defaultdict
from typing import Any

UNIT = 512  # bytes: sizes are rounded up to multiples of it, as by CuPy


class Arena:
    """``malloc`` is an allocator for ``cupy.cuda.using_allocator``. When the arena goes, so does
    the memory that no array holds; the rest goes with its array."""

    def __init__(self, cuda: Any) -> None:
        self.cuda = cuda
        self.left: defaultdict[int, list[Any]] = defaultdict(list)  # by arrays: size -> memory

    def malloc(self, size: int) -> Any:
        """Room for ``size`` bytes, where an array has been or from the system.

        Raises:
            CUDARuntimeError: there is no more.
        """
        room = max(-(-size // UNIT), 1) * UNIT
        memory = self.left[room].pop() if self.left[room] else self.cuda.Memory(room)
        lease = Lease(self, memory)
        unowned = self.cuda.UnownedMemory(memory.ptr, room, lease, memory.device_id)
        return self.cuda.MemoryPointer(unowned, 0)


class Lease:
    """What an array holds of its memory; when the array goes, the memory goes back."""

    __slots__ = ("arena", "memory")

    def __init__(self, arena: Arena, memory: Any) -> None:
        self.arena, self.memory = weakref.ref(arena), memory

    def __del__(self) -> None:
        arena = self.arena()
        if arena is not None:
            arena.left[self.memory.size].append(self.memory)

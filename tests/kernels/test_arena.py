"""The memory of CUDA graphs, with a GPU's memory counted instead of used."""

from types import SimpleNamespace
from typing import Any

import pytest

from minigrad.kernels.arena import Arena


class Memory:
    """``cupy.cuda.Memory``: it is given back when nobody holds it any more."""

    held = 0
    limit = 10**9

    def __init__(self, size: int) -> None:
        if Memory.held + size > Memory.limit:
            raise RuntimeError("cudaErrorMemoryAllocation: out of memory")
        Memory.held += size
        self.size, self.ptr, self.device_id = size, id(self), 0

    def __del__(self) -> None:
        Memory.held -= getattr(self, "size", 0)


class Pointer:
    """``cupy.cuda.MemoryPointer`` to ``cupy.cuda.UnownedMemory``: what an array holds."""

    def __init__(self, memory: Any, offset: int) -> None:
        self.address, self.size, self.owner, self.device_id = memory
        assert offset == 0


@pytest.fixture
def arena() -> Arena:
    cuda = SimpleNamespace(
        Memory=Memory, MemoryPointer=Pointer, UnownedMemory=lambda *arguments: arguments
    )
    assert Memory.held == 0
    return Arena(cuda)


def test_a_place_is_given_again_when_its_array_is_gone(arena: Arena) -> None:
    first, second = arena.malloc(1000), arena.malloc(1000)
    assert first.address != second.address
    assert Memory.held == 2048
    address = first.address
    del first
    third = arena.malloc(900)  # of the same size in units
    assert third.address == address
    assert arena.malloc(2000).address not in (address, second.address)


def test_what_arrays_have_left_stays_while_the_arena_lives(arena: Arena) -> None:
    """A graph writes to it."""
    for size in (100, 5000, 0):
        arena.malloc(size)
    assert Memory.held == 512 + 5120


def test_the_memory_goes_with_the_arena_and_with_the_last_array() -> None:
    arena = Arena(SimpleNamespace(Memory=Memory, MemoryPointer=Pointer, UnownedMemory=lambda *a: a))
    kept = arena.malloc(3000)
    other = arena.malloc(3000)
    del other
    assert Memory.held == 6144
    del arena
    assert Memory.held == 3072
    del kept
    assert Memory.held == 0


def test_memory_that_has_run_out_is_an_error_and_nothing_is_given_away(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena.malloc(4096)
    monkeypatch.setattr(Memory, "limit", 5000)
    with pytest.raises(RuntimeError, match="out of memory"):
        arena.malloc(8192)
    assert Memory.held == 4096

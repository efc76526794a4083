"""A plan: the calls of a step in their order, and the memory that they work in.

What was noted is made shorter and smaller before it is used:

1. A call whose result nobody reads is dropped, from the last to the first.
2. A call that changes the model (a running statistic) goes to the end, where that changes nothing.
   So when a question has another answer than before, the model is still as it was, and the step
   itself can run.
3. An intermediate array is needed from the first call that writes it to the last that reads it.
   Arrays that are never needed at the same time share memory. (This is register allocation by
   linear scan: Poletto and Sarkar (1999), "Linear Scan Register Allocation", section 4.)
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..ops.ieee import ieee
from .notes import Call, Noted, arrays_in, expect, memory_of

ALIGNED = 64
"""Bytes: the length of a cache line. Each array begins at a multiple of it."""


class Memory(NamedTuple):
    """Bytes that a plan holds."""

    shared: int
    """Intermediate results, which lie in each other's places."""
    unshared: int
    """What they would take with a place of their own each."""
    kept: int
    """Gradients and results, and random numbers."""


class Life(NamedTuple):
    """From which call to which an array is needed, and where in the shared memory it lies."""

    first: int
    last: int
    start: int
    size: int


class Plan:
    """Calls to be made again and again.

    Args:
        calls: as they were noted.
        kept: arrays whose values are wanted afterwards: gradients, what the step returns.
        model: parameters and buffers, which calls may change.
    """

    def __init__(self, calls: list[Call], kept: Iterable[Array], model: Iterable[Array]) -> None:
        kept = list(kept)
        self.kept = {id(memory_of(array)): memory_of(array) for array in kept}
        self.model = {id(memory_of(array)) for array in model}
        self.noted = len(calls)
        calls = self._needed(calls)
        self.calls, postponed = self._model_last(calls)
        self.restores = any(
            call.function is expect and place > min(self._changing(), default=len(self.calls))
            for place, call in enumerate(self.calls)
        )
        self.postponed = postponed
        self._share_memory()
        self.work = [compiled(call) for call in self.calls]

    def run(self) -> None:
        """Make all calls. What is infinite or NaN gives no warnings.

        Raises:
            OtherPath: a question has another answer; nothing in the model has changed then, unless
                ``restores``.
        """
        ieee().run(self._run)

    def _run(self) -> None:
        for function, args in self.work:
            function(*args)

    # --------------------------------------------------------------------- which calls, in order

    def _needed(self, calls: list[Call]) -> list[Call]:
        """Without the calls whose results nobody reads."""
        wanted = self.model | self.kept.keys()
        needed = []
        for call in reversed(calls):
            if call.function is expect or wanted & written(call):
                wanted |= touched(call)
                needed.append(call)
        return needed[::-1]

    def _model_last(self, calls: list[Call]) -> tuple[list[Call], int]:
        """Calls that write nothing but the model go to the end, where no other is in their way."""
        staying: list[Call] = []
        going: list[Call] = []
        touched_later: set[int] = set()
        written_later: set[int] = set()
        for call in reversed(calls):
            writes = written(call)
            only_model = bool(writes) and writes <= self.model
            if only_model and not writes & touched_later and not touched(call) & written_later:
                going.append(call)
            else:
                staying.append(call)
                touched_later |= touched(call)
                written_later |= writes
        return [*staying[::-1], *going[::-1]], len(going)

    def _changing(self) -> list[int]:
        return [i for i, call in enumerate(self.calls) if written(call) & self.model]

    # ------------------------------------------------------------------------------------ memory

    def _share_memory(self) -> None:
        """Give intermediate arrays places in one block, and the calls views of it."""
        memories: dict[int, Array] = {}
        spans: dict[int, tuple[int, int]] = {}
        for place, call in enumerate(self.calls):
            for array in arrays_in((call.args, call.kwargs)):
                memory = memory_of(array)
                key = id(memory)
                if (
                    isinstance(memory, Noted)
                    and key not in self.kept
                    and not memory.dtype.hasobject
                ):
                    memories[key] = memory
                    spans[key] = spans.get(key, (place, place))[0], place
        ends = sorted((last, key) for key, (_, last) in spans.items())
        block, ended = Block(), 0
        self.lives: dict[int, Life] = {}
        for key, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
            while ends[ended][0] < first:
                gone = self.lives[ends[ended][1]]
                block.give_back(gone.start, gone.size)
                ended += 1
            size = -(-max(memories[key].nbytes, 1) // ALIGNED) * ALIGNED
            self.lives[key] = Life(first, last, block.take(size), size)
        bytes_ = np.empty(block.size + ALIGNED, np.uint8)
        skip = -bytes_.ctypes.data % ALIGNED
        self.block = bytes_[skip : skip + block.size]
        self.calls = [self._moved(call) for call in self.calls]
        self.memory = Memory(
            block.size,
            sum(life.size for life in self.lives.values()),
            sum(int(array.nbytes) for array in self.kept.values()),
        )

    def _moved(self, call: Call) -> Call:
        args, kwargs, writes = self._move((call.args, call.kwargs, call.writes))
        return call._replace(args=args, kwargs=kwargs, writes=writes)

    def _move(self, value: Any) -> Any:
        """Arguments of a call, with views of the block for what lies there."""
        if isinstance(value, np.ndarray):
            memory = memory_of(value)
            life = self.lives.get(id(memory))
            if life is None or not isinstance(memory, Noted):
                return value
            start = life.start + value.ctypes.data - memory.ctypes.data
            return np.ndarray(value.shape, value.dtype, self.block, start, value.strides)
        if isinstance(value, dict):
            return {key: self._move(v) for key, v in value.items()}
        if type(value) in (tuple, list):
            return type(value)(map(self._move, value))
        return value


class Block:
    """Memory that is handed out in pieces: the smallest gap that is large enough."""

    def __init__(self) -> None:
        self.size = 0
        self.gaps: list[tuple[int, int]] = []  # start and size, by start

    def take(self, size: int) -> int:
        """Where a piece begins."""
        fitting = [gap for gap in self.gaps if gap[1] >= size]
        if fitting:
            gap = min(fitting, key=lambda g: g[1])
            self.gaps.remove(gap)
            if gap[1] > size:
                self._add(gap[0] + size, gap[1] - size)
            return gap[0]
        start = self.size
        if self.gaps and sum(self.gaps[-1]) == self.size:  # the last gap grows
            start, _ = self.gaps.pop()
        self.size = start + size
        return start

    def give_back(self, start: int, size: int) -> None:
        """A piece is free again, and one with the gaps beside it."""
        self._add(start, size)

    def _add(self, start: int, size: int) -> None:
        merged = []
        for gap in self.gaps:
            if sum(gap) == start:
                start, size = gap[0], gap[1] + size
            elif start + size == gap[0]:
                size += gap[1]
            else:
                merged.append(gap)
        self.gaps = sorted([*merged, (start, size)])


def written(call: Call) -> set[int]:
    """The memory that a call writes to, by its identity."""
    return {id(memory_of(array)) for array in call.writes}


def touched(call: Call) -> set[int]:
    """The memory that a call reads or writes."""
    return {id(memory_of(array)) for array in arrays_in((call.args, call.kwargs))}


def compiled(call: Call) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A call as a function and its arguments in their order."""
    if not call.kwargs:
        return call.function, call.args
    return partial(call.function, *call.args, **call.kwargs), ()

"""Parameters that are updated together.

A model has dozens of parameters, most of them short, and to call NumPy for each of them costs more
than the arithmetic. An update that treats every element alike does not care where one parameter
ends and the next begins; so it is run on many of them at once, laid end to end.

What the optimiser remembers lies end to end for good: one array per name, of which the state of
each parameter is a view. The parameters themselves do not move, because others hold their arrays
too: a second optimiser, a view that the user took. They are copied into a block, updated there and
copied back. A block fits into the cache, so on the way to memory and back nothing is added, and
the arrays between two lines of a rule never leave the cache either.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from operator import is_
from typing import Any

import numpy as np

from ..backend import Array, array_module, is_array
from ..tensor import Tensor

BLOCK = 32_768
"""Elements in a block: 128 KiB of float32, of which an update touches four to seven at a time."""

State = dict[str, Any]


class FlatParameters:
    """Some parameters of a group, their arrays, and what is remembered of them.

    Args:
        parameters: alike in type and device, see ``can_flatten``.
        states: what is remembered of each so far.
    """

    def __init__(self, parameters: list[Tensor], states: list[State]) -> None:
        self.parameters, self.states = parameters, states
        self.weights = [p.array for p in parameters]
        self.lines = [w.reshape(-1) for w in self.weights]  # views, as there are no gaps
        ends = [0, *accumulate(w.size for w in self.weights)]
        self.places = [slice(start, stop) for start, stop in pairwise(ends)]
        self.size = ends[-1]
        self.blocks = list(self._divide())
        self.pointer_cache: dict[Any, Array] = {}  # what kernels keep on a GPU from step to step
        self.state: State = {}
        self.views: list[Array] = []
        join = array_module(self.weights[0]).concatenate
        for name, value in states[0].items():
            lines = [state[name].reshape(-1) for state in states] if is_array(value) else []
            self.state[name] = join(lines) if lines else value
        self._share_state()

    def _divide(self) -> Iterator[tuple[slice, slice, slice, list[slice]]]:
        """Blocks: which parameters, where in the first of them, where end to end, and where in the
        block each of them is."""
        first, places = 0, self.places
        while first < len(places):
            last, start = first, places[first].start
            while last + 1 < len(places) and places[last + 1].stop - start <= BLOCK:
                last += 1
            stop = places[last].stop
            members = slice(first, last + 1)
            spots = [slice(p.start - start, p.stop - start) for p in places[members]]
            for begin in range(start, max(stop, start + 1), BLOCK):
                end = min(begin + BLOCK, stop)
                yield members, slice(begin - start, end - start), slice(begin, end), spots
            first = last + 1

    def still_holds(self, parameters: list[Tensor], states: list[State]) -> bool:
        """Whether these are the parameters, with the same arrays, and the states are untouched."""
        if len(parameters) != len(self.parameters):
            return False
        known = self.state
        arrays = [v for state in states for v in state.values() if is_array(v)] if known else ()
        return (
            all(map(is_, parameters, self.parameters))
            and all(map(is_, [p.array for p in parameters], self.weights))
            and all(map(is_, states, self.states))
            and len(arrays) == len(self.views)
            and all(map(is_, arrays, self.views))
            and all(state.keys() == known.keys() for state in states)
            and all(state[n] == v for n, v in known.items() if not is_array(v) for state in states)
        )

    def update(self, gradients: list[Array], rule: Callable[[Array, Array, State], None]) -> None:
        """Run ``rule(w, g, state)``, which changes w and state in place, on block after block."""
        before, after = self.state, dict(self.state)
        for members, within, place, spots in self.blocks:
            given = {n: v[place] if is_array(v) else v for n, v in before.items()}
            state = dict(given)
            lines, grads = self.lines[members], gradients[members]
            if len(lines) == 1:
                rule(lines[0][within], grads[0].reshape(-1)[within], state)
            else:
                w = np.concatenate(lines)
                rule(w, np.concatenate(grads, None), state)
                for line, spot in zip(lines, spots, strict=True):
                    line[...] = w[spot]
            for name, value in state.items():
                if not is_array(value):
                    after[name] = value
                elif value is not given.get(name):
                    if name not in after:
                        after[name] = np.empty(self.size, value.dtype)
                    after[name][place] = value
        self.keep(after)

    def keep(self, state: State) -> None:
        """Make ``state`` what is remembered: arrays over all parameters, end to end, and numbers
        that hold for each."""
        new_arrays = any(v is not self.state.get(n) for n, v in state.items() if is_array(v))
        self.state = state
        if new_arrays:
            self._share_state()
        else:
            for name, value in state.items():
                if not is_array(value):
                    for remembered in self.states:
                        remembered[name] = value

    def _share_state(self) -> None:
        """Make the state of each parameter views of the arrays over all."""
        for remembered, place, w in zip(self.states, self.places, self.weights, strict=True):
            for name, value in self.state.items():
                remembered[name] = value[place].reshape(w.shape) if is_array(value) else value
        self.views = [v for state in self.states for v in state.values() if is_array(v)]


def can_flatten(weights: list[Array], gradients: list[Array], states: list[State]) -> bool:
    """Whether parameters can be updated together: of one type, on one device, without gaps, and
    remembered in the same way, for the same number of steps."""
    first, remembered = weights[0], states[0]
    kind, dtype, names = type(first), first.dtype, remembered.keys()
    return (
        not overlapping(weights)
        and all(
            type(w) is type(g) is kind
            and w.dtype == g.dtype == dtype
            and w.shape == g.shape
            and w.device == first.device
            and w.flags.c_contiguous
            for w, g in zip(weights, gradients, strict=True)
        )
        and all(state.keys() == names for state in states)
        and all(
            type(state[n]) is kind and state[n].dtype == dtype and state[n].shape == w.shape
            if is_array(v)
            else state[n] == v
            for n, v in remembered.items()
            for state, w in zip(states, weights, strict=True)
        )
    )


def overlapping(weights: list[Array]) -> bool:
    """Whether two of the parameters share memory: what is copied to a block, updated and copied
    back must not be written twice. They are updated one after the other then."""
    spans = sorted(map(span, weights))
    return any(start < end for (_, end), (start, _) in pairwise(spans))


def span(array: Array) -> tuple[int, int]:
    """The first address of an array's memory, and the one after the last."""
    if not isinstance(array, np.ndarray):  # CuPy's
        start = int(array.data.ptr)
        return start, start + max(int(array.nbytes), 1)
    low, high = np.lib.array_utils.byte_bounds(array)
    return low, max(high, low + 1)

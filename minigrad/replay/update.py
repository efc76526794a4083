"""The optimiser's step as a plan of its own, which follows that of the step.

The first step of an optimiser is another one than those after it: it makes the arrays in which it
remembers. So the optimiser itself makes the first, and the second is recorded while it is made:
its rule runs once over noted arrays, laid end to end as ``optim/flat.py`` has them. The numbers
that it reads, rates and counts, are written to the plan's memory before each replay (``live.py``).

Whatever does not fit (hooks, a rule of another kind, parameters of two types) is left to the
optimiser, and so is the next step after its parameters, its options' kind or its memory have been
exchanged. That one is then recorded again.
"""

from collections.abc import Iterator
from itertools import chain, pairwise
from operator import is_
from typing import Any

import numpy as np

from ..backend import Array, is_array
from ..core.versions import entries_of, mark_again
from ..optim import Optimizer
from ..optim.flat import FlatParameters
from ..optim.rate import options_now
from ..tensor import Tensor
from .live import Key, LiveNumbers, Number
from .notes import Noted, noting
from .plan import Plan


class Update:
    """``step`` does what ``optimizer.step`` does, for gradients that lie where they always lie.

    Args:
        optimizer: whose step it is.
        gradients: each parameter that a replay knows of, with its gradient's array, or None.
    """

    def __init__(self, optimizer: Optimizer, gradients: list[tuple[Tensor, Array | None]]) -> None:
        self.optimizer = optimizer
        self.arrays = {id(p): array for p, array in gradients}
        self.plan: Plan | None = None
        self.entries: list[list[Any]] = []
        self.by = f"{optimizer.name}.step"
        self.given_up = False

    def step(self) -> None:
        """Update the parameters."""
        if self.plan is not None and self._holds() and self.numbers.refresh():
            self.plan.run()
            mark_again(self.entries, by=self.by)
            self._count()
            return
        self.plan = None
        self.members = list(self._members())
        if self.given_up or not self.members:
            self.optimizer.step()
        else:
            self._record()

    # ------------------------------------------------------------------------- what is assumed

    def _members(self) -> Iterator[tuple[int, FlatParameters]]:
        """The groups and their parameters end to end; none if the optimiser has to do it."""
        optimizer, found = self.optimizer, []
        self.absent: list[Tensor] = []
        if self._is_special():
            return
        for number, group in enumerate(optimizer.param_groups):
            self.absent += [p for p in group["params"] if self.arrays.get(id(p)) is None]
            present = [p for p in group["params"] if self.arrays.get(id(p)) is not None]
            together = optimizer.end_to_end.get(number)
            if together is None or not all(p in optimizer.state for p in present):
                return
            if not together.still_holds(present, [optimizer.state[p] for p in present]):
                return
            found.append((number, together))
        if all(p.grad is None for p in self.absent):
            yield from found

    def _is_special(self) -> bool:
        optimizer = self.optimizer
        ours = type(optimizer).step is Optimizer.step and optimizer.together
        return not ours or bool(optimizer.before_step or optimizer.after_step)

    def _remembered(self) -> list[Any]:
        """All that a user could exchange, as one list: parameters, states and what is in them."""
        optimizer = self.optimizer
        states = optimizer.state.values()
        found: list[Any] = [optimizer.state, *states]
        for group in optimizer.param_groups:
            found += group["params"]
        found += chain.from_iterable(map(dict.values, states))
        return found

    def _holds(self) -> bool:
        now = self._remembered()
        return (
            len(now) == len(self.remembered)
            and all(map(is_, now, self.remembered))
            and not self._is_special()
            and not any(p.grad is not None for p in self.absent)
        )

    def _read(self) -> dict[Key, Any]:
        """The options of each group, and the counts."""
        values: dict[Key, Any] = {}
        for number, group in enumerate(self.optimizer.param_groups):
            for name, value in options_now(group).items():
                if name == "params":
                    continue
                for i, each in enumerate(value if isinstance(value, tuple) else (value,)):
                    values["option", number, name, i] = each
        for number, together in self.members:
            for name, value in together.state.items():
                if not is_array(value):
                    values["state", number, name] = value
        return values

    # -------------------------------------------------------------------------------- recording

    def _record(self) -> None:
        """Make the step, and note how."""
        self.numbers = LiveNumbers(self._read)
        self.counts: dict[tuple[int, str], Key] = {}
        written = [(w, w.copy()) for _, t in self.members for w in (*t.weights, *arrays_of(t))]
        model: list[Array] = []
        try:
            with noting() as calls:
                for number, together in self.members:
                    model += self._run(number, together)
        except Exception:  # it computes in a way that cannot be noted
            for array, before in written:
                array[...] = before
            self.given_up = True
            self.optimizer.step()
            return
        gradients = [array for array in self.arrays.values() if array is not None]
        self.plan = Plan(calls, gradients, model)
        weights = [w for _, together in self.members for w in together.weights]
        self.entries = entries_of(weights)
        mark_again(self.entries, by=self.by)
        self._count()

    def _run(self, number: int, together: FlatParameters) -> list[Array]:
        """Run the rule on block after block; the memory that it changes."""
        group = self.optimizer.param_groups[number]
        options = {n: self._live(v, "option", number, n) for n, v in options_now(group).items()}
        gradients = [g for p in together.parameters if (g := self.arrays[id(p)]) is not None]
        before: dict[str, Any] = {
            name: v.view(Noted) if is_array(v) else self.numbers.number("state", number, name)
            for name, v in together.state.items()
        }
        changed: list[Array] = arrays_of(together)
        for members, within, place, spots in together.blocks:
            given = {n: v[place] if is_array(v) else v for n, v in before.items()}
            state, lines = dict(given), together.lines[members]
            joined = as_one(lines)
            w = np.concatenate(list(map(noted, lines))) if joined is None else noted(joined)
            beside = as_one([g.reshape(-1) for g in gradients[members]])
            g = (
                np.concatenate(list(map(noted, gradients[members])), None)
                if beside is None
                else noted(beside)
            )
            if len(lines) == 1:
                w, g = w[within], g[within]
            self.optimizer.apply_rule(w, g, state, options)
            if joined is None:
                for line, spot in zip(lines, spots, strict=True):
                    noted(line)[...] = w[spot]
            changed += lines if joined is None else [joined]
            for name, value in state.items():
                if isinstance(value, Number):
                    self.counts[number, name] = value.key
                elif value is not given.get(name):
                    raise RuntimeError(f"the rule remembers {name} in an array made anew")
        return changed

    def _live(self, value: Any, *name: Any) -> Any:
        """An option for the rule: numbers, also those in a tuple, are live."""
        if isinstance(value, tuple):
            return tuple(self.numbers.number(*name, i) for i in range(len(value)))
        return self.numbers.number(*name, 0) if isinstance(value, float) else value

    def _count(self) -> None:
        """Make known what the step has counted."""
        values = self.numbers.values
        for number, together in self.members:
            counts = {
                name: self.numbers.value(key, values)
                for (of, name), key in self.counts.items()
                if of == number
            }
            if counts:
                together.keep({**together.state, **counts})
        self.remembered = self._remembered()


def arrays_of(together: FlatParameters) -> list[Array]:
    """What is remembered in arrays."""
    return [v for v in together.state.values() if is_array(v)]


def noted(array: Array) -> Noted:
    """The same memory, noted."""
    return array.view(Noted)


def as_one(lines: list[Array]) -> Array | None:
    """Vectors that lie in memory one after the other, as one; None if they do not."""
    for one, two in pairwise(lines):
        if one.ctypes.data + one.nbytes != two.ctypes.data:
            return None
    size = sum(line.size for line in lines)
    return np.lib.stride_tricks.as_strided(lines[0], (size,), (lines[0].itemsize,))

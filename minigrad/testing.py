"""Is a backward pass right? Compare it with the slope of the forward pass.

    x = mg.randn(4, 3, dtype=mg.float64, requires_grad=True)
    gradcheck(my_function, (x,))         # first derivatives
    gradgradcheck(my_function, (x,))     # derivatives of the backward pass

Both return True, or raise a ``GradcheckError`` that names the input, the index, what backward gave
and what the forward pass does there.

The slope is the central difference (f(x + h) - f(x - h)) / 2h. Its error is of order h^2 from the
curvature and of order 1e-16 / h from rounding; h = 1e-5 balances the two in float64 and leaves
about ten correct digits. In float32 three would be left, so float32 is refused.

Backward passes are seeded with random numbers, never with ones. The sum of a batch-normalised
output does not depend on its input, so with ones dx = 0 would pass as BatchNorm's gradient.

Where a kernel can run in the place of a rule, both are checked, and the error says which of them is
wrong: the one that ``mg.use_kernels(False)`` runs, or the one that ``mg.use_kernels(True)`` does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core.autograd import grad
from .core.execute import use_kernels
from .core.gradmode import enable_grad, no_grad
from .tensor import Tensor

Function = Callable[..., "Tensor | tuple[Tensor, ...]"]
Arrays = list[np.ndarray[Any, Any]]

OTHER = {
    "rule": "the kernel, which runs in its place by default, is right",
    "kernel": "the rule, which mg.use_kernels(False) runs, is right",
}

FULL_JACOBIAN = 4096
"""Up to this many entries (outputs times inputs) the whole Jacobian is compared."""


class GradcheckError(AssertionError):
    """A gradient is not the slope of the function.

    Attributes:
        input: which input of the function (counted from 0), or None if the fault is not in one.
        index: where in that input.
        analytic: what backward gave there.
        numeric: the slope there.
        wrong: "rule" or "kernel" if only one of them failed, else "both" (or there is no kernel).
    """

    wrong = "both"

    def __init__(
        self,
        message: str,
        input: int | None = None,
        index: tuple[int, ...] | None = None,
        analytic: float | None = None,
        numeric: float | None = None,
    ) -> None:
        super().__init__(message)
        self.input, self.index, self.analytic, self.numeric = input, index, analytic, numeric


def gradcheck(
    fn: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-5,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Check the gradients of ``fn`` at ``inputs``.

    For small problems the whole Jacobian is compared, entry by entry, and two random combinations
    of its rows; for large ones, random combinations of rows along random directions.

    Args:
        fn: takes ``inputs``, and returns a Tensor or a tuple of them. It must give the same answer
            each time, and be smooth within ``eps`` of the inputs: keep away from kinks.
        inputs: float64 Tensors on the CPU; those with ``requires_grad`` are checked, anything
            else is passed on.
        eps: the step h.
        atol, rtol: how far the two may differ: atol + rtol * (the larger of the two).
        seed: for the random seeds and directions.

    Raises:
        GradcheckError: a gradient is wrong or missing, or ``fn`` is not deterministic, or changes
            its inputs.
        TypeError: an input to be checked is not float64.
        ValueError: there is nothing to check.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input has requires_grad=True, so there is nothing to check")
    for i in checked:
        if arguments[i].dtype != np.float64:
            raise TypeError(
                f"gradcheck: input {i} is {arguments[i].dtype}, expected float64 (a difference of "
                f"nearly equal numbers needs the digits); use .double()"
            )
    # Leaves of our own: the caller's .grad, graph and data stay as they are.
    points = [
        Tensor(x.data, requires_grad=x.requires_grad) if isinstance(x, Tensor) else x
        for x in arguments
    ]
    rng = np.random.default_rng(seed)
    problem = _Problem(fn, points, checked, eps, lambda a, n: atol + rtol * np.maximum(a, n), rng)
    problem.check_behaviour()
    failures = {}
    for way, enabled in (("rule", False), ("kernel", True)):
        with use_kernels(enabled):
            try:
                problem.check()
            except GradcheckError as error:
                failures[way] = error
    for way, failure in failures.items():
        if len(failures) == 1:
            failure.wrong = way
            failure.args = (f"{failure}; this is the {way}'s: {OTHER[way]}",)
        raise failure
    return True


def gradgradcheck(
    fn: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-5,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Check the second derivatives of ``fn``: the gradients of its backward pass.

    The backward pass is itself a function, of the inputs and of dL/d(output), and is given to
    ``gradcheck``, whose arguments and errors these are.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.requires_grad]
    rng = np.random.default_rng(seed + 1)
    with no_grad():
        outputs = _as_tuple(fn(*arguments))
    floating = [k for k, y in enumerate(outputs) if y.dtype.kind == "f"]
    seeds = [Tensor(_away_from_zero(rng, outputs[k].shape), requires_grad=True) for k in floating]

    def backward_of_fn(*values: Any) -> tuple[Tensor, ...]:
        xs, us = values[: len(arguments)], values[len(arguments) :]
        with enable_grad():  # also where gradcheck only asks for values
            results = _as_tuple(fn(*xs))
            pairs = [(results[k], u) for k, u in zip(floating, us, strict=True)]
            pairs = [(y, u) for y, u in pairs if y.requires_grad]
            found = grad(
                [y for y, _ in pairs],
                [xs[i] for i in checked],
                [u for _, u in pairs],
                create_graph=True,
                allow_unused=True,
            )
        return tuple(g for g in found if g is not None)

    return gradcheck(backward_of_fn, (*arguments, *seeds), eps=eps, atol=atol, rtol=rtol, seed=seed)


def _as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Random numbers between 0.5 and 1.5 in size, of random sign: none near 0, few near 1."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


class _Problem:
    """A function at a point, its slopes by differences and by backward."""

    def __init__(
        self,
        fn: Function,
        points: list[Any],
        checked: list[int],
        eps: float,
        tolerance: Callable[[Any, Any], Any],
        rng: np.random.Generator,
    ) -> None:
        self.fn, self.points, self.checked = fn, points, checked
        self.eps, self.tolerance, self.rng = eps, tolerance, rng
        self.numeric: dict[int, list[Arrays]] = {}  # input -> slopes, measured once
        self.by_rule: Arrays | None = None

    def outputs(self) -> tuple[Tensor, ...]:
        """The floating outputs, recorded."""
        return tuple(y for y in _as_tuple(self.fn(*self.points)) if y.dtype.kind == "f")

    def values(self) -> Arrays:
        """The floating outputs as arrays of their own."""
        with no_grad():
            return [y.data.copy() for y in self.outputs()]

    def check_behaviour(self) -> None:
        """``fn`` gives the same answer twice and leaves its inputs alone."""
        before = [self.points[i].data.copy() for i in self.checked]
        first, second = self.values(), self.values()
        for i, old in zip(self.checked, before, strict=True):
            if not np.array_equal(old, self.points[i].data, equal_nan=True):
                raise GradcheckError(f"gradcheck: the function changed its input {i} in place", i)
        for k, (a, b) in enumerate(zip(first, second, strict=True)):
            if not np.array_equal(a, b, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: output {k} differs between two calls with the same inputs; the "
                    f"function must be deterministic (no dropout, no running statistics)"
                )
            if not np.all(np.isfinite(a)):
                raise GradcheckError(f"gradcheck: output {k} holds NaN or infinity at this point")

    def check(self) -> None:
        """The outputs and the gradients, by the rules or by the kernels as they are switched."""
        values = self.values()
        if self.by_rule is None:
            self.by_rule = values
        for k, (y, expected) in enumerate(zip(values, self.by_rule, strict=True)):
            if not np.allclose(y, expected, rtol=1e-9, atol=1e-12, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: output {k} of the kernel is not the rule's: they differ by up to "
                    f"{np.abs(y - expected).max():.3g}"
                )
        entries = sum(y.size for y in values) * sum(self.points[i].numel() for i in self.checked)
        if entries <= FULL_JACOBIAN:
            self.check_jacobian([y.shape for y in values])
        else:
            self.check_directions([y.shape for y in values])

    def analytic(self, seeds: Arrays) -> Arrays:
        """dL/dx by backward, for L = sum of seed * output; zeros where backward gives nothing."""
        outputs = self.outputs()
        pairs = [(y, u) for y, u in zip(outputs, seeds, strict=True) if y.requires_grad]
        targets = [self.points[i] for i in self.checked]
        if not pairs:
            return [np.zeros(x.shape) for x in targets]
        found = grad(
            [y for y, _ in pairs],
            targets,
            [Tensor(u.astype(y.dtype)) for y, u in pairs],
            allow_unused=True,
        )
        return [
            np.zeros(x.shape) if g is None else g.data for g, x in zip(found, targets, strict=True)
        ]

    def difference(self, moves: dict[int, Any]) -> Arrays:
        """(f(x + h move) - f(x - h move)) / 2h for every output; ``moves``: input -> direction."""
        originals = {i: self.points[i].data for i in moves}
        ends: list[Arrays] = []
        try:
            for sign in (1, -1):
                for i, move in moves.items():
                    self.points[i].data = originals[i] + sign * self.eps * move
                ends.append(self.values())
        finally:
            for i, original in originals.items():
                self.points[i].data = original
        return [(up - down) / (2 * self.eps) for up, down in zip(*ends, strict=True)]

    def slopes(self, i: int) -> list[Arrays]:
        """For every element of input i, the slope of every output along it."""
        found = []
        for index in np.ndindex(self.points[i].shape):
            move = np.zeros(self.points[i].shape)
            move[index] = 1
            found.append(self.difference({i: move}))
        return found

    def check_jacobian(self, sizes: list[tuple[int, ...]]) -> None:
        """Every output against every input."""
        if not self.numeric:
            self.numeric = {i: self.slopes(i) for i in self.checked}
        dense = [[_away_from_zero(self.rng, shape) for shape in sizes] for _ in range(2)]
        rows = []
        for k, shape in enumerate(sizes):
            for index in np.ndindex(shape):
                seeds = [np.zeros(s) for s in sizes]
                seeds[k][index] = _away_from_zero(self.rng, ())
                rows.append((f"output {k} at {index}", seeds))
        both = [*(("a random combination of the outputs", seeds) for seeds in dense), *rows]
        for what, seeds in both:
            for i, found in zip(self.checked, self.analytic(seeds), strict=True):
                expected = np.array(
                    [
                        sum(float((u * s).sum()) for u, s in zip(seeds, slope, strict=True))
                        for slope in self.numeric[i]
                    ]
                ).reshape(found.shape)
                self.compare(i, found, expected, what)

    def check_directions(self, sizes: list[tuple[int, ...]]) -> None:
        """Random combinations of outputs along random directions; on failure, where it is."""
        for _ in range(3):
            seeds = [_away_from_zero(self.rng, shape) for shape in sizes]
            for i, found in zip(self.checked, self.analytic(seeds), strict=True):
                direction: Any = self.rng.standard_normal(found.shape)
                direction /= np.linalg.norm(direction)
                slope = self.slope_of_loss(seeds, i, direction)
                along = float((found * direction).sum())
                if not self.close(along, slope):
                    self.locate(i, seeds, found, along, slope)

    def slope_of_loss(self, seeds: Arrays, i: int, move: Any) -> float:
        """The slope of L = sum of seed * output along ``move`` of input i."""
        ends = self.difference({i: move})
        return sum(float((u * s).sum()) for u, s in zip(seeds, ends, strict=True))

    def locate(self, i: int, seeds: Arrays, found: Any, along: float, slope: float) -> None:
        """A direction disagrees: name the worst of some elements."""
        picks = self.rng.permutation(found.size)[:100]
        worst, gap = None, -1.0
        for pick in picks:
            index = tuple(int(n) for n in np.unravel_index(pick, found.shape))
            move = np.zeros(found.shape)
            move[index] = 1
            numeric = self.slope_of_loss(seeds, i, move)
            if abs(found[index] - numeric) > gap:
                gap, worst = (
                    float(abs(found[index] - numeric)),
                    (index, float(found[index]), numeric),
                )
        assert worst is not None
        index, analytic, numeric = worst
        raise GradcheckError(
            f"gradcheck: input {i}: along a random direction backward gives {along:.10g} and the "
            f"slope is {slope:.10g}; of {len(picks)} elements tried the worst is at {index}: "
            f"backward gives {analytic:.10g}, the slope is {numeric:.10g}",
            i,
            index,
            analytic,
            numeric,
        )

    def close(self, analytic: Any, numeric: Any) -> Any:
        return abs(analytic - numeric) <= self.tolerance(abs(analytic), abs(numeric))

    def compare(self, i: int, analytic: Any, numeric: Any, what: str) -> None:
        wrong = ~self.close(analytic, numeric)
        if not wrong.any():
            return
        gap = np.where(wrong, np.nan_to_num(abs(analytic - numeric), nan=np.inf), -1)
        index = tuple(int(n) for n in np.unravel_index(int(gap.argmax()), analytic.shape))
        raise GradcheckError(
            f"gradcheck: input {i} at {index}, for {what}: backward gives "
            f"{analytic[index]:.10g}, the slope is {numeric[index]:.10g} "
            f"({int(wrong.sum())} of {wrong.size} elements of this input are wrong)",
            i,
            index,
            float(analytic[index]),
            float(numeric[index]),
        )

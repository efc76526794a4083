"""Every CUDA kernel of minigrad against the rule it stands for, in float64 on the CPU.

``benchmark_gpu.py`` runs this first: a kernel that is fast and wrong is worth nothing. The error of
a result is its largest deviation, as a share of the largest element.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from problem import Array

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, ops, optim
from minigrad.kernels import cuda as kernels
from minigrad.kernels import launch

# The share of the largest element by which a result may be off: a few roundings of a sum.
ALLOWED = {"float16": 1e-2, "float32": 2e-5, "float64": 1e-12}
SHAPES = [(37, 45), (1000, 300)]


@dataclass(frozen=True)
class Check:
    """How far off one kernel was."""

    kernel: str
    dtype: str
    shape: tuple[int, int]
    error: float

    @property
    def passed(self) -> bool:
        """Whether it was near enough. (An error that is no number is not.)"""
        return self.error <= ALLOWED[self.dtype]


def checks(seed: int) -> Iterator[Check]:
    """All kernels, in all types, on fresh random numbers."""
    rng = np.random.default_rng(seed)
    for dtype in ALLOWED:
        for shape in SHAPES:
            for name, op, arrays in operations(rng, dtype, *shape):
                yield Check(name, dtype, shape, of_operation(rng, op, arrays))
            if dtype != "float16":
                yield Check("running statistics", dtype, shape, of_statistics(rng, dtype, shape))
            for name in ("SGD", "Adam", "AdamW"):
                yield Check(name, dtype, shape, of_optimizer(rng, name, dtype, shape))


def operations(
    rng: np.random.Generator, dtype: str, n: int, c: int
) -> Iterator[tuple[str, Any, list[Array]]]:
    """Name, a function that makes the operation, and its inputs."""

    def draw(*shape: int, kind: Any = dtype, scale: float = 1.7) -> Array:
        return rng.normal(0.3, scale, shape).astype(kind)

    def weight() -> Array:
        """Such that few units are saturated: of those, half precision has no digits left."""
        return draw(c, 30, scale=0.2)

    vectors = [draw(c, kind=launch.TYPES[np.dtype(dtype).char][2]) for _ in range(2)]
    yield "BatchNorm", lambda: ops.BatchNorm(1e-5), [draw(n, c), *vectors]
    yield "BatchNorm and sigmoid", lambda: ops.BatchNormSigmoid(1e-5), [draw(n, c), *vectors]
    yield "product", ops.MatMul, [draw(n, 30), draw(30, c)]
    yield "Linear", ops.Linear, [draw(n, 30), weight(), draw(c)]
    if dtype != "float16":
        layer = [draw(n, 30), weight(), *(draw(c) for _ in range(3))]
        yield "a whole layer", lambda: ops.LinearBatchNormSigmoid(1e-5), layer
    for kind in (ops.Sigmoid, ops.Tanh, ops.ReLU):

        def make(kind: Any = kind) -> Any:
            return ops.LinearActivation(kind())

        yield f"Linear and {kind.__name__}", make, [draw(n, 30), weight(), draw(c)]
    yield "sigmoid", ops.Sigmoid, [draw(n, c)]
    labels = rng.integers(0, c, n)
    loss = "cross-entropy"
    yield loss, lambda: ops.SoftmaxCrossEntropy("mean", -100), [draw(n, c), labels]


def of_operation(rng: np.random.Generator, make: Any, arrays: list[Array]) -> float:
    """The error of an operation's forward and backward kernels; infinite if they did not run."""
    rule, op = make(), make()
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    y = np.asarray(rule.forward(*wide))
    grad = rng.normal(size=y.shape).astype(arrays[0].dtype)
    rule.parents = op.parents = (object(),) * len(arrays)  # every input wants its gradient

    there = [mg.tensor(a, device="cuda").data for a in arrays]
    out = kernels.FORWARD[type(op)](op, *there)
    if out is None:
        return float("inf")
    upstream = mg.tensor(grad, device="cuda").data
    shares = kernels.BACKWARD[type(op)](op, upstream, out, *there)
    if shares is None:
        return float("inf")
    found = [out, *_tuple(shares)]
    # From the output as it is: where it was rounded to 0 or 1, the derivative is another one.
    rounded = mg.Tensor.from_array(out).cpu().numpy().astype(np.float64)
    expected = [y, *_tuple(rule.backward(grad.astype(np.float64), rounded, *wide))]
    pairs = zip(found, expected, strict=True)
    return max(error(mg.Tensor.from_array(a), b) for a, b in pairs if b is not None)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def error(found: mg.Tensor, expected: Array) -> float:
    """The largest deviation, as a share of the largest element; NaN if a number is missing."""
    numbers = found.detach().cpu().numpy().astype(np.float64)
    size = float(np.abs(expected).max())
    return float(np.abs(numbers - expected).max()) / (size or 1.0)


def of_statistics(rng: np.random.Generator, dtype: str, shape: tuple[int, int]) -> float:
    """The error of the running mean and variance."""
    x = rng.normal(2.0, 3.0, shape).astype(dtype)
    before = rng.uniform(1, 2, (2, shape[1])).astype(dtype)
    mean, var = (mg.tensor(b, device="cuda") for b in before)
    F.batch_norm(mg.tensor(x, device="cuda"), mean, var, training=True, momentum=0.3)
    wide = x.astype(np.float64)
    batch = wide.mean(axis=0), wide.var(axis=0, ddof=1)
    return max(
        error(found, 0.7 * b.astype(np.float64) + 0.3 * new)
        for found, b, new in zip((mean, var), before, batch, strict=True)
    )


def of_optimizer(rng: np.random.Generator, name: str, dtype: str, shape: tuple[int, int]) -> float:
    """The error of two parameters after three steps."""
    shapes = shape, shape[1:]
    starts = [rng.normal(size=s).astype(dtype) for s in shapes]
    # Not so small that half precision has no number for their squares.
    gradients = [
        [(rng.choice([-1, 1], s) * rng.uniform(0.3, 2, s)).astype(dtype) for s in shapes]
        for _ in range(3)
    ]
    found = []
    for device, kind in (("cuda", dtype), ("cpu", "float64")):
        params = [nn.Parameter(mg.tensor(w.astype(kind), device=device)) for w in starts]
        options = {"momentum": 0.9} if name == "SGD" else {"eps": 1e-3}
        optimizer = getattr(optim, name)(params, lr=0.05, weight_decay=0.01, **options)
        for step in gradients:
            for w, g in zip(params, step, strict=True):
                w.grad = mg.tensor(g.astype(kind), device=device)
            optimizer.step()
        found.append(params)
    return max(error(w, v.detach().numpy()) for w, v in zip(*found, strict=True))

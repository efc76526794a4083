"""Faster twins of some rules in ``ops/``, one table per array library.

A kernel computes what its operation's ``forward`` or ``backward`` computes, in the same arguments:

    forward(op, *inputs)                  -> the output, or None
    backward(op, grad, y, *inputs)        -> the gradients, or None

``None`` says that this case is not the kernel's (another number of axes, a type it was not written
for), and the rule in ``ops/`` runs. Between its two halves a kernel may leave arrays in
``op.workspace``; where that is None, ``forward`` was not the kernel's, and neither is ``backward``.

Kernels see arrays only. When gradients of gradients are wanted, the rules run on Tensors, and they
remain what defines the truth: a test compares every kernel with its rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import Array, array_module, on_device_of
from ..ops import BatchNorm, Op
from . import cpu, cuda, cuda_steps

Kernel = Callable[..., Any]
Table = Mapping[type[Op], Kernel]


def _tables(array: Array) -> tuple[Table, Table]:
    """The forward and the backward kernels for ``array``, which is none of NumPy's own kind."""
    if array_module(array) is np:  # NumPy's numbers, and subclasses of its arrays
        return {}, {}
    return cuda.FORWARD, cuda.BACKWARD


def has_step(name: str, array: Array) -> bool:
    """Whether there is a kernel that makes a step of the optimiser ``name`` for arrays like this
    one. On the host there is none: the rules themselves are run on blocks, which is as fast."""
    return array_module(array) is not np and name in cuda_steps.STEP


def step(
    name: str,
    weights: list[Array],
    gradients: list[Array],
    state: dict[str, Any],
    group: dict[str, Any],
    sent: dict[Any, Array],
) -> bool:
    """Make a step of the optimiser ``name`` for all ``weights`` at once, in place. If it is False,
    this case is not the kernel's, and nothing has changed.

    ``state`` is what the optimiser remembers: numbers, and arrays that hold all parameters end to
    end; in the first step it is empty, and the kernel fills it. ``group`` are its options, and
    ``sent`` is a place for the kernel to keep what it has sent to the GPU.
    """
    return cuda_steps.STEP[name](weights, gradients, state, group, sent)


def update_running_statistics(
    mean: Array, var: Array, op: BatchNorm, momentum: float, m: int
) -> None:
    """running = (1 - momentum) running + momentum batch, in place, with the statistics that the
    forward pass of ``op`` has left. They were taken over ``m`` values each, and of the variance
    the unbiased one counts, divided by m - 1 instead of m."""
    if type(mean) is np.ndarray:
        cpu.update_running(mean, var, op, momentum, m)
        return
    with on_device_of(mean):
        if cuda.update_running(mean, var, op, momentum, m):
            return
        mean *= 1 - momentum
        mean += op.batch_mean * momentum
        var *= 1 - momentum
        var += op.batch_var * (momentum * (m / (m - 1)))


def count_one(count: Array) -> None:
    """count += 1, of a single number, in place."""
    if type(count) is np.ndarray:
        count[...] = count.item() + 1  # an eighth of the time that NumPy needs for count += 1
        return
    with on_device_of(count):  # where .item() would wait for all work to finish
        if not cuda.count_one(count):
            count += 1


def forward(op: Op, arrays: list[Array]) -> Array:
    """The output of ``op``: by its kernel if there is one for this case, else by its rule."""
    table = cpu.FORWARD if type(arrays[0]) is np.ndarray else _tables(arrays[0])[0]
    kernel = table.get(type(op))
    if kernel is not None:
        out = kernel(op, *arrays)
        if out is not None:
            return out
    return op.forward(*arrays)


def backward(op: Op, grad: Array, kept: Sequence[Any]) -> Any:
    """The gradients of the inputs of ``op``, likewise."""
    table = cpu.BACKWARD if type(grad) is np.ndarray else _tables(grad)[1]
    kernel = table.get(type(op))
    if kernel is not None:
        shares = kernel(op, grad, *kept)
        if shares is not None:
            return shares
    return op.backward(grad, *kept)

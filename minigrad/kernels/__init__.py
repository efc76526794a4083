"""Faster twins of some rules in ``ops/``, one file per array library.

Importing this package registers them with ``core/execute``, which says what a kernel is and when it
runs in the place of a rule. Nothing that a rule needs is here, and a test compares every kernel
with its rule.
"""

from typing import Any

import numpy as np

from ..backend import Array, array_module, on_device_of
from ..core import execute
from ..ops import BatchNorm
from . import cpu, cpu_batchnorm, cuda, cuda_steps

for part in (cpu, cpu_batchnorm):
    execute.numpy_forward.update(part.FORWARD)
    execute.numpy_backward.update(part.BACKWARD)
execute.cupy_forward.update(cuda.FORWARD)
execute.cupy_backward.update(cuda.BACKWARD)


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
        cpu_batchnorm.update_running(mean, var, op, momentum, m)
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

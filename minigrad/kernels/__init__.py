"""Faster twins of some rules in ``ops/``, one file per array library.

Importing this package registers them with ``core/execute``, which says what a kernel is and when it
runs in the place of a rule. Nothing that a rule needs is here, and a test compares every kernel
with its rule.
"""

from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, array_module
from ..core import execute
from . import cpu, cpu_batchnorm, cuda, cuda_steps

for part in (cpu, cpu_batchnorm):
    execute.numpy_forward.update(part.FORWARD)
    execute.numpy_backward.update(part.BACKWARD)
execute.numpy_in_place.update(cpu_batchnorm.IN_PLACE)
execute.cupy_forward.update(cuda.FORWARD)
execute.cupy_backward.update(cuda.BACKWARD)
execute.cupy_in_place.update(
    {ops.update_running: cuda.update_running, ops.count_one: cuda.count_one}
)


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

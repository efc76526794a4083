"""Faster twins of some rules in ``ops/``, one file per array library.

Importing this package registers them with ``core/execute``, which says what a kernel is and when it
runs in the place of a rule. Nothing that a rule needs is here, and a test compares every kernel
with its rule.
"""

from .. import ops
from ..core import execute
from . import cpu, cpu_batchnorm, cpu_convolution, cuda, cuda_steps, cuda_windows

for part in (cpu, cpu_batchnorm, cpu_convolution):
    execute.numpy_forward.update(part.FORWARD)
    execute.numpy_backward.update(part.BACKWARD)
execute.numpy_in_place.update(cpu_batchnorm.IN_PLACE)
for on_gpu in (cuda, cuda_windows):
    execute.cupy_forward.update(on_gpu.FORWARD)
    execute.cupy_backward.update(on_gpu.BACKWARD)
execute.cupy_in_place.update(
    {ops.update_running: cuda.update_running, ops.count_one: cuda.count_one}
)
execute.cupy_steps.update(cuda_steps.STEP)

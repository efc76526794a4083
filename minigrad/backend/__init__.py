"""Arrays: which library an array belongs to, which device it lives on, and how it gets there.

The rules in ``ops/`` ask ``array_module(x)`` for the module that made ``x`` and call the same
functions on either. That NumPy and CuPy are two libraries is known here, in ``kernels/`` and
``replay/``, and where arrays come in and go out (``creation.py``, ``methods/exchange.py``).
"""

from .cuda import (
    cuda_status,
    get_float32_matmul_precision,
    import_cupy,
    set_float32_matmul_precision,
)
from .device import (
    CPU,
    Device,
    default_device,
    device_of,
    make_current,
    on_device_of,
    remember_on_host,
    set_default_device,
    to_device,
)
from .host_copies import (
    forget_host_copy,
    hand_on_host_copy,
    host_copy,
)
from .library import (
    Array,
    array_module,
    is_array,
    owner,
)
from .random import (
    default_generator,
    get_rng_state,
    manual_seed,
    set_rng_state,
    uniform,
)

__all__ = [
    "Array",
    "array_module",
    "is_array",
    "owner",
    "CPU",
    "Device",
    "default_device",
    "device_of",
    "make_current",
    "on_device_of",
    "remember_on_host",
    "set_default_device",
    "to_device",
    "forget_host_copy",
    "hand_on_host_copy",
    "host_copy",
    "cuda_status",
    "get_float32_matmul_precision",
    "import_cupy",
    "set_float32_matmul_precision",
    "default_generator",
    "get_rng_state",
    "manual_seed",
    "set_rng_state",
    "uniform",
]

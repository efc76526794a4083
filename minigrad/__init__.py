"""minigrad: a tiny tensor and reverse-mode autograd engine on NumPy and CuPy.

This file is the table of contents. To read the source, start with ``core/graph.py`` (the walk),
then ``core/op.py`` (an operation), ``core/autograd.py`` (record it, go back) and ``nn/module.py``.
"""

from importlib import import_module
from typing import Any

from . import cuda as cuda
from . import functional as functional
from . import kernels as kernels
from . import nn as nn
from . import ops as ops
from . import optim as optim
from .anomaly import AnomalyError, detect_anomaly
from .autocast import autocast, is_autocast_enabled
from .backend import Device as device
from .backend import (
    default_device,
    get_float32_matmul_precision,
    get_rng_state,
    manual_seed,
    set_default_device,
    set_float32_matmul_precision,
    set_rng_state,
)
from .core.autograd import grad
from .core.execute import use_kernels
from .core.gradmode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .creation import (
    arange,
    eye,
    from_dlpack,
    from_numpy,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    zeros,
    zeros_like,
)
from .derivatives import hessian, hvp, jacobian, jvp, vjp
from .dtypes import bool as bool
from .dtypes import float16, float32, float64, int8, int16, int32, int64, uint8
from .functional import *
from .methods.nearest import missing
from .recompute import checkpoint, checkpoint_sequential
from .replay import capture
from .serialization import load, save
from .tensor import Tensor, tensor

__version__ = "0.1.0"

LATER = {"coursework", "data", "diagnostics", "distributed", "testing"}

__all__ = [
    "cuda",
    "load",
    "save",
    "functional",
    "nn",
    "ops",
    "optim",
    "grad",
    "device",
    "default_device",
    "manual_seed",
    "get_rng_state",
    "set_rng_state",
    "get_float32_matmul_precision",
    "set_default_device",
    "set_float32_matmul_precision",
    "arange",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "linspace",
    "ones",
    "ones_like",
    "rand",
    "randint",
    "randn",
    "randperm",
    "zeros",
    "zeros_like",
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "autocast",
    "is_autocast_enabled",
    "enable_grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "use_kernels",
    "capture",
    "checkpoint",
    "checkpoint_sequential",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "vjp",
    "AnomalyError",
    "detect_anomaly",
    "Tensor",
    "tensor",
]
__all__ += functional.__all__


def __getattr__(name: str) -> Any:
    """The parts that are loaded when they are first asked for: ``mg.data``, ``mg.diagnostics``."""
    if name in LATER:
        return import_module(f".{name}", __name__)
    raise missing("module 'minigrad'", name, __dir__())


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})

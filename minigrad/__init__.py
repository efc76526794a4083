"""minigrad: a tiny tensor and reverse-mode autograd engine on NumPy and CuPy.

This file is the table of contents. To read the source, start with ``core/graph.py`` (the walk),
then ``core/op.py`` (an operation), ``core/autograd.py`` (record it, go back) and ``nn/module.py``.
"""

from . import cuda as cuda
from . import functional as functional
from . import nn as nn
from . import ops as ops
from . import optim as optim
from .anomaly import AnomalyError, detect_anomaly
from .backend import Device as device
from .backend import (
    default_device,
    get_float32_matmul_precision,
    manual_seed,
    set_default_device,
    set_float32_matmul_precision,
)
from .checkpoint import load, save
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
from .dtypes import bool as bool
from .dtypes import float16, float32, float64, int8, int16, int32, int64, uint8
from .functional import *
from .tensor import Tensor, tensor

__version__ = "0.1.0"

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
    "enable_grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "use_kernels",
    "AnomalyError",
    "detect_anomaly",
    "Tensor",
    "tensor",
]
__all__ += functional.__all__

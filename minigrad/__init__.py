"""minigrad: a tiny tensor and reverse-mode autograd engine on NumPy and CuPy.

This file is the table of contents. To read the source, start with ``graph.py`` (the walk), then
``ops/base.py`` (an operation), ``tensor.py`` (an array that remembers) and ``nn/module.py``.
"""

from . import functional as functional
from . import nn as nn
from . import ops as ops
from . import optim as optim
from .backend import Device as device
from .backend import default_device, manual_seed, set_default_device
from .creation import (
    arange,
    eye,
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
from .functional import (
    abs,
    add,
    amax,
    amin,
    argmax,
    argmin,
    bmm,
    cat,
    chunk,
    clamp,
    cos,
    cumsum,
    div,
    dot,
    exp,
    expand,
    flatten,
    gather,
    log,
    log_softmax,
    logsumexp,
    matmul,
    maximum,
    mean,
    minimum,
    mm,
    mul,
    neg,
    outer,
    permute,
    pow,
    reciprocal,
    relu,
    reshape,
    rsqrt,
    sigmoid,
    sin,
    softmax,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    sub,
    sum,
    tanh,
    transpose,
    unsqueeze,
    var,
    where,
)
from .tensor import (
    Tensor,
    enable_grad,
    grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
    tensor,
)

__version__ = "0.1.0"

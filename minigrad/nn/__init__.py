"""Modules: named parameters and buffers, with a train/eval state.

This file is the table of contents. Start with ``module.py``; ``linear.py`` is the shortest layer
with parameters and ``batchnorm.py`` the one with the most state.
"""

from .. import functional
from ..methods.nearest import missing
from . import init, utils
from .activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .container import ModuleDict, ModuleList, ParameterList, Sequential
from .convolution import AdaptiveAvgPool2d, AvgPool2d, Conv1d, Conv2d, MaxPool2d
from .dropout import Dropout
from .embedding import Embedding
from .fuse import BatchNormSigmoid, LinearActivation, fuse
from .groupnorm import GroupNorm
from .layernorm import LayerNorm
from .linear import Linear
from .loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from .module import Module
from .parameter import Parameter
from .rmsnorm import RMSNorm
from .shape import Flatten, Identity, Unflatten

__all__ = [
    "Module",
    "Parameter",
    "Sequential",
    "ModuleList",
    "ModuleDict",
    "ParameterList",
    "Linear",
    "LinearActivation",
    "Conv1d",
    "Conv2d",
    "MaxPool2d",
    "AvgPool2d",
    "AdaptiveAvgPool2d",
    "Embedding",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "BatchNormSigmoid",
    "LayerNorm",
    "GroupNorm",
    "RMSNorm",
    "Dropout",
    "Identity",
    "Flatten",
    "Unflatten",
    "Sigmoid",
    "Tanh",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "GELU",
    "SiLU",
    "Softplus",
    "Softmax",
    "LogSoftmax",
    "CrossEntropyLoss",
    "NLLLoss",
    "MSELoss",
    "L1Loss",
    "SmoothL1Loss",
    "HuberLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "KLDivLoss",
    "functional",
    "fuse",
    "init",
    "utils",
]


def __getattr__(name: str) -> object:
    raise missing("module 'minigrad.nn'", name, __all__)

"""Optimisers and learning-rate schedules.

This file is the table of contents. ``optimizer.py`` holds what all optimisers share; ``sgd.py``,
``adam.py``, ``rmsprop.py`` and ``adagrad.py`` hold the rules. How the learning rate changes over
time is in ``schedule.py``, ``cycles.py`` (where it rises again) and ``plateau.py`` (where it waits
for a measure). ``grad_scaler.py`` belongs to ``mg.autocast``.
"""

from ..methods.nearest import missing
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from . import lr_scheduler
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .cycles import CosineAnnealingWarmRestarts, OneCycleLR
from .grad_scaler import GradScaler
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .rmsprop import RMSprop
from .schedule import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
    StepLR,
)
from .sgd import SGD

__all__ = [
    "Optimizer",
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "LRScheduler",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "LambdaLR",
    "SequentialLR",
    "lr_scheduler",
    "GradScaler",
    "clip_grad_norm_",
    "clip_grad_value_",
]


def __getattr__(name: str) -> object:
    raise missing("module 'minigrad.optim'", name, __all__)

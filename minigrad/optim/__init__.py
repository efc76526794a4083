"""Optimisers and learning-rate schedules.

This file is the table of contents. ``optimizer.py`` holds what all optimisers share, ``sgd.py`` and
``adam.py`` the rules, ``schedule.py`` how the learning rate changes over time.
"""

from ..nn.utils import clip_grad_norm_, clip_grad_value_
from . import schedule as lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
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
    "LRScheduler",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "LambdaLR",
    "SequentialLR",
    "lr_scheduler",
    "clip_grad_norm_",
    "clip_grad_value_",
]

"""All schedules under the name of PyTorch's module: ``optim.lr_scheduler.StepLR``."""

from .cycles import CosineAnnealingWarmRestarts, OneCycleLR
from .plateau import ReduceLROnPlateau
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

__all__ = [
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
]

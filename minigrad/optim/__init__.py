"""Optimisers and learning-rate schedules.

This file is the table of contents. ``optimizer.py`` holds what all optimisers share, ``sgd.py`` and
``adam.py`` the rules, ``schedule.py`` how the learning rate changes over time.
"""

from ..nn.utils import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["Optimizer", "SGD", "clip_grad_norm_", "clip_grad_value_"]

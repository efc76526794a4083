"""Which of the two array libraries made an array, NumPy or CuPy, and whose memory it shows."""

import sys
from typing import Any

import numpy as np

Array = Any
"""A ``numpy.ndarray`` or a ``cupy.ndarray``: the rules in ``ops/`` are written for both."""


def array_module(array: Array) -> Any:
    """``numpy`` or ``cupy``, whichever made ``array``. (Where CuPy was never imported, no CuPy
    array can exist, so this costs a dictionary look-up.)"""
    if type(array) is np.ndarray:
        return np
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else np


def is_array(value: object) -> bool:
    """Whether ``value`` is an array of one of the two libraries."""
    return isinstance(value, np.ndarray) or array_module(value) is not np


def owner(array: Array) -> Array:
    """The array whose memory ``array`` shows: itself, or what it is a view of."""
    kind = type(array)
    while type(array.base) is kind:
        array = array.base
    return array

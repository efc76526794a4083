"""Matrix products of the stand-in: float32, or TF32 where CuPy was told so."""

import json
import types
from pathlib import Path
from typing import Any

import numpy as np

API = json.loads(Path(__file__).with_name("cupy_api.json").read_text(encoding="utf-8"))
NUMBERS = API["linalg"]
DEFAULT, TF32 = NUMBERS["COMPUTE_TYPE_DEFAULT"], NUMBERS["COMPUTE_TYPE_TF32"]

_kind = DEFAULT


def routines() -> types.SimpleNamespace:
    """``cupy._core._routines_linalg``, with products as exact as they are at the start."""
    set_compute_type(np.float32, DEFAULT)
    return types.SimpleNamespace(**NUMBERS, set_compute_type=set_compute_type)


def set_compute_type(dtype: Any, compute_type: int) -> None:
    """How products of matrices of ``dtype`` are computed from now on."""
    global _kind
    assert np.dtype(dtype) == np.float32
    assert compute_type in (DEFAULT, TF32)
    _kind = compute_type


def shortened(x: Any) -> Any:
    """float32 with 10 bits after the first instead of 23, rounded to nearest."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)


def matmul(a: Any, b: Any, **options: Any) -> Any:
    """Of two matrices in the chosen precision; of stacks always in float32."""
    plain = [np.ndim(x) == 2 and x.dtype == np.float32 for x in (a, b)]
    if _kind == TF32 and all(plain):
        a, b = shortened(a), shortened(b)
    return np.matmul(a, b, **options)

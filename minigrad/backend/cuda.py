"""Is there a GPU that CuPy can use, and how exact are its products of matrices.

CuPy is imported when a device is asked for, never by ``import minigrad``: importing it costs a
tenth of a second, and merely looking for a GPU starts a driver that forked processes cannot use.
"""

import os
import sys
from types import ModuleType

import numpy as np


def import_cupy() -> ModuleType:
    """CuPy, or a RuntimeError that says why there is none and what to do."""
    working, reason = cuda_status()
    if not working:
        raise RuntimeError(f"device 'cuda' is not available: {reason}. Use device='cpu'.")
    if _told_precision != _precision:
        _tell_precision()
    return sys.modules["cupy"]


_cuda_status: tuple[bool, str] | None = None


def cuda_status() -> tuple[bool, str]:
    """Whether CUDA can be used, and the reason. Never raises; the answer is found once.

    Importing CuPy proves nothing (it succeeds without a GPU, a driver or a compiler), so the last
    step runs a real kernel on two numbers.
    """
    global _cuda_status
    if os.environ.get("MINIGRAD_NO_CUDA", "0") not in ("", "0"):
        return False, "switched off by the environment variable MINIGRAD_NO_CUDA"
    if _cuda_status is None:
        _cuda_status = _probe_cuda()
    return _cuda_status


def _probe_cuda() -> tuple[bool, str]:
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return False, f"CuPy is installed but cannot be imported ({error})"
        return (
            False,
            "CuPy is not installed (pip install 'cupy-cuda13x[ctk]', or 'cupy-cuda12x[ctk]')",
        )
    except Exception as error:  # whatever a broken installation raises is the reason
        return False, f"CuPy is installed but cannot be imported ({error!r})"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # no driver, or one that is too old
        return False, f"there is no usable CUDA driver ({error})"
    if count == 0:
        return False, "there is a CUDA driver but no CUDA device"
    try:
        answer = float(cupy.asarray([1.0, 2.0]).sum())
    except Exception as error:  # no run-time compiler, an unsupported card, ...
        return False, f"a test kernel failed on the GPU ({error})"
    if answer != 3.0:
        return False, f"a test kernel computed 1 + 2 = {answer} on the GPU"
    return True, f"{count} CUDA device{'s' if count > 1 else ''}, CuPy {cupy.__version__}"


# ---------------------------------------------------------------------------------- precision

_precision: str | None = None  # what the user said, if anything,
_told_precision: str | None = None  # and what CuPy was told: when CUDA is used, not before


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 matrices shall be on a GPU.

    "highest", the default: float32. "high": TF32, in which each factor keeps 10 of its 23 bits
    before it is multiplied, and sums are taken in float32; several times as fast on GPUs that have
    it (compute capability 8.0), with relative errors of about 0.001. Products of stacks of
    matrices, with 3 axes or more, stay float32. On the CPU nothing changes: NumPy has no TF32.

    Raises:
        ValueError: another word.
        RuntimeError: this version of CuPy has no such switch. Nothing has changed then.
    """
    global _precision
    if precision not in ("highest", "high"):
        raise ValueError(
            f"set_float32_matmul_precision: got {precision!r}, expected 'highest' or 'high'"
        )
    before, _precision = _precision, precision
    if _cuda_status is not None and _cuda_status[0]:
        try:
            _tell_precision()
        except RuntimeError:
            _precision = before
            raise


def get_float32_matmul_precision() -> str:
    """ "highest" or "high": what was set, else what CuPy's environment variable CUPY_TF32 says."""
    if _precision is not None:
        return _precision
    return "high" if os.environ.get("CUPY_TF32", "0") not in ("", "0") else "highest"


def _tell_precision() -> None:
    global _told_precision
    try:  # CuPy has this switch, but under no public name
        from cupy._core import _routines_linalg as linalg

        kinds = {"highest": linalg.COMPUTE_TYPE_DEFAULT, "high": linalg.COMPUTE_TYPE_TF32}
        linalg.set_compute_type(np.float32, kinds[_precision or "highest"])
    except (ImportError, AttributeError) as error:
        raise RuntimeError(
            f"set_float32_matmul_precision: CuPy {sys.modules['cupy'].__version__} has no such "
            f"switch ({error}); set the environment variable CUPY_TF32=1 before the start"
        ) from None
    _told_precision = _precision

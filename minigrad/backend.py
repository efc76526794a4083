"""Arrays: which library an array belongs to, which device it lives on, and how it gets there.

The rules in ``ops/`` ask ``array_module(x)`` for the module that made ``x`` and call the same
functions on either. That NumPy and CuPy are two libraries is known here, in ``kernels/`` and
``replay/``, and where arrays come in and go out (``creation.py``, ``methods/exchange.py``).

CuPy is imported when a device is asked for, never by ``import minigrad``: importing it costs a
tenth of a second, and merely looking for a GPU starts a driver that forked processes cannot use.
"""

from __future__ import annotations

import os
import sys
import weakref
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from .events import tell

Array = Any
"""A ``numpy.ndarray`` or a ``cupy.ndarray``: the rules in ``ops/`` are written for both."""


class Device(str):
    """Where an array lives: ``"cpu"``, ``"cuda:0"``, ``"cuda:1"``, ... (``"cuda"`` is the first).

    A string that has been checked, so it compares with and prints like what the user wrote.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> Device:
        kind, _, index = str(name).partition(":")
        if kind == "cpu" and not index:
            return super().__new__(cls, "cpu")
        if kind == "cuda" and (index.isdecimal() or name == "cuda"):
            return super().__new__(cls, f"cuda:{int(index or 0)}")
        raise ValueError(f"device: got {name!r}, expected 'cpu', 'cuda' or 'cuda:<number>'")

    @property
    def type(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return self.partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]  # PyTorch's name, and str.index
        """The number of the GPU; ``None`` on the CPU."""
        return int(self.partition(":")[2]) if self.type == "cuda" else None

    def __repr__(self) -> str:
        return f"device({str(self)!r})"


CPU = Device("cpu")


# ---------------------------------------------------------------------------------- libraries


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
        return False, "CuPy is not installed (pip install 'minigrad[cuda13]' or 'minigrad[cuda12]')"
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


# ------------------------------------------------------------------------------------ devices

_default_device: Device | None = None


def default_device() -> Device:
    """Where new tensors are made: what ``set_default_device`` said, else the environment variable
    ``MINIGRAD_DEVICE``, else the CPU."""
    return _default_device or Device(os.environ.get("MINIGRAD_DEVICE", "cpu"))


def set_default_device(device: str | None) -> None:
    """Make new tensors on ``device`` from now on; ``None`` returns to the environment's choice."""
    global _default_device
    wanted = None if device is None else Device(device)
    if wanted is not None and wanted.type == "cuda":
        import_cupy()
    _default_device = wanted


def device_of(array: Array) -> Device:
    """The device that holds ``array``."""
    return CPU if isinstance(array, np.ndarray) else Device(f"cuda:{array.device.id}")


def to_device(array: Array, device: Device) -> Array:
    """``array`` on ``device``: itself if it is there already, else a copy."""
    if device_of(array) == device:
        return array
    tell(
        "leaves_the_step",
        "moves an array between devices",
        "make it an input of the step; and use labels and indices just as the step gets them, as "
        "others must be read back to be checked",
    )
    if device.type == "cpu":
        return array_module(array).asnumpy(array)
    cupy: Any = import_cupy()
    with cupy.cuda.Device(device.index):
        there = cupy.asarray(array)
    if isinstance(array, np.ndarray) and array.dtype.kind in "iu":
        _remember(there, array.copy())
    return there


def make_current(array: Array) -> None:
    """Make the GPU that holds ``array`` the current one: CuPy works on no other."""
    if array_module(array) is not np:
        device = array.device
        if device.id != sys.modules["cupy"].cuda.get_device_id():
            device.use()


NOWHERE_ELSE = nullcontext()


def on_device_of(array: Array) -> AbstractContextManager[None]:
    """Within it, the GPU that holds ``array`` is the current one; afterwards what was before."""
    return NOWHERE_ELSE if array_module(array) is np else _OnDevice(array)


class _OnDevice(AbstractContextManager[None]):
    def __init__(self, array: Array) -> None:
        self.array = array

    def __enter__(self) -> None:
        self.before = sys.modules["cupy"].cuda.Device()
        make_current(self.array)

    def __exit__(self, *exception: object) -> None:
        self.before.use()


# ------------------------------------------------- integers on a GPU, as the host remembers them

_host_copies: dict[int, tuple[weakref.ref[Array], Array]] = {}


def host_copy(array: Array) -> Array:
    """The integers that were moved to a GPU as ``array``, or ``array`` itself if it came from
    nowhere else or was changed since.

    Labels and indices are checked before use, because CuPy reads another element in silence where
    an index does not exist. Checking them on the GPU would make each training step wait for it.
    """
    entry = _host_copies.get(id(array))
    return array if entry is None else entry[1]


def hand_on_host_copy(source: Array, target: Array) -> None:
    """Note that ``target`` has been filled with ``source``, and with it what the host knows."""
    entry = _host_copies.get(id(source))
    if entry is not None:
        _remember(target, entry[1])


def _remember(array: Array, copy: Array) -> None:
    key = id(array)
    # The entry goes when the array does: another may get its address.
    _host_copies[key] = weakref.ref(array, lambda _: _host_copies.pop(key, None)), copy


def remember_on_host(array: Array) -> None:
    """Have the host know integers that were computed on a GPU: it waits for them."""
    if array.dtype.kind in "iu" and id(array) not in _host_copies:
        _remember(array, to_device(array, CPU))


def forget_host_copy(array: Array) -> None:
    """Note that the memory of ``array`` has been written in place."""
    _host_copies.pop(id(owner(array)), None)


# ------------------------------------------------------------------------------------- memory


def owner(array: Array) -> Array:
    """The array whose memory ``array`` shows: itself, or what it is a view of."""
    kind = type(array)
    while type(array.base) is kind:
        array = array.base
    return array


# ------------------------------------------------------------------------------------- random

_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> np.random.Generator:
    """Start the generator behind ``randn``, initialisation, dropout and shuffling at ``seed``.

    There is one generator, on the host, so a run on the GPU starts from the CPU run's numbers.
    """
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def default_generator() -> np.random.Generator:
    """The generator that ``manual_seed`` starts; unseeded, it starts anywhere."""
    global _generator
    tell(
        "leaves_the_step",
        "draws random numbers on the host",
        "draw before the step, and give it what was drawn as an input (dropout cannot be captured)",
    )
    if _generator is None:  # made when first asked for: importing numpy.random takes a while
        _generator = np.random.default_rng()
    return _generator

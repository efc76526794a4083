"""Where an array lives, and how it gets to another device."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..events import tell
from .cuda import import_cupy
from .host_copies import host_copies, remember
from .library import Array, array_module


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


# ------------------------------------------------------------------------------------ devices

_default_device: Device | None = None


def default_device() -> Device:
    """Where new tensors are made: what ``set_default_device`` said, else the environment variable
    ``MINIGRAD_DEVICE``, else the CPU."""
    return _default_device or Device(os.environ.get("MINIGRAD_DEVICE") or "cpu")


def set_default_device(device: str | None) -> None:
    """Make new tensors on ``device`` from now on; ``None`` returns to the environment's choice."""
    global _default_device
    wanted = None if device is None else Device(device)
    if wanted is not None and wanted.type == "cuda":
        _cupy_for(wanted)
    _default_device = wanted


def _cupy_for(device: Device) -> Any:
    """CuPy, where it has this GPU; else a RuntimeError that says how many there are."""
    cupy: Any = import_cupy()
    count = cupy.cuda.runtime.getDeviceCount()
    if device.index not in range(count):
        there = "is 1 GPU" if count == 1 else f"are {count} GPUs"
        raise RuntimeError(f"device: got {str(device)!r}, but there {there} here, counted from 0")
    return cupy


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
    cupy = _cupy_for(device)
    with cupy.cuda.Device(device.index):
        there = cupy.asarray(array)
    if isinstance(array, np.ndarray) and array.dtype.kind in "iu":
        remember(there, array.copy())
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


def remember_on_host(array: Array) -> None:
    """Have the host know integers that were computed on a GPU: it waits for them."""
    if array.dtype.kind in "iu" and id(array) not in host_copies:
        remember(array, to_device(array, CPU))

"""``cupy.cuda`` of the stand-in: two devices, events, a count of the memory held."""

import time
import types
from typing import Any

DEVICES = 2


class Device:
    """A GPU by its number. ``with Device(1):`` makes it the current one."""

    _current = 0

    def __init__(self, device: "int | Device | None" = None) -> None:
        self.id = Device._current if device is None else getattr(device, "id", device)
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._before: list[int] = []

    def use(self) -> "Device":
        Device._current = self.id
        return self

    def synchronize(self) -> None:
        """Nothing to wait for: each launch has ended when it returns."""

    def __enter__(self) -> "Device":
        self._before.append(Device._current)
        return self.use()

    def __exit__(self, *exception: object) -> None:
        Device._current = self._before.pop()

    def __int__(self) -> int:
        return int(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<stand-in for CUDA Device {self.id}>"


class CUDARuntimeError(RuntimeError):
    """What the real ``cupy.cuda.runtime`` raises."""


def current_device_id() -> int:
    """The number of the current device."""
    return Device._current


class Event:
    """A moment in time. Work is done when it is launched, so it has always happened."""

    done = True

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        self._timed, self.moment = not disable_timing, 0.0

    def record(self, stream: Any = None) -> None:
        self.moment = time.perf_counter()

    def synchronize(self) -> None:
        """It has happened."""


def get_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    return 1000 * (end.moment - start.moment)


class MemoryPool:
    """What a device holds, as CuPy's pool reports it; nothing is kept back for later use."""

    def __init__(self) -> None:
        self.held, self.emptied = 0, 0

    def used_bytes(self) -> int:
        return self.held

    def total_bytes(self) -> int:
        return self.held

    def free_all_blocks(self) -> None:
        self.emptied += 1


pools = [MemoryPool() for _ in range(DEVICES)]

cuda = types.SimpleNamespace(
    Device=Device,
    Event=Event,
    MemoryPool=MemoryPool,
    get_elapsed_time=get_elapsed_time,
    get_device_id=current_device_id,
    runtime=types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=lambda: DEVICES,
        getDevice=current_device_id,
        getDeviceProperties=lambda device: {"name": b"stand-in, no GPU"},
        driverGetVersion=lambda: 0,
    ),
)

"""What concerns GPUs as such: is there one, how much memory is held, how long did it take; and
``graph``, which gives a GPU a whole step at once (in ``replay/``).

Tensors are moved with ``.to("cuda")``; nothing here is needed for that. No function here starts
CUDA when the module is imported, and ``status`` and ``is_available`` never raise.
"""

from typing import Any

from .backend import Device, cuda_status, import_cupy
from .replay import capture

__all__ = [
    "Event",
    "device_count",
    "empty_cache",
    "graph",
    "is_available",
    "memory_allocated",
    "status",
    "synchronize",
]


graph = capture
"""The name that ``mg.capture`` had while it was for GPUs alone."""


def is_available() -> bool:
    """Whether ``device="cuda"`` works here."""
    return status()[0]


def status() -> tuple[bool, str]:
    """Whether ``device="cuda"`` works here, and what was found: the devices, or the reason."""
    return cuda_status()


def device_count() -> int:
    """How many GPUs can be used; 0 without CUDA."""
    if not is_available():
        return 0
    return int(import_cupy().cuda.runtime.getDeviceCount())


def _on(device: str) -> Any:
    """A GPU, to be made the current one by ``with``.

    Raises:
        ValueError: not the name of a GPU.
        RuntimeError: there is no CUDA; the message says why.
    """
    index = Device(device).index
    if index is None:
        raise ValueError(f"device: got {device!r}, expected a GPU: 'cuda', 'cuda:0', ...")
    return import_cupy().cuda.Device(index)


def synchronize(device: str = "cuda") -> None:
    """Wait until ``device`` has finished what it was given.

    Launching returns before the work is done, so a clock that is read without waiting measures how
    fast work is handed out. ``Event`` measures without making the host wait in between.
    """
    with _on(device) as gpu:
        gpu.synchronize()


def memory_allocated(device: str = "cuda") -> int:
    """How many bytes live arrays hold on ``device``. (Tools outside the process see more: memory
    that is free again is kept for the next array; and a ``graph`` has memory of its own.)"""
    with _on(device):
        return int(import_cupy().get_default_memory_pool().used_bytes())


def empty_cache(device: str = "cuda") -> None:
    """Give memory that no array holds back to the system, for other programs. It makes nothing
    faster: the next array has to ask the system again."""
    with _on(device):
        import_cupy().get_default_memory_pool().free_all_blocks()


class Event:
    """A moment in the work of a GPU: after all that was launched before ``record``.

    start, end = mg.cuda.Event(), mg.cuda.Event()
    start.record()
    step()
    end.record()
    end.synchronize()
    print(start.elapsed_time(end), "ms")
    """

    def __init__(self, device: str = "cuda") -> None:
        self.device = Device(device)
        with _on(device):
            self._event = import_cupy().cuda.Event()

    def record(self) -> None:
        """Make this the moment after what has been launched so far."""
        with _on(self.device):
            self._event.record()

    def synchronize(self) -> None:
        """Wait until the moment has come."""
        self._event.synchronize()

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds from this moment to ``end``; both must have come."""
        with _on(self.device):
            return float(import_cupy().cuda.get_elapsed_time(self._event, end._event))

"""``cupy.cuda`` of the stand-in: two devices, events, graphs, a count of the memory held.

While a stream is captured nothing is computed. What would be is noted in ``recorded``, its results
are filled with NaN (integers with 0), and ``Graph.launch`` does it all, in the same memory.
"""

import contextlib
import ctypes
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from tests.strict_cupy import linalg

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
        if Stream.recorded is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: synchronize")
        Stream.busy.clear()

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


class WrongOnGPU(AssertionError):
    """A GPU would go on here, with a number that is wrong or not determined."""


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


class Stream:
    """Work in order. Only the capture is modelled."""

    current: "Stream | None" = None
    recorded: list[Callable[[], Any]] | None = None
    """What the current capture has noted; None while there is none."""
    memory: ClassVar[list[Any]] = []
    """The arrays made meanwhile: their allocator keeps what they leave for nobody else."""
    busy: ClassVar[set[Any]] = set()
    """The streams that may not have finished: None is the default one."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.non_blocking, self.ptr = non_blocking, id(self)
        self._before: list[Stream | None] = []

    def __enter__(self) -> "Stream":
        self._before.append(Stream.current)
        Stream.current = self
        return self

    def __exit__(self, *exception: object) -> None:
        Stream.current = self._before.pop()

    def synchronize(self) -> None:
        if Stream.recorded is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: synchronize")
        Stream.busy.discard(self)

    def begin_capture(self, mode: int | None = None) -> None:
        if Stream.current is not self or not self.non_blocking:
            raise CUDARuntimeError("cudaErrorStreamCaptureImplicit: not this stream")
        assert Allocator.current is not None, "a capture in memory that others are given too"
        assert self not in Stream.busy, "a capture while the stream is at work"
        Stream.recorded, Stream.memory = [], []

    def end_capture(self) -> "Graph":
        if Stream.recorded is None:
            raise CUDARuntimeError("cudaErrorIllegalState: nothing is captured")
        graph, Stream.recorded = Graph(Stream.recorded, Stream.memory), None
        return graph


class Graph:
    """Work that was recorded, to be done at each launch."""

    launched: Callable[[], None] = staticmethod(lambda: None)
    """Called at each launch: the stand-in counts them."""

    def __init__(self, work: list[Callable[[], Any]], memory: list[Any]) -> None:
        self.work, self.memory = work, memory

    def launch(self, stream: Stream | None = None) -> None:
        if Stream.recorded is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: launch of a graph")
        self.launched()
        with np.errstate(all="ignore"):
            for piece in self.work:
                piece()


def postponed(work: Callable[[], Any]) -> bool:
    """Whether a capture is going on, which has noted ``work`` for its launches."""
    if Stream.recorded is None:
        return False
    Stream.recorded.append(work)
    return True


def launched() -> None:
    """Note that the current stream has work, which must not depend on an unfinished other one."""
    streams = {stream for stream in Stream.busy if stream is not Stream.current}
    alone = Stream.current is not None and Stream.current.non_blocking
    if any(alone or (stream is not None and stream.non_blocking) for stream in streams):
        raise WrongOnGPU("a launch beside the work of a stream that does not wait; synchronise")
    Stream.busy.add(Stream.current)


def poison(array: Any) -> None:
    """Fill memory with what nobody could take for a result."""
    if array.dtype.kind == "f":
        array[...] = np.nan
    elif array.dtype.kind in "iu":
        array[...] = 0  # as it may be used as an index, if only for the shape of what it picks


class Allocator:
    """Who is asked for memory. It is NumPy's all the same."""

    current: Callable[[int], Any] | None = None


@contextlib.contextmanager
def using_allocator(allocator: Callable[[int], Any] | None) -> Iterator[None]:
    """Only who is named is modelled."""
    before, Allocator.current = Allocator.current, allocator
    try:
        yield
    finally:
        Allocator.current = before


NUMBERS = linalg.API["cublas"]
TF32 = NUMBERS["COMPUTE_32F_FAST_TF32"]


class CuBLAS:
    """``cupy.cuda.cublas``, and the library underneath as ``ctypes`` would give it."""

    HANDLE, VERSION = 4711, 130_001
    launched: Callable[[], None] = staticmethod(lambda: None)
    stream: Any = None
    workspace: Any = None

    def __init__(self) -> None:
        # Functions of a library, which take attributes.
        self.cublasGemmEx = Function(self.multiply)
        self.cublasSetWorkspace_v2 = Function(self.set_workspace)

    def getVersion(self, handle: int) -> int:
        return self.VERSION

    def setStream(self, handle: int, stream: Any) -> None:
        if Stream.recorded is not None:
            raise NotImplementedError(
                "calling cuBLAS API during stream capture is currently unsupported"
            )
        self.stream, self.workspace = stream, None  # as cuBLAS does: each stream has its own

    def gemmEx(self, handle: int, *arguments: Any) -> None:
        self.setStream(handle, 0 if Stream.current is None else Stream.current.ptr)
        status = self.multiply(handle, *arguments)
        if status:
            raise RuntimeError(f"CUBLASError: status {status}")

    def set_workspace(self, handle: int, address: int, size: int) -> int:
        assert handle == self.HANDLE
        self.workspace = address, size
        return 0

    def multiply(
        self, handle: int, op_a: int, op_b: int, m: int, n: int, k: int,
        alpha: int, a: int, type_a: int, lda: int, b: int, type_b: int, ldb: int,
        beta: int, c: int, type_c: int, ldc: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        """C = alpha op(A) op(B) + beta C, of matrices that lie column after column."""
        if handle != self.HANDLE or not type_a == type_b == type_c:
            return 7  # CUBLAS_STATUS_INVALID_VALUE
        kind, scalar, *known = {
            NUMBERS["R_16F"]: (np.float16, ctypes.c_float, NUMBERS["COMPUTE_32F"]),
            NUMBERS["R_32F"]: (np.float32, ctypes.c_float, NUMBERS["COMPUTE_32F"], TF32),
            NUMBERS["R_64F"]: (np.float64, ctypes.c_double, NUMBERS["COMPUTE_64F"]),
        }[type_a]
        rows_a, columns_a = (k, m) if op_a else (m, k)
        rows_b, columns_b = (n, k) if op_b else (k, n)
        if compute not in known or lda < rows_a or ldb < rows_b or ldc < m:
            return 7
        assert algorithm == NUMBERS["GEMM_DEFAULT"]
        assert self.stream == (0 if Stream.current is None else Stream.current.ptr)
        if Stream.recorded is not None:
            assert self.workspace, "a product in memory that belongs to no graph"
        wide = np.float64 if kind is np.float64 else np.float32
        factors = [scalar.from_address(address).value for address in (alpha, beta)]
        assert factors == [1, 0]
        left, right = (
            columns(a, kind, rows_a, columns_a, lda),
            columns(b, kind, rows_b, columns_b, ldb),
        )
        out = columns(c, kind, m, n, ldc)

        def multiply() -> None:
            x, y = (left.T if op_a else left), (right.T if op_b else right)
            if compute == TF32:
                x, y = linalg.shortened(x), linalg.shortened(y)
            with np.errstate(all="ignore"):
                out[...] = x.astype(wide) @ y.astype(wide)

        if not postponed(multiply):
            self.launched()
            multiply()
        return 0


class Function:
    """Of a library that ``ctypes`` has loaded: once its types are known, it takes no others."""

    argtypes: tuple[Any, ...] = ()

    def __init__(self, work: Callable[..., int]) -> None:
        self.work = work

    def __call__(self, *arguments: int) -> int:
        assert len(arguments) == len(self.argtypes)
        for kind, value in zip(self.argtypes, arguments, strict=True):
            assert kind(value).value == value, "it does not fit"
        return self.work(*arguments)


def columns(address: int, kind: Any, rows: int, count: int, stride: int) -> Any:
    """The matrix at an address, of which ``stride`` elements lie from one column to the next."""
    size = np.dtype(kind).itemsize
    memory = (ctypes.c_char * (((count - 1) * stride + rows) * size)).from_address(address)
    flat = np.frombuffer(memory, dtype=kind)
    return np.lib.stride_tricks.as_strided(flat, (rows, count), (size, stride * size))


cublas = CuBLAS()
pools = [MemoryPool() for _ in range(DEVICES)]

cuda = types.SimpleNamespace(
    Device=Device,
    Event=Event,
    Graph=Graph,
    MemoryPool=MemoryPool,
    Stream=Stream,
    cublas=cublas,
    get_cublas_handle=lambda: cublas.HANDLE,
    using_allocator=using_allocator,
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

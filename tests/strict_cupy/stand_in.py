"""A stand-in for CuPy that needs no GPU: NumPy, with everything taken away that CuPy does not have.

With ``modules()`` in ``sys.modules``, ``device="cuda"`` of minigrad runs on it. Its arrays wrap
NumPy's (they are no subclass, which NumPy would convert without a word) and refuse

* what CuPy refuses: conversion to NumPy in passing, host arrays among device arrays, functions and
  keyword arguments that are not in CuPy (``cupy_api.json`` lists what is), work on an array while
  another device is the current one;
* what CuPy does in silence and wrongly: reading past the end (it wraps around), writing twice to
  one place (either write may win). These are ``WrongOnGPU``, no IndexError, so that a test which
  expects the engine's own IndexError does not take one for the other;
* inside ``no_sync()``, each copy from the device to the host: a GPU would stop and wait there.

It counts launches: calls that make or fill an array. A GPU may need two for one of them (a
reduction in two stages), so the count compares programs and times nothing. Of streams it models the
capture: work is noted, not done, and each launch of the graph does it. Its numbers are NumPy's: not
CuPy's rounding, nor its flushing of denormals.
"""

import contextlib
import json
import math
import operator
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.strict_cupy import linalg
from tests.strict_cupy.runtime import (
    CuBLAS,
    CUDARuntimeError,
    Graph,
    Stream,
    WrongOnGPU,
    cuda,
    current_device_id,
    launched,
    poison,
    pools,
    postponed,
)

API = json.loads(Path(__file__).with_name("cupy_api.json").read_text(encoding="utf-8"))

DLPACK_CUDA = 2
SCALARS = (bool, int, float, complex, np.generic)
UPLOADS = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}
MEASURED = {"argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "unique"}
IN_PLACE = {"copyto", "fill_diagonal", "place", "put", "putmask"}
IN_PLACE_METHODS = {"fill", "partition", "put", "sort"}
ALLOCATIONS = {"empty", "empty_like"}
VIEWS = {"broadcast_to", "expand_dims", "moveaxis", "squeeze", "swapaxes", "transpose"}
GATHERS = {"take", "take_along_axis", "choose"}
# The types for which CuPy has atomic operations (ufunc.at).
ATOMIC = {
    "add": {"int32", "int64", "uint32", "uint64", "float16", "float32", "float64"},
    "subtract": {"int32", "uint32"},
}


class HiddenSync(AssertionError):
    """A copy to the host within ``no_sync()``."""


# -------------------------------------------------------------------------------- what is counted


class Meter:
    """How often the device was given work, and how often the host waited for it."""

    def __init__(self) -> None:
        self.launches: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()
        self.uploads = 0
        self.forbidden = False

    def launch(self, name: str) -> None:
        if Stream.recorded is None:  # else it is the graph that is launched, later
            launched()
            self.launches[name] += 1

    def upload(self, what: str) -> None:
        if Stream.recorded is not None:
            raise WrongOnGPU(f"{what}: a replay would copy from memory that is someone else's then")
        self.uploads += 1

    def sync(self, what: str) -> None:
        if Stream.recorded is not None:
            raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")
        Stream.busy.discard(Stream.current)
        self.syncs[what] += 1
        if self.forbidden:
            raise HiddenSync(f"{what} copies from the device to the host, and waits for it")


meter = Meter()
Graph.launched = staticmethod(lambda: meter.launch("graph"))
CuBLAS.launched = staticmethod(lambda: meter.launch("gemm"))


@contextlib.contextmanager
def no_sync() -> Iterator[None]:
    """Within it, a copy from the device to the host is an error."""
    before, meter.forbidden = meter.forbidden, True
    try:
        yield
    finally:
        meter.forbidden = before


@contextlib.contextmanager
def counted() -> Iterator[Counter[str]]:
    """What was launched within it: name -> times, filled in at its end."""
    before, during = meter.launches.copy(), Counter[str]()
    yield during
    during.update(meter.launches - before)


# ----------------------------------------------------------------------- arguments and results


def host(value: Any, name: str, sources: list["ndarray"]) -> Any:
    """``value`` as NumPy takes it; the device arrays in it are appended to ``sources``."""
    if isinstance(value, ndarray):
        if value._device != current_device_id() and name not in VIEWS:
            raise ValueError(
                f"Array device must be same as the current device: array device = "
                f"{value._device} while current = {current_device_id()} (in {name})"
            )
        sources.append(value)
        return value._a
    if isinstance(value, np.ndarray):
        raise TypeError(f"cupy.{name}: Unsupported type {type(value)}, expected a cupy.ndarray")
    if isinstance(value, list | tuple):
        return type(value)(host(part, name, sources) for part in value)
    return value


def device(result: Any, name: str, sources: list["ndarray"]) -> Any:
    """What NumPy returned, as device arrays: a view of a source, or fresh memory by a launch."""
    if isinstance(result, tuple | list):
        return type(result)(device(part, name, sources) for part in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    for source in sources:
        if result is source._a:
            return source
    array = np.asarray(result)  # a reduction gives an array without axes, never a number
    if array.base is not None:
        for source in sources:
            if np.may_share_memory(array, source._a):
                return wrap(array, source)
    if array.size and name not in ALLOCATIONS:
        meter.launch(name)
    # Which layout a result has is CuPy's choice; nothing may rest on NumPy's.
    return wrap(np.require(array, requirements="C").reshape(array.shape))


def run(
    function: Callable[..., Any], name: str, args: Any, options: Any, in_place: bool = False
) -> Any:
    """Call a NumPy function on device arrays. A GPU warns of no division by zero."""
    sources: list[ndarray] = []
    plain = [host(a, name, sources) for a in args]
    keywords = {key: host(value, name, sources) for key, value in options.items()}
    out = options.get("out")
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"cupy.{name}: out is a {type(out).__name__}, expected a cupy.ndarray")
    if (in_place or out is not None) and postponed(lambda: function(*plain, **keywords)):
        return out
    with np.errstate(all="ignore"):
        try:
            result = function(*plain, **keywords)
        except IndexError as error:
            if name in GATHERS:
                raise WrongOnGPU(f"{name}: {error}; CuPy wraps around in silence") from None
            raise
    if out is not None:
        meter.launch(name)
        return out
    made = device(result, name, sources)
    if Stream.recorded is not None:
        postpone(
            None if name in ALLOCATIONS else lambda: function(*plain, **keywords), made, sources
        )
    return made


def postpone(work: Callable[[], Any] | None, made: Any, sources: list["ndarray"]) -> None:
    """Have the launches of a graph do ``work``, whose result is to be in ``made``; not now."""
    if isinstance(made, tuple | list):
        assert all(part.base is not None for part in made), "several results in a capture"
        return
    if made.base is not None or any(made is source for source in sources):
        return  # a view: nothing is computed for it
    poison(made._a)
    if work is not None:
        postponed(lambda: np.copyto(made._a, work()))


def check_options(name: str, options: Any, known: list[str] | None) -> None:
    unknown = sorted(set(options) - set(known or options))
    if unknown and not any(p.startswith("**") for p in known or ()):
        raise TypeError(f"cupy.{name}() got an unexpected keyword argument {unknown[0]!r}")


# ------------------------------------------------------------------------------------- the array


class ndarray:
    """A device array. Made by the functions of the module, never by its constructor here."""

    __slots__ = ("__weakref__", "_a", "_device", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    _a: np.ndarray[Any, Any]
    _device: int
    base: "ndarray | None"

    def __init__(self, *args: Any, **options: Any) -> None:
        raise TypeError("make arrays with the functions of the module (empty, asarray, ...)")

    def __del__(self) -> None:
        if getattr(self, "base", self) is None:
            pools[self._device].held -= self._a.nbytes

    # ------------------------------------------------------------ what NumPy asks of an array

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        function = getattr(module, ufunc.__name__)
        if "out" in options:
            (options["out"],) = options["out"]
        return (function if method == "__call__" else getattr(function, method))(*inputs, **options)

    def __array_function__(self, function: Any, kinds: Any, args: Any, options: Any) -> Any:
        return getattr(module, function.__name__)(*args, **options)

    # ------------------------------------------------------------------------- what it is

    dtype = property(lambda self: self._a.dtype)
    shape = property(lambda self: self._a.shape)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    device = property(lambda self: cuda.Device(self._device))

    @property
    def flags(self) -> Any:
        own = self._a.flags
        return types.SimpleNamespace(
            c_contiguous=own.c_contiguous, f_contiguous=own.f_contiguous, owndata=own.owndata
        )

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self._a.ctypes.data, device_id=self._device)

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator["ndarray"]:
        return (self[i] for i in range(len(self)))

    # --------------------------------------------------------------- views for other libraries

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self._a.dtype.str,
            "data": (self._a.ctypes.data, False),
            "version": 3,
            "strides": None if self._a.flags.c_contiguous else self._a.strides,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return DLPACK_CUDA, self._device

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: Any = None,
    ) -> Any:
        if self._device != current_device_id():
            raise ValueError("__dlpack__: the stream belongs to another device")
        return types.SimpleNamespace(shared=self)

    # ------------------------------------------------------------------- copies to the host

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> Any:
        meter.sync("get")
        if out is None:
            return np.array(self._a, order="C")
        out[...] = self._a
        return out

    def item(self) -> Any:
        meter.sync("item")
        return self._a.item()

    def tolist(self) -> Any:
        meter.sync("tolist")
        return self._a.tolist()

    def __bool__(self) -> bool:
        meter.sync("bool")
        return bool(self._a)

    def __int__(self) -> int:
        meter.sync("int")
        return int(self._a)

    def __float__(self) -> float:
        meter.sync("float")
        return float(self._a)

    def __complex__(self) -> complex:
        meter.sync("complex")
        return complex(self._a)

    def __repr__(self) -> str:
        meter.sync("repr")
        return repr(self._a)

    def __format__(self, spec: str) -> str:
        meter.sync("format")
        return format(self._a, spec)

    # ---------------------------------------------------------------------------- indexing

    def _index(self, index: Any, sources: list["ndarray"]) -> tuple[Any, bool]:
        """``index`` for NumPy, and whether it holds arrays of integers."""
        parts, integers = [], False
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, list | np.ndarray):
                meter.upload("indexing with a host array")
                part = np.asarray(part)
                part = part.astype(np.int32) if part.size == 0 else part
            elif isinstance(part, ndarray):
                part = host(part, "getitem", sources)
            integers |= isinstance(part, np.ndarray) and part.dtype.kind in "iu"
            parts.append(part)
        return tuple(parts), integers

    def __getitem__(self, index: Any) -> Any:
        sources: list[ndarray] = []
        where, integers = self._index(index, sources)
        if any(isinstance(part, np.ndarray) and part.dtype == bool for part in where):
            meter.sync("indexing with a boolean array")
        own = host(self, "getitem", sources) if integers else self._a
        try:
            made = device(own[where], "getitem", [self])
            if Stream.recorded is not None:
                postpone(lambda: own[where], made, [self])
            return made
        except IndexError as error:
            if integers and "out of bounds" in str(error):
                raise WrongOnGPU(f"getitem: {error}; CuPy wraps around in silence") from None
            raise

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise TypeError("non-scalar numpy.ndarray cannot be used for fill")
        sources: list[ndarray] = []
        where, integers = self._index(index, sources)
        own, value = host(self, "setitem", sources), host(value, "setitem", sources)
        if integers:
            places = np.arange(own.size).reshape(own.shape)
            try:
                hit = places[where]
            except IndexError as error:
                raise WrongOnGPU(f"setitem: {error}; CuPy wraps around in silence") from None
            if np.unique(hit).size < hit.size and not isinstance(value, SCALARS):
                raise WrongOnGPU("setitem: an index occurs twice, and either value may win")
        if not postponed(lambda: operator.setitem(own, where, value)):
            own[where] = value
        meter.launch("setitem")

    # ------------------------------------------------------------------------ all the rest

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in API["ndarray"]:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        known = API["ndarray"][name]
        if known is None:
            return device(getattr(self._a, name), name, [self])

        def method(*args: Any, **options: Any) -> Any:
            check_options(name, options, known)
            if name in {"nonzero", "compress"}:
                meter.sync(name)
            in_place = name in IN_PLACE_METHODS
            if in_place:
                meter.launch(name)
            return run(
                lambda own, *a, **o: getattr(own, name)(*a, **o),
                name,
                (self, *args),
                options,
                in_place,
            )

        return method


def wrap(array: np.ndarray[Any, Any], viewed: ndarray | None = None) -> ndarray:
    """A device array around ``array``; a view of ``viewed``, or memory of its own."""
    made = object.__new__(ndarray)
    made._a = array
    if Stream.recorded is not None:
        Stream.memory.append(array)
    made._device = current_device_id() if viewed is None else viewed._device
    if viewed is None:
        made.base = None
        pools[made._device].held += array.nbytes
    else:
        made.base = viewed if viewed.base is None else viewed.base
    return made


def _operator(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *SCALARS)):
            return NotImplemented
        pair = (other, self) if reflected else (self, other)
        return getattr(module, name)(*pair)

    return method


def _in_place(symbol: str) -> Callable[[Any, Any], Any]:
    def method(self: ndarray, other: Any) -> Any:
        sources: list[ndarray] = []
        own, other = host(self, symbol, sources), host(other, symbol, sources)
        change = getattr(operator, symbol)
        with np.errstate(all="ignore"):
            if not postponed(lambda: change(own, other)):
                change(own, other)
        meter.launch(symbol)
        return self

    return method


BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "matmul": "matmul",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "eq": "equal", "ne": "not_equal",
}  # fmt: skip
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}

for _symbol, _name in BINARY.items():
    setattr(ndarray, f"__{_symbol}__", _operator(_name, reflected=False))
    if f"__r{_symbol}__" in API["ndarray"]:
        setattr(ndarray, f"__r{_symbol}__", _operator(_name, reflected=True))
    if f"__i{_symbol}__" in API["ndarray"]:
        setattr(ndarray, f"__i{_symbol}__", _in_place(f"i{_symbol}"))
for _symbol, _name in UNARY.items():
    setattr(ndarray, f"__{_symbol}__", lambda self, name=_name: getattr(module, name)(self))


# ------------------------------------------------------------------------------------ the module


class ufunc:
    """An elementwise function: CuPy's take ``out``, ``dtype`` and ``casting``, and no more."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._numpy = getattr(np, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        check_options(self.__name__, options, ["out", "dtype", "casting"])
        if any(isinstance(a, list | tuple) for a in args):
            raise TypeError(f"cupy.{self.__name__}: Unsupported type {type(args[0])}")
        return run(self._numpy, self.__name__, args, options)

    def at(self, array: ndarray, index: Any, value: Any = None) -> None:
        if str(array.dtype) not in ATOMIC.get(self.__name__, ()):
            raise TypeError(f"cupy.{self.__name__}.at does not support {array.dtype}")
        sources: list[ndarray] = []
        where, _ = array._index(index, sources)
        plain = host(array, "at", sources), where, host(value, f"{self.__name__}.at", sources)
        try:
            if not postponed(lambda: self._numpy.at(*plain)):
                self._numpy.at(*plain)
        except IndexError as error:
            raise WrongOnGPU(f"{self.__name__}.at: {error}; CuPy wraps around") from None
        meter.launch(f"{self.__name__}.at")

    def reduce(self, array: ndarray, axis: Any = 0, **options: Any) -> Any:
        if self.__name__ not in {"add", "multiply"}:
            raise NotImplementedError(f"`{self.__name__}.reduce` is not supported yet")
        return run(self._numpy.reduce, self.__name__, (array,), {"axis": axis, **options})


def _function(name: str) -> Callable[..., Any]:
    known = API["functions"][name]
    numpys = linalg.matmul if name == "matmul" else getattr(np, name)

    def function(*args: Any, **options: Any) -> Any:
        check_options(name, options, known)
        if name in MEASURED or (name == "where" and len(args) == 1):
            meter.sync(name)
        if name in IN_PLACE:
            meter.launch(name)
        if name == "matmul":
            stream = 0 if Stream.current is None else Stream.current.ptr
            cuda.cublas.setStream(cuda.get_cublas_handle(), stream)
        return run(numpys, name, args, options, name in IN_PLACE)

    function.__name__ = name
    return function


def _upload(name: str) -> Callable[..., Any]:
    """From the host, or from another device: the one way in."""
    known, numpys = API["functions"][name], getattr(np, name)

    def function(value: Any, *args: Any, **options: Any) -> Any:
        check_options(name, options, known)
        options.pop("blocking", None)
        if isinstance(value, ndarray) and value._device == current_device_id():
            return run(numpys, name, (value, *args), options)
        if isinstance(value, list | tuple) and any(isinstance(part, ndarray) for part in value):
            raise TypeError(f"cupy.{name}: a list of device arrays; use stack or concatenate")
        if hasattr(value, "__cuda_array_interface__") and not isinstance(value, ndarray):
            return _shown(value.__cuda_array_interface__, value)
        meter.upload(name)
        plain = value._a if isinstance(value, ndarray) else value
        return wrap(np.array(numpys(plain, *args, **options), order="C"))

    return function


def _shown(interface: dict[str, Any], holder: Any) -> ndarray:
    """The memory that another library describes, on the current device; nothing is copied."""
    memory = types.SimpleNamespace(__array_interface__=interface, holder=holder)
    return wrap(np.asarray(memory))


class Module(types.ModuleType):
    """``cupy`` itself: a name is looked up when it is first used."""

    ndarray, ufunc, cuda = ndarray, ufunc, cuda
    __version__ = f"{API['cupy']} (stand-in on NumPy {np.__version__})"

    def __getattr__(self, name: str) -> Any:
        found: Any
        if name in API["same_as_numpy"]:
            found = getattr(np, name)
        elif name in API["ufuncs"]:
            found = ufunc(name)
        elif name in UPLOADS:
            found = _upload(name)
        elif name in API["functions"]:
            found = _function(name)
        else:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        setattr(self, name, found)
        return found

    @staticmethod
    def asnumpy(a: Any, **options: Any) -> Any:
        return a.get(**options) if isinstance(a, ndarray) else np.asarray(a)

    @staticmethod
    def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> Any:
        kind, index = array.__dlpack_device__()
        if kind != DLPACK_CUDA:
            raise TypeError("cupy.from_dlpack: the memory is not a GPU's")
        with cuda.Device(index):
            shared = array.__dlpack__(stream=1, max_version=(1, 0)).shared
            return wrap(shared._a.view(), shared)

    @staticmethod
    def get_default_memory_pool() -> Any:
        return pools[current_device_id()]

    @staticmethod
    def get_array_module(*arrays: Any) -> Any:
        return module if any(isinstance(a, ndarray) for a in arrays) else np


module = Module("cupy")


def _erf(x: ndarray) -> Any:
    return run(np.vectorize(math.erf, otypes=[x.dtype]), "erf", (x,), {})


def modules() -> dict[str, types.ModuleType]:
    """The stand-in under the names it is imported by, with idle streams: entries for
    ``sys.modules``."""
    Stream.busy.clear()
    cupyx, scipy, special = map(types.ModuleType, ("cupyx", "cupyx.scipy", "cupyx.scipy.special"))
    special.__dict__["erf"] = _erf
    scipy.__dict__["special"] = special
    cupyx.__dict__["scipy"] = scipy
    core = types.ModuleType("cupy._core")
    core.__dict__["_routines_linalg"] = linalg.routines()
    return {m.__name__: m for m in (module, core, cupyx, scipy, special)}

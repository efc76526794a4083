"""Arrays that write down what is computed with them: how a step is recorded on the CPU.

While a step is recorded, its inputs, parameters and buffers are arrays of the class ``Noted``.
NumPy asks such an array to carry out each function that it is given to (``__array_ufunc__`` and
``__array_function__``, NumPy enhancement proposals 13 and 18). It does, and notes the call: the
function, its arguments, and the memory that the result has. The rules and kernels that make the
calls run as they always do.

A view (``x.T``, a reshape, a slice) is not a call: it shows memory that stays where it is.

A number that leaves NumPy would be a constant in every replay. So a question with the answer yes or
no becomes a call that asks again (``expect``), and reading any other number is refused, and so is
what NumPy computes without asking (``__array_finalize__`` hears of it).
"""

import linecache
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..core.where import frames
from .live import placed
from .origin import Origin, Origins


class Call(NamedTuple):
    """One line of a plan: ``function(*args, **kwargs)``, which writes to ``writes``."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    writes: tuple[Array, ...]
    origin: Origin


class OtherPath(Exception):
    """A question has another answer than when the step was recorded."""


class _Book(threading.local):
    """What is being recorded, in each thread of its own."""

    calls: list[Call] | None = None
    origins = Origins()
    inside = 0


book = _Book()


@contextmanager
def noting() -> Iterator[list[Call]]:
    """Within it, this thread notes its calls in the list."""
    book.calls, book.origins = [], Origins()
    try:
        yield book.calls
    finally:
        book.calls, book.origins, book.inside = None, Origins(), 0


@contextmanager
def within_numpy() -> Iterator[None]:
    """Within it, NumPy may make arrays: somebody notes them."""
    book.inside += 1
    try:
        yield
    finally:
        book.inside -= 1


def refuse(what: str) -> Any:
    """The step cannot be recorded."""
    raise RuntimeError(f"the step {what}, which cannot be noted{at_line()}")


def at_line() -> str:
    """The line that is running, outside of this file and of NumPy."""
    for frame in frames():
        module = frame.f_globals.get("__name__", "")
        if module not in (__name__, frames.__module__) and "numpy" not in module:
            break
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f" ({file}:{line}: {linecache.getline(file, line).strip()})"


def note(
    function: Callable[..., Any], args: tuple[Any, ...], writes: tuple[Any, ...], **kwargs: Any
) -> None:
    """Add a call to the plan. All arrays are plain."""
    if book.calls is None:
        refuse("uses an array of another thread's capture, or of one that has ended")
    else:
        book.calls.append(Call(function, args, kwargs, writes, book.origins.now()))


def raw(value: Any) -> Any:
    """``value`` with plain arrays in the place of noted ones."""
    if isinstance(value, Noted):
        return value.view(np.ndarray)
    if isinstance(value, slice):
        return slice(raw(value.start), raw(value.stop), raw(value.step))
    if isinstance(value, dict):
        return {key: raw(v) for key, v in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(raw, value))
    return value


def arrays_in(value: Any) -> Iterator[Array]:
    """All arrays among arguments."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from arrays_in(v)
    elif isinstance(value, tuple | list):
        for v in value:
            yield from arrays_in(v)


def memory_of(array: Array) -> Array:
    """The array that has the memory which ``array`` shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def own(result: Any) -> Any:
    """A noted array with memory of its own, laid out as NumPy has laid out ``result``."""
    with within_numpy():
        return np.ndarray.copy(np.asarray(result).view(Noted), "K")


def to_write(array: Any, name: str) -> Array:
    """The plain array behind ``array``, which a call is about to write to."""
    if not isinstance(array, Noted):
        refuse(
            f"has {name} write into an array that is made anew in each run (by np.zeros, "
            f"np.empty, ...; make it with zeros_like or empty_like)"
        )
    return raw(array)


# ----------------------------------------------------------------- the calls that have no name


def fill_with(out: Array, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """A function that cannot be told where to put its result."""
    out[...] = function(*args, **kwargs)


def take_items(out: Array, source: Array, index: Any) -> None:
    """out = source[index]"""
    out[...] = source[index]


def expect(answer: Array, before: bool) -> None:
    """The answer to a question must be the same as when the step was recorded."""
    if bool(answer) is not before:
        raise OtherPath


FACTS = {"shape", "ndim", "size", "result_type", "can_cast", "may_share_memory", "shares_memory"}
FACTS |= {"iscomplexobj", "isrealobj", "min_scalar_type", "common_type"}
"""NumPy's functions that look at no numbers."""

MADE_LIKE = {"zeros_like": 0, "ones_like": 1, "empty_like": None}

OUT_BY_NAME = {np.maximum, np.minimum}
"""Where NumPy warns of an output without its name."""

REFUSED = {"put", "place", "putmask", "put_along_axis", "fill_diagonal", "save", "savez", "savetxt"}
REFUSED |= {"savez_compressed", "array_repr", "array_str", "array2string", "apply_along_axis"}
REFUSED |= {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "compress", "delete"}
"""Those that change an array, or whose result has a shape which depends on the numbers."""


def computed(function: Callable[..., Any], args: Any, kwargs: Any, name: str) -> Any:
    """Run and note a function that makes a new array, or a view."""
    args, kwargs = raw(args), raw(kwargs)
    result = function(*args, **kwargs)
    if isinstance(result, list | tuple) and all(isinstance(r, np.ndarray) for r in result):
        ours = {id(memory_of(a)) for a in arrays_in((args, kwargs))}
        if not all(id(memory_of(r)) in ours for r in result):
            refuse(f"calls {name}, which makes several arrays")
        return type(result)(r.view(Noted) for r in result)
    if not isinstance(result, np.ndarray | np.generic):
        return refuse(f"calls {name}, which gives a {type(result).__name__}")
    if isinstance(result, np.ndarray):
        memory = memory_of(result)
        if any(memory_of(a) is memory for a in arrays_in((args, kwargs))):
            return result.view(Noted)
    made = own(result)
    place = raw(made)
    if function is np.dot and not kwargs and place.flags.c_contiguous and place.ndim:
        note(np.dot, (*args, place), (place,))
    elif function is np.concatenate:
        note(function, args, (place,), **kwargs, out=place)
    else:
        note(fill_with, (place, function, args, kwargs), (place,))
    return made


class Noted(np.ndarray[Any, Any]):
    """An array of a step that is being recorded."""

    takes_kernels = True  # though it is of a subclass: see ``core/execute.py``
    __array_priority__ = 1000  # what C code makes of it and of another array is of this class

    def __array_finalize__(self, made_from: Any) -> None:
        if made_from is not None and self.flags.owndata and not book.inside:
            refuse("has NumPy make an array without asking")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        args, kwargs = raw(placed(inputs)), raw(kwargs)
        if method == "at":
            place = to_write(inputs[0], name)
            function(*args)
            return note(function, args, (place,))
        if out is None:
            result = function(*args, **kwargs)
            made = tuple(map(own, result)) if type(result) is tuple else (own(result),)
        else:
            made = out
        places = tuple(to_write(m, name) for m in made)
        if out is not None:
            given = places if method == "__call__" else places[0]
            function(*args, out=given, **kwargs)
        if method == "__call__" and not kwargs and ufunc not in OUT_BY_NAME:
            note(function, (*args, *places), places)
        elif method == "reduce" and kwargs.keys() <= {"axis", "dtype", "keepdims"}:
            axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
            more = kwargs.get("dtype"), places[0], kwargs.get("keepdims", False)
            note(function, (args[0], axis, *more), places)
        else:
            note(function, args, places, **kwargs, out=places if ufunc.nout > 1 else places[0])
        return made[0] if len(made) == 1 else tuple(made)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        called = f"{func.__module__}.{name}"
        if name in FACTS:
            return func(*raw(args), **raw(kwargs))
        if name in REFUSED:
            return refuse(f"calls {called}")
        if name in MADE_LIKE:
            made = own(func(*raw(args), **raw(kwargs)))
            if MADE_LIKE[name] is not None:
                note(np.copyto, (raw(made), MADE_LIKE[name]), (raw(made),))
            return made
        if func is np.copyto:
            place = to_write(args[0], called)
            func(*raw(args), **raw(kwargs))
            return note(func, raw(args), (place,), **raw(kwargs))
        if kwargs.get("out") is not None:
            place = to_write(kwargs["out"], called)
            func(*raw(args), **raw(kwargs))
            note(func, raw(args), (place,), **raw(kwargs))
            return kwargs["out"]
        return computed(func, args, kwargs, called)

    # -------------------------------------------------- methods that NumPy does not ask about

    def __getitem__(self, index: Any) -> Any:
        plain = index if type(index) is tuple else (index,)
        if any(isinstance(i, Noted) and i.dtype == bool for i in plain):
            refuse("picks elements by a mask, so that their number depends on the numbers")
        index = raw(index)
        with within_numpy():
            result = super().__getitem__(index)
        if isinstance(result, Noted) and memory_of(result) is memory_of(self):
            return result
        made = own(raw(result))
        note(take_items, (raw(made), raw(self), index), (raw(made),))
        return made

    def __setitem__(self, index: Any, value: Any) -> None:
        args = raw(self), raw(index), raw(value)
        operator.setitem(*args)
        note(operator.setitem, args, (args[0],))

    def fill(self, value: Any) -> None:
        self[...] = value

    def copy(self, order: Any = "C") -> Any:
        made = own(raw(self).copy(order))
        note(np.copyto, (raw(made), raw(self)), (raw(made),))
        return made

    def astype(  # type: ignore[override]  # with fewer overloads
        self, dtype: Any, *args: Any, copy: bool = True, **kwargs: Any
    ) -> Any:
        if not copy and self.dtype == dtype:
            return self
        made = own(raw(self).astype(dtype, *args, **kwargs))
        note(np.copyto, (raw(made), raw(self), "unsafe"), (raw(made),))
        return made

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other) if out is None else np.dot(self, other, out=out)

    def __bool__(self) -> bool:
        answer = bool(raw(self))
        note(expect, (raw(self), answer), ())
        return answer


def _method(name: str) -> Callable[..., Any]:
    """A method of arrays that gives a new array or a view."""
    function = getattr(np.ndarray, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return computed(function, (self, *args), kwargs, f"the method {name}")

    return method


def _refused(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return refuse(f"reads or changes numbers by {name}, which a replay would not")

    return method


for _name in (
    *("reshape", "ravel", "flatten", "take", "repeat", "cumsum", "cumprod", "argmax", "argmin"),
    *("argsort", "round", "diagonal", "trace", "choose", "searchsorted", "mean", "var", "std"),
):
    setattr(Noted, _name, _method(_name))
for _name in (
    *("__float__", "__int__", "__index__", "__complex__", "__contains__", "item", "tolist"),
    *("tobytes", "tofile", "dump", "dumps", "sort", "partition", "argpartition", "put", "resize"),
    *("byteswap", "setfield", "nonzero", "compress", "__format__", "__repr__", "__str__"),
):
    setattr(Noted, _name, _refused(_name))

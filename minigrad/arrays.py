"""Data coming in: numbers, lists and arrays as arrays of the types a Tensor holds, or an error
that says what is wrong with them."""

from typing import Any

import numpy as np

from .backend import (
    CPU,
    Array,
    Device,
    array_module,
    default_device,
    device_of,
    host_copy,
    import_cupy,
    is_array,
    on_device_of,
    to_device,
)
from .events import telling


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """``dtype`` as a NumPy type of the kinds a Tensor holds.

    Raises:
        TypeError: complex numbers, strings, objects, extended precision, or no type at all.
    """
    try:
        if dtype is None:  # float64 to NumPy
            raise TypeError
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}, expected a NumPy type such as float32") from None
    if found.kind not in "fiub" or found.itemsize > 8:
        raise TypeError(f"dtype: got {found}, expected float16/32/64, an integer type or bool")
    return found if found.isnative else found.newbyteorder("=")


def check_byte_order(array: Array, name: str) -> None:
    """Raise a TypeError if ``array``, whose memory is to be shared, is in foreign byte order: some
    functions of NumPy, and BLAS, know the machine's own alone."""
    if not array.dtype.isnative:
        raise TypeError(
            f"{name}: the array is {array.dtype.str}, expected the byte order of this machine; "
            f"mg.tensor(...) converts, and so does .astype({array.dtype.newbyteorder('=').name!r})"
        )


def plain_array(array: Array) -> Array:
    """``array`` without what a subclass of ndarray adds to it.

    Raises:
        TypeError: masked entries, which would become numbers.
    """
    if type(array) is np.ndarray or not isinstance(array, np.ndarray):
        return array
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError("tensor: the array has masked entries, expected numbers; use .filled(...)")
    return np.asarray(array)


def as_array(data: Any, dtype: Any = None, device: str | None = None) -> Array:
    """A new array with the numbers in ``data``, checked; see ``Tensor`` for the rules."""
    if not is_array(data) and hasattr(data, "__cuda_array_interface__"):
        data = import_cupy().asarray(data)
    if is_array(data):
        array = plain_array(data)
        on_gpu = array_module(array) is not np
        device = device_of(array) if on_gpu and device is None else device
    else:
        try:
            array = np.asarray(data)
        except ValueError:
            _shape_of_lists(data, ())
            raise
        except RuntimeError:  # Tensor.numpy's
            raise RuntimeError(
                "tensor: a list holds Tensors that require gradients, and a copy has none of their "
                "history; use mg.stack(...), or .detach() of each"
            ) from None
        if array.dtype == object:
            _refuse_objects(array)
        _refuse_masked(data)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(_floating_type(data), copy=False)
    device = default_device() if device is None else Device(device)
    target = as_dtype(array.dtype if dtype is None else dtype)
    as_dtype(array.dtype)
    if isinstance(array, np.ndarray):
        refuse_what_wraps(array, target, "tensor")
    with on_device_of(array):
        array = array.astype(target, copy=True)
    return to_device(array, device)


def refuse_what_wraps(array: Array, target: np.dtype[Any], name: str) -> None:
    """Numbers beyond a type of integers start again at its other end, in silence, and NaN becomes
    some integer."""
    if target.kind not in "iu" or array.dtype.kind not in "iuf" or not array.size:
        return
    if array.dtype == target:
        return
    info, low, high = np.iinfo(target), array.min(), array.max()
    if not (int(info.min) <= low and high <= int(info.max)):
        value = high if not high <= int(info.max) else low
        raise ValueError(
            f"{name}: {value} does not fit into {target}, which goes from {info.min} to {info.max}"
        )


def _refuse_masked(data: Any) -> None:
    """A masked entry inside of lists would become the number under the mask."""
    if isinstance(data, (list, tuple)):
        for part in data:
            if isinstance(part, (list, tuple)):
                _refuse_masked(part)
            elif isinstance(part, np.ma.MaskedArray):
                plain_array(part)


def _floating_type(data: Any) -> Any:
    """The type for numbers that NumPy takes for float64: the largest floating one that a member of
    ``data`` has; and float32 if none has one, as Python's floats have not."""
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if not hasattr(first, "dtype"):  # nor, then, has any other: this is a list of numbers
        return np.float32

    def types(part: Any) -> set[Any]:
        if isinstance(part, (list, tuple)):
            return set().union(*map(types, part))
        kind = getattr(part, "dtype", None)
        return {kind} if getattr(kind, "kind", None) == "f" else set()

    found = types(data)
    return np.result_type(*found) if found else np.float32


def _shape_of_lists(data: Any, place: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of nested lists, or a ValueError that says where lengths differ."""
    if not isinstance(data, (list, tuple)):
        return tuple(getattr(data, "shape", ()))
    shapes = [_shape_of_lists(part, (*place, i)) for i, part in enumerate(data)]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"tensor: nested lists of unequal lengths: at index {(*place, i)} the shape is "
                f"{shape}, and at {(*place, 0)} it is {shapes[0]}"
            )
    return len(data), *(shapes[0] if shapes else ())


def _refuse_objects(array: np.ndarray[Any, Any]) -> None:
    for index, value in np.ndenumerate(array):
        if not isinstance(value, (bool, int, float)):
            where = f" at index {tuple(index)}" if index else ""
            raise TypeError(f"tensor: the element{where} is {value!r}, expected a number")
    raise TypeError("tensor: an integer does not fit into 64 bits")


@telling
def check_range(index: Any, length: int, name: str, what: str) -> None:
    """Raise an IndexError that says where ``index`` leaves [0, length).

    CuPy would read another element in silence, so this cannot be left to the array library.
    """
    index = to_device(host_copy(index), CPU)
    outside = (index < 0) | (index >= length)
    if outside.any():
        first = tuple(int(i) for i in np.unravel_index(int(outside.argmax()), outside.shape))
        raise IndexError(
            f"{name}: {what} is {int(index[first])} (at position {first}), "
            + (f"expected 0 to {length - 1}" if length else "but there are none to choose from")
        )


@telling
def check_index(shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
    """Raise an IndexError that says why an array of ``shape`` has no elements ``index``: tried on
    an array of that shape that takes no memory."""
    plain = tuple(to_device(host_copy(part), CPU) if is_array(part) else part for part in index)
    try:
        np.broadcast_to(np.False_, shape)[plain]
    except IndexError as error:
        raise IndexError(f"index: {_misfit(shape, plain) or error}") from None


def _misfit(shape: tuple[int, ...], index: tuple[Any, ...]) -> str | None:
    """What is wrong with ``index``: one of its parts, or that there are too many."""

    def axes_of(part: Any) -> int:
        if part is None or part is Ellipsis or isinstance(part, bool):
            return 0
        return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1

    taken = sum(map(axes_of, index))
    if taken > len(shape):
        return f"got {taken} indices for a tensor of shape {shape}, expected at most {len(shape)}"
    axis = 0
    for part in index:
        span = shape[axis : axis + axes_of(part)]
        axis += len(shape) - taken if part is Ellipsis else len(span)
        if isinstance(part, np.ndarray) and part.dtype == bool:
            if part.shape != span:
                return f"got a mask of shape {part.shape}, expected {span} (of {shape})"
        elif span and not isinstance(part, slice):
            numbers, n = np.asarray(part), span[0]
            wrong = numbers[(numbers < -n) | (numbers >= n)]
            if wrong.size:
                expected = f"expected {-n} to {n - 1}" if n else "which has no elements"
                return f"got {wrong[0]} for axis {axis - 1} of the shape {shape}, {expected}"
    arrays = [part.shape for part in index if isinstance(part, np.ndarray)]
    return f"got arrays of shapes {arrays}, which do not broadcast" if len(arrays) > 1 else None

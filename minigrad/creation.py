"""New tensors: of zeros, of ones, of a range of numbers, of random numbers.

Random numbers are drawn on the host from one generator (``manual_seed``) and then moved, so the
same seed gives the same numbers on every device.
"""

from typing import Any

import numpy as np

from .arrays import as_dtype, check_byte_order, plain_array, refuse_what_wraps
from .backend import Device as _Device
from .backend import (
    array_module,
    default_device,
    default_generator,
    import_cupy,
    on_device_of,
    to_device,
)
from .methods import as_shape
from .tensor import Tensor


def _placed(array: Any, dtype: Any, device: str | None, requires_grad: bool) -> Tensor:
    """A Tensor around a fresh host array, in ``dtype`` and on ``device``."""
    offered = as_dtype(array.dtype)  # also where dtype is given: a cast drops imaginary parts
    array = array.astype(offered if dtype is None else as_dtype(dtype), copy=False)
    target = default_device() if device is None else _Device(device)
    return Tensor.from_array(to_device(array, target)).requires_grad_(requires_grad)


def number(name: str, what: str, value: Any) -> Any:
    """A real number, also one of NumPy's and the element of a Tensor.

    Raises:
        TypeError: something else.
    """
    value = value.item() if isinstance(value, (Tensor, np.generic)) else value
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"{name}: {what} is {value!r}, expected a real number")
    return value


def floating(dtype: Any) -> np.dtype[Any]:
    """``dtype``, or float32 if none is given."""
    return as_dtype(np.float32 if dtype is None else dtype)


def zeros(
    *shape: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    return _placed(np.zeros(as_shape(shape), floating(dtype)), None, device, requires_grad)


def ones(
    *shape: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``."""
    return _placed(np.ones(as_shape(shape), floating(dtype)), None, device, requires_grad)


def full(
    shape: Any,
    fill_value: float,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ``shape`` with ``fill_value`` everywhere (Python floats give float32)."""
    value = number("full", "fill_value", fill_value)
    kind = np.float32 if dtype is None and isinstance(value, float) else dtype
    if kind is not None:
        refuse_what_wraps(np.asarray(value), as_dtype(kind), "full")
    return _placed(np.full(shape, value, kind), None, device, requires_grad)


def zeros_like(tensor: Tensor, dtype: Any = None, device: str | None = None) -> Tensor:
    """Zeros in the shape and type of ``tensor``, on its device, unless others are named."""
    kind = tensor.dtype if dtype is None else as_dtype(dtype)
    if device is not None:
        return zeros(tensor.shape, dtype=kind, device=device)
    with on_device_of(tensor.array):
        return Tensor.from_array(array_module(tensor.array).zeros_like(tensor.array, dtype=kind))


def ones_like(tensor: Tensor, dtype: Any = None, device: str | None = None) -> Tensor:
    """Ones in the shape and type of ``tensor``, on its device, unless others are named."""
    kind = tensor.dtype if dtype is None else as_dtype(dtype)
    if device is not None:
        return ones(tensor.shape, dtype=kind, device=device)
    with on_device_of(tensor.array):
        return Tensor.from_array(array_module(tensor.array).ones_like(tensor.array, dtype=kind))


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from ``start`` (default 0) up to but without ``end``, ``step`` apart: int64 if
    all three are integers, else float32. In a ``dtype`` of integers the three are cut to integers
    first, as in PyTorch.

    Raises:
        ValueError: ``step`` is 0.
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (
        number("arange", what, value)
        for what, value in (("start", start), ("end", end), ("step", step))
    )
    if dtype is not None and as_dtype(dtype).kind != "f":
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise ValueError("arange: step is 0, and would never reach the end")
    array = np.arange(start, end, step)
    if dtype is not None:
        refuse_what_wraps(array, as_dtype(dtype), "arange")
    if dtype is None and array.dtype.kind == "f":
        dtype = np.float32
    return _placed(array, dtype, device, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at equal distances, from ``start`` to ``end`` inclusive. In a ``dtype`` of
    integers the ends, and then all numbers, are cut to integers, as in PyTorch."""
    start, end = number("linspace", "start", start), number("linspace", "end", end)
    if floating(dtype).kind == "f":
        array = np.linspace(start, end, steps)
    else:  # start + i (end - start) / gaps, in whole numbers: a rounding error would cost one
        gaps = max(steps - 1, 1)
        scaled = int(start) * gaps + np.arange(steps) * (int(end) - int(start))
        array = np.sign(scaled) * (abs(scaled) // gaps)
    return _placed(array, floating(dtype), device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The identity: an (n, m) matrix with ones on its diagonal (m = n by default)."""
    return _placed(np.eye(n, m), floating(dtype), device, requires_grad)


def randn(
    *shape: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Independent samples of the normal distribution with mean 0 and standard deviation 1."""
    sample = default_generator().standard_normal(as_shape(shape))
    return _placed(np.asarray(sample), floating(dtype), device, requires_grad)


def rand(
    *shape: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Independent samples of the uniform distribution on [0, 1)."""
    sample = np.asarray(default_generator().random(as_shape(shape)))
    kind = floating(dtype)
    if kind != np.float64:
        # Rounding to fewer digits can give 1.0, which is not in [0, 1).
        sample = np.asarray(np.minimum(sample, np.nextafter(kind.type(1), kind.type(0))))
    return _placed(sample, kind, device, requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = (),
    dtype: Any = np.int64,
    device: str | None = None,
) -> Tensor:
    """Independent integers from [low, high), all equally likely; ``randint(high, size)``
    starts at 0.

    Raises:
        ValueError: the range is empty, or ``dtype`` cannot hold it.
    """
    if isinstance(high, (tuple, list)):  # randint(high, size)
        high, size = None, high
    low, high = (0, low) if high is None else (low, high)
    kind = as_dtype(dtype)
    if kind.kind in "iu" and not (np.iinfo(kind).min <= low and high - 1 <= np.iinfo(kind).max):
        raise ValueError(
            f"randint: integers from {low} to {high - 1} do not fit into {kind}, which ends at "
            f"{np.iinfo(kind).max}"
        )
    sample = default_generator().integers(low, high, size)
    return _placed(np.asarray(sample), dtype, device, False)


def randperm(n: int, device: str | None = None) -> Tensor:
    """The integers 0 to n - 1 in random order."""
    return _placed(default_generator().permutation(n), np.int64, device, False)


def from_numpy(array: Any) -> Tensor:
    """A Tensor that shares its memory with ``array``.

    Raises:
        TypeError: not a NumPy array, of a type a Tensor does not hold, or in the byte order of
            another kind of machine.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: got a {type(array).__name__}, expected a numpy.ndarray")
    as_dtype(array.dtype)
    check_byte_order(array, "from_numpy")
    return Tensor.from_array(plain_array(array))


_CUDA = 2, 13  # DLPack's numbers of kinds of memory: a GPU's own, and managed memory


def from_dlpack(source: Any) -> Tensor:
    """A Tensor that shares its memory with ``source``: a PyTorch tensor, a CuPy or NumPy array, or
    whatever else has ``__dlpack__``; on the device where it is.

    For ``mg.from_dlpack(torch_tensor)``, pass on ``.detach()`` if it requires a gradient. The other
    way is ``torch.from_dlpack(t)``, without a copy either.

    Raises:
        TypeError: no ``__dlpack__``, or of a type a Tensor does not hold.
        RuntimeError: it is on a GPU and CUDA does not work here; the message says why.
    """
    if not hasattr(source, "__dlpack__") or not hasattr(source, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: got a {type(source).__name__}, which has no __dlpack__; "
            f"mg.tensor(...) copies lists and arrays"
        )
    kind, _ = source.__dlpack_device__()
    library: Any = np
    if int(kind) in _CUDA:
        library = import_cupy()
    try:
        array = library.from_dlpack(source)
    except RuntimeError as error:
        if "dtype" not in str(error):
            raise
        found = getattr(source, "dtype", "of an unknown type")
        raise TypeError(
            f"from_dlpack: the source is {found}, expected a type of NumPy's"
        ) from error
    as_dtype(array.dtype)
    return Tensor.from_array(array)

"""Axes as users name them (from either end, one or several), counted from the front."""


def normalize_dims(dim: int | tuple[int, ...] | None, ndim: int, name: str) -> tuple[int, ...]:
    """``dim`` as a tuple of axes counted from the front; ``None`` or ``()`` means all of them.

    Raises:
        IndexError: an axis that does not exist.
        ValueError: the same axis twice.
    """
    if dim is None or (isinstance(dim, tuple) and not dim):
        return tuple(range(ndim))
    dims = dim if isinstance(dim, tuple) else (dim,)
    counted = tuple(normalize_dim(d, ndim, name) for d in dims)
    if len(set(counted)) < len(counted):
        raise ValueError(f"{name}: dim {dims} names the same axis twice")
    return counted


def normalize_dim(dim: int, ndim: int, name: str) -> int:
    """``dim`` counted from the front. A 0-d tensor is treated as having one axis, as in PyTorch."""
    length = max(ndim, 1)
    try:
        if isinstance(dim, bool):  # an int to Python, and here nearly always another argument
            raise AttributeError
        counted = dim.__index__()
    except AttributeError:
        raise TypeError(f"{name}: dim is {dim!r}, expected an integer") from None
    if not -length <= counted < length:
        raise IndexError(
            f"{name}: dim {dim} does not exist in a tensor with {ndim} axes "
            f"(expected {-length} to {length - 1})"
        )
    return counted % length


def keep_dims(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with length 1 along ``dims``: what a reduction with keepdim returns."""
    return tuple(1 if axis in dims else length for axis, length in enumerate(shape))

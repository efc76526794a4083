"""How kernels for CuPy are launched: compiled when the first one is needed, checked, counted out.

A kernel takes matrices without gaps, so ``usable`` and its like say what it can be given; the rest
is for the rules in ``ops/``. The CUDA sources stand in the folder ``cuda/``. They are compiled once
per element type by CuPy, which keeps the result on disk. Nothing here waits for the GPU.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, array_module

SOURCES = ("common", "batchnorm", "reduce", "activation", "loss", "optim", "windows")

# Element type, as NumPy abbreviates it -> its name in the sources, and the type of sums. (To write
# it out takes as long as a third of a launch.)
TYPES: dict[str, tuple[str, str, type[np.generic]]] = {
    "e": ("Half", "float", np.float32),
    "f": ("float", "float", np.float32),
    "d": ("double", "double", np.float64),
}

WIDTH, HEIGHT = 32, 8  # of a block, as in common.cu
BLOCK = (WIDTH, HEIGHT)
ENOUGH_BLOCKS = 1024  # a few for each of the 50 to 150 processors of a GPU
NULL = np.uint64(0)


def source() -> str:
    """The CUDA sources, joined."""
    folder = Path(__file__).with_name("cuda")
    return "\n".join((folder / f"{name}.cu").read_text(encoding="utf-8") for name in SOURCES)


@cache
def module(cupy: Any, dtype: str) -> Any:
    """The kernels, compiled for an element type."""
    real, total, _ = TYPES[dtype]
    return cupy.RawModule(code=source(), options=(f"-DREAL={real}", f"-DSUM={total}"))


@cache
def kernel(cupy: Any, dtype: str, name: str) -> Any:
    """One of them."""
    return module(cupy, dtype).get_function(name)


def launch(
    name: str, like: Array, grid: tuple[int, ...], block: tuple[int, ...], *args: Any
) -> None:
    """Run a kernel in the type of ``like``. CuPy passes on what it is given, unchecked: a Python
    int as 64 bits, a float as a double. So counts become 32 bits here, and numbers that are
    computed with are wrapped by ``number``."""
    plain = tuple(NULL if a is None else np.int32(a) if isinstance(a, int) else a for a in args)
    kernel(array_module(like), like.dtype.char, name)(grid, block, plain)


def number(value: float, like: Array) -> np.generic:
    """A Python number in the type of sums."""
    return TYPES[like.dtype.char][2](value)


def sums(shape: tuple[int, ...], like: Array) -> Array:
    """Room for numbers in the type of sums."""
    return array_module(like).empty(shape, dtype=TYPES[like.dtype.char][2])


def usable(*arrays: Array | None) -> bool:
    """Whether kernels take these: not empty, without gaps, of a known type."""
    return all(
        a is None or (a.flags.c_contiguous and 0 < a.size < 2**31 and a.dtype.char in TYPES)
        for a in arrays
    )


def is_matrix(x: Array) -> bool:
    """Whether kernels take ``x`` as a matrix."""
    return x.ndim == 2 and usable(x)


def statistics_type(x: Array, *vectors: Array | None) -> bool:
    """Whether gamma, beta, ... are usable and of the type of the sums over ``x``."""
    wanted = TYPES[x.dtype.char][2]
    return all(v is None or (usable(v) and v.dtype == wanted) for v in vectors)


def ceil(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def split_rows(rows: int, columns: int) -> tuple[int, int]:
    """Into how many chunks the rows are split, and how many rows each has: enough blocks for the
    GPU, but four rows at least for each thread."""
    wanted = ceil(ENOUGH_BLOCKS, ceil(columns, WIDTH))
    size = max(ceil(rows, wanted), 4 * HEIGHT)
    return ceil(rows, size), size


def tiles(rows: int, columns: int) -> tuple[int, int]:
    """The grid for work on each element of a matrix."""
    return ceil(columns, WIDTH), split_rows(rows, columns)[0]


def lines(n: int) -> tuple[int]:
    """The grid for ``n`` numbers, with blocks of 256 threads that go on where others end."""
    return (min(ceil(n, 256), 4 * ENOUGH_BLOCKS),)

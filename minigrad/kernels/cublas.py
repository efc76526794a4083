"""Matrix products on a GPU: by CuPy, and while a step is captured, by the library underneath.

A CUDA graph records work instead of doing it, and cuBLAS allows its products to be recorded
(NVIDIA, cuBLAS documentation, "CUDA Graphs Support"). CuPy does not: before each product it tells
cuBLAS which stream to use, and that call raises during a capture
(https://github.com/cupy/cupy/issues/6290). So the stream, and memory to work in, are named once
before the capture begins, and products are asked for directly, under CuPy's own handle.
"""

import ctypes
from typing import Any

import numpy as np

from ..backend import Array, array_module, capture, get_float32_matmul_precision

WORKSPACE = 32 * 2**20
"""Bytes: what NVIDIA recommends for the largest cards. Without memory of its own cuBLAS takes some
from a place that a later product, outside of the graph, may use at the same time."""

# The numbers that cuBLAS has for element types (cudaDataType) and for the types in which it
# multiplies and adds (cublasComputeType_t), from its header files.
ELEMENTS = {"e": 2, "f": 0, "d": 1}  # half, float, double
COMPUTE = {"e": 68, "f": 68, "d": 70}
COMPUTE_TF32 = 77
DEFAULT_ALGORITHM = -1
ROW_BY_ROW, COLUMN_BY_COLUMN = 0, 1  # CUBLAS_OP_N and CUBLAS_OP_T, see Products.__call__


def product(a: Array, b: Array) -> Array:
    """A B, of two matrices of one type."""
    return a @ b if capture.product is None else capture.product(a, b)


class Products:
    """Products of matrices on a stream of its own, which may be captured.

    Raises:
        RuntimeError: cuBLAS is not where CuPy's is expected to be.
    """

    def __init__(self, cupy: Any, stream: Any) -> None:
        self.cupy, self.stream = cupy, stream
        self.handle = cupy.cuda.get_cublas_handle()
        self.library = load(cupy.cuda.cublas.getVersion(self.handle))
        # A graph refers to this memory: who keeps the graph has to keep this object too.
        self.workspace = cupy.empty(WORKSPACE, dtype=np.uint8)

    def prepare(self) -> None:
        """Name the stream and the memory to work in; each product that CuPy makes names others."""
        self.cupy.cuda.cublas.setStream(self.handle, self.stream.ptr)
        size = ctypes.c_size_t(WORKSPACE)
        self._check("cublasSetWorkspace_v2", _address(self.workspace), size)

    def __call__(self, a: Array, b: Array) -> Array:
        """A B: (n, k), (k, m) -> (n, m)."""
        (n, k), m, kind = a.shape, b.shape[1], a.dtype.char
        y = array_module(a).empty((n, m), dtype=a.dtype)
        a, layout_a, stride_a = laid_out(a)
        b, layout_b, stride_b = laid_out(b)
        compute = COMPUTE[kind]
        if kind == "f" and get_float32_matmul_precision() == "high":
            compute = COMPUTE_TF32
        number = ctypes.c_double if kind == "d" else ctypes.c_float
        one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
        element = ELEMENTS[kind]
        # cuBLAS takes memory as column after column. A matrix that lies row by row is to it the
        # transposed one, so it is asked for Y^T = B^T A^T: what it writes is Y, row by row.
        self._check(
            "cublasGemmEx", layout_b, layout_a, m, n, k,
            one, _address(b), element, stride_b, _address(a), element, stride_a,
            zero, _address(y), element, m, compute, DEFAULT_ALGORITHM,
        )  # fmt: skip
        return y

    def _check(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(ctypes.c_void_p(self.handle), *arguments)
        if status:
            raise RuntimeError(f"{name} of cuBLAS failed with status {status}")


def _address(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.data.ptr)


def laid_out(x: Array) -> tuple[Array, int, int]:
    """A matrix as cuBLAS can read it, copied if need be; how it lies, and the number of elements
    from one row, or column, to the next."""
    if x.flags.c_contiguous:
        return x, ROW_BY_ROW, x.shape[1]
    if x.flags.f_contiguous:
        return x, COLUMN_BY_COLUMN, x.shape[0]
    return array_module(x).ascontiguousarray(x), ROW_BY_ROW, x.shape[1]


def load(version: int) -> Any:
    """The cuBLAS that CuPy has loaded, by the name under which a process has it once. ``version``
    is 10000 times the major number, and so on."""
    name = f"libcublas.so.{version // 10000}"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise RuntimeError(
            f"cuda.graph: {name}, which CuPy computes matrix products with, cannot be called "
            f"directly ({error}); train without cuda.graph"
        ) from None

"""Matrix products on a GPU, asked of cuBLAS itself rather than by CuPy's ``@``.

``@`` finds out anew what its operands are, which takes the host longer than a small product takes
the GPU. Here they are matrices of one floating type, so what is left is to say how they lie.

While a step is captured (``replay/``) there is a second reason. A CUDA graph records work instead
of doing it, and cuBLAS allows its products to be recorded (NVIDIA, cuBLAS documentation, "CUDA
Graphs Support"). CuPy does not: before each product it tells cuBLAS which stream to use, and that
call raises during a capture (https://github.com/cupy/cupy/issues/6290). So ``Direct`` names the
stream, and memory to work in, before the capture begins, and then calls the library underneath.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, array_module, get_float32_matmul_precision
from ..events import events

# The numbers that cuBLAS has for element types (cudaDataType) and for the types in which it
# multiplies and adds (cublasComputeType_t), from its header files.
ELEMENTS = {"e": 2, "f": 0, "d": 1}  # half, float, double
COMPUTE = {"e": 68, "f": 68, "d": 70}
COMPUTE_TF32 = 77
DEFAULT_ALGORITHM = -1
ROW_BY_ROW, COLUMN_BY_COLUMN = 0, 1  # CUBLAS_OP_N and CUBLAS_OP_T, see product

FACTORS = {
    kind: (number(1), number(0))
    for kind, number in (("e", ctypes.c_float), ("f", ctypes.c_float), ("d", ctypes.c_double))
}
"""alpha and beta of alpha A B + beta C, in the type that is computed in; passed by address."""
ADDRESSES = {kind: tuple(map(ctypes.addressof, numbers)) for kind, numbers in FACTORS.items()}


def product(a: Array, b: Array) -> Array:
    """A B: (n, k), (k, m) -> (n, m), of two matrices of one of these types, not empty.

    Raises:
        CUBLASError: of CuPy; RuntimeError while a step is captured.
    """
    cupy, kind = array_module(a), a.dtype.char
    (n, k), m = a.shape, b.shape[1]
    y = cupy.empty((n, m), dtype=a.dtype)
    a, layout_a, stride_a = laid_out(a)
    b, layout_b, stride_b = laid_out(b)
    compute = COMPUTE[kind]
    if kind == "f" and get_float32_matmul_precision() == "high":
        compute = COMPUTE_TF32
    (one, zero), element = ADDRESSES[kind], ELEMENTS[kind]
    own = None if events.listener is None else events.listener.gemm
    gemm: Callable[..., Any] = own or cupy.cuda.cublas.gemmEx
    # cuBLAS takes memory as column after column. A matrix that lies row by row is to it the
    # transposed one, so it is asked for Y^T = B^T A^T: what it writes is Y, row by row.
    gemm(
        cupy.cuda.get_cublas_handle(), layout_b, layout_a, m, n, k,
        one, b.data.ptr, element, stride_b, a.data.ptr, element, stride_a,
        zero, y.data.ptr, element, m, compute, DEFAULT_ALGORITHM,
    )  # fmt: skip
    return y


def laid_out(x: Array) -> tuple[Array, int, int]:
    """A matrix as cuBLAS can read it, copied if need be; how it lies, and the number of elements
    from one row, or column, to the next."""
    if x.flags.c_contiguous:
        return x, ROW_BY_ROW, x.shape[1]
    if x.flags.f_contiguous:
        return x, COLUMN_BY_COLUMN, x.shape[0]
    return array_module(x).ascontiguousarray(x), ROW_BY_ROW, x.shape[1]


# -------------------------------------------------------------------------- during a capture

WORKSPACE = 32 * 2**20
"""Bytes: what NVIDIA recommends for the largest cards. Without memory of its own cuBLAS takes some
from a place that a later product, outside of the graph, may use at the same time."""

POINTER, INT = ctypes.c_void_p, ctypes.c_int
MATRIX = (POINTER, INT, INT)  # address, element type, stride
GEMM = (POINTER, *(INT,) * 5, POINTER, *MATRIX, *MATRIX, POINTER, *MATRIX, INT, INT)


class Direct:
    """``gemmEx`` of CuPy on a stream that may be captured.

    Raises:
        RuntimeError: cuBLAS is not where CuPy's is expected to be.
    """

    def __init__(self, cupy: Any, stream: Any) -> None:
        self.cupy, self.stream = cupy, stream
        self.handle = cupy.cuda.get_cublas_handle()
        self.library = load(cupy.cuda.cublas.getVersion(self.handle))
        self.library.cublasGemmEx.argtypes = GEMM
        self.library.cublasSetWorkspace_v2.argtypes = POINTER, POINTER, ctypes.c_size_t
        # A graph refers to this memory: who keeps the graph has to keep this object too.
        self.workspace = cupy.empty(WORKSPACE, dtype=np.uint8)

    def prepare(self) -> None:
        """Name the stream and the memory to work in; each product that CuPy makes names others."""
        self.cupy.cuda.cublas.setStream(self.handle, self.stream.ptr)
        self._check(
            "cublasSetWorkspace_v2",
            self.library.cublasSetWorkspace_v2(self.handle, self.workspace.data.ptr, WORKSPACE),
        )

    def __call__(self, *arguments: Any) -> None:
        """As CuPy's ``gemmEx``."""
        self._check("cublasGemmEx", self.library.cublasGemmEx(*arguments))

    def _check(self, name: str, status: int) -> None:
        if status:
            raise RuntimeError(f"{name} of cuBLAS failed with status {status}")


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

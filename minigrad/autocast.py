"""Mixed precision: products of matrices in float16, the rest in float32.

A GPU multiplies float16 matrices several times as fast as float32 ones, and they take half the
memory. But float16 has 11 binary digits, and ends at 65504 above and at 6e-8 below. So three things
stay in float32 (Micikevicius et al. (2018), "Mixed Precision Training", section 3):

* the parameters: an update of less than a 2000th of a weight would be rounded away;
* what adds up many numbers, or spans many powers of ten: normalisation, losses, reductions, exp;
* the sums inside a product, of factors in float16.

The gradients of what runs in float16 are float16 too, and small ones become 0. Against that the
loss is scaled up, and the gradients down again: ``optim.GradScaler``.
"""

from contextlib import ContextDecorator
from contextvars import Token
from typing import Any

import numpy as np

from . import ops
from .backend import Device
from .core.gradmode import autocasting
from .core.op import Op

__all__ = ["autocast", "is_autocast_enabled"]

IN_FLOAT16: frozenset[type[Op]] = frozenset({ops.Linear, ops.MatMul, ops.Convolution})

IN_FLOAT32: frozenset[type[Op]] = frozenset(
    {
        ops.BinaryCrossEntropy,
        ops.BinaryCrossEntropyWithLogits,
        ops.CumProd,
        ops.CumSum,
        ops.Exp,
        ops.Expm1,
        ops.Huber,
        ops.Log,
        ops.Log1p,
        ops.Log2,
        ops.LogSoftmax,
        ops.LogSumExp,
        ops.Mean,
        ops.Pow,
        ops.PowScalar,
        ops.Prod,
        ops.Reciprocal,
        ops.Rsqrt,
        ops.ScalarPow,
        ops.Softmax,
        ops.SoftmaxCrossEntropy,
        ops.Softplus,
        ops.SquaredError,
        ops.Square,
        ops.Std,
        ops.Sum,
        ops.Var,
    }
)
"""Where PyTorch has these, it casts them to float32 too (its documentation, "Automatic Mixed
Precision package", "CUDA Ops that can autocast to float32"). Normalisation computes in float32
whatever it gets."""


class autocast(ContextDecorator):
    """Within it, operations choose the type that they run in; outside of it nothing changes.

    Products of matrices and convolutions take float32 inputs as float16. Losses, reductions, powers
    and the like take float16 inputs as float32, and give float32. What is in neither list runs as
    it comes, and in float32 where float16 meets float32. float64 is left alone. Parameters stay
    float32, and so do their gradients. Run the forward pass and the loss within it, and
    ``backward`` outside.

    On the CPU the roundings are the same and the speed is not: NumPy multiplies float16 matrices
    slowly.

    Args:
        device_type: "cuda" or "cpu": operations on other devices are left alone.
        dtype: float16.
        enabled: False: nothing changes within it either.

    Raises:
        ValueError: another device or type. bfloat16 is not offered: NumPy does not have it, and the
            arrays of the package ml_dtypes take no part in NumPy's floating types.
    """

    def __init__(self, device_type: str, dtype: Any = np.float16, enabled: bool = True) -> None:
        kind = Device(device_type).type
        if "bfloat16" in str(dtype):
            raise ValueError("autocast: dtype is bfloat16, expected float16: NumPy has no bfloat16")
        if np.dtype(dtype) != np.float16:
            raise ValueError(f"autocast: dtype is {np.dtype(dtype)}, expected float16")
        self.on_cpu, self.enabled = kind == "cpu", enabled
        self._before: list[Token[Any]] = []

    def __enter__(self) -> None:
        self._before.append(autocasting.set(self.convert if self.enabled else None))

    def __exit__(self, *exception: object) -> None:
        autocasting.reset(self._before.pop())

    def convert(self, op: Op, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs of ``op`` in the types in which it runs."""
        arrays = [x.array for x in inputs]
        if (type(arrays[0]) is np.ndarray) is not self.on_cpu:
            return inputs
        types = {array.dtype.char for array in arrays if array.dtype.kind == "f"}
        if "d" in types:
            return inputs
        if type(op) in IN_FLOAT16:
            wanted: Any = np.float16 if "f" in types else None
        else:
            mixed = type(op) in IN_FLOAT32 or len(types) > 1
            wanted = np.float32 if "e" in types and mixed else None
        if wanted is None:
            return inputs
        return tuple(x.to(wanted) if x.array.dtype.kind == "f" else x for x in inputs)


def is_autocast_enabled() -> bool:
    """Whether this is within ``autocast``, in this thread or task."""
    return autocasting.get() is not None

"""The same numbers on another device, in another type, copied, or without their history."""

from typing import Any, Self

import numpy as np

from .. import ops
from ..arrays import as_dtype
from ..backend import Device, on_device_of
from ..core.autograd import apply
from ..core.variable import Variable


class Conversions(Variable):
    """``to`` and its short forms; ``detach``, ``clone``."""

    __slots__ = ()

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """On another device, in another type, or both: ``to("cuda")``, ``to(np.float64)``,
        ``to(other_tensor)``, ``to(device=..., dtype=...)``. Itself if nothing changes.

        A change of floating type is recorded, and so is a move; one to integers ends the graph.
        """
        device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
        if kwargs:
            raise TypeError(f"to: unexpected arguments {sorted(kwargs)}")
        for argument in args:
            if isinstance(argument, Variable):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, str) and argument.startswith(("cpu", "cuda")):
                device = argument
            elif isinstance(argument, str) and not hasattr(np, argument):
                raise ValueError(
                    f"to: got {argument!r}, expected a device ('cpu', 'cuda', 'cuda:1') or a type"
                )
            else:
                dtype = argument
        result: Any = self
        if device is not None and Device(device) != self.device:
            result = apply(ops.Move(self.device, Device(device)), result)
        if dtype is not None and as_dtype(dtype) != self.dtype:
            target = as_dtype(dtype)
            if self.dtype.kind == target.kind == "f":
                result = apply(ops.Cast(self.dtype, target), result)
            else:
                with on_device_of(result.array):
                    result = self.from_array(result.array.astype(target))
        return result

    def cpu(self) -> Self:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Self:
        """On a GPU.

        Raises:
            RuntimeError: there is none; the message says why.
        """
        return self.to(f"cuda:{index}")

    def float(self) -> Self:
        """As float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """As float64."""
        return self.to(np.float64)

    def half(self) -> Self:
        """As float16."""
        return self.to(np.float16)

    def long(self) -> Self:
        """As int64."""
        return self.to(np.int64)

    def detach(self) -> Self:
        """The same array as a constant: it shares the memory and requires no gradient."""
        return self.from_array(self.array)

    def clone(self) -> Self:
        """A copy; the copying is recorded."""
        return apply(ops.Clone(), self)

    def contiguous(self) -> Self:
        """Itself, or a copy whose elements lie in memory in the order of their indices."""
        return self if self.array.flags.c_contiguous else self.clone()

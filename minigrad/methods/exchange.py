"""A Tensor's memory in other libraries' hands: NumPy, PyTorch, CuPy, and whatever speaks DLPack;
and what a notebook shows of it.

Nothing is copied: both sides see what either writes. A write by the other side cannot be noticed,
and so ``backward`` cannot warn of it.
"""

from typing import Any

import numpy as np

from ..backend import array_module, on_device_of
from ..core.variable import Variable
from ..tables import table
from .arguments import of_tensor
from .ufuncs import ArrayUfunc


@of_tensor
class Exchange(Variable):
    """Views for other libraries; see the file. ``from_dlpack`` is the way in."""

    __slots__ = ()

    __array_ufunc__ = ArrayUfunc()

    def _constant(self, name: str, remedy: str) -> Any:
        """The array, if it has no part in a gradient: others record nothing."""
        if self._requires_grad:
            raise RuntimeError(f"{name}: the tensor requires a gradient; use .detach(){remedy}")
        return self.array

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array, which shares its memory with this Tensor.

        Raises:
            RuntimeError: the Tensor requires a gradient; use ``.detach().numpy()``.
            TypeError: it is on a GPU; use ``.cpu().numpy()``.
        """
        array: np.ndarray[Any, Any] = self._constant("numpy", ".numpy()")
        if self.device != "cpu":
            raise TypeError(f"numpy: the tensor is on {self.device}; use .cpu().numpy()")
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """For ``torch.from_dlpack(t)``, ``cupy.from_dlpack(t)``, ``np.from_dlpack(t)``; the options
        are those of the array API standard (2023.12): stream, max_version, dl_device, copy.

        Raises:
            RuntimeError: the Tensor requires a gradient; pass on ``.detach()``.
        """
        array = self._constant("__dlpack__", "")
        with on_device_of(array):
            return array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's number of the kind of device (1: the CPU, 2: CUDA), and which one."""
        kind, index = self.array.__dlpack_device__()
        return int(kind), int(index)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Address, shape and type, for ``cupy.asarray``, ``torch.as_tensor`` and Numba; on a GPU
        only, so ``hasattr`` tells.

        Raises:
            AttributeError: the Tensor is on the CPU.
            RuntimeError: it requires a gradient; pass on ``.detach()``.
        """
        if array_module(self.array) is np:
            raise AttributeError("__cuda_array_interface__: the tensor is on the CPU, not on a GPU")
        array = self._constant("__cuda_array_interface__", "")
        interface: dict[str, Any] = array.__cuda_array_interface__
        return interface

    def _repr_html_(self) -> str:
        """Shape, type, place and history as a small table, and the values as ``print`` has them."""
        shape = " x ".join(map(str, self.array.shape)) or "() - one number"
        rows = [("shape", shape), ("dtype", self.dtype), ("device", self.device)]
        if self.grad_fn is not None:
            rows.append(("made by", self.grad_fn.name))
        elif self._requires_grad:
            rows.append(("gradient", "none yet" if self._grad is None else "in .grad"))
        return table(rows, title="Tensor", text=repr(self))

"""Tensor: an array that remembers the operation and the inputs that made it.

What can be done with it is in ``methods/``, how it is differentiated in ``core/autograd.py``.
"""

import builtins
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .arrays import as_array, check_byte_order
from .backend import Array, Device, device_of, is_array, to_device
from .core.autograd import backward
from .core.hooks import watched
from .core.versions import mark_written
from .methods import (
    Arithmetic,
    Comparisons,
    Conversions,
    Exchange,
    Indexing,
    InPlace,
    Nearest,
    Ordering,
    Products,
    Questions,
    Rearranging,
    Reductions,
    Scattering,
    Shapes,
)
from .ops.axes import normalize_dim

new = object.__new__


class Tensor(
    Arithmetic,
    Comparisons,
    Conversions,
    Exchange,
    Indexing,
    InPlace,
    Nearest,
    Ordering,
    Products,
    Questions,
    Rearranging,
    Reductions,
    Scattering,
    Shapes,
):
    """An n-dimensional array, its gradient, and the operation it came from.

    Args:
        data: numbers, nested lists of them, an array, or a Tensor; it is copied.
        dtype: a NumPy type. Default: that of an array; float32 for Python floats.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``. Default: that of a Tensor or a CuPy array;
            ``default_device()`` for all that is on the host.
        requires_grad: whether ``backward`` shall fill ``.grad``.

    Raises:
        TypeError: the data are not real numbers, or a gradient is required of integers.
        ValueError: nested lists of unequal lengths.
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        dtype: Any = None,
        device: str | None = None,
        requires_grad: bool = False,
    ) -> None:
        if isinstance(data, Tensor):
            device, data = data.device if device is None else device, data.array
        self.array = as_array(data, dtype, device)
        self._grad, self._requires_grad, self.grad_fn, self.hooks = None, False, None, None
        if requires_grad:
            self.requires_grad = True

    @staticmethod
    def from_array(array: Any) -> "Tensor":
        """A Tensor around an array, without a copy."""
        if isinstance(array, np.generic):  # NumPy's reductions end in numbers
            array = np.asarray(array)
        tensor = new(Tensor)
        tensor.array, tensor._requires_grad = array, False
        tensor._grad = tensor.grad_fn = tensor.hooks = None
        return tensor

    # ----------------------------------------------------------------------- what it is

    @property
    def data(self) -> Array:
        """The NumPy or CuPy array itself. ``t.data = array`` and ``t.data -= step`` replace or
        change it without being recorded.

        Writing *into* it (``t.data[0] = 1``) cannot be noticed, and so backward cannot warn of it;
        ``t[0] = 1`` under ``no_grad`` can.
        """
        return self.array

    @data.setter
    def data(self, data: Any) -> None:
        if isinstance(data, Tensor):
            data = data.array
        if isinstance(data, np.generic):  # arithmetic on a 0-d array ends in a NumPy scalar
            data = np.asarray(data)
        if not is_array(data):
            raise TypeError(f"data: got a {type(data).__name__}, expected an array")
        if self._requires_grad and data.dtype.kind != "f":
            raise TypeError(f"data: got {data.dtype}, but this tensor requires a gradient")
        check_byte_order(data, "data")
        if data is self.array:  # what `t.data -= step` ends with
            mark_written(data)
        self.array = data

    def dim(self) -> int:
        """The number of axes."""
        return int(self.array.ndim)

    def numel(self) -> int:
        """The number of elements."""
        return int(self.array.size)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[normalize_dim(dim, self.ndim, "size")]

    def __repr__(self) -> str:
        values = np.array2string(
            to_device(self.array, Device("cpu")), separator=", ", prefix="tensor("
        )
        notes = [values, f"dtype={self.dtype}"]
        if self.device != "cpu":
            notes.append(f"device={str(self.device)!r}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self._requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __bool__(self) -> bool:
        return bool(self._single("bool"))

    def __float__(self) -> builtins.float:
        return float(self._single("float"))

    def __int__(self) -> int:
        return int(self._single("int"))

    def __index__(self) -> int:
        if self.dtype.kind != "i":
            raise TypeError(f"index: the tensor is {self.dtype}, expected integers")
        return int(self._single("index"))

    def _single(self, name: str) -> Any:
        if self.array.size != 1:
            raise ValueError(f"{name}: the tensor has shape {self.shape}, expected one element")
        return self.array.item()

    def item(self) -> Any:
        """The single element as a Python number."""
        return self._single("item")

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.array.tolist()

    def __reduce__(self) -> Any:
        """For pickle and copy.deepcopy: leaves only, as what they were computed from is lost."""
        if self.grad_fn is not None:
            raise RuntimeError(
                f"only leaves can be copied or pickled, and this tensor came from {self.grad_fn!r};"
                f" use .detach()"
            )
        grad = None if self._grad is None else self._grad.array
        return _rebuild, (type(self), self.array, self._requires_grad, grad)

    # ------------------------------------------------------------------------- gradients

    @property
    def requires_grad(self) -> bool:
        """Whether backward passes reach this tensor."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.grad_fn is not None:
            if value:
                return
            raise RuntimeError(
                "requires_grad: this tensor is the result of a recorded operation; use .detach()"
            )
        if value and self.array.dtype.kind != "f":
            raise TypeError(
                f"requires_grad: the tensor is {self.dtype}, expected a floating type "
                f"(a gradient of integers makes no sense); use .float()"
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad``; returns itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> "Tensor | None":
        """dL/d(this tensor), added up over all backward passes since it was last set to None."""
        if self._grad is None and self.grad_fn is not None:
            warnings.warn(
                "grad: this tensor is not a leaf, so its gradient is not kept; "
                "call .retain_grad() on it before backward",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, grad: "Tensor | None") -> None:
        if grad is not None:
            if not isinstance(grad, Tensor):
                raise TypeError(f"grad: got a {type(grad).__name__}, expected a Tensor or None")
            theirs = grad.shape, grad.dtype, grad.device
            ours = self.shape, self.dtype, self.device
            if theirs != ours:
                raise ValueError(f"grad: got {theirs}, expected {ours} (shape, type, device)")
        self._grad = grad

    backward = backward

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its ``.grad`` too."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: the tensor does not require a gradient")
        if self.grad_fn is None:
            return
        self.grad_fn.retained_by = weakref.ref(self)  # weak: this tensor holds the node
        watched.add(self.grad_fn)

    def register_hook(self, hook: Callable[["Tensor"], Any]) -> "RemovableHandle":
        """Have ``hook(grad)`` called with this tensor's gradient in each backward pass; if it
        returns a Tensor, that takes the gradient's place. The handle's ``remove`` ends it."""
        if not self._requires_grad:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        node = self.node
        if node.hooks is None:
            node.hooks = []
        node.hooks.append(hook)
        if self.grad_fn is not None:
            watched.add(self.grad_fn)
        return RemovableHandle(node.hooks, hook)


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; doing so twice is no error."""
        for i, hook in enumerate(self._hooks):
            if hook is self._hook:
                del self._hooks[i]
                break
        self._hook = None  # the same function may have been registered again


def tensor(
    data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A Tensor with a copy of ``data``; see ``Tensor`` for the arguments and errors."""
    if isinstance(data, Tensor) and data.requires_grad:
        warnings.warn(
            "tensor: the copy of a Tensor that requires a gradient is not part of its graph; write "
            "t.clone() to stay in it, or t.detach().clone() to leave it",
            stacklevel=2,
        )
    return Tensor(data, dtype, device, requires_grad)


def _rebuild(kind: type[Tensor], data: Array, requires_grad: bool, grad: Array | None) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, data, device=device_of(data), requires_grad=requires_grad)
    tensor._grad = None if grad is None else Tensor(grad, device=device_of(grad))
    return tensor

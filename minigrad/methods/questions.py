"""Questions about elements: is it a number, are all true, are two tensors equal."""

from typing import Any

from ..backend import array_module, on_device_of
from ..core.variable import Variable
from ..ops.axes import normalize_dims
from .arguments import Dims, as_dims, numpy_spelling, of_tensor, tensor_operand


@of_tensor
class Questions(Variable):
    """What is answered by true or false, and has no gradient."""

    __slots__ = ()

    def _asked(self, question: str) -> Any:
        with on_device_of(self.array):
            return self.from_array(getattr(array_module(self.array), question)(self.array))

    def isnan(self) -> Any:
        """Where an element is NaN: booleans."""
        return self._asked("isnan")

    def isinf(self) -> Any:
        """Where an element is infinite, of either sign: booleans."""
        return self._asked("isinf")

    def isfinite(self) -> Any:
        """Where an element is neither NaN nor infinite: booleans."""
        return self._asked("isfinite")

    def _over(self, question: str, dim: Dims, keepdim: bool) -> Any:
        axes = normalize_dims(as_dims(dim), self.array.ndim, question) if self.array.ndim else None
        with on_device_of(self.array):
            return self.from_array(getattr(self.array, question)(axis=axes, keepdims=keepdim))

    @numpy_spelling
    def any(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether an element over ``dim`` (an axis, several, or all) is true, that is not 0."""
        return self._over("any", dim, keepdim)

    @numpy_spelling
    def all(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether every element over ``dim`` (an axis, several, or all) is true, that is not 0."""
        return self._over("all", dim, keepdim)

    def equal(self, other: Variable) -> bool:
        """Whether two Tensors have the same shape and the same elements. NaN equals nothing."""
        theirs = tensor_operand(other, "equal").array
        with on_device_of(self.array):
            return self.array.shape == theirs.shape and bool((self.array == theirs).all())

    def allclose(
        self, other: Variable, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> bool:
        """Whether |self - other| <= atol + rtol |other| for every element."""
        theirs = tensor_operand(other, "allclose").array
        with on_device_of(self.array):
            found = array_module(self.array).allclose(self.array, theirs, rtol, atol, equal_nan)
        return bool(found)

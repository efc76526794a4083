"""What happens where NumPy's functions and arrays meet a Tensor: ``np.exp(t)``, ``array * t``.

NumPy would convert the Tensor and record nothing. So its functions refuse, and name the one to call
instead. An operator is left to the Tensor.
"""

from typing import Any

import numpy as np

from ..core.variable import Variable

OPERATORS: dict[Any, str] = {
    np.add: "__radd__",
    np.subtract: "__rsub__",
    np.multiply: "__rmul__",
    np.true_divide: "__rtruediv__",
    np.floor_divide: "__rfloordiv__",
    np.remainder: "__rmod__",
    np.power: "__rpow__",
    np.matmul: "__rmatmul__",
    np.bitwise_and: "__rand__",
    np.bitwise_or: "__ror__",
    np.bitwise_xor: "__rxor__",
    np.less: "__gt__",
    np.less_equal: "__ge__",
    np.greater: "__lt__",
    np.greater_equal: "__le__",
    np.equal: "__eq__",
    np.not_equal: "__ne__",
}
"""For ``left * tensor``, the Tensor's method that computes it from ``left``."""

NAMES = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "negative": "neg",
    "absolute": "abs",
    "add.reduce": "sum",
    "maximum.reduce": "amax",
    "minimum.reduce": "amin",
    "add.accumulate": "cumsum",
    "multiply.reduce": "prod",
    "multiply.accumulate": "cumprod",
}
"""Where minigrad's name, which is PyTorch's, is another than NumPy's."""


def handle_ufunc(
    tensor: Any, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
) -> Any:
    """NumPy's protocol ``__array_ufunc__``: the result of ``ufunc``, of which an input is a Tensor.

    Raises:
        TypeError: it is not an operator with the Tensor on its right.
    """
    if out is not None and not isinstance(out[0], Variable):  # array -= tensor
        own = f"{NAMES.get(ufunc.__name__, ufunc.__name__)}_"
        raise TypeError(
            f"{ufunc.__name__}: an array is to be changed by a Tensor; for a parameter p write "
            f"p.{own if hasattr(tensor, own) else 'copy_'}(...) under no_grad(), where p.data is "
            f"the array; or give it the other array, (...).data"
        )
    left = inputs[0]
    if method == "__call__" and ufunc in OPERATORS and not isinstance(left, Variable):
        number = isinstance(left, np.ndarray) and not left.ndim  # what NumPy has made of one
        return getattr(inputs[1], OPERATORS[ufunc])(left[()] if number else left)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    ours = NAMES.get(name, name)
    remedy = f"call mg.{ours}"
    if not hasattr(tensor, ours):
        remedy = "minigrad has no such function; without a gradient, it can be given t.data"
    raise TypeError(f"np.{name}: got a Tensor, of which NumPy would record nothing; {remedy}")


class ArrayUfunc:
    """``Tensor.__array_ufunc__``. NumPy asks the class for it, and gets ``handle_ufunc``. CuPy asks
    the object, and gets None: it then leaves operators to the Tensor."""

    def __get__(self, tensor: Any, kind: type) -> Any:
        return handle_ufunc if tensor is None else None

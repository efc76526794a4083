"""What an operation is: ``forward``, and the hand-derived ``backward`` right below it.

    class Mul(Op):
        '''y = a * b'''
        saves = ("a", "b")

        def forward(self, a, b):
            return a * b

        def backward(self, grad, y, a, b):
            return unbroadcast(grad * b, a.shape), unbroadcast(grad * a, b.shape)

``forward`` takes arrays and returns one array. ``backward`` takes ``grad`` (dL/dy, shaped like the
output y), the output and the inputs, and returns dL/d(input) for each input: one array, or a tuple
if there are several inputs; ``None`` where the derivative is zero everywhere. Options such as an
axis or eps, and Python numbers, are arguments of ``__init__``.

Three conventions make the same few lines serve for every purpose:

* ``saves`` names the arguments of ``backward`` whose *values* it reads. Only these stay in memory
  until the backward pass; of the others ``backward`` sees ``.shape`` and ``.ndim`` and no more.
* The rules are written with operators and with methods that arrays and Tensors share, or call
  other operations through ``call_op``. When gradients of gradients are wanted, ``backward`` gets
  Tensors, its arithmetic is recorded like any other, and the second derivative follows.
* What ``forward`` derived from its inputs and ``backward`` needs again (x_hat, 1/sigma) goes
  through ``self.cached``. Kept as an attribute it would be a constant to the second derivative.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..backend import Array
from .variable import Variable

CO_VARARGS = 4  # inspect.CO_VARARGS, without importing inspect


class Op:
    """One application of an operation, and so one node of the graph (see ``graph.py``)."""

    saves: ClassVar[tuple[str, ...]] = ()
    """The arguments of ``backward``, besides ``grad``, whose values it reads."""

    unsaved: ClassVar[Sequence[int]] = range(sys.maxsize)
    """The arguments that it does not read, as positions: 0 is the output, 1 the first input."""

    order: int = 0
    parents: Sequence[Any] = ()
    saved: Sequence[Any] | None = None  # output and inputs, or the shapes of those not saved
    hooks: list[Callable[[Any], Any]] | None = None
    retained_by: Callable[[], Any] | None = None  # a weak reference to the output
    made_at: tuple[str, str] | None = None  # module and line, within detect_anomaly
    workspace: Any = None  # what a kernel's forward leaves for its backward
    _cached: tuple[tuple[Any, ...], Any] | None = None

    def __init_subclass__(cls) -> None:
        """From the names in ``saves``, the positions of the others, once per class."""
        if not {"backward", "saves"} & set(cls.__dict__):
            return
        code = cls.backward.__code__
        names = code.co_varnames[2 : code.co_argcount]  # after self and grad
        rest = code.co_varnames[code.co_argcount :][: bool(code.co_flags & CO_VARARGS)]  # *xs
        if not names:
            raise TypeError(f"{cls.__name__}.backward takes no output: (self, grad, y, ...)")
        output, *inputs = names
        unknown = set(cls.saves) - {*names, *rest}
        if unknown:
            raise TypeError(f"{cls.__name__}.saves names {unknown}, which backward does not take")
        if inputs:
            cls.unsaved = tuple(i for i, name in enumerate(names) if name not in cls.saves)
        else:  # backward(self, grad, y, *xs)
            kept = set(rest) & set(cls.saves)
            cls.unsaved = range(output in cls.saves, 1 if kept else sys.maxsize)

    @property
    def name(self) -> str:
        """How error messages and ``repr`` call this operation."""
        return type(self).__name__

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each input, whether its gradient will be used: a rule may skip the others."""
        return tuple([parent is not None for parent in self.parents])

    def free(self) -> None:
        """Let go of what was saved, and of the graph below."""
        self.saved, self.parents = None, ()
        self.workspace = self._cached = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def forward(self, *inputs: Array) -> Array:
        """The output, from the input arrays."""
        raise NotImplementedError(f"{self.name}.forward is not written yet")

    def backward(self, grad: Array, y: Array, *inputs: Array) -> Any:
        """The gradient of the loss with respect to each input, from that of the output."""
        raise NotImplementedError(f"{self.name}.backward is not written yet")

    def cached(self, function: Callable[..., Any], *args: Any) -> Any:
        """``function(*args)``, computed once for the same arrays.

        Called in ``forward`` with arrays, and in ``backward`` with the same arrays (the remembered
        value is returned) or with Tensors (it is computed anew, and recorded).
        """
        if self._cached is not None:
            known, value = self._cached
            if all(a is b for a, b in zip(args, known, strict=True)):
                return value
        value = function(*args)
        if not any(isinstance(a, Variable) for a in args):
            self._cached = args, value
        return value


class Shape:
    """Stands in for an argument of ``backward`` that was not saved: its shape, and nothing else."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"backward reads .{name} of an argument that was not saved; name it in `saves`"
        )

    __array_ufunc__ = None  # so that array * Shape comes to __rmul__

    def _refuse(self, *other: Any) -> Any:
        raise TypeError("backward reads an argument that was not saved; name it in `saves`")

    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __matmul__ = __getitem__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmatmul__ = __neg__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


shape_of = functools.lru_cache(maxsize=4096)(Shape)
"""The ``Shape`` for a tuple of lengths: one object serves all nodes with that shape."""

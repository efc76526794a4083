"""What a Tensor can do: its differentiable methods and operators, a line or two for each.

A method brings its arguments into the form its operation wants (axes counted from the front,
integers made floating, Python numbers told from Tensors) and applies it. The mathematics is in
``ops/``; what a Tensor *is* stands in ``tensor.py``.

Names and arguments are PyTorch's. ``axis`` and ``keepdims``, NumPy's spelling of ``dim`` and
``keepdim``, are understood as well, and so the rules in ``ops/`` can be given arrays or Tensors.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import ops
from .backend import array_module, device_of, is_array, to_device
from .ops.base import broadcast_to, normalize_dim, normalize_dims

if TYPE_CHECKING:
    from .tensor import Tensor

Dims: TypeAlias = int | tuple[int, ...] | list[int] | None
Scalar: TypeAlias = float | int | bool


def numpy_spelling(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``method`` be called with ``axis=`` and ``keepdims=`` for ``dim=`` and ``keepdim=``."""

    @functools.wraps(method)
    def spelled(*args: Any, **options: Any) -> Any:
        for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
            if theirs in options:
                if ours in options:
                    raise TypeError(f"{method.__name__}: got both {theirs}= and {ours}=")
                options[ours] = options.pop(theirs)
        return method(*args, **options)

    return spelled


def as_dims(dim: Dims) -> Any:
    """A list of axes as a tuple of axes."""
    return tuple(dim) if isinstance(dim, list) else dim


def as_shape(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shape in ``f(2, 3)`` and in ``f((2, 3))``."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        return tuple(shape[0])
    return shape


class Methods:
    """The differentiable half of ``Tensor``; not to be used on its own."""

    __slots__ = ()

    _data: Any
    apply_op: Any  # tensor.apply: runs an operation and records it
    _new: Any  # a Tensor around an array, with no history

    # --------------------------------------------------------------------- what comes in

    def _other(self, other: Any, name: str) -> Any:
        """The other operand: a Tensor, a Python number, or NotImplemented."""
        if isinstance(other, (Methods, bool, int, float)):
            return other
        if isinstance(other, np.generic):
            return other.item()
        if is_array(other) or isinstance(other, (list, tuple)):
            raise TypeError(
                f"{name}: one operand is a Tensor and the other a {type(other).__name__}, "
                f"expected a Tensor or a number; wrap it: mg.tensor(...)"
            )
        return NotImplemented

    def _binary(
        self, other: Any, on_tensor: Callable[[], Any], on_number: Callable[[Any], Any], name: str
    ) -> Any:
        """``self`` with a Tensor, or with a Python number, which keeps the type of ``self``."""
        if not isinstance(other, Methods):
            other = self._other(other, name)
            if other is NotImplemented:
                return other
            if not isinstance(other, Methods):
                x = self._floating() if isinstance(other, float) else self
                return self.apply_op(on_number(other), x)
        a, b = self, other
        if a._data.dtype is not b._data.dtype:
            a, b = a._promoted(b), b._promoted(a)
        try:
            return self.apply_op(on_tensor(), a, b)
        except ValueError as error:
            shapes = tuple(a._data.shape), tuple(b._data.shape)
            raise ValueError(
                f"{name}: shapes {shapes[0]} and {shapes[1]} do not broadcast: counted from the "
                f"right, axes must be equal or one of them 1"
            ) from error

    def _promoted(self, other: "Methods") -> Any:
        """``self`` in the floating type of ``other`` if it is of an integer or boolean type."""
        mine, theirs = self._data.dtype, other._data.dtype
        return self.to(theirs) if mine.kind != "f" and theirs.kind == "f" else self

    def _floating(self) -> Any:
        """``self``, or for integers and booleans their float32 values."""
        return self if self._data.dtype.kind == "f" else self.to(np.float32)

    def _unary(self, op: ops.Op) -> Any:
        return self.apply_op(op, self._floating())

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Written in ``tensor.py``: another device or type."""
        raise NotImplementedError

    # ------------------------------------------------------------------------ arithmetic

    def __add__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Add, ops.AddScalar, "add")

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Sub, lambda c: ops.AddScalar(-c), "sub")

    def __rsub__(self, other: Any) -> "Tensor":
        return -self + other

    def __mul__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Mul, ops.MulScalar, "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Tensor":
        return self._floating()._binary(other, ops.Div, ops.DivScalar, "div")

    def __rtruediv__(self, other: Any) -> "Tensor":
        return self.reciprocal() * other

    def __pow__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Pow, ops.PowScalar, "pow")

    def __rpow__(self, other: Any) -> "Tensor":
        return self._binary(other, ops.Pow, ops.ScalarPow, "pow")

    def __neg__(self) -> "Tensor":
        return self.apply_op(ops.Neg(), self)

    def __pos__(self) -> "Tensor":
        return self  # type: ignore[return-value]

    def __abs__(self) -> "Tensor":
        return self.apply_op(ops.Abs(), self)

    def add(self, other: Any, *, alpha: Scalar = 1) -> "Tensor":
        """self + alpha * other."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> "Tensor":
        """self - alpha * other."""
        return self - (other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> "Tensor":
        """self * other, elementwise."""
        return self * other

    def div(self, other: Any) -> "Tensor":
        """self / other, elementwise; integers give floating results."""
        return self / other

    def pow(self, exponent: Any) -> "Tensor":
        """self ** exponent, elementwise; the exponent is a number or a Tensor."""
        return self**exponent

    def neg(self) -> "Tensor":
        """-self."""
        return -self

    def abs(self) -> "Tensor":
        """|self|, elementwise."""
        return abs(self)

    def square(self) -> "Tensor":
        """self * self, elementwise."""
        return self.apply_op(ops.Square(), self)

    def sqrt(self) -> "Tensor":
        """Square root, elementwise; NaN for negative numbers."""
        return self._unary(ops.Sqrt())

    def rsqrt(self) -> "Tensor":
        """1 / sqrt(self), elementwise."""
        return self._unary(ops.Rsqrt())

    def reciprocal(self) -> "Tensor":
        """1 / self, elementwise."""
        return self._unary(ops.Reciprocal())

    def exp(self) -> "Tensor":
        """e ** self, elementwise."""
        return self._unary(ops.Exp())

    def log(self) -> "Tensor":
        """Natural logarithm, elementwise."""
        return self._unary(ops.Log())

    def sin(self) -> "Tensor":
        """Sine, elementwise, of radians."""
        return self._unary(ops.Sin())

    def cos(self) -> "Tensor":
        """Cosine, elementwise, of radians."""
        return self._unary(ops.Cos())

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent, elementwise."""
        return self._unary(ops.Tanh())

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e ** -self), elementwise."""
        return self._unary(ops.Sigmoid())

    def relu(self) -> "Tensor":
        """max(self, 0), elementwise."""
        return self.apply_op(ops.ReLU(), self)

    def clamp(self, min: Scalar | None = None, max: Scalar | None = None) -> "Tensor":
        """Limited to [min, max], elementwise; either bound may be left out.

        Raises:
            TypeError: a bound is not a number (for Tensors there are ``maximum`` and ``minimum``).
            ValueError: both bounds are missing.
        """
        if min is None and max is None:
            raise ValueError("clamp: got neither min nor max, expected at least one")
        for bound in (min, max):
            if not isinstance(bound, (int, float, np.number, type(None))):
                raise TypeError(
                    f"clamp: a bound is a {type(bound).__name__}, expected a number; "
                    f"for Tensors use maximum and minimum"
                )
        x = self._floating() if isinstance(min, float) or isinstance(max, float) else self
        return self.apply_op(ops.Clamp(min, max), x)

    def maximum(self, other: "Tensor") -> "Tensor":
        """The larger of two Tensors, elementwise."""
        return self._binary(self._tensor(other, "maximum"), ops.Maximum, ops.AddScalar, "maximum")

    def minimum(self, other: "Tensor") -> "Tensor":
        """The smaller of two Tensors, elementwise."""
        return self._binary(self._tensor(other, "minimum"), ops.Minimum, ops.AddScalar, "minimum")

    def _tensor(self, other: Any, name: str) -> Any:
        if not isinstance(other, Methods):
            raise TypeError(
                f"{name}: the other operand is a {type(other).__name__}, expected a Tensor"
            )
        return other

    def where(self, condition: "Tensor", other: Any) -> "Tensor":
        """self where ``condition`` (a boolean Tensor) holds, else ``other``."""
        if not isinstance(condition, Methods) or condition._data.dtype != bool:
            kind = getattr(condition, "dtype", type(condition).__name__)
            raise TypeError(f"where: the condition is {kind}, expected a boolean Tensor")
        if not isinstance(other, Methods):
            other = self._new(array_module(self._data).asarray(other, dtype=self._data.dtype))
        return self.apply_op(ops.Where(), condition, self._promoted(other), other._promoted(self))

    # ---------------------------------------------------------------------- comparisons

    def _compare(self, other: Any, function: Callable[[Any, Any], Any], name: str) -> Any:
        other = self._other(other, name)
        if other is NotImplemented:
            return other
        if isinstance(other, Methods):
            if device_of(self._data) != device_of(other._data):
                raise TypeError(
                    f"{name}: one operand is on {device_of(self._data)}, the other on "
                    f"{device_of(other._data)}; move one with .to(...)"
                )
            other = other._data
        return self._new(function(self._data, other))

    def __lt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a < b, "<")

    def __le__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a <= b, "<=")

    def __gt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a > b, ">")

    def __ge__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a >= b, ">=")

    def __eq__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return self._compare(other, lambda a, b: a == b, "==")

    def __ne__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return self._compare(other, lambda a, b: a != b, "!=")

    def __invert__(self) -> "Tensor":
        return self._new(~self._data)

    __hash__ = object.__hash__  # by identity: __eq__ compares elements

    # ----------------------------------------------------------------------- reductions

    def _reduce(self, reduction: type[Any], dim: Dims, keepdim: bool, *options: Any) -> Any:
        name = reduction.__name__.lower()
        dims = normalize_dims(as_dims(dim), self._data.ndim, name)
        return self.apply_op(reduction(dims, keepdim, *options), self)

    @numpy_spelling
    def sum(self, dim: Dims = None, keepdim: bool = False) -> "Tensor":
        """The sum over ``dim`` (an axis, several, or all)."""
        return self._reduce(ops.Sum, dim, keepdim)

    @numpy_spelling
    def mean(self, dim: Dims = None, keepdim: bool = False) -> "Tensor":
        """The mean over ``dim`` (an axis, several, or all).

        Raises:
            TypeError: the Tensor holds integers, whose mean need not be one.
        """
        if self._data.dtype.kind != "f":
            raise TypeError(
                f"mean: the tensor is {self._data.dtype}, expected a floating type; use .float()"
            )
        return self._reduce(ops.Mean, dim, keepdim)

    @numpy_spelling
    def var(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> "Tensor":
        """The variance over ``dim``: squared distances from the mean, divided by n - correction."""
        return self._floating()._reduce(ops.Var, dim, keepdim, correction)

    @numpy_spelling
    def std(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> "Tensor":
        """The standard deviation over ``dim``: the root of ``var``."""
        return self._floating()._reduce(ops.Std, dim, keepdim, correction)

    @numpy_spelling
    def amax(self, dim: Dims = None, keepdim: bool = False) -> "Tensor":
        """The largest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amax, dim, keepdim)

    @numpy_spelling
    def amin(self, dim: Dims = None, keepdim: bool = False) -> "Tensor":
        """The smallest element over ``dim``; where several are, they share the gradient."""
        return self._reduce(ops.Amin, dim, keepdim)

    @numpy_spelling
    def logsumexp(self, dim: Dims, keepdim: bool = False) -> "Tensor":
        """log(sum(exp(self))) over ``dim``, without overflow."""
        return self._floating()._reduce(ops.LogSumExp, dim, keepdim)

    @numpy_spelling
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> "Tensor":
        """Where the largest element stands along ``dim``, or in the flattened Tensor (int64)."""
        return self._where_extreme("argmax", dim, keepdim)

    @numpy_spelling
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> "Tensor":
        """Where the smallest element stands along ``dim``, or in the flattened Tensor (int64)."""
        return self._where_extreme("argmin", dim, keepdim)

    def _where_extreme(self, name: str, dim: int | None, keepdim: bool) -> Any:
        axis = None if dim is None else normalize_dim(dim, self._data.ndim, name)
        find = getattr(self._data, name)
        if self._data.ndim == 0:
            return self._new(find())
        return self._new(find(axis=axis, keepdims=keepdim))

    @numpy_spelling
    def softmax(self, dim: int) -> "Tensor":
        """e ** self, divided by its sum along ``dim``."""
        return self._unary(ops.Softmax(normalize_dim(dim, self._data.ndim, "softmax")))

    @numpy_spelling
    def log_softmax(self, dim: int) -> "Tensor":
        """The logarithm of ``softmax``, accurate for small probabilities."""
        return self._unary(ops.LogSoftmax(normalize_dim(dim, self._data.ndim, "log_softmax")))

    @numpy_spelling
    def cumsum(self, dim: int) -> "Tensor":
        """The running sum along ``dim``."""
        return self.apply_op(ops.CumSum(normalize_dim(dim, self._data.ndim, "cumsum")), self)

    # ------------------------------------------------------------------ matrix products

    def __matmul__(self, other: Any) -> "Tensor":
        a, b = self, self._tensor(other, "matmul")
        shapes = f"{tuple(a._data.shape)} and {tuple(b._data.shape)}"
        if not a._data.ndim or not b._data.ndim:
            raise ValueError(f"matmul: shapes {shapes}, expected at least one axis each; use *")
        inner = b._data.shape[-2 if b._data.ndim > 1 else -1]
        if a._data.shape[-1] != inner:
            raise ValueError(
                f"matmul: shapes {shapes}: the last axis of the first has {a._data.shape[-1]} "
                f"elements and the matching axis of the second {inner}, expected equal lengths"
            )
        return self.apply_op(ops.MatMul(), a, b)

    def matmul(self, other: "Tensor") -> "Tensor":
        """The matrix product self @ other; stacks of matrices broadcast, vectors are allowed."""
        return self @ other

    def _product(self, other: Any, ndim: int, name: str) -> Any:
        """matmul for operands that must both have ``ndim`` axes."""
        found = self._data.ndim, self._tensor(other, name)._data.ndim
        if found != (ndim, ndim):
            raise ValueError(
                f"{name}: operands have {found[0]} and {found[1]} axes, expected {ndim} each; "
                f"matmul takes any"
            )
        return self @ other

    def mm(self, other: "Tensor") -> "Tensor":
        """The product of two matrices."""
        return self._product(other, 2, "mm")

    def bmm(self, other: "Tensor") -> "Tensor":
        """The products of two stacks of matrices of the same height, (B, n, k) and (B, k, m)."""
        if self._data.ndim == 3 == self._tensor(other, "bmm")._data.ndim and (
            self._data.shape[0] != other._data.shape[0]
        ):
            raise ValueError(
                f"bmm: stacks of {self._data.shape[0]} and {other._data.shape[0]} matrices, "
                f"expected the same number; matmul broadcasts"
            )
        return self._product(other, 3, "bmm")

    def dot(self, other: "Tensor") -> "Tensor":
        """The inner product of two vectors."""
        return self._product(other, 1, "dot")

    def outer(self, other: "Tensor") -> "Tensor":
        """The outer product of two vectors, (n,) and (m,): (n, m)."""
        if self._data.ndim != 1 or self._tensor(other, "outer")._data.ndim != 1:
            raise ValueError("outer: expected two vectors")
        return self.unsqueeze(1) * other

    # ---------------------------------------------------------------------------- shape

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape; one length may be -1 and is worked out."""
        wanted = as_shape(shape)
        try:
            return self.apply_op(ops.Reshape(wanted), self)
        except ValueError as error:
            raise ValueError(
                f"reshape: {math.prod(self._data.shape)} elements of shape "
                f"{tuple(self._data.shape)} do not fit into {wanted}"
            ) from error

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """The axes from ``start_dim`` to ``end_dim`` (inclusive) made one."""
        shape = self._data.shape or (1,)
        first = normalize_dim(start_dim, len(shape), "flatten")
        last = normalize_dim(end_dim, len(shape), "flatten")
        if first > last:
            raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
        merged = math.prod(shape[first : last + 1])
        return self.reshape(*shape[:first], merged, *shape[last + 1 :])

    def squeeze(self, dim: Dims = None) -> "Tensor":
        """Without the axes of length 1: all of them, or those in ``dim``."""
        shape = self._data.shape
        dims = normalize_dims(as_dims(dim), len(shape), "squeeze")
        return self.reshape([n for axis, n in enumerate(shape) if n != 1 or axis not in dims])

    def unsqueeze(self, dim: int) -> "Tensor":
        """With a new axis of length 1 at ``dim``."""
        shape = list(self._data.shape)
        shape.insert(normalize_dim(dim, len(shape) + 1, "unsqueeze"), 1)
        return self.reshape(shape)

    def expand(self, *shape: Any) -> "Tensor":
        """Axes of length 1 repeated up to ``shape``; -1 leaves an axis as it is."""
        wanted, have = as_shape(shape), self._data.shape
        in_front = len(wanted) - len(have)
        lengths = tuple(
            have[i - in_front] if n == -1 and i >= in_front else n for i, n in enumerate(wanted)
        )
        fits = in_front >= 0 and all(
            n in (1, m) for n, m in zip(have, lengths[in_front:], strict=True)
        )
        if not fits:
            raise ValueError(f"expand: shape {tuple(have)} does not repeat to {wanted}")
        return broadcast_to(self, lengths)  # type: ignore[no-any-return]

    broadcast_to = expand

    def permute(self, *dims: Any) -> "Tensor":
        """The axes in another order."""
        wanted = as_shape(dims)
        order = normalize_dims(wanted, self._data.ndim, "permute") if wanted else ()
        if len(order) != self._data.ndim:
            raise ValueError(
                f"permute: got {len(order)} axes for a tensor with {self._data.ndim}, expected all"
            )
        return self.apply_op(ops.Permute(order), self)

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Two axes exchanged."""
        ndim = self._data.ndim
        order = list(range(ndim))
        i, j = (normalize_dim(d, ndim, "transpose") for d in (dim0, dim1))
        if ndim:
            order[i], order[j] = j, i
        return self.apply_op(ops.Permute(tuple(order)), self)

    swapaxes = transpose

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order: of a matrix, its transpose."""
        return self.apply_op(ops.Permute(tuple(range(self._data.ndim))[::-1]), self)

    @property
    def mT(self) -> "Tensor":
        """Every matrix of a stack transposed: the last two axes exchanged."""
        return self.transpose(-2, -1)

    # ------------------------------------------------------------------------- indexing

    def _index(self, index: Any) -> tuple[Any, ...]:
        """``index`` as the array library takes it: a tuple, without Tensors and lists."""
        device = device_of(self._data)

        def plain(part: Any) -> Any:
            if isinstance(part, Methods):
                part = part._data
            elif isinstance(part, list):
                part = np.asarray(part)
            if not is_array(part):
                return part
            if part.size == 0 and part.dtype.kind == "f":
                part = part.astype(np.int64)  # an empty list has no type of its own
            if part.dtype.kind not in "iub":
                raise TypeError(f"index: an array of {part.dtype}, expected integers or booleans")
            return to_device(part.copy(), device)  # a copy: backward reads it again

        return tuple(map(plain, index if isinstance(index, tuple) else (index,)))

    def __getitem__(self, index: Any) -> "Tensor":
        return self.apply_op(ops.GetItem(self._index(index)), self)

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return int(self._data.shape[0])

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def gather(self, dim: int, index: "Tensor") -> "Tensor":
        """y[i][j] = self[index[i][j]][j] for dim = 0, self[i][index[i][j]] for dim = 1, and so on.

        index: integers, with as many axes as self, and no longer than self along the others.

        Raises:
            ValueError: the shapes do not fit.
            IndexError: an index is out of range.
        """
        x, picks = self._data, self._tensor(index, "gather")._data
        axis = normalize_dim(dim, x.ndim, "gather")
        if picks.dtype.kind != "i":
            raise TypeError(f"gather: the index is {picks.dtype}, expected integers")
        if picks.ndim != x.ndim or any(
            n > m for i, (n, m) in enumerate(zip(picks.shape, x.shape, strict=True)) if i != axis
        ):
            raise ValueError(
                f"gather: the index has shape {tuple(picks.shape)}, expected {x.ndim} axes, none "
                f"but {axis} longer than those of {tuple(x.shape)}"
            )
        if not x.ndim:
            return self.reshape(1)[index.reshape(1)].reshape(())
        check_range(picks, x.shape[axis], "gather", "an index")
        places = [
            self._new(
                to_device(np.arange(n).reshape([-1 if i == k else 1 for k in range(x.ndim)]),
                          device_of(x))
            )
            for i, n in enumerate(picks.shape)
        ]
        places[axis] = index
        return self[tuple(places)]

    def split(self, split_size: int | list[int], dim: int = 0) -> "tuple[Tensor, ...]":
        """Pieces along ``dim``: of ``split_size`` each (the last may be smaller), or of the given
        lengths."""
        axis = normalize_dim(dim, self._data.ndim, "split")
        length = self._data.shape[axis]
        if isinstance(split_size, int):
            if split_size <= 0:
                raise ValueError(f"split: split_size is {split_size}, expected at least 1")
            full, rest = divmod(length, split_size)
            sizes = [split_size] * full + ([rest] if rest or not full else [])
        else:
            sizes = list(split_size)
            if sum(sizes) != length or min(sizes, default=0) < 0:
                raise ValueError(f"split: lengths {sizes} do not add up to {length}")
        pieces, start = [], 0
        for size in sizes:
            pieces.append(self[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return tuple(pieces)

    def chunk(self, chunks: int, dim: int = 0) -> "tuple[Tensor, ...]":
        """At most ``chunks`` pieces of equal length along ``dim`` (the last may be smaller)."""
        if chunks <= 0:
            raise ValueError(f"chunk: chunks is {chunks}, expected at least 1")
        length = self._data.shape[normalize_dim(dim, self._data.ndim, "chunk")]
        if length == 0:
            return self.split([0] * chunks, dim)
        return self.split(math.ceil(length / chunks), dim)


def check_range(index: Any, length: int, name: str, what: str) -> None:
    """Raise an IndexError that says where ``index`` leaves [0, length).

    CuPy would read another element in silence, so this cannot be left to the array library.
    """
    outside = (index < 0) | (index >= length)
    if outside.any():
        first = tuple(int(i[0]) for i in outside.nonzero())
        raise IndexError(
            f"{name}: {what} is {int(index[first])} (at position {first}), expected 0 to {length - 1}"
        )

"""Operations that move numbers and change none. Their rules move the gradient back."""

from ..backend import Array, Device, array_module, to_device
from ..core.autograd import call_op
from ..core.op import Op
from .indexing import GetItem

__all__ = [
    "Cat",
    "Move",
    "Permute",
    "Reshape",
]


class Reshape(Op):
    """The same numbers in another shape. The gradient goes back to the old one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return x.reshape(self.shape)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return grad.reshape(x.shape)


class Permute(Op):
    """The axes in another order: axis i of y is axis dims[i] of x. The gradient is put back."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Array) -> Array:
        return x.transpose(self.dims)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        inverse = tuple(sorted(range(len(self.dims)), key=self.dims.__getitem__))
        return call_op(Permute(inverse), grad)


class Cat(Op):
    """The inputs one after another along an axis. Each gets its own stretch of the gradient."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *xs: Array) -> Array:
        return array_module(xs[0]).concatenate(xs, axis=self.dim)

    def backward(self, grad: Array, y: Array, *xs: Array) -> tuple[Array, ...]:
        shares, start = [], 0
        for x in xs:
            stop = start + x.shape[self.dim]
            shares.append(call_op(GetItem((slice(None),) * self.dim + (slice(start, stop),)), grad))
            start = stop
        return tuple(shares)


class Move(Op):
    """The same numbers on another device. The gradient comes back to the first."""

    def __init__(self, source: Device, target: Device) -> None:
        self.source, self.target = source, target

    def forward(self, x: Array) -> Array:
        return to_device(x, self.target)

    def backward(self, grad: Array, y: Array, x: Array) -> Array:
        return call_op(Move(self.target, self.source), grad)

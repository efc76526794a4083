"""Other shapes and other orders of axes."""

import math
from typing import Any, Self

from .. import ops
from ..backend import owner
from ..core.autograd import apply
from ..core.variable import Variable
from ..ops.axes import normalize_dim, normalize_dims
from ..ops.broadcasting import broadcast_to
from .arguments import Dims, as_dims, as_shape, of_tensor


@of_tensor
class Shapes(Variable):
    """The same elements, arranged otherwise."""

    __slots__ = ()

    def reshape(self, *shape: Any) -> Self:
        """The same elements in another shape; one length may be -1 and is worked out."""
        wanted = as_shape(shape)
        if any(n < -1 for n in wanted) or wanted.count(-1) > 1:
            raise ValueError(f"reshape: got {wanted}, expected lengths, or -1 for one of them")
        try:
            return apply(ops.Reshape(wanted), self)
        except ValueError as error:
            raise ValueError(
                f"reshape: {math.prod(self.array.shape)} elements of shape "
                f"{tuple(self.array.shape)} do not fit into {wanted}"
            ) from error

    def view(self, *shape: Any) -> Self:
        """As ``reshape``, but never a copy: what is written into it, this tensor shows too.

        Raises:
            RuntimeError: the elements do not lie in memory as the shape needs them.
        """
        viewed = self.reshape(*shape)
        if owner(viewed.array) is not owner(self.array):
            raise RuntimeError(
                f"view: elements of shape {tuple(self.array.shape)} do not lie in memory as the "
                f"shape {tuple(viewed.array.shape)} needs them; use reshape, which copies"
            )
        return viewed

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """The axes from ``start_dim`` to ``end_dim`` (inclusive) made one."""
        shape = self.array.shape or (1,)
        first = normalize_dim(start_dim, len(shape), "flatten")
        last = normalize_dim(end_dim, len(shape), "flatten")
        if first > last:
            raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
        merged = math.prod(shape[first : last + 1])
        return self.reshape(*shape[:first], merged, *shape[last + 1 :])

    def squeeze(self, dim: Dims = None) -> Self:
        """Without the axes of length 1: all of them, or those in ``dim``."""
        shape = self.array.shape
        dims = as_dims(dim)
        dims = normalize_dims(dims, len(shape), "squeeze") if dims != () else ()
        return self.reshape([n for axis, n in enumerate(shape) if n != 1 or axis not in dims])

    def unsqueeze(self, dim: int) -> Self:
        """With a new axis of length 1 at ``dim``."""
        shape = list(self.array.shape)
        shape.insert(normalize_dim(dim, len(shape) + 1, "unsqueeze"), 1)
        return self.reshape(shape)

    def expand(self, *shape: Any) -> Self:
        """Axes of length 1 repeated up to ``shape``; -1 leaves an axis as it is."""
        wanted, have = as_shape(shape), self.array.shape
        in_front = len(wanted) - len(have)
        lengths = tuple(
            have[i - in_front] if n == -1 and i >= in_front else n for i, n in enumerate(wanted)
        )
        if any(n < 0 for n in lengths):
            raise ValueError(
                f"expand: got {wanted}, expected lengths; -1 leaves an axis of {tuple(have)} as "
                f"it is, and there is none at that place"
            )
        fits = in_front >= 0 and all(
            n in (1, m) for n, m in zip(have, lengths[in_front:], strict=True)
        )
        if not fits:
            raise ValueError(f"expand: shape {tuple(have)} does not repeat to {wanted}")
        return broadcast_to(self, lengths)

    broadcast_to = expand

    def permute(self, *dims: Any) -> Self:
        """The axes in another order."""
        wanted = as_shape(dims)
        order = normalize_dims(wanted, self.array.ndim, "permute") if wanted else ()
        if len(order) != self.array.ndim:
            raise ValueError(
                f"permute: got {len(order)} axes for a tensor with {self.array.ndim}, expected all"
            )
        return apply(ops.Permute(order), self)

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Two axes exchanged."""
        ndim = self.array.ndim
        order = list(range(ndim))
        i, j = (normalize_dim(d, ndim, "transpose") for d in (dim0, dim1))
        if ndim:
            order[i], order[j] = j, i
        return apply(ops.Permute(tuple(order)), self)

    swapaxes = transpose

    @property
    def T(self) -> Self:
        """The axes in reverse order: of a matrix, its transpose."""
        return apply(ops.Permute(tuple(range(self.array.ndim))[::-1]), self)

    @property
    def mT(self) -> Self:
        """Every matrix of a stack transposed: the last two axes exchanged."""
        return self.transpose(-2, -1)

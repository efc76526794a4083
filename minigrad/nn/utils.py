"""What acts on all parameters together.

Gradient clipping: a step is never longer than it should be, however steep the loss is. And all
parameters as one vector, and back.
"""

import math
from collections.abc import Iterable
from itertools import accumulate, pairwise

import numpy as np

from ..backend import Array, array_module
from ..core.gradmode import no_grad
from ..functional import cat
from ..ops.broadcasting import wide
from ..ops.ieee import ieee
from ..tensor import Tensor
from .state import load_into


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [tensor.grad for tensor in tensors if tensor.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Shorten the gradients, taken together as one vector, to the length ``max_norm`` at most.

    All are multiplied by min(1, max_norm / (norm + 1e-6)), in place: the direction stays. Pascanu,
    Mikolov, Bengio (2013), "On the difficulty of training recurrent neural networks", section 3.2.

    Args:
        parameters: the Tensors whose ``.grad`` is clipped; those without one are passed over.
        max_norm: the largest length allowed.
        norm_type: 2 for the Euclidean norm, p for the p-norm, ``math.inf`` for the largest element.
        error_if_nonfinite: raise if the norm is infinite or NaN. (Reading the norm waits for a
            GPU to finish; by default nothing waits.)

    Returns:
        The norm before clipping, a Tensor of shape (); 0 if there are no gradients.

    Raises:
        RuntimeError: see ``error_if_nonfinite``; no gradient has changed then.
        ValueError: ``max_norm`` is negative or ``norm_type`` not positive.
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm}, expected at least 0")
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type is {norm_type}, expected more than 0")
    gradients = _gradients(parameters)
    if not gradients:
        return Tensor(0.0)
    norm = total_norm([gradient.data for gradient in gradients], norm_type)
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {float(norm)}, so they cannot be "
            f"clipped; error_if_nonfinite=False goes on all the same"
        )
    kind = wide(gradients[0].dtype)
    shrink = (max_norm / (norm + 1e-6)).clip(None, 1.0).astype(kind)
    with no_grad():
        for gradient in gradients:
            gradient.mul_(Tensor.from_array(shrink))
    with np.errstate(over="ignore"):  # a norm beyond the type's range is reported as infinite
        return Tensor.from_array(norm.astype(kind))


def total_norm(arrays: list[Array], p: float = 2.0) -> Array:
    """The p-norm of all elements of all arrays, in float64 and of shape (). Nothing is read back
    from a GPU. All are divided by the largest first, so that no power underflows or overflows: the
    norm is 0 only where all elements are."""
    xp = array_module(arrays[0])
    sizes = [abs(array.astype(np.float64)) for array in arrays if array.size]
    if not sizes:
        return xp.zeros((), np.float64)
    largest = xp.stack([size.max() for size in sizes]).max()
    if p == math.inf:
        return largest
    scale = xp.where(largest == 0, 1.0, largest)
    sums = [(ieee().run(xp.divide, size, scale) ** p).sum() for size in sizes]  # inf / inf is NaN
    return xp.where(xp.isinf(largest), largest, scale * xp.stack(sums).sum() ** (1 / p))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value], in place.

    Raises:
        ValueError: ``clip_value`` is negative.
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value is {clip_value}, expected at least 0")
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.copy_(gradient.detach().clamp(-clip_value, clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, end to end: one axis. Gradients reach the parameters.

    Raises:
        ValueError: there are no parameters.
    """
    lines = [parameter.reshape(-1) for parameter in parameters]
    if not lines:
        raise ValueError("parameters_to_vector: got no parameters")
    return cat(lines)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of ``vec`` into the parameters, in place: the way back of
    ``parameters_to_vector``. Nothing is recorded.

    Raises:
        TypeError: ``vec`` is no Tensor.
        ValueError: it has another number of axes than one, or of elements than the parameters
            have together. Nothing has changed then.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec is a {type(vec).__name__}, expected a Tensor")
    tensors = list(parameters)
    ends = [0, *accumulate(tensor.numel() for tensor in tensors)]
    if vec.shape != (ends[-1],):
        raise ValueError(
            f"vector_to_parameters: vec has shape {vec.shape}, expected {(ends[-1],)}, all "
            f"elements of {len(tensors)} parameters"
        )
    pieces = [vec.detach()[start:stop] for start, stop in pairwise(ends)]
    own = {f"parameter {i}": tensor.detach() for i, tensor in enumerate(tensors)}
    given = {
        name: piece.reshape(tensor.shape)
        for (name, tensor), piece in zip(own.items(), pieces, strict=True)
    }
    name = "vector_to_parameters"
    load_into(name, own, given, strict=True, by=name)

"""What ``nn.fuse`` puts in the place of neighbours: two or three functions as one operation.

Not part of ``mg`` or ``F``: a user fuses a model, and the derivations are in ``ops/fused.py``.
"""

from .. import ops
from ..core.autograd import apply
from ..core.gradmode import autocasting
from ..tensor import Tensor
from .layers import check_linear
from .normalization import can_track, normalize_batch, track

ACTIVATIONS: dict[str, type[ops.Sigmoid | ops.Tanh | ops.ReLU]] = {
    "sigmoid": ops.Sigmoid,
    "tanh": ops.Tanh,
    "relu": ops.ReLU,
}


def linear_activation(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = "sigmoid"
) -> Tensor:
    """The "sigmoid", "tanh" or "relu" of ``linear(...)``, with its arguments and errors, as one
    operation: what ``nn.fuse`` puts in the place of the two.

    Raises:
        ValueError: another activation, or see ``linear``.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"linear_activation: activation is {activation!r}, expected one of "
            f"{', '.join(map(repr, ACTIVATIONS))}"
        )
    check_linear("linear_activation", input, weight, bias)
    op = ops.LinearActivation(ACTIVATIONS[activation]())
    return apply(op, input, weight) if bias is None else apply(op, input, weight, bias)


def batch_norm_sigmoid(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``sigmoid(batch_norm(...))``, with the same arguments and errors, as one operation in
    training: what ``nn.fuse`` puts in the place of the two."""
    return normalize_batch(
        True, input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def linear_batch_norm_sigmoid(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``batch_norm_sigmoid(linear(input, weight, bias), ...)``, with the same arguments and errors
    (``gamma`` and ``beta`` are its ``weight`` and ``bias``), as one operation in training: what
    ``nn.fuse`` puts in the place of the three.   input: (N, in) -> (N, out)"""
    name = "linear_batch_norm_sigmoid"
    try:
        x, shape = input.array, weight.array.shape
        out = shape[:1]
        apart = (
            not training
            or autocasting.get() is not None  # the three run in different types
            or x.dtype.char not in "fd"
            or x.ndim != 2
            or len(x) < 2
            or x.shape[1:] != shape[1:]
            or not bias.array.shape == gamma.array.shape == beta.array.shape == out
            or (running_mean is None) != (running_var is None)
            or (running_mean is not None and not can_track(running_mean, x, out))
            or (running_var is not None and not can_track(running_var, x, out))
            or not isinstance(momentum, (int, float))
            or not 0 <= momentum <= 1
            or not isinstance(eps, (int, float))
            or not eps > 0
        )
    except AttributeError:  # an argument that is no Tensor
        apart = True
    if apart:  # one after the other; and what does not fit is named
        check_linear(name, input, weight, bias)
        z = apply(ops.Linear(), input, weight, bias)
        running = running_mean, running_var
        return normalize_batch(True, z, *running, gamma, beta, training, momentum, eps)
    op = ops.LinearBatchNormSigmoid(float(eps))
    y = apply(op, input, weight, bias, gamma, beta)
    track(running_mean, running_var, op, momentum, len(x))
    return y

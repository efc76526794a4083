"""Initialisation: how large the first weights are.

Signals pass through a layer forward and gradients pass through it backward; each is multiplied by
about sqrt(fan * Var(w)) times what the activation does. The recipes here choose Var(w) so that
this factor is near 1, with fan_in, the number of inputs of a unit, for the signals and fan_out for
the gradients. A weight is (out, in) or (out, in, k1, ...), as in ``Linear``.

All functions change the Tensor in place, unrecorded, and return it. The numbers are drawn on the
host from the one generator (``manual_seed``) in double precision, so a seed gives the same weights
on every device, and up to rounding in every type.
"""

import math
from typing import Any, Literal

import numpy as np

from ..backend import default_generator
from ..core.gradmode import no_grad
from ..tensor import Tensor

FanMode = Literal["fan_in", "fan_out"]


def _filled(tensor: Tensor, values: Any) -> Tensor:
    with no_grad():
        return tensor.copy_(np.asarray(values))


def _fans(tensor: Tensor, name: str) -> tuple[int, int]:
    """fan_in and fan_out: how many inputs reach a unit, and how many units an input reaches."""
    if tensor.ndim < 2:
        raise ValueError(
            f"{name}: the tensor has shape {tensor.shape}, expected at least two axes (out, in)"
        )
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much larger the weights before an activation should be than before none.

    relu and leaky_relu: He et al. (2015), "Delving Deep into Rectifiers", section 2.2; ``param`` is
    leaky_relu's negative slope (default 0.01). The 5/3 for tanh is PyTorch's; sigmoid has 1.

    Raises:
        ValueError: an activation without a known gain.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        known = ", ".join([*gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: got {nonlinearity!r}, expected one of {known}")
    return gains[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Samples of the uniform distribution on [a, b].

    Raises:
        ValueError: there is nothing between them.
    """
    if not a <= b:
        raise ValueError(f"uniform_: a is {a} and b is {b}, expected a <= b")
    return _filled(tensor, default_generator().uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Samples of the normal distribution with mean ``mean`` and standard deviation ``std``."""
    return _filled(tensor, default_generator().normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Samples of the normal distribution, drawn again while they are outside [a, b].

    Raises:
        ValueError: [a, b] is empty, or lies more than four standard deviations from the mean.
    """
    if not a < b or a > mean + 4 * std or b < mean - 4 * std:
        raise ValueError(
            f"trunc_normal_: [{a}, {b}] holds next to nothing of a normal distribution with mean "
            f"{mean} and standard deviation {std}"
        )
    values = np.full(tensor.shape, np.inf)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = default_generator().normal(mean, std, int(outside.sum()))
    return _filled(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere."""
    return _filled(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _filled(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _filled(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform on [-a, a], a = gain sqrt(6 / (fan_in + fan_out)); so Var(w) is xavier_normal_'s.

    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", eq. 16.
    """
    return uniform_(tensor, -(a := math.sqrt(3) * _xavier_std(tensor, gain)), a)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)).

    Glorot and Bengio (2010), eq. 12: Var(w) = 2 / (fan_in + fan_out), a compromise between
    1/fan_in, which keeps the spread of the signals, and 1/fan_out, which keeps the gradients'.
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain))


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _fans(tensor, "xavier")
    return gain * math.sqrt(2 / max(fan_in + fan_out, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform on [-b, b], b = gain sqrt(3 / fan); so Var(w) is kaiming_normal_'s."""
    return uniform_(tensor, -(b := math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)), b)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan).

    He, Zhang, Ren, Sun (2015), "Delving Deep into Rectifiers", eq. 10 and 15: relu sets half of
    the signals to 0, and the factor 2 in gain^2 makes up for it.

    Args:
        tensor: the weight, (out, in, ...).
        a: the negative slope of leaky_relu; 0 means relu.
        mode: "fan_in" keeps the spread of the signals, "fan_out" that of the gradients.
        nonlinearity: the activation that follows; see ``calculate_gain``.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = _fans(tensor, "kaiming")
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode is {mode!r}, expected 'fan_in' or 'fan_out'")
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer.

    Such a matrix changes no length, in either direction: Saxe, McClelland, Ganguli (2014), "Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks", section 3.
    Axes after the first are taken as one.
    """
    _fans(tensor, "orthogonal_")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    normal = default_generator().standard_normal((rows, tensor.numel() // rows))
    q, r = np.linalg.qr(normal if normal.shape[0] >= normal.shape[1] else normal.T)
    q = q * np.sign(np.diag(r))  # without this the distribution would not be uniform
    return _filled(tensor, gain * (q if q.shape == normal.shape else q.T).reshape(tensor.shape))

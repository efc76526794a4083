"""Task 10: an operation of the engine, RMSNorm, with its derivative and its second derivative.

Zhang and Sennrich (2019), "Root Mean Square Layer Normalization", eq. 4. The right one is an
``Op`` here, and ``gradcheck`` holds it to its forward pass in the tests.
"""

from typing import Any

import numpy as np

from ...backend import Array
from ...core.autograd import apply, grad
from ...core.op import Op
from ...ops.broadcasting import unbroadcast
from ...tensor import Tensor
from .base import Identity, Inputs, Question, Rule, Terms, table


class RMSNorm(Op):
    """y = gamma x_hat,  x_hat = x r,  r = 1/sqrt(mean(x^2) + eps), the mean over the last axis.

    x, y: (N, D), gamma: (D,). As in BatchNorm, without the path through the mean:

    1. dgamma = sum over the rows of dy x_hat,   dx_hat = gamma dy
    2. x_hat = x r:             dr = sum(dx_hat x),  and directly  dx = dx_hat r
    3. r = (m + eps)^(-1/2):    dm = -1/2 r^3 dr
    4. m = mean(x^2):           dx += dm 2 x / D  =  -r x_hat mean(dx_hat x_hat)

    dx = r (dx_hat - x_hat mean(dx_hat x_hat))
    """

    saves = ("x", "gamma")

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def scale(self, x: Any) -> Any:
        """r, (N, 1)."""
        return ((x * x).mean(axis=-1, keepdims=True) + self.eps) ** -0.5

    def forward(self, x: Array, gamma: Array) -> Array:
        return x * self.cached(self.scale, x) * gamma

    def backward(self, grad: Array, y: Array, x: Array, gamma: Array) -> tuple[Array, Array]:
        r = self.cached(self.scale, x)
        x_hat, dx_hat = x * r, grad * gamma
        dx = r * (dx_hat - x_hat * (dx_hat * x_hat).mean(axis=-1, keepdims=True))
        return dx, unbroadcast(grad * x_hat, gamma.shape)


def gradients(op: Op, inputs: Inputs, twice: bool) -> tuple[Array, ...]:
    """y, dx, dgamma of ``op``, or the gradients of <v, dx> + <w, dgamma> if ``twice``."""
    x, gamma = (Tensor(inputs[name], requires_grad=True) for name in ("x", "gamma"))
    y = apply(op, x, gamma)
    dy = Tensor(inputs["dy"], requires_grad=twice)
    dx, dgamma = known(grad(y, (x, gamma), dy, create_graph=twice))
    if not twice:
        return y.detach().numpy(), dx.numpy(), dgamma.numpy()
    projected = (dx * Tensor(inputs["v"])).sum() + (dgamma * Tensor(inputs["w"])).sum()
    return tuple(g.numpy() for g in known(grad(projected, (x, gamma, dy))))


def known(gradients: tuple[Tensor | None, ...]) -> list[Tensor]:
    """All of them: none of the inputs is unused."""
    return [g for g in gradients if g is not None]


def first(**inputs: Any) -> tuple[Array, ...]:
    """y, dx and dgamma by the right operation."""
    return gradients(RMSNorm(inputs["eps"]), inputs, twice=False)


def second(**inputs: Any) -> tuple[Array, ...]:
    """The gradients of <v, dx> + <w, dgamma> by the right operation."""
    return gradients(RMSNorm(inputs["eps"]), inputs, twice=True)


def probes(rng: np.random.Generator) -> list[Inputs]:
    """Rows of different size, one near sqrt(eps); gamma away from 1, one of them negative."""
    found = []
    for n, d, eps in [(4, 3, 1e-2), (3, 5, 0.3), (4, 4, 1e-3)]:
        x = rng.normal(0.4, 1, (n, d)) * rng.uniform(0.8, 2.5, (n, 1))
        x[-1] *= np.sqrt(eps) / np.abs(x[-1]).max()
        gamma = rng.uniform(1.4, 2.5, d)
        gamma[0] *= -0.25
        found.append(
            {
                "x": x,
                "gamma": gamma,
                "eps": eps,
                "dy": rng.normal(0.5, 1, (n, d)),
                "v": rng.normal(0.5, 1, (n, d)),
                "w": rng.normal(0.5, 1, d),
            }
        )
    return found


def root(x: Array, eps: float) -> Array:
    """r = 1/sqrt(mean(x^2) + eps) of each row: (N, 1)."""
    return np.asarray(((x * x).mean(1, keepdims=True) + eps) ** -0.5)


def forward(r: Rule) -> Rule:
    """y with another r."""
    return lambda x, gamma, eps, **_: gamma * x * r(x, eps)


FORWARD = table(
    "RMSNorm, forward: r = 1/sqrt(mean(x^2) + eps) of each row",
    "y",
    (
        "O1",
        lambda x, gamma, eps, **_: x * root(x, eps),
        "gamma is missing from forward.",
    ),
    (
        "O2",
        forward(lambda x, eps: 1 / ((x * x).mean(1, keepdims=True) + eps)),
        "The square root is missing: you divide by the mean square.",
    ),
    (
        "O3",
        forward(lambda x, eps: ((x * x).mean(0) + eps) ** -0.5),
        "The mean square runs over the batch. RMSNorm treats each row by itself: the last axis.",
    ),
    (
        "O4",
        forward(lambda x, eps: (x.var(1, keepdims=True) + eps) ** -0.5),
        "You use the variance, in which the mean is subtracted. RMSNorm uses the mean of x^2.",
    ),
    (
        "O5",
        forward(lambda x, eps: ((x * x).sum(1, keepdims=True) + eps) ** -0.5),
        "You sum the squares. Take their mean.",
    ),
    (
        "O6",
        forward(lambda x, eps: (x * x).mean(1, keepdims=True) ** -0.5),
        "eps is missing.",
    ),
    (
        "O7",
        forward(lambda x, eps: 1 / (np.sqrt((x * x).mean(1, keepdims=True)) + eps)),
        "eps is added outside the root.",
    ),
)


def dx_rule(
    dy: Array,
    x: Array,
    gamma: Array,
    eps: float,
    factor: float | Rule = 1.0,
    outer: Array | float | None = None,
) -> Array:
    """dx with another factor of its second term, or another gamma."""
    r = root(x, eps)
    x_hat, dx_hat = x * r, dy * (gamma if outer is None else outer)
    k = factor(x, eps) if callable(factor) else factor
    return np.asarray(r * (dx_hat - k * x_hat * (dx_hat * x_hat).mean(1, keepdims=True)))


def dx(**change: Any) -> Rule:
    """A wrong dx as a rule: see ``dx_rule``."""
    return lambda dy, x, gamma, eps, **_: dx_rule(dy, x, gamma, eps, **change)


BACKWARD = (
    *table(
        "RMSNorm, steps 2 to 4",
        "dx",
        (
            "O11",
            dx(factor=0.0),
            "r is treated as a constant. It is computed from x, so there is a second path: "
            "through r and the mean square.",
        ),
        ("O12", dx(factor=-1.0), "The path through r has the wrong sign: r falls as x grows."),
        ("O13", dx(outer=1.0), "gamma is missing from dx."),
        (
            "O14",
            dx(factor=lambda x, eps: x.shape[1]),
            "The 1/D of the mean is missing in the path through r.",
        ),
        ("O15", dx(factor=2.0), "The path through r is twice too large: -1/2 times 2 is -1."),
        (
            "O16",
            dx(factor=0.5),
            "The path through r is half of what it should be: the derivative of x^2 is 2x.",
        ),
        (
            "O17",
            dx(factor=lambda x, eps: 1 / root(x, eps)),
            "A factor r is missing in the path through r: you use x once where x_hat belongs.",
        ),
        (
            "O18",
            dx(factor=lambda x, eps: root(x, eps) ** -2),
            "The power of r in the path through r is wrong: r^3 comes from (m + eps)^(-3/2).",
        ),
        (
            "O19",
            lambda dy, x, gamma, eps, **_: dx_rule(dy, x, gamma, eps) / root(x, eps),
            "The factor r is missing from dx.",
        ),
        (
            "O20",
            lambda dy, x, gamma, eps, **_: (
                root(x, eps)
                * (
                    dy * gamma
                    - (dy * gamma).mean(1, keepdims=True)
                    - x * root(x, eps) * (dy * gamma * x * root(x, eps)).mean(1, keepdims=True)
                )
            ),
            "This is LayerNorm's rule. RMSNorm does not subtract a mean, so there is no path "
            "through a mean.",
        ),
        (
            "O21",
            lambda dy, x, gamma, eps, **_: (
                root(x, eps)
                * (dy * gamma - x * root(x, eps) * (dy * gamma * x * root(x, eps)).mean(0))
            ),
            "The mean in dx runs over the batch; each row is normalised by itself.",
        ),
    ),
    *table(
        "RMSNorm, step 1",
        "dgamma",
        (
            "O22",
            lambda dy, x, **_: (dy * x).sum(0),
            "dgamma uses x where x_hat belongs.",
        ),
        ("O23", lambda dy, **_: dy.sum(0), "dgamma is the sum of dy; gamma multiplies x_hat."),
        (
            "O24",
            lambda dy, x, eps, **_: (dy * x * root(x, eps)).mean(0),
            "dgamma is a mean over the rows; every row used the same gamma, so it is a sum.",
        ),
        (
            "O25",
            lambda dy, x, gamma, eps, **_: (dy * gamma * x * root(x, eps)).sum(0),
            "dgamma has gamma in it: the derivative of gamma x_hat is x_hat.",
        ),
        (
            "O26",
            lambda dy, x, eps, **_: (
                np.broadcast_to((dy * x * root(x, eps)).sum(1).mean(), x.shape[1]) * x.shape[0]
            ),
            "dgamma is the same for every feature: sum over the rows only.",
        ),
    ),
)


def constant_r(eps: float) -> Op:
    """RMSNorm with r as an attribute: the first derivative is right, the second is wrong."""

    class Kept(RMSNorm):
        def cached(self, function: Any, *args: Any) -> Any:
            if isinstance(args[0], np.ndarray):
                self.kept_r = function(*args)
            return Tensor(self.kept_r) if isinstance(args[0], Tensor) else self.kept_r

    return Kept(eps)


TWICE = table(
    "minigrad/core/op.py: why what forward derived goes through cached",
    "hx hgamma hdy",
    (
        "O31",
        lambda **inputs: gradients(constant_r(inputs["eps"]), inputs, twice=True),
        "The first derivative is right and the second is wrong: forward stores r as an "
        "attribute, so r is a constant when backward is differentiated. Use "
        "self.cached(function, x), or compute r again from x.",
    ),
)


def name_error(kind: str, message: str) -> tuple[str, str] | None:
    """What the engine says, in a student's words."""
    if "was not saved" in message or "'Shape'" in message:
        return "O8", (
            "backward reads an argument whose values were not saved: the engine saves those that "
            "`saves` names, and only their shape otherwise"
        )
    if "expected" in message and "the shape of the input" in message:
        return "O9", (
            "backward returned a gradient whose shape is not that of its input. If forward "
            "broadcasts an input, backward must sum its gradient (unbroadcast)"
        )
    if "one operand is a Tensor and the other a ndarray" in message:
        return "O30", (
            "forward stores a result as an attribute (self.r = ...). When backward is itself "
            "differentiated, it gets Tensors, and the stored array would be a constant. Use "
            "self.cached(function, x), or compute the result again from x"
        )
    if "gradients, expected" in message:
        return "O10", "backward has to return one gradient for each input: dx and dgamma"
    return None


def parts(dy: Array, x: Array, gamma: Array, eps: float, **_: Any) -> dict[str, Array]:
    """The two terms of dx, and the one that LayerNorm has besides."""
    r = root(x, eps)
    x_hat, dx_hat = x * r, dy * gamma
    return {
        "the direct term": r * dx_hat,
        "the term through r": -r * x_hat * (dx_hat * x_hat).mean(1, keepdims=True),
        "a term through a mean of x": -r * np.broadcast_to(dx_hat.mean(1, keepdims=True), x.shape),
    }


def dgamma_parts(dy: Array, x: Array, eps: float, **_: Any) -> dict[str, Array]:
    """The term of dgamma, and what stands beside it by mistake."""
    return {"the right term": (dy * x * root(x, eps)).sum(0), "the sum of dy": dy.sum(0)}


def loss(dy: Array, x: Array, gamma: Array, eps: float, **_: Any) -> Any:
    """sum(dy y)."""
    return np.sum(dy * gamma * x * root(x, eps))


QUESTIONS = (
    Question(
        "RMSNorm",
        ("y", "dx", "dgamma"),
        first,
        probes,
        (*FORWARD, *BACKWARD),
        driver="operation",
        errors=name_error,
        also=("O8", "O9", "O10"),
        terms=(
            Terms("dgamma", 1, dgamma_parts, factors=lambda x, **_: {"N": float(len(x))}),
            Terms(
                "dx",
                2,
                parts,
                factors=lambda x, eps, **_: {"D": float(x.shape[1])},
            ),
        ),
        identities=(
            Identity(
                "dx",
                "each row of dx is orthogonal to x, up to eps",
                lambda dx, dy, x, gamma, eps, **_: (
                    (dx * x).sum(1) - (eps * root(x, eps)[:, 0] ** 3 * (dy * gamma * x).sum(1))
                ),
            ),
        ),
        loss=loss,
        slopes={"dx": "x", "dgamma": "gamma"},
    ),
    Question(
        "RMSNorm_twice",
        ("hx", "hgamma", "hdy"),
        second,
        probes,
        TWICE,
        target="RMSNorm",
        driver="operation_twice",
        errors=name_error,
        also=("O30",),
    ),
)

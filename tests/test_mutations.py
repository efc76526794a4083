"""The checks are checked: wrong rules of the kinds that people write, each of which must be caught.

A mutant is a real operation with one classic mistake. ``gradcheck`` must refuse it or, where only
the derivative of the backward pass is wrong, ``gradgradcheck`` must. The two last tests show why
the probes are what they are: seeded with ones, or at gamma = 1 and beta = 0, many mistakes in
BatchNorm's rule cannot be seen at all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.ops import call_op
from minigrad.testing import GradcheckError, gradcheck, gradgradcheck

EPS = 0.05  # large enough that where it stands makes a difference
N, C = 6, 4
LABELS = np.array([2, 0, 3, 1, 1, 2])
SHIFTED = np.array([3, 0, 1, 2])


# --------------------------------------------------------------------------------------- probes


def probes(seed: int) -> dict[str, Any]:
    """For each operation, arguments with nothing zero, one, equal or standardised about them."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    x = normal(N, C) * [0.6, 1.8, 1.2, 2.5] + [2.0, -1.0, 0.7, 0.3]
    gamma = rng.uniform(0.5, 1.8, C) * [1, -1, 1, 1]
    beta = normal(C) + 0.3
    return {
        "BatchNorm": (x, gamma, beta),
        "BatchNormEval": (x, gamma, beta),
        "Linear": (normal(C, C) + 0.5, normal(C, C), normal(C)),  # square: shapes hide nothing
        "Sigmoid": (np.array([-6.5, -2.0, -0.4, 0.9, 3.0, 5.8]) * rng.uniform(0.95, 1.05),),
        "SoftmaxCrossEntropy": (normal(N, C) * 1.5,),
        "Add": (normal(3, 3), normal(3)),
        "Add column": (normal(3, 3), normal(3, 1)),
        "Add inner": (normal(2, 3, 3), normal(2, 1, 3)),
    }


MEAN, VAR = np.array([0.5, -1.5, 1.0, 0.2]), np.array([0.6, 2.0, 1.4, 3.0])

REAL = {
    "BatchNorm": lambda: ops.BatchNorm(EPS),
    "BatchNormEval": lambda: ops.BatchNormEval(EPS),
    "Linear": ops.Linear,
    "Sigmoid": ops.Sigmoid,
    "SoftmaxCrossEntropy": lambda: ops.SoftmaxCrossEntropy("mean", -100),
    "Add": ops.Add,
    "Add column": ops.Add,
    "Add inner": ops.Add,
}


def function_of(probe: str, make: Callable[[], ops.Op]) -> Callable[..., mg.Tensor]:
    """The operation as a function of the inputs that have gradients."""

    def function(*inputs: mg.Tensor) -> mg.Tensor:
        if probe == "BatchNormEval":
            x, *affine = inputs
            return call_op(make(), x, mg.tensor(MEAN), mg.tensor(VAR), *affine)
        if probe == "SoftmaxCrossEntropy":
            return call_op(make(), *inputs, mg.tensor(LABELS))
        return call_op(make(), *inputs)

    return function


def leaves(arrays: Any) -> tuple[mg.Tensor, ...]:
    return tuple(mg.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays)


# -------------------------------------------------------------------------------------- mutants


class Mutant(NamedTuple):
    """A wrong operation, the probe that shows it, and which derivative is wrong."""

    make: Callable[[], ops.Op]
    probe: str
    order: int = 1


MUTANTS: dict[str, Mutant] = {}


def mean(v: Any) -> Any:
    return v.mean(axis=0, keepdims=True)


def wrong_dx(formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """BatchNorm with dx = formula(dy, x_hat, r, gamma, x, y), and the rest as it should be."""

    class Wrong(ops.BatchNorm):
        saves = ("y", "x", "gamma")

        def backward(self, grad: Any, y: Any, x: Any, gamma: Any, beta: Any) -> Any:
            _, d_gamma, d_beta = super().backward(grad, y, x, gamma, beta)
            x_hat, r, _, _ = self.cached(self.standardize, x)
            return formula(grad, x_hat, r, gamma, x, y), d_gamma, d_beta

    return lambda: Wrong(EPS)


# The right one is  gamma r (dy - mean(dy) - x_hat mean(dy x_hat)).
WRONG_DX: dict[str, Callable[..., Any]] = {
    "mean and variance are constants": lambda dy, xh, r, g, x, y: g * r * dy,
    "no mean path": lambda dy, xh, r, g, x, y: g * r * (dy - xh * mean(dy * xh)),
    "no variance path": lambda dy, xh, r, g, x, y: g * r * (dy - mean(dy)),
    "mean path only": lambda dy, xh, r, g, x, y: -g * r * mean(dy) + 0 * dy,
    "variance path only": lambda dy, xh, r, g, x, y: -g * r * xh * mean(dy * xh),
    "sums for means": lambda dy, xh, r, g, x, y: (
        g * r * (dy - N * mean(dy) - xh * (N * mean(dy * xh)))
    ),
    "an extra 1/N": lambda dy, xh, r, g, x, y: g * r * (dy - mean(dy) - xh * mean(dy * xh)) / N,
    "gamma forgotten": lambda dy, xh, r, g, x, y: r * (dy - mean(dy) - xh * mean(dy * xh)),
    "gamma twice": lambda dy, xh, r, g, x, y: g * g * r * (dy - mean(dy) - xh * mean(dy * xh)),
    "1/s forgotten": lambda dy, xh, r, g, x, y: g * (dy - mean(dy) - xh * mean(dy * xh)),
    "1/s squared": lambda dy, xh, r, g, x, y: g * r * r * (dy - mean(dy) - xh * mean(dy * xh)),
    "times s": lambda dy, xh, r, g, x, y: g / r * (dy - mean(dy) - xh * mean(dy * xh)),
    "sign of the mean path": lambda dy, xh, r, g, x, y: (
        g * r * (dy + mean(dy) - xh * mean(dy * xh))
    ),
    "sign of the variance path": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy) + xh * mean(dy * xh))
    ),
    "x - mu for x_hat": lambda dy, xh, r, g, x, y: g * r * (dy - mean(dy) - xh / r * mean(dy * xh)),
    "x for x_hat": lambda dy, xh, r, g, x, y: g * r * (dy - mean(dy) - x * mean(dy * x)),
    "y for x_hat": lambda dy, xh, r, g, x, y: g * r * (dy - mean(dy) - y * mean(dy * y)),
    "N - 1 in the variance path": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy) - xh * mean(dy * xh) * (N / (N - 1)))
    ),
    "the factor 1/2 missing": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy) - 2 * xh * mean(dy * xh))
    ),
    "the factor 2 missing": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy) - 0.5 * xh * mean(dy * xh))
    ),
    "power -1/2 for -3/2": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy) - xh / (r * r) * mean(dy * xh))
    ),
    "gamma dropped in dvar": lambda dy, xh, r, g, x, y: (
        g * r * (dy - mean(dy)) - r * xh * mean(dy * xh)
    ),
    "gamma dropped in dmu": lambda dy, xh, r, g, x, y: (
        g * r * (dy - xh * mean(dy * xh)) - r * mean(dy)
    ),
    "means over axis 1": lambda dy, xh, r, g, x, y: (
        g * r * (dy - dy.mean(axis=1, keepdims=True) - xh * (dy * xh).mean(axis=1, keepdims=True))
    ),
    "means over everything": lambda dy, xh, r, g, x, y: (
        g * r * (dy - dy.mean() - xh * (dy * xh).mean())
    ),
}
MUTANTS |= {
    f"BatchNorm dx: {name}": Mutant(wrong_dx(rule), "BatchNorm") for name, rule in WRONG_DX.items()
}


def wrong_parameters(
    gamma_rule: Callable[..., Any] | None = None, beta_rule: Callable[..., Any] | None = None
) -> Callable[[], ops.Op]:
    """BatchNorm with another dgamma or dbeta: a function of dy, x_hat, x, y and gamma."""

    class Wrong(ops.BatchNorm):
        saves = ("y", "x", "gamma")

        def backward(self, grad: Any, y: Any, x: Any, gamma: Any, beta: Any) -> Any:
            dx, d_gamma, d_beta = super().backward(grad, y, x, gamma, beta)
            x_hat, _, _, _ = self.cached(self.standardize, x)
            if gamma_rule is not None:
                d_gamma = gamma_rule(grad, x_hat, x, y, gamma)
            if beta_rule is not None:
                d_beta = beta_rule(grad, x_hat, x, y, gamma)
            return dx, d_gamma, d_beta

    return lambda: Wrong(EPS)


WRONG_PARAMETERS = {
    "dgamma = sum(dy)": wrong_parameters(lambda dy, xh, x, y, g: dy.sum(axis=0)),
    "dgamma = sum(dy x)": wrong_parameters(lambda dy, xh, x, y, g: (dy * x).sum(axis=0)),
    "dgamma = sum(dy y)": wrong_parameters(lambda dy, xh, x, y, g: (dy * y).sum(axis=0)),
    "dgamma is a mean": wrong_parameters(lambda dy, xh, x, y, g: (dy * xh).mean(axis=0)),
    "dgamma is not summed": wrong_parameters(lambda dy, xh, x, y, g: dy * xh),
    "dbeta is a mean": wrong_parameters(beta_rule=lambda dy, xh, x, y, g: dy.mean(axis=0)),
    "dbeta times gamma": wrong_parameters(beta_rule=lambda dy, xh, x, y, g: dy.sum(axis=0) * g),
}
MUTANTS |= {f"BatchNorm {name}": Mutant(m, "BatchNorm") for name, m in WRONG_PARAMETERS.items()}


class UnbiasedForward(ops.BatchNorm):
    """The variance divided by N - 1 going forward, and the rule for the biased one."""

    def standardize(self, x: Any) -> Any:
        centred = x - mean(x)
        var = mean(centred * centred) * (N / (N - 1))
        r = (var + self.eps) ** -0.5
        return centred * r, r, mean(x), var


class EpsOutside(ops.BatchNorm):
    """sqrt(var) + eps going forward, and the rule for sqrt(var + eps)."""

    def forward(self, x: Any, gamma: Any = None, beta: Any = None) -> Any:
        centred = x - mean(x)
        return centred / (mean(centred * centred) ** 0.5 + self.eps) * gamma + beta


class InvStdIsConstant(ops.BatchNorm):
    """1/sqrt(var + eps) kept as a plain attribute: right to first order, as its formula is, but a
    constant to the second derivative."""

    saves = ("x", "gamma")

    def forward(self, x: Any, gamma: Any = None, beta: Any = None) -> Any:
        _, self.r, _, _ = self.standardize(x)
        return super().forward(x, gamma, beta)

    def backward(self, grad: Any, y: Any, x: Any, gamma: Any, beta: Any) -> Any:
        r = mg.tensor(self.r) if isinstance(grad, mg.Tensor) else self.r
        x_hat = (x - mean(x)) * r
        dx = gamma * r * (grad - mean(grad) - x_hat * mean(grad * x_hat))
        return dx, (grad * x_hat).sum(axis=0), grad.sum(axis=0)


MUTANTS |= {
    "BatchNorm: N - 1 forward": Mutant(lambda: UnbiasedForward(EPS), "BatchNorm"),
    "BatchNorm: eps outside the root": Mutant(lambda: EpsOutside(EPS), "BatchNorm"),
    "BatchNorm: 1/s is a constant attribute": Mutant(
        lambda: InvStdIsConstant(EPS), "BatchNorm", order=2
    ),
}


def wrong_eval(formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """BatchNormEval with dx = formula(dy, x_hat, r, gamma)."""

    class Wrong(ops.BatchNormEval):
        def backward(  # the statistics come between x and gamma
            self, grad: Any, y: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any
        ) -> Any:
            _, *others = super().backward(grad, y, x, mean, var, gamma, beta)
            x_hat, r = self.cached(self.standardize, x, mean, var)
            return formula(grad, x_hat, r, gamma), *others

    return lambda: Wrong(EPS)


MUTANTS |= {
    f"BatchNormEval dx: {name}": Mutant(wrong_eval(rule), "BatchNormEval")
    for name, rule in {
        "the training formula": lambda dy, xh, r, g: g * r * (dy - mean(dy) - xh * mean(dy * xh)),
        "the mean path": lambda dy, xh, r, g: g * r * (dy - mean(dy)),
        "gamma forgotten": lambda dy, xh, r, g: dy * r,
        "1/s forgotten": lambda dy, xh, r, g: dy * g,
        "passed on": lambda dy, xh, r, g: dy * 1,
    }.items()
}


def wrong_linear(name: str, formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """Linear with one of dx, dw, db = formula(dy, x, w, y)."""

    class Wrong(ops.Linear):
        saves = ("y", "x", "weight")

        def backward(self, grad: Any, y: Any, x: Any, weight: Any, bias: Any) -> Any:
            found = dict(
                zip(("dx", "dw", "db"), super().backward(grad, y, x, weight, bias), strict=True)
            )
            found[name] = formula(grad, x, weight, y)
            return tuple(found.values())

    return Wrong


MUTANTS |= {
    f"Linear {name}: {what}": Mutant(wrong_linear(name, rule), "Linear")
    for name, what, rule in (
        ("dx", "dY W^T", lambda dy, x, w, y: dy @ w.T),
        ("dx", "dY alone", lambda dy, x, w, y: dy * 1),
        ("dw", "transposed", lambda dy, x, w, y: x.T @ dy),
        ("dw", "a mean over the rows", lambda dy, x, w, y: dy.T @ x / C),
        ("dw", "y for x", lambda dy, x, w, y: dy.T @ y),
        ("db", "a mean over the rows", lambda dy, x, w, y: dy.mean(axis=0)),
        ("db", "summed over the features", lambda dy, x, w, y: dy.sum(axis=1)),
        ("db", "not summed", lambda dy, x, w, y: dy * 1),
        ("db", "the sum of everything", lambda dy, x, w, y: 0 * dy.sum(axis=0) + dy.sum()),
    )
}


def wrong_sigmoid(formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """Sigmoid with dx = formula(dy, y, x)."""

    class Wrong(ops.Sigmoid):
        saves = ("y", "x")

        def backward(self, grad: Any, y: Any, x: Any) -> Any:
            return formula(grad, y, x)

    return Wrong


class ClippedSigmoid(ops.Sigmoid):
    """x limited to [-5, 5] going forward; the rule does not know."""

    def forward(self, x: Any) -> Any:
        return super().forward(np.clip(x, -5, 5))


class SlopeIsConstant(ops.Sigmoid):
    """y (1 - y) worked out going forward and kept as a plain attribute."""

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        self.slope = y * (1 - y)
        return y

    def backward(self, grad: Any, y: Any, x: Any) -> Any:
        return grad * (mg.tensor(self.slope) if isinstance(grad, mg.Tensor) else self.slope)


MUTANTS |= {
    f"Sigmoid: {name}": Mutant(make, "Sigmoid", order)
    for name, make, order in (
        ("dy x (1 - x)", wrong_sigmoid(lambda dy, y, x: dy * x * (1 - x)), 1),
        (
            "s'(y) for s'(x)",
            wrong_sigmoid(
                lambda dy, y, x: dy * (call_op(ops.Sigmoid(), y) * (1 - call_op(ops.Sigmoid(), y)))
            ),
            1,
        ),
        ("dy dropped", wrong_sigmoid(lambda dy, y, x: y * (1 - y)), 1),
        ("1 - y^2, tanh's", wrong_sigmoid(lambda dy, y, x: dy * (1 - y * y)), 1),
        ("y", wrong_sigmoid(lambda dy, y, x: dy * y), 1),
        ("1 - y", wrong_sigmoid(lambda dy, y, x: dy * (1 - y)), 1),
        ("y (1 + y)", wrong_sigmoid(lambda dy, y, x: dy * y * (1 + y)), 1),
        ("the sign", wrong_sigmoid(lambda dy, y, x: -dy * y * (1 - y)), 1),
        ("clipped at 5", ClippedSigmoid, 1),
        ("its slope is a constant attribute", SlopeIsConstant, 2),
    )
}


def wrong_cross_entropy(formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """SoftmaxCrossEntropy with dlogits = formula(p, one_hot) * dL."""

    class Wrong(ops.SoftmaxCrossEntropy):
        def backward(self, grad: Any, y: Any, logits: Any, labels: Any) -> Any:
            p = call_op(ops.Exp(), self.cached(self.log_softmax, logits))
            one_hot = call_op(ops.OneHot(C, np.float64), labels)
            return formula(p, one_hot) * grad, None

    return lambda: Wrong("mean", -100)


class DoubleSoftmax(ops.SoftmaxCrossEntropy):
    """The network ends in a softmax, and the loss takes another."""

    def forward(self, logits: Any, labels: Any) -> Any:
        return super().forward(ops.Softmax(1).forward(logits), labels)


class ProbabilitiesAreConstant(ops.SoftmaxCrossEntropy):
    """p kept as a plain attribute: right to first order only."""

    def forward(self, logits: Any, labels: Any) -> Any:
        self.p = ops.Softmax(1).forward(logits)
        return super().forward(logits, labels)

    def backward(self, grad: Any, y: Any, logits: Any, labels: Any) -> Any:
        p = mg.tensor(self.p) if isinstance(grad, mg.Tensor) else self.p
        return (p - call_op(ops.OneHot(C, np.float64), labels)) / N * grad, None


MUTANTS |= {
    f"cross-entropy: {name}": Mutant(make, "SoftmaxCrossEntropy", order)
    for name, make, order in (
        ("no 1/N", wrong_cross_entropy(lambda p, t: p - t), 1),
        ("1/(N C)", wrong_cross_entropy(lambda p, t: (p - t) / (N * C)), 1),
        ("the sign", wrong_cross_entropy(lambda p, t: (t - p) / N), 1),
        ("p without the one-hot", wrong_cross_entropy(lambda p, t: p / N), 1),
        ("-t/p", wrong_cross_entropy(lambda p, t: -t / p / N), 1),
        ("the label's column only", wrong_cross_entropy(lambda p, t: -t * (1 - p) / N), 1),
        ("2 (p - t)", wrong_cross_entropy(lambda p, t: 2 * (p - t) / N), 1),
        (
            "the labels off by one",
            wrong_cross_entropy(
                lambda p, t: (p - call_op(ops.GetItem((slice(None), SHIFTED)), t)) / N
            ),
            1,
        ),
        ("columns sum to 0", wrong_cross_entropy(lambda p, t: (p - mean(p)) / N), 1),
        ("the softmax twice", lambda: DoubleSoftmax("mean", -100), 1),
        ("p is a constant attribute", lambda: ProbabilitiesAreConstant("mean", -100), 2),
    )
}


def wrong_broadcast(formula: Callable[..., Any]) -> Callable[[], ops.Op]:
    """Add whose second gradient is formula(dy) instead of dy summed over the copies."""

    class Wrong(ops.Add):
        def backward(self, grad: Any, y: Any, a: Any, b: Any) -> Any:
            return grad, formula(grad)

    return Wrong


MUTANTS |= {
    f"broadcasting: {name}": Mutant(wrong_broadcast(rule), probe)
    for name, probe, rule in (
        ("not summed", "Add", lambda dy: dy),
        ("the wrong axis of a square", "Add", lambda dy: dy.sum(axis=1)),
        ("a mean", "Add", lambda dy: dy.mean(axis=0)),
        ("the first row", "Add", lambda dy: dy[0]),
        ("axis lost", "Add column", lambda dy: dy.sum(axis=1)),
        ("a column summed over axis 0", "Add column", lambda dy: dy.sum(axis=0).reshape((3, 1))),
        ("an inner axis averaged", "Add inner", lambda dy: dy.mean(axis=1, keepdims=True)),
        ("an inner axis mistaken", "Add inner", lambda dy: dy.sum(axis=2).reshape((2, 1, 3))),
    )
}


# ---------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name):
    """By ``gradcheck``; or by the walk, if a gradient has the wrong shape; or, if to first order
    the rule is right, by ``gradgradcheck``."""
    mutant = MUTANTS[name]
    function, inputs = function_of(mutant.probe, mutant.make), leaves(probes(0)[mutant.probe])
    if mutant.order == 1:
        with pytest.raises((GradcheckError, RuntimeError), match=r"gradcheck|expected \("):
            gradcheck(function, inputs)
    else:
        assert gradcheck(function, inputs), "to first order the rule is right"
        with pytest.raises(GradcheckError):
            gradgradcheck(function, inputs)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("probe", REAL)
def test_the_right_rules_pass(probe, seed):
    """On other numbers, other cotangents and other directions each time."""
    function, inputs = function_of(probe, REAL[probe]), leaves(probes(seed)[probe])
    assert gradcheck(function, inputs, seed=seed)
    assert gradgradcheck(function, inputs, seed=seed)


def test_one_that_looks_wrong_and_is_right():
    """Without -2 dvar mean(x - mu) in dmu: the term is 0, so a check must not refuse it."""

    class Shorter(ops.BatchNorm):
        def backward(self, grad: Any, y: Any, x: Any, gamma: Any, beta: Any) -> Any:
            _, d_gamma, d_beta = super().backward(grad, y, x, gamma, beta)
            _, r, mu, _ = self.cached(self.standardize, x)
            d_hat, c = gamma * grad, x - mu
            d_var = -0.5 * (d_hat * c).sum(axis=0, keepdims=True) * r**3
            d_mu = -(d_hat * r).sum(axis=0, keepdims=True)
            return d_hat * r + d_var * 2 * c / N + d_mu / N, d_gamma, d_beta

    function = function_of("BatchNorm", lambda: Shorter(EPS))
    assert gradcheck(function, leaves(probes(0)["BatchNorm"]))
    assert gradgradcheck(function, leaves(probes(0)["BatchNorm"]))


def gradients(make: Callable[[], ops.Op], inputs: Any, seed: np.ndarray) -> list[np.ndarray]:
    tensors = leaves(inputs)
    found = mg.grad(function_of("BatchNorm", make)(*tensors), tensors, mg.tensor(seed))
    return [g.numpy() for g in found]


def missed(inputs: Any, seed: np.ndarray) -> set[str]:
    """The wrong dx rules that give the right numbers at these inputs with this cotangent."""
    right = gradients(REAL["BatchNorm"], inputs, seed)
    return {
        name
        for name, rule in WRONG_DX.items()
        if all(
            np.allclose(a, b, atol=1e-10)
            for a, b in zip(gradients(wrong_dx(rule), inputs, seed), right, strict=True)
        )
    }


def test_a_random_seed_misses_none():
    for seed in range(5):
        cotangent = np.random.default_rng(seed).standard_normal((N, C))
        assert missed(probes(seed)["BatchNorm"], cotangent) == set()


def test_a_seed_of_ones_misses_most():
    """The sum of a normalised batch does not depend on it: dx = 0, and 0 hides every factor."""
    assert missed(probes(0)["BatchNorm"], np.ones((N, C))) == {
        "no variance path",
        "variance path only",
        "an extra 1/N",
        "gamma forgotten",
        "gamma twice",
        "1/s forgotten",
        "1/s squared",
        "times s",
        "sign of the variance path",
        "x - mu for x_hat",
        "N - 1 in the variance path",
        "the factor 1/2 missing",
        "the factor 2 missing",
        "power -1/2 for -3/2",
        "gamma dropped in dvar",
        "means over everything",
    }


def test_the_initial_gamma_and_beta_hide_gamma():
    """gamma = 1 and beta = 0, as a layer starts: whatever is wrong with gamma cannot be seen."""
    x, _, _ = probes(0)["BatchNorm"]
    cotangent = np.random.default_rng(1).standard_normal((N, C))
    assert missed((x, np.ones(C), np.zeros(C)), cotangent) == {
        "gamma forgotten",
        "gamma twice",
        "gamma dropped in dvar",
        "gamma dropped in dmu",
        "y for x_hat",
    }


def test_there_are_many_mutants():
    """Of each operation some, and of BatchNorm most."""
    of_each = {probe: sum(m.probe == probe for m in MUTANTS.values()) for probe in REAL}
    assert of_each["BatchNorm"] >= 25
    assert min(of_each.values()) >= 2

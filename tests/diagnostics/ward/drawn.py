"""Networks that are drawn at random: depth, width, activation, norm, data, optimiser, disease.

The other networks of the ward are the same each time but for their numbers. Here each seed is a
network of its own, healthy first, and then one thing is done to it.
"""

from typing import Any

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from tests.diagnostics.ward import sick
from tests.diagnostics.ward.parts import (
    Case,
    blobs,
    constant,
    curve,
    default,
    digits,
    gauss,
    he,
    linears,
    mlp,
    positive,
    rng,
    sgd,
    train,
    xavier,
)

BN, LN = nn.BatchNorm1d, nn.LayerNorm
RELUS: list[Any] = [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU]


def of(choices: Any) -> Any:
    return choices[int(rng().integers(len(choices)))]


def between(low: float, high: float) -> float:
    return float(rng().uniform(low, high))


def power(low: float, high: float) -> float:
    return float(10 ** between(low, high))


def count(low: int, high: int) -> int:
    return int(rng().integers(low, high + 1))


def data() -> tuple[mg.Tensor, mg.Tensor, int, int]:
    """Inputs, labels, features, classes."""
    x, labels = of([digits, blobs])()
    return x, labels, x.shape[1], int(labels.data.max()) + 1


def rule(model: nn.Module) -> optim.Optimizer:
    """One of the usual optimisers at a usual rate."""
    kinds: list[Any] = [
        lambda: sgd(model, between(0.02, 0.2)),
        lambda: sgd(model, between(0.005, 0.03), momentum=0.9),
        lambda: optim.Adam(model.parameters(), lr=power(-3.3, -2.3)),
        lambda: optim.AdamW(model.parameters(), lr=power(-3.3, -2.3)),
    ]
    return of(kinds)()


def network(depth: tuple[int, int] = (1, 6), activation: Any = None, norm: Any = "any") -> Case:
    """A healthy one: few layers, or a norm; weights that fit the activation."""
    x, labels, features, classes = data()
    activation = of([*RELUS, nn.Tanh, nn.Sigmoid]) if activation is None else activation
    norm = of([None, BN, LN]) if norm == "any" else norm
    layers = count(*depth)
    if activation is nn.Sigmoid and norm is not BN:
        layers = min(layers, 2)
    init = he if activation in RELUS else xavier
    model = mlp(features, classes, layers, count(20, 64), activation, init, norm)
    return Case(model, x, labels, rule(model))


def again(case: Case, init: Any) -> Case:
    """The same with other weights in the hidden layers."""
    for linear in linears(case.model)[:-1]:
        init(linear)
    return case


def chain(depth: tuple[int, int], activation: Any) -> Case:
    """Without a norm, trained by SGD."""
    x, labels, features, classes = data()
    init = he if activation in RELUS else xavier
    model = mlp(features, classes, count(*depth), count(20, 64), activation, init)
    return Case(model, x, labels, sgd(model, between(0.02, 0.2)))


def healthy() -> Case:
    return network()


@sick.sick("vanishing")
def drawn_deep_and_weak() -> Case:
    activation = of([nn.Sigmoid, nn.Tanh, nn.ReLU])
    if activation is nn.Sigmoid:
        return again(chain((7, 20), activation), of([xavier, default]))
    return again(chain((9, 20), activation), gauss(between(0.2, 0.45)))


@sick.sick("vanishing-by-saturation")
def drawn_shifted() -> Case:
    size = between(10, 40)
    start = sick.bias(size, 1.5 * size, signs=True)
    return again(chain((3, 8), of([nn.Sigmoid, nn.Tanh])), start)


@sick.sick("exploding")
def drawn_deep_and_strong() -> Case:
    activation = of([nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh])
    size = between(7, 12) if activation is nn.Tanh else between(4, 6)
    return again(chain((13, 18), activation), gauss(size))


@sick.sick("collapse")
def drawn_all_positive() -> Case:
    return again(network((5, 8), of([nn.ReLU, nn.Tanh, nn.Sigmoid]), BN), positive(between(0.5, 2)))


@sick.sick("identical-units")
def drawn_constant() -> Case:
    return again(network((2, 5)), constant(between(0.01, 0.3)))


@sick.sick("dead-units")
def drawn_one_dead() -> Case:
    case = network((2, 5), nn.ReLU, None)
    linear = of(linears(case.model)[:-1])
    sick.bias(-60, -30, weights=he)(linear)
    return case


@sick.sick("bottleneck")
def drawn_one_weak() -> Case:
    case = chain((3, 6), of([nn.ReLU, nn.Tanh, nn.LeakyReLU]))
    gauss(power(-6, -4))(of(linears(case.model)[1:-1]))
    return case


@sick.sick("unscaled-inputs")
def drawn_shift_or_scale() -> Case:
    case = network(norm=None)
    changes: list[Any] = [
        lambda x: x * power(1.5, 4),
        lambda x: x * power(-4, -2),
        lambda x: x + between(50, 2000),
        lambda x: x - between(50, 2000),
    ]
    case.x = of(changes)(case.x)
    return case


@sick.sick("loss-mismatch")
def drawn_squashed() -> Case:
    case = network()
    last = of([lambda: nn.Softmax(1), nn.Sigmoid, nn.ReLU])()
    case.model.append(last)
    return case


@sick.sick("rate-too-high")
def drawn_fast() -> Case:
    case = network()
    big = power(0.7, 1.5) if isinstance(case.optimizer, optim.Adam) else power(2.5, 3.5)
    case.optimizer.param_groups[0]["lr"] = big
    return case


@sick.sick("rate-too-low")
def drawn_slow() -> Case:
    case = network()
    tiny = power(-9, -7) if isinstance(case.optimizer, optim.Adam) else power(-8, -6)
    case.optimizer.param_groups[0]["lr"] = tiny
    return case


@sick.sick("no-gradient")
def drawn_frozen() -> Case:
    case = network()
    of(linears(case.model)).requires_grad_(False)
    return case


@sick.sick("accumulating-gradients")
def drawn_forgetful() -> Case:
    return sick.forgetful(network())


@sick.sick("batchnorm-in-eval")
def drawn_asleep() -> Case:
    case = network((2, 6), norm=BN)
    of([m for m in case.model if isinstance(m, BN)]).eval()
    return case


@sick.sick("batch-too-small")
def drawn_few() -> Case:
    case = network((2, 6), norm=BN)
    few = count(1, 5)
    case.x, case.labels = case.x[:few], case.labels[:few]
    return case


@sick.sick("stale-statistics")
def drawn_late() -> Case:
    case = network((2, 6), norm=lambda n: BN(n, momentum=power(-5, -3.5)))
    return train(case, 30)


@sick.sick("poisoned-statistics")
def drawn_poisoned() -> Case:
    return sick.poisoned(network((2, 6), norm=BN), of([np.nan, np.inf]), slice(0, count(1, 8)))


@sick.sick("train-eval-gap")
def drawn_always_dropping() -> Case:
    case = network((2, 5))
    parts, cut = list(case.model), count(1, 3)
    first, second = nn.Sequential(*parts[:cut]), nn.Sequential(*parts[cut:])
    case.model = sick.AlwaysDropping(first, second, between(0.1, 0.7))
    return case


@sick.sick("non-finite")
def drawn_broken() -> Case:
    case = network()
    with mg.no_grad():
        of(linears(case.model)).weight[0, 0] = of([np.nan, np.inf, -np.inf])
    return case


@sick.sick("underflow")
def drawn_half() -> Case:
    case = network((1, 4), norm=of([None, LN]))
    return sick.halved(case, power(-6, -4.7))


def drawn_regression() -> Case:
    """A healthy one that is no classification."""
    x, targets = curve()
    model = mlp(6, 1, count(1, 3), count(16, 48), of([nn.Tanh, nn.ReLU, nn.GELU]), default)
    return Case(model, x, targets, optim.Adam(model.parameters(), lr=power(-3, -2)), F.mse_loss)

"""The healthy half of the ward: networks that learn, with every norm and optimiser of the library.

Built as one builds them: He's weights before ReLU, Xavier's before tanh, few layers before a
sigmoid unless BatchNorm stands between, standardised inputs, usual learning rates. Some have been
trained for a while.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from tests.diagnostics.ward import drawn
from tests.diagnostics.ward.parts import (
    Builder,
    Case,
    Functional,
    adam,
    bce,
    blobs,
    curve,
    default,
    digits,
    gauss,
    halves,
    mlp,
    orthogonal,
    residual,
    sgd,
    train,
    xavier,
)

BN, LN = nn.BatchNorm1d, nn.LayerNorm


def on_digits(model: nn.Module, optimizer: optim.Optimizer, trained: int = 0) -> Case:
    return train(Case(model, *digits(), optimizer), trained)


def on_blobs(model: nn.Module, optimizer: optim.Optimizer, trained: int = 0) -> Case:
    return train(Case(model, *blobs(), optimizer), trained)


def on_curve(model: nn.Module, optimizer: optim.Optimizer, trained: int = 0) -> Case:
    return train(Case(model, *curve(), optimizer, F.mse_loss), trained)


def on_halves(model: nn.Module, optimizer: optim.Optimizer, trained: int = 0) -> Case:
    return train(Case(model, *halves(), optimizer, bce), trained)


def with_momentum(model: nn.Module) -> optim.Optimizer:
    return sgd(model, 0.03, momentum=0.9)


def fast(model: nn.Module) -> optim.Optimizer:
    return adam(model, 1e-2)


def slow(model: nn.Module) -> optim.Optimizer:
    return sgd(model, 0.03)


def adamw(model: nn.Module) -> optim.Optimizer:
    return optim.AdamW(model.parameters(), lr=1e-3)


def _case(place: Callable[..., Case], model: nn.Module, rule: Any = sgd, trained: int = 0) -> Case:
    return place(model, rule(model), trained)


def accumulating_on_purpose() -> Case:
    """A step of one's own that adds up the gradients of two halves before it updates."""
    case = on_digits(m := mlp(64, 10, 2, 32), sgd(m))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        case.optimizer.zero_grad()
        middle = len(x) // 2
        for part in (slice(None, middle), slice(middle, None)):
            loss = F.cross_entropy(case.model(x[part]), labels[part])
            (loss / 2).backward()
        case.optimizer.step()
        return loss

    case.step = step
    return case


def usual_step() -> Case:
    case = on_blobs(m := mlp(12, 4, 3, 24, nn.Tanh, xavier, BN), adam(m))

    def step(x: mg.Tensor, labels: mg.Tensor) -> None:
        case.optimizer.zero_grad()
        F.cross_entropy(case.model(x), labels).backward()
        nn.utils.clip_grad_norm_(case.model.parameters(), 1.0)
        case.optimizer.step()

    case.step = step
    return case


def zero_head() -> Case:
    model = mlp(64, 10, 3, 32, head=lambda linear: nn.init.zeros_(linear.weight))
    return on_digits(model, sgd(model))


def embedded() -> Case:
    words = mg.randint(0, 20, (96, 5))
    labels = (words.float().mean(1) > 10).long()
    model = nn.Sequential(
        nn.Embedding(20, 8), nn.Flatten(), nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 2)
    )
    return Case(model, words, labels, adam(model, 1e-2))


def convolutional(*parts: nn.Module, trained: int = 0) -> Case:
    """Two convolutions of the digits as images, with what stands after each; a linear head."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for inputs, outputs in ((1, 8), (8, 12)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1)]
        layers += [nn.BatchNorm2d(outputs) if isinstance(p, nn.BatchNorm2d) else p for p in parts]
        layers.append(nn.MaxPool2d(2))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 10))
    return train(Case(model, *digits(96), adam(model, 3e-3)), trained)


D, B = on_digits, on_blobs

HEALTHY: dict[str, Builder] = {
    "linear": lambda: _case(D, mlp(64, 10, 0, 0)),
    "1 ReLU": lambda: _case(D, mlp(64, 10, 1, 32)),
    "3 ReLU, He": lambda: _case(D, mlp(64, 10, 3, 48)),
    "8 ReLU, He, Adam": lambda: _case(B, mlp(12, 4, 8, 32), adam),
    "20 ReLU, He, wide": lambda: _case(D, mlp(64, 10, 20, 64), adam),
    "4 ReLU, PyTorch's start": lambda: _case(D, mlp(64, 10, 4, 64, init=default), with_momentum),
    "2 sigmoid": lambda: _case(D, mlp(64, 10, 2, 32, nn.Sigmoid, xavier), partial(sgd, lr=1.0)),
    "3 sigmoid, trained": lambda: _case(B, mlp(12, 4, 3, 32, nn.Sigmoid, xavier), fast, 100),
    "20 sigmoid, BatchNorm": lambda: _case(D, mlp(64, 10, 20, 32, nn.Sigmoid, xavier, BN)),
    "8 sigmoid, critical": lambda: _case(D, mlp(64, 10, 8, 64, nn.Sigmoid, gauss(10)), slow),
    "6 sigmoid, BN, old": lambda: _case(D, mlp(64, 10, 6, 32, nn.Sigmoid, default, BN), sgd, 100),
    "3 tanh": lambda: _case(B, mlp(12, 4, 3, 24, nn.Tanh, xavier)),
    "10 tanh": lambda: _case(D, mlp(64, 10, 10, 48, nn.Tanh, orthogonal), with_momentum),
    "12 tanh, BatchNorm": lambda: _case(B, mlp(12, 4, 12, 32, nn.Tanh, xavier, BN), adam),
    "5 ReLU, BatchNorm": lambda: _case(D, mlp(64, 10, 5, 32, norm=BN)),
    "5 ReLU, BatchNorm, trained": lambda: _case(B, mlp(12, 4, 5, 32, norm=BN), adamw, 100),
    "15 ReLU, BatchNorm": lambda: _case(D, mlp(64, 10, 15, 48, norm=BN), with_momentum),
    "5 ReLU, LayerNorm": lambda: _case(D, mlp(64, 10, 5, 32, norm=LN), adamw),
    "10 sigmoid, LayerNorm": lambda: _case(D, mlp(64, 10, 10, 48, nn.Sigmoid, xavier, LN), adam),
    "4 GELU": lambda: _case(B, mlp(12, 4, 4, 32, nn.GELU), adam),
    "4 SiLU, trained": lambda: _case(D, mlp(64, 10, 4, 32, nn.SiLU), adamw, 60),
    "4 ELU": lambda: _case(D, mlp(64, 10, 4, 32, nn.ELU), with_momentum),
    "6 leaky ReLU": lambda: _case(B, mlp(12, 4, 6, 32, nn.LeakyReLU)),
    "3 Softplus, BatchNorm": lambda: _case(B, mlp(12, 4, 3, 32, nn.Softplus, norm=BN)),
    "functions in forward": lambda: _case(D, Functional(64, 10, 32), adam),
    "dropout": lambda: _case(D, mlp(64, 10, 2, 64, dropout=0.5), adam),
    "dropout, trained": lambda: _case(D, mlp(64, 10, 3, 64, dropout=0.2), adam, 100),
    "10 residual, BatchNorm": lambda: _case(D, residual(64, 10, 10, 32, BN)),
    "10 residual, zero start": lambda: _case(D, residual(64, 10, 10, 32, BN, zero=True)),
    "10 residual, LayerNorm": lambda: _case(B, residual(12, 4, 10, 32, LN), adam),
    "6 residual, no norm": lambda: _case(B, residual(12, 4, 6, 32, None), adamw),
    "regression, 2 tanh": lambda: _case(on_curve, mlp(6, 1, 2, 32, nn.Tanh, xavier), fast),
    "regression, 3 ReLU, trained": lambda: _case(on_curve, mlp(6, 1, 3, 32), adam, 100),
    "two classes, BCE": lambda: _case(on_halves, mlp(10, 1, 2, 16), adam),
    "two classes, trained": lambda: _case(on_halves, mlp(10, 1, 3, 16, norm=BN), sgd, 80),
    "zero head": zero_head,
    "embedding": embedded,
    "a step of one's own": usual_step,
    "gradients of two halves": accumulating_on_purpose,
    "5 ReLU, BatchNorm, 4 steps old": lambda: _case(D, mlp(64, 10, 5, 32, norm=BN), sgd, 4),
    "drawn": drawn.healthy,
    "drawn, regression": drawn.drawn_regression,
    "2 convolutions, ReLU": lambda: convolutional(nn.ReLU()),
    "2 convolutions, BatchNorm": lambda: convolutional(nn.BatchNorm2d(1), nn.ReLU()),
    "2 convolutions, tanh, trained": lambda: convolutional(nn.Tanh(), trained=30),
    "BatchNorm first": lambda: _case(D, nn.Sequential(BN(64), *mlp(64, 10, 2, 32))),
}  # fmt: skip

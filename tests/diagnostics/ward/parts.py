"""The ward: sick networks, each made from the description of its disease, and healthy ones.

A case is a function of a seed. It draws the data, makes the network and, if it is a sick one, gives
it the disease as a person would who has it: the biases are large, the weights are all positive,
zero_grad is forgotten. No number of a criterion is used here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.data import load_digits

Init = Callable[[nn.Linear], Any]
Builder = Callable[[], "Case"]


@dataclass
class Case:
    """What is handed to ``diagnose``."""

    model: nn.Module
    x: mg.Tensor
    labels: mg.Tensor
    optimizer: optim.Optimizer | None = None
    loss: Callable[..., mg.Tensor] = F.cross_entropy
    step: Callable[..., Any] | None = None

    def arguments(self) -> dict[str, Any]:
        return dict(vars(self))


# --------------------------------------------------------------------------------------- data

_DIGITS: list[Any] = []


def rng() -> np.random.Generator:
    return np.random.default_rng(int(mg.randint(0, 2**31, (1,)).item()))


def digits(n: int = 128) -> tuple[mg.Tensor, mg.Tensor]:
    """Images of 8 x 8 with pixels from 0 to 1, and their ten classes."""
    if not _DIGITS:
        _DIGITS.extend(load_digits(flatten=True))
    rows = rng().permutation(len(_DIGITS[1]))[:n]
    return mg.tensor(_DIGITS[0][rows]), mg.tensor(_DIGITS[1][rows])


def blobs(n: int = 96, features: int = 12, classes: int = 4) -> tuple[mg.Tensor, mg.Tensor]:
    """Clouds of points, one per class, standardised."""
    r = rng()
    labels = r.integers(0, classes, n)
    points = r.normal(size=(classes, features))[labels] * 1.5 + r.normal(size=(n, features))
    points = (points - points.mean(0)) / points.std(0)
    return mg.tensor(points.astype(np.float32)), mg.tensor(labels)


def curve(n: int = 100) -> tuple[mg.Tensor, mg.Tensor]:
    """Regression: a wave over a plane."""
    r = rng()
    x = r.normal(size=(n, 6))
    y = np.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
    return mg.tensor(x.astype(np.float32)), mg.tensor(y.astype(np.float32))


def halves(n: int = 96) -> tuple[mg.Tensor, mg.Tensor]:
    """Two classes as 0 and 1, for a loss over single outputs."""
    x, labels = blobs(n, 10, 2)
    return x, labels.float().reshape(-1, 1)


# ----------------------------------------------------------------------------------- networks


def xavier(linear: nn.Linear) -> None:
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)


def he(linear: nn.Linear) -> None:
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)


def default(linear: nn.Linear) -> None:
    """PyTorch's, as the layer comes."""


def orthogonal(linear: nn.Linear) -> None:
    nn.init.orthogonal_(linear.weight)
    nn.init.zeros_(linear.bias)


def gauss(size: float) -> Init:
    """Normal weights of standard deviation ``size / sqrt(n)``."""

    def start(linear: nn.Linear) -> None:
        nn.init.normal_(linear.weight, std=size / math.sqrt(linear.in_features))
        nn.init.zeros_(linear.bias)

    return start


def positive(mean: float) -> Init:
    """Weights from 0 to ``2 mean / n``: the sum over a unit's inputs has this mean."""

    def start(linear: nn.Linear) -> None:
        nn.init.uniform_(linear.weight, 0.0, 2 * mean / linear.in_features)
        nn.init.zeros_(linear.bias)

    return start


def constant(value: float) -> Init:
    def start(linear: nn.Linear) -> None:
        nn.init.constant_(linear.weight, value)
        nn.init.zeros_(linear.bias)

    return start


def mlp(
    inputs: int,
    outputs: int,
    depth: int,
    width: int,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
    init: Init = he,
    norm: Callable[[int], nn.Module] | None = None,
    head: Init = xavier,
    dropout: float = 0.0,
) -> nn.Sequential:
    """depth x (Linear, norm, activation, dropout) and a linear head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        linear = nn.Linear(width if i else inputs, width)
        init(linear)
        layers.append(linear)
        if norm is not None:
            layers.append(norm(width))
        if activation is not None:
            layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
    last = nn.Linear(width if depth else inputs, outputs)
    head(last)
    return nn.Sequential(*layers, last)


class Block(nn.Module):
    """x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.branch(x)


def residual(
    inputs: int,
    outputs: int,
    blocks: int,
    width: int,
    norm: Callable[[int], nn.Module] | None,
    zero: bool = False,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """A stem, blocks of (norm, activation, Linear) beside a path of their own, a head."""
    parts: list[nn.Module] = [nn.Linear(inputs, width)]
    for _ in range(blocks):
        linear = nn.Linear(width, width)
        (constant(0.0) if zero else gauss(1 / math.sqrt(blocks)))(linear)
        branch = [activation(), linear] if norm is None else [norm(width), activation(), linear]
        parts.append(Block(nn.Sequential(*branch)))
    return nn.Sequential(*parts, nn.Linear(width, outputs))


class Functional(nn.Module):
    """A network whose activations are functions in its forward."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.out = nn.Linear(width, outputs)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.out(F.gelu(self.second(F.relu(self.first(x)))))


def linears(model: nn.Module) -> list[nn.Linear]:
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


def sgd(model: nn.Module, lr: float = 0.1, **options: Any) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=lr, **options)


def adam(model: nn.Module, lr: float = 1e-3) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=lr)


def train(case: Case, steps: int) -> Case:
    """The case after some training."""
    for _ in range(steps):
        case.model.zero_grad()
        case.loss(case.model(case.x), case.labels).backward()
        assert case.optimizer is not None
        case.optimizer.step()
    case.model.zero_grad()
    return case


def bce(outputs: mg.Tensor, targets: mg.Tensor) -> mg.Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets)

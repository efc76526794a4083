"""The first bench: a deep network, what each of its layers sees, and what comes back to it.

For each layer l, z_l is what its activation phi receives. The theory's line is the recursion of
``docs/derivations/vanishing-gradients.md`` (vg-5): for weights independent of what they meet,

    |dL/dz_l|^2 = chi_l |dL/dz_{l+1}|^2,
    chi_l = n mean(W_{l+1}^2) mean(phi'(z_l)^2) mean(r_{l+1}^2),

with n the number of inputs of layer l + 1, and r the factor gamma / sigma of its normalisation (1
without). It is computed from the forward pass alone, and starts at the last layer's gradient.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functional as F
from .. import nn
from ..backend import manual_seed
from ..data import DataLoader, TensorDataset, load_digits
from ..diagnostics import Report, diagnose
from ..optim import SGD
from ..tensor import Tensor, tensor

ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
NORMALIZATIONS: dict[str, Any] = {
    "none": None,
    "BatchNorm": nn.BatchNorm1d,
    "LayerNorm": nn.LayerNorm,
}
EDGES = (-5.0, -3.0, 3.0, 5.0)
"""The zones of the sigmoid: saturated, between, responsive, between, saturated."""
EVERY = 10  # training steps between two states that are kept


@dataclass(frozen=True)
class Settings:
    """What the sliders say."""

    depth: int = 20
    width: int = 64
    activation: str = "sigmoid"
    scale: float = 1.0
    """The weights' scale, as a multiple of Xavier's (Glorot and Bengio 2010, eq. 16)."""
    shift: float = 0.0
    """What is added to every pre-activation at the start: the biases."""
    normalization: str = "none"
    lr: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class LayerSeen:
    """What is measured at one hidden layer."""

    zones: tuple[float, ...]
    """The share of z in each zone, from below -5 to above 5."""
    gradient: float
    """|dL/dz|."""
    theory: float
    """What the recursion says it is."""


def hidden_layer(inputs: int, settings: Settings) -> list[nn.Module]:
    """A linear map, its normalisation if there is one, and the activation."""
    width, kind = settings.width, NORMALIZATIONS[settings.normalization]
    linear = nn.Linear(inputs, width)
    nn.init.xavier_uniform_(linear.weight, settings.scale)
    shifted: Any = linear if kind is None else kind(width)
    nn.init.zeros_(linear.bias)
    nn.init.constant_(shifted.bias, settings.shift)
    normalization = [] if kind is None else [shifted]
    return [linear, *normalization, ACTIVATIONS[settings.activation]()]


def slope_of(activation: nn.Module, y: Any) -> Any:
    """phi'(z), from y = phi(z)."""
    if isinstance(activation, nn.Sigmoid):
        return y * (1 - y)
    return 1 - y**2 if isinstance(activation, nn.Tanh) else (y > 0).astype(y.dtype)


@dataclass(frozen=True)
class Passed:
    """A hidden layer in one forward pass: its weight, z, mean(phi'(z)^2) and mean(r^2)."""

    weight: Any
    z: Tensor
    slope: float
    factor: float


def pass_through(x: Tensor, parts: list[Any]) -> tuple[Tensor, Passed]:
    """``x`` through the parts of one hidden layer."""
    linear, *normalization, activation = parts
    a = z = linear(x)
    factor = 1.0
    for norm in normalization:
        z = norm(a)
        axis = 0 if isinstance(norm, nn.BatchNorm1d) else 1
        var = a.detach().numpy().var(axis=axis, keepdims=True)
        factor = float((norm.weight.detach().numpy() ** 2 / (var + norm.eps)).mean())
    z.retain_grad()
    y = activation(z)
    slope = float((slope_of(activation, y.detach().numpy()) ** 2).mean())
    return y, Passed(linear.weight.detach().numpy(), z, slope, factor)


class Bench:
    """A network with these settings, and its training, which may be moved forth and back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        images, labels = load_digits(flatten=True)
        images = (images - images.mean()) / images.std()
        self.loader = DataLoader(
            TensorDataset(images, labels),
            batch_size=64,
            shuffle=True,
            drop_last=True,
            seed=settings.seed,
        )
        self.x, self.labels = tensor(images[:256]), tensor(labels[:256])
        manual_seed(settings.seed)
        widths = [images.shape[1]] + [settings.width] * settings.depth
        self.hidden = [hidden_layer(inputs, settings) for inputs in widths[:-1]]
        parts = [part for layer in self.hidden for part in layer]
        self.model = nn.Sequential(*parts, nn.Linear(widths[-1], 10))
        self.steps = 0
        self.states = {0: state_of(self.model)}
        self.batches = self._batches()

    def _batches(self) -> Any:
        while True:
            yield from self.loader

    def go_to(self, steps: int, seconds: float = math.inf) -> bool:
        """Train up to ``steps`` steps of SGD, or return to where they once led.

        Args:
            seconds: when to pause, after one step at least; a next call goes on.

        Returns:
            Whether it is there.
        """
        end = time.monotonic() + seconds
        known = max(s for s in self.states if s <= steps)
        if steps < self.steps or known > self.steps:
            self.steps = known
            self.model.load_state_dict(self.states[known])
        optimizer = SGD(self.model.parameters(), lr=self.settings.lr)
        while self.steps < steps:
            x, labels = next(self.batches)
            optimizer.zero_grad()
            F.cross_entropy(self.model(x), labels).backward()
            optimizer.step()
            self.steps += 1
            if self.steps % EVERY == 0:
                self.states[self.steps] = state_of(self.model)
            if time.monotonic() > end:
                break
        return self.steps == steps

    def measure(self) -> tuple[list[LayerSeen], float, float]:
        """Each hidden layer, the loss and the accuracy, on 256 digits in training mode. Nothing of
        the network changes."""
        kept = state_of(self.model)
        passed: list[Passed] = []
        y = self.x
        for parts in self.hidden:
            y, layer = pass_through(y, parts)
            passed.append(layer)
        logits = self.model[-1](y)
        loss = F.cross_entropy(logits, self.labels)
        loss.backward()
        accuracy = float((logits.detach().argmax(1) == self.labels).float().mean().item())
        seen, theory = [], norm_of(passed[-1].z)
        for i in range(len(passed))[::-1]:
            if i + 1 < len(passed):
                above = passed[i + 1]
                n = above.weight.shape[1]
                chi = n * (above.weight**2).mean() * passed[i].slope * above.factor
                theory *= float(np.sqrt(chi))
            z = passed[i].z.detach().numpy().ravel()
            zones = np.bincount(np.searchsorted(EDGES, z), minlength=len(EDGES) + 1) / z.size
            seen.append(LayerSeen(tuple(map(float, zones)), norm_of(passed[i].z), theory))
        self.model.zero_grad()
        self.model.load_state_dict(kept)
        return seen[::-1], loss.item(), accuracy

    def verdict(self) -> Report:
        """What the doctor says of the network as it is, without training it."""
        optimizer = SGD(self.model.parameters(), lr=self.settings.lr)
        return diagnose(self.model, self.x, self.labels, optimizer=optimizer, steps=0)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the parameters and the buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def norm_of(z: Tensor) -> float:
    """|dL/dz|, 0 where nothing came back."""
    if z.grad is None:
        return 0.0
    return float(np.linalg.norm(z.grad.numpy().astype(np.float64)))

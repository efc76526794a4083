"""How mild may a disease be? Networks with more and more of it, and whether they still learn.

For each dose: how often the doctor names the disease, and the loss after some training steps on the
batch, which says how sick the network is. Nothing here is right or wrong; it shows where the limits
of the criteria lie.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.diagnostics import diagnose
from tests.diagnostics.ward import sick
from tests.diagnostics.ward.parts import Case, gauss, he, linears, mlp, sgd, xavier

STEPS = 300


def layers(n: float) -> Case:
    return sick.D(mlp(64, 10, int(n), 48, nn.Sigmoid, xavier), partial(sgd, lr=0.5))


def gain(size: float) -> Case:
    return sick.D(mlp(64, 10, 10, 48, nn.ReLU, gauss(size)))


def shift(size: float) -> Case:
    start = sick.bias(size, size + 1e-3, signs=True)
    return sick.D(mlp(64, 10, 3, 48, nn.Sigmoid, start), partial(sgd, lr=0.5))


def dead(share: float) -> Case:
    case = sick.D(mlp(64, 10, 3, 50, nn.ReLU, he))
    with mg.no_grad():
        linears(case.model)[1].bias[: round(50 * share)] = -40.0
    return case


def weak(size: float) -> Case:
    case = sick.D(mlp(64, 10, 5, 48, nn.ReLU, he))
    gauss(size)(linears(case.model)[2])
    return case


def scale(factor: float) -> Case:
    case = sick.D(mlp(64, 10, 2, 32, nn.ReLU, he))
    case.x = case.x * factor
    return case


def rate(lr: float) -> Case:
    return sick.D(mlp(64, 10, 2, 32, nn.ReLU, he), partial(sgd, lr=lr))


def batch(size: float) -> Case:
    case = sick.D(mlp(64, 10, 3, 32, nn.ReLU, he, nn.BatchNorm1d))
    case.x, case.labels = case.x[: int(size)], case.labels[: int(size)]
    return case


DOSES: dict[str, tuple[str, Callable[[float], Case], tuple[float, ...]]] = {
    "sigmoid layers, Xavier's weights": ("vanishing", layers, (2, 3, 4, 5, 6, 8)),
    "biases of sigmoid layers, 3 of them": ("vanishing-by-saturation", shift, (2, 4, 6, 8, 10)),
    "gain of 10 ReLU layers (He: 1.4)": ("exploding", gain, (1.4, 2, 2.5, 3, 4)),
    "share of units that are dead": ("dead-units", dead, (0.5, 0.7, 0.9, 0.96, 1.0)),
    "weights of one layer (He: 1.4)": ("bottleneck", weak, (1e-1, 1e-2, 1e-3, 1e-4)),
    "inputs from 0 to": ("unscaled-inputs", scale, (1, 5, 10, 16, 100)),
    "learning rate of SGD, high": ("rate-too-high", rate, (0.1, 1, 3, 10, 30)),
    "learning rate of SGD, low": ("rate-too-low", rate, (1e-2, 1e-3, 1e-4, 1e-5)),
    "samples in a batch": ("batch-too-small", batch, (2, 4, 6, 8, 16)),
}


def loss_after(case: Case) -> float:
    """The loss at the end of some steps; NaN if it is not finite."""
    loss = np.nan
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            case.model.zero_grad()
            tensor = case.loss(case.model(case.x), case.labels)
            loss = tensor.item()
            if not np.isfinite(loss):
                return np.nan
            tensor.backward()
            case.optimizer.step()
    return float(loss)


def measure(seeds: int) -> dict[str, list[dict[str, Any]]]:
    """For each dose how often the disease is named, and the median loss after training."""
    found: dict[str, list[dict[str, Any]]] = {}
    for what, (kind, build, doses) in DOSES.items():
        found[what] = []
        for dose in doses:
            named, losses = 0, []
            for seed in range(seeds):
                mg.manual_seed(seed)
                case = build(dose)
                named += kind in diagnose(**case.arguments()).kinds
                losses.append(loss_after(case))
            middle = float(np.median(losses)) if np.isfinite(losses).all() else None
            found[what].append({"dose": dose, "named": named, "loss": middle})
    return found

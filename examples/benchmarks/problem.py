"""The one training problem that every contender of ``benchmark_cpu.py`` gets: same data, same first
weights, same network, so that their losses must agree before their times are compared."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Problem:
    """depth x (Linear, BatchNorm if wanted, Sigmoid), a linear head, softmax cross-entropy."""

    batch: int
    width: int
    batchnorm: bool = True
    optimizer: str = "SGD"
    depth: int = 20
    inputs: int = 64
    classes: int = 10

    @property
    def lr(self) -> float:
        """Small, so that hundreds of steps on one batch leave all numbers ordinary."""
        return 0.01 if self.optimizer == "SGD" else 1e-4

    @property
    def widths(self) -> list[int]:
        """The number of units before the first layer, and after each layer."""
        return [self.inputs, *[self.width] * self.depth, self.classes]

    @cached_property
    def data(self) -> tuple[Array, Array]:
        """Samples (batch, inputs) in float32, and labels (batch,)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch, self.inputs)).astype(np.float32)
        return x, rng.integers(0, self.classes, self.batch)

    @cached_property
    def weights(self) -> list[tuple[Array, Array]]:
        """Weight (out, in) and bias (out,) of each Linear, the head last, in float32.

        Weights of standard deviation 4 / sqrt(in) make up for the sigmoid's slope. With small ones
        and no BatchNorm, gradients would shrink until their squares (in Adam) are subnormal
        numbers, and the benchmark would measure how slowly processors multiply those.
        """
        rng = np.random.default_rng(1)
        layers = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            weight = rng.standard_normal((fan_out, fan_in)) * (4 / math.sqrt(fan_in))
            bias = rng.standard_normal(fan_out) * 0.1
            layers.append((weight.astype(np.float32), bias.astype(np.float32)))
        return layers

    @property
    def gemm_flops(self) -> int:
        """Floating-point operations in the matrix products of a step: three per Linear (forward,
        and the gradients of weight and input), but two in the first, whose input needs none."""
        products = [
            2 * self.batch * m * n for m, n in zip(self.widths, self.widths[1:], strict=False)
        ]
        return 3 * sum(products) - products[0]

    @property
    def stream_floats(self) -> int:
        """Numbers that the rest of a step must read or write if each module makes one pass.

        Forward: BatchNorm and Sigmoid read and write once, and so does adding the bias. Backward:
        each reads the gradient and what it kept, and writes the gradient before it; that of the
        bias is read once more. SGD reads weight and gradient and writes the weight.
        """
        modules = 3 if self.batchnorm else 2
        per_unit = 2 * modules + 3 * (modules - 1) + 1
        parameters = sum(m * n + n for m, n in zip(self.widths, self.widths[1:], strict=False))
        return per_unit * self.batch * self.width * self.depth + 3 * parameters

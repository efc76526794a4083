"""Who takes part in ``benchmark_gpu.py``: the same network in minigrad and in PyTorch, on the GPU.

A contender is built once for a problem and started anew for each optimiser, because compiling a
network takes PyTorch longer than timing it. ``step(i)`` hands out one training step on the i-th set
of inputs and waits for nothing.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from problem import Array, Problem

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim

SETS = 4  # of inputs, taken in turns: none is still in the cache from the step before


def inputs(problem: Problem, seed: int) -> list[tuple[Array, Array]]:
    """Fresh samples and labels; a seed of its own for each run."""
    rng = np.random.default_rng(seed)
    shape = problem.batch, problem.inputs
    return [
        (rng.standard_normal(shape, np.float32), rng.integers(0, problem.classes, problem.batch))
        for _ in range(SETS)
    ]


class Minigrad:
    """Modules, loss and optimiser as in the README; ``fused`` by ``nn.fuse``; ``captured`` by
    ``mg.capture``, for each optimiser and precision anew."""

    def __init__(
        self, problem: Problem, data: list[tuple[Array, Array]], fused: bool, captured: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for weight, bias in problem.weights:
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            with mg.no_grad():
                linear.weight.copy_(mg.tensor(weight, device="cpu"))
                linear.bias.copy_(mg.tensor(bias, device="cpu"))
            layers += [linear, nn.BatchNorm1d(problem.width), nn.Sigmoid()]
        model = nn.Sequential(*layers[:-2]).to("cuda")
        self.model = nn.fuse(model) if fused else model
        self.sets = [tuple(mg.tensor(part, device="cuda") for part in pair) for pair in data]
        self.beginning = copy.deepcopy(self.model.state_dict())
        self.captured = captured

    def start(self, problem: Problem) -> None:
        """The first weights again, and a new optimiser.

        Raises:
            RuntimeError: the step is to be captured, and cannot be.
        """
        self.model.load_state_dict(self.beginning)
        self.model.zero_grad()
        kind: Any = {"SGD": optim.SGD, "Adam": optim.Adam}[problem.optimizer]
        self.optimizer = kind(self.model.parameters(), lr=problem.lr)
        self.compute: Callable[..., Any] = self.forward_and_backward
        if self.captured:
            self.compute = mg.capture(self.forward_and_backward, *self.sets[0], model=self.model)

    def forward_and_backward(self, x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        """The loss, and the gradients."""
        self.model.zero_grad()
        loss = F.cross_entropy(self.model(x), labels)
        loss.backward()
        return loss

    def step(self, i: int) -> Any:
        """One step; the loss, still on the GPU."""
        loss = self.compute(*self.sets[i % SETS])
        self.optimizer.step()
        return loss.detach()

    event: Callable[[], Any] = staticmethod(mg.cuda.Event)
    synchronize: Callable[[], Any] = staticmethod(mg.cuda.synchronize)


class Torch:
    """The same program in PyTorch, run eagerly or through ``torch.compile``; its optimisers as they
    come (one launch for many parameters)."""

    device = "cuda"

    def __init__(self, problem: Problem, data: list[tuple[Array, Array]], compiled: bool) -> None:
        import torch

        self.torch = torch
        layers: list[Any] = []
        for weight, bias in problem.weights:
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight))
                linear.bias.copy_(torch.from_numpy(bias))
            layers += [linear, torch.nn.BatchNorm1d(problem.width), torch.nn.Sigmoid()]
        self.model = torch.nn.Sequential(*layers[:-2]).to(self.device)
        self.sets = [tuple(torch.from_numpy(a).to(self.device) for a in pair) for pair in data]
        self.beginning = copy.deepcopy(self.model.state_dict())
        self.loss = self.forward
        if compiled:  # anew for each problem: after a few shapes, PyTorch would give up on more
            torch.compiler.reset()
            self.loss = torch.compile(self.forward, dynamic=False, fullgraph=True)

    def forward(self, x: Any, labels: Any) -> Any:
        """The loss."""
        return self.torch.nn.functional.cross_entropy(self.model(x), labels)

    def start(self, problem: Problem) -> None:
        """See ``Minigrad``."""
        self.model.load_state_dict(self.beginning)
        self.model.zero_grad()
        kind = getattr(self.torch.optim, problem.optimizer)
        self.optimizer = kind(self.model.parameters(), lr=problem.lr)

    def step(self, i: int) -> Any:
        """See ``Minigrad``."""
        x, labels = self.sets[i % SETS]
        self.optimizer.zero_grad()
        loss = self.loss(x, labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def event(self) -> Any:
        """A moment in the GPU's work."""
        return self.torch.cuda.Event(enable_timing=True)

    def synchronize(self) -> None:
        """Wait for the GPU."""
        self.torch.cuda.synchronize()


MAKERS: dict[str, Callable[[Problem, list[tuple[Array, Array]]], Any]] = {
    "minigrad": lambda problem, data: Minigrad(problem, data, fused=False),
    "fused": lambda problem, data: Minigrad(problem, data, fused=True),
    "captured": lambda problem, data: Minigrad(problem, data, fused=True, captured=True),
    "eager": lambda problem, data: Torch(problem, data, compiled=False),
    "compile": lambda problem, data: Torch(problem, data, compiled=True),
}


def missing_torch() -> str | None:
    """Why PyTorch cannot take part, if it cannot."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed"
    return None if torch.cuda.is_available() else "this PyTorch sees no GPU"


def set_precision(precision: str, with_torch: bool) -> None:
    """Of float32 matrix products, on both sides: "highest", or "high" for TF32."""
    mg.set_float32_matmul_precision(precision)
    if with_torch:
        import torch

        torch.set_float32_matmul_precision(precision)

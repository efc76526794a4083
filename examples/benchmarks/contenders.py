"""The contenders of ``benchmark_cpu.py``: the same training step in minigrad, in PyTorch and, where
they are installed, in other frameworks on NumPy; and the two things that bound any of them.

Each function takes a ``Problem`` and returns ``step``: called without arguments, it trains the
network once on the whole batch and returns the loss as whatever its framework calls a number.
Each is written as the documentation of its framework would have it.
"""

import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, pairwise
from typing import Any

import numpy as np
from floor import Floor
from problem import Problem

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim

Step = Callable[[], Any]


def loss_value(loss: Any) -> float:
    """A loss, of any framework, as a number."""
    return float(loss.item() if hasattr(loss, "item") else getattr(loss, "data", loss))


# ------------------------------------------------------------------ minigrad, PyTorch, the floor


def minigrad(problem: Problem, fused: bool = False, captured: bool = False) -> Step:
    """With minigrad's modules and optimisers."""
    model = _sequential(nn, problem)
    with mg.no_grad():
        for linear, (weight, bias) in zip(_linears(nn, model), problem.weights, strict=True):
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
    if fused:
        model = nn.fuse(model)
    optimizer = getattr(optim, problem.optimizer)(model.parameters(), lr=problem.lr)
    x, y = (mg.tensor(array) for array in problem.data)

    def compute(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    if captured:
        replay = mg.capture(compute, x, y, model=model, optimizer=optimizer)
        return lambda: replay(x, y)

    def step() -> mg.Tensor:
        loss = compute(x, y)
        optimizer.step()
        return loss

    return step


def captured(problem: Problem) -> Step:
    """The fused network, its step captured and replayed."""
    return minigrad(problem, fused=True, captured=True)


def fused(problem: Problem) -> Step:
    """The same after ``nn.fuse``."""
    return minigrad(problem, fused=True)


def torch(problem: Problem, compiled: bool = False) -> Step:
    """With PyTorch's modules and optimisers, run eagerly."""
    import torch

    model = _sequential(torch.nn, problem)
    with torch.no_grad():
        for linear, layer in zip(_linears(torch.nn, model), problem.weights, strict=True):
            weight, bias = (torch.tensor(array) for array in layer)
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
    optimizer = getattr(torch.optim, problem.optimizer)(model.parameters(), lr=problem.lr)
    x, y = (torch.tensor(array) for array in problem.data)

    if compiled:
        model = torch.compile(model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_compile(problem: Problem) -> Step:
    """The same with the network compiled; needs a C++ compiler."""
    return torch(problem, compiled=True)


def jax(problem: Problem) -> Step:
    """JAX: forward, backward, running statistics and update in one function, compiled by XLA, which
    may write over the old parameters. SGD, or Adam written out."""
    import jax
    import jax.numpy as jnp

    depth, eps, lr = problem.depth, 1e-5, problem.lr
    gamma, beta = _gamma_beta(problem)
    parameters = (
        [[w, b] for w, b in problem.weights],
        [list(pair) for pair in zip(gamma, beta, strict=True)],
    )
    zeros = [np.zeros(problem.width, np.float32) for _ in gamma]
    ones = [np.ones(problem.width, np.float32) for _ in gamma]
    x, y = (jnp.asarray(array) for array in problem.data)
    n = problem.batch

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        linears, affine = parameters
        met, h = [], x
        for i in range(depth):
            h = h @ linears[i][0].T + linears[i][1]
            if problem.batchnorm:
                mean = h.mean(0)
                centred = h - mean
                var = (centred * centred).mean(0)
                met.append((mean, var))
                h = affine[i][0] * (centred / jnp.sqrt(var + eps)) + affine[i][1]
            h = jax.nn.sigmoid(h)
        log_p = jax.nn.log_softmax(h @ linears[-1][0].T + linears[-1][1])
        return -log_p[jnp.arange(n), y].mean(), met

    def update(state: Any, x: Any, y: Any) -> Any:
        parameters, running, moments, t = state
        (loss, met), grads = jax.value_and_grad(loss_of, has_aux=True)(parameters, x, y)
        running = [
            (0.9 * m + 0.1 * mean, 0.9 * v + (0.1 * n / (n - 1)) * var)
            for (m, v), (mean, var) in zip(running, met, strict=True)
        ]
        tree, t = jax.tree_util.tree_map, t + 1
        if problem.optimizer == "SGD":
            return (tree(lambda w, g: w - lr * g, parameters, grads), running, moments, t), loss
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
        rate, root = lr / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        parameters = tree(
            lambda w, m, v: w - rate * (m / (jnp.sqrt(v) / root + 1e-8)), parameters, first, second
        )
        return (parameters, running, (first, second), t), loss

    copied = jax.tree_util.tree_map(jnp.array, parameters)
    none = jax.tree_util.tree_map(jnp.zeros_like, copied)
    twice = (none, jax.tree_util.tree_map(jnp.array, none)) if problem.optimizer == "Adam" else ()
    running = [tuple(map(jnp.array, pair)) for pair in zip(zeros, ones, strict=True)]
    state = [(copied, running, twice, jnp.zeros(()))]
    compiled = jax.jit(update, donate_argnums=0)

    def step() -> Any:
        state[0], loss = compiled(state[0], x, y)
        return loss.block_until_ready()

    return step


def _sequential(modules: Any, problem: Problem) -> Any:
    """The network, of minigrad's modules or of PyTorch's, which have the same names."""
    layers = []
    for m, n in pairwise(problem.widths[:-1]):
        layers.append(modules.Linear(m, n))
        if problem.batchnorm:
            layers.append(modules.BatchNorm1d(n))
        layers.append(modules.Sigmoid())
    return modules.Sequential(*layers, modules.Linear(problem.widths[-2], problem.classes))


def _linears(modules: Any, model: Any) -> list[Any]:
    return [layer for layer in model if isinstance(layer, modules.Linear)]


def floor(problem: Problem) -> Step:
    """By hand, without an engine: see ``floor.py``."""
    return Floor(problem).step


# ------------------------------------------------------------------------------- what bounds them


def gemm(problem: Problem) -> Step:
    """The matrix products of a step alone, by NumPy, each layer with arrays of its own."""
    x = problem.data[0]
    jobs = []
    for weight, _ in problem.weights:
        y = np.empty((len(x), len(weight)), np.float32)
        dy = np.ones_like(y)
        dx = np.empty_like(x) if jobs else None  # the samples need no gradient
        jobs.append((x, weight, y, dy, np.empty_like(weight), dx))
        x = np.ones_like(y)

    def step() -> float:
        for x, weight, y, _, _, _ in jobs:
            np.dot(x, weight.T, y)
        for x, weight, _, dy, dw, dx in reversed(jobs):
            np.dot(dy.T, x, dw)
            if dx is not None:
                np.dot(dy, weight, dx)
        return 0.0

    return step


def stream(problem: Problem) -> Step:
    """As many numbers read and written as a step must, beside its matrix products, through memory.

    Copies between arrays of (batch, width), of which there are as many as the step keeps: what fits
    into the cache there fits here too.
    """
    shape = (problem.batch, problem.width)
    per_layer = 2 + problem.batchnorm  # kept for backward: the outputs of the modules
    ring = [np.ones(shape, np.float32) for _ in range(per_layer * problem.depth)]
    copies = max(1, problem.stream_floats // (2 * problem.batch * problem.width))
    pairs = cycle(list(pairwise([*ring, ring[0]])))

    def step() -> float:
        for _, (source, target) in zip(range(copies), pairs, strict=False):
            np.copyto(target, source)
        return 0.0

    return step


# ------------------------------------------------------------------------ other NumPy frameworks


def dezero(problem: Problem) -> Step:
    """DeZero's layers and optimiser. Its layers keep weights as (in, out)."""
    if not hasattr(np, "int"):  # removed in NumPy 1.24, and named by DeZero 0.0.13 when imported
        np.int = int  # type: ignore[attr-defined]
    import dezero.functions as df
    import dezero.layers as dl
    from dezero import Model, Variable, optimizers

    model = Model()
    layers = []
    for i, (weight, bias) in enumerate(problem.weights):
        linear = dl.Linear(len(weight), in_size=weight.shape[1])
        linear.W.data, linear.b.data = weight.T.copy(), bias.copy()
        setattr(model, f"linear{i}", linear)
        layers.append(linear)
        if i < problem.depth:
            if problem.batchnorm:
                norm = dl.BatchNorm()
                setattr(model, f"norm{i}", norm)
                layers.append(norm)
            layers.append(df.sigmoid)
    rate = {"SGD": "lr", "Adam": "alpha"}[problem.optimizer]
    optimizer = getattr(optimizers, problem.optimizer)(**{rate: problem.lr}).setup(model)
    x, y = (Variable(array) for array in problem.data)

    def step() -> Any:
        h = x
        for layer in layers:
            h = layer(h)
        loss = df.softmax_cross_entropy(h, y)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step


def autograd(problem: Problem) -> Step:
    """HIPS autograd: BatchNorm written out (it has no layers), running statistics left out."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    _only_sgd("autograd", problem)
    x, y = problem.data
    rows = np.arange(problem.batch)
    parameters = [array.copy() for layer in problem.weights for array in layer]
    gamma, beta = _gamma_beta(problem)
    parameters += gamma + beta
    depth, eps = problem.depth, np.float32(1e-5)

    def loss_of(parameters: list[Any]) -> Any:
        linears, affine = parameters[: 2 * depth + 2], parameters[2 * depth + 2 :]
        h = x
        for i in range(depth):
            h = anp.dot(h, linears[2 * i].T) + linears[2 * i + 1]
            if problem.batchnorm:
                centred = h - anp.mean(h, axis=0)
                var = anp.mean(centred * centred, axis=0)
                h = affine[i] * (centred / anp.sqrt(var + eps)) + affine[depth + i]
            h = 0.5 * anp.tanh(0.5 * h) + 0.5
        z = anp.dot(h, linears[-2].T) + linears[-1]
        z = z - anp.max(z, axis=1, keepdims=True)
        log_p = z - anp.log(anp.sum(anp.exp(z), axis=1, keepdims=True))
        return -anp.mean(log_p[rows, y])

    loss_and_gradient = value_and_grad(loss_of)

    def step() -> Any:
        loss, gradients = loss_and_gradient(parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= problem.lr * gradient
        return loss

    return step


def mygrad(problem: Problem) -> Step:
    """MyGrad's functions; it has neither optimisers nor running statistics."""
    import mygrad as other
    from mygrad.nnet.activations import sigmoid
    from mygrad.nnet.layers import batchnorm
    from mygrad.nnet.losses import softmax_crossentropy

    _only_sgd("mygrad", problem)
    x, y = problem.data
    linears = [tuple(other.tensor(array) for array in layer) for layer in problem.weights]
    affine = [tuple(map(other.tensor, pair)) for pair in zip(*_gamma_beta(problem), strict=True)]
    parameters = [p for layer in (*linears, *affine) for p in layer]

    def step() -> Any:
        h: Any = x
        for i, (weight, bias) in enumerate(linears):
            h = other.matmul(h, weight.T) + bias
            if i < problem.depth:
                if problem.batchnorm:
                    gamma, beta = affine[i]
                    h = batchnorm(h, gamma=gamma, beta=beta, eps=1e-5)
                h = sigmoid(h)
        loss = softmax_crossentropy(h, y)
        loss.backward()
        for parameter in parameters:
            parameter.data -= problem.lr * parameter.grad
        return loss

    return step


def pydynet(problem: Problem) -> Step:
    """PyDyNet's modules and optimiser. Its layers keep weights as (in, out)."""
    import pydynet as pdn
    from pydynet import nn as layers_of
    from pydynet.optim import SGD

    _only_sgd("pydynet", problem)
    layers = []
    for i, (weight, bias) in enumerate(problem.weights):
        linear = layers_of.Linear(weight.shape[1], len(weight), dtype=np.float32)
        linear.weight.data[...], linear.bias.data[...] = weight.T, bias
        layers.append(linear)
        if i < problem.depth:
            if problem.batchnorm:
                layers.append(layers_of.BatchNorm1d(problem.width, eps=1e-5, dtype=np.float32))
            layers.append(layers_of.Sigmoid())
    parameters = [p for layer in layers for p in layer.parameters()]
    optimizer = SGD(parameters, lr=problem.lr, momentum=0, nesterov=False)
    cross_entropy = layers_of.CrossEntropyLoss()
    x, y = pdn.Tensor(problem.data[0], dtype=np.float32), pdn.Tensor(problem.data[1])

    def step() -> Any:
        h = x
        for layer in layers:
            h = layer(h)
        loss = cross_entropy(h, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _gamma_beta(problem: Problem) -> tuple[list[Any], list[Any]]:
    """Scales and shifts of the BatchNorms, as they start; none without BatchNorm."""
    layers = problem.depth if problem.batchnorm else 0
    ones = [np.ones(problem.width, np.float32) for _ in range(layers)]
    return ones, [np.zeros_like(one) for one in ones]


def _only_sgd(name: str, problem: Problem) -> None:
    if problem.optimizer != "SGD":
        raise ValueError(f"{name}: the step is written for SGD, got {problem.optimizer}")


# -------------------------------------------------------------------------------------- the table

CONTENDERS: dict[str, Callable[[Problem], Step]] = {
    "minigrad": minigrad, "fused": fused, "captured": captured, "torch": torch, "jax": jax,
    "torch_compile": torch_compile, "floor": floor, "gemm": gemm,
    "stream": stream, "dezero": dezero, "autograd": autograd, "mygrad": mygrad, "pydynet": pydynet,
}  # fmt: skip
PARTS = ("gemm", "stream")
PEERS = ("dezero", "autograd", "mygrad", "pydynet")
COMPILERS = ("jax", "torch_compile")
OWN = ("minigrad", "fused", "captured", "floor", *PARTS)


def missing(name: str) -> str | None:
    """Why a contender cannot take part, or None."""
    if name in OWN:
        return None
    if name == "torch_compile" and shutil.which("c++") is None:
        return "needs a C++ compiler"
    try:
        version({"torch_compile": "torch"}.get(name, name))
    except PackageNotFoundError:
        return f"not installed (pip install {name})"
    return None

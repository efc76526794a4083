"""The same code on either library: equal numbers, no hidden synchronisation, few launches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import functional as F
from tests.devices import cuda, device, strict
from tests.strict_cupy.stand_in import counted

__all__ = ["cuda", "device", "strict"]  # fixtures

Function = Callable[..., mg.Tensor]


def drawn(*shape: int, low: float = -2.0, high: float = 2.0) -> tuple[Any, ...]:
    return shape, low, high


X, Y, ROW = drawn(3, 4), drawn(3, 4), drawn(4)
POSITIVE = drawn(3, 4, low=0.3)
LABELS = np.array([2, 0, 3])
PICKS = np.array([[1, 0, 3, 3], [2, 2, 0, 1]])
FOUR = np.array([0.5, 2.0, 1.5, 3.0])
TRUE = np.array([[True, False, True, True], [False, True, False, True], [True, True, False, False]])


def put(x: mg.Tensor, value: Any) -> mg.Tensor:
    """A host constant beside ``x``."""
    return mg.tensor(value, device=x.device)


# Each is a function of Tensors and the shapes and ranges of its inputs.
OPERATIONS: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "add": (lambda a, b: a + b, (X, ROW)),
    "sub": (lambda a, b: 1 - (a - b), (X, ROW)),
    "mul": (lambda a, b: a * b * 3, (X, ROW)),
    "div": (lambda a, b: 2 / (a / b / 3), (POSITIVE, POSITIVE)),
    "pow": (lambda a, b: a**b, (POSITIVE, Y)),
    "pow, numbers": (lambda a: a**3 + 2**a + a**-0.5, (POSITIVE,)),
    "maximum": (lambda a, b: F.maximum(a, b) * F.minimum(a, b), (X, ROW)),
    "maximum of numbers": (lambda a: a.maximum(0.5) * F.minimum(a, -1), (X,)),
    "quotient and remainder": (lambda a, b: a // b + a % b * (7 % a), (POSITIVE, POSITIVE)),
    "0 ** x": (lambda a: 0**a, (POSITIVE,)),
    "masks": (lambda a: F.where((a > 0) & ~(a > 2) | (a < -1) ^ True, a, 2 * a), (X,)),
    "two numbers": (lambda a: a * F.where(a > 0, 1, 2.5).to(a.dtype), (X,)),
    "one_hot": (lambda a: a * F.one_hot(put(a, [3, 1, 0])).to(a.dtype), (X,)),
    "clamp": (lambda a: a.clamp(-1, 1), (X,)),
    "where": (lambda a, b: F.where(put(a, TRUE), a, b) + F.where(a > 0, a, 0.0), (X, Y)),
    "exp, log, sqrt": (lambda a: a.exp() * a.log() + a.sqrt() * a.rsqrt(), (POSITIVE,)),
    "sin, cos, abs": (lambda a: a.sin() * a.cos() + abs(a) - a.square() * -a, (X,)),
    "reciprocal": (lambda a: a.reciprocal(), (POSITIVE,)),
    "sigmoid": (lambda a: a.sigmoid(), (X,)),
    "tanh": (lambda a: a.tanh(), (X,)),
    "relu": (lambda a: a.relu() * a, (X,)),
    "leaky_relu": (lambda a: F.leaky_relu(a, 0.2) * a, (X,)),
    "elu": (lambda a: F.elu(a, 1.3), (X,)),
    "gelu": (lambda a: F.gelu(a), (X,)),
    "gelu, tanh": (lambda a: F.gelu(a, approximate="tanh"), (X,)),
    "silu": (lambda a: F.silu(a), (X,)),
    "softplus": (lambda a: F.softplus(a, 2.0, 1.5), (X,)),
    "softmax": (lambda a: a.softmax(1) + a.log_softmax(0), (X,)),
    "sum, mean": (lambda a: a.sum(0) * a.mean(1, keepdim=True), (X,)),
    "var, std": (lambda a: a.var(0) * a.std((0, 1)), (X,)),
    "amax, amin": (lambda a: a.amax(0) * a.amin((0, 1)), (X,)),
    "logsumexp": (lambda a: a.logsumexp(1), (X,)),
    "cumsum": (lambda a: a.cumsum(1).square(), (X,)),
    "in float32": (
        lambda a: (a.sum(0, dtype="float32") * a.float()).mean(dtype=a.dtype),
        (X,),
    ),
    "reductions of one number": (lambda a: a.sum().amax() + a.mean().logsumexp(0), (X,)),
    "matmul": (lambda a, b: a @ b, (drawn(2, 3, 4), drawn(4, 5))),
    "matmul, vectors": (lambda a, b: (a @ b) * b.sum(), (X, ROW)),
    "outer": (lambda a, b: a.outer(b), (drawn(3), ROW)),
    "linear": (lambda x, w, b: F.linear(x, w, b), (X, drawn(5, 4), drawn(5))),
    "linear, stacked": (lambda x, w: F.linear(x, w), (drawn(2, 3, 4), drawn(5, 4))),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, groups=2),
        (drawn(2, 4, 5, 4), drawn(6, 2, 3, 3), drawn(6)),
    ),
    "conv1d": (lambda x, w: F.conv1d(x, w, dilation=2), (drawn(2, 3, 7), drawn(4, 3, 2))),
    "pooling": (
        lambda x: F.max_pool2d(x, 2, padding=1).sum() * F.avg_pool2d(x, 3, 1),
        (drawn(2, 2, 4, 5),),
    ),
    "fold": (lambda x: F.fold(x, 4, 2), (drawn(2, 8, 9),)),
    "reshape": (lambda a: a.reshape(2, -1).flatten() * a.unsqueeze(0).squeeze().reshape(12), (X,)),
    "transpose": (lambda a, b: a.T @ b.permute(0, 1) + a.mT @ b, (X, Y)),
    "expand": (lambda a: a.expand(3, 4) * a, (drawn(1, 4),)),
    "cat": (lambda a, b: F.cat([a, b, a], 1) * F.stack([a, b, b]).sum(), (X, Y)),
    "split": (lambda a: a.split(3, 1)[0] * a.chunk(2, 1)[1].sum(), (X,)),
    "slices": (lambda a: a[1:, ::2] * a[0, None, :2] + a[..., -1].sum(), (X,)),
    "an integer beside arrays": (
        lambda a: a.reshape(3, 2, 2)[1, :, put(a, [1, 0, 1])] + a[put(a, 2), 0],
        (X,),
    ),
    "rows named twice": (lambda a: a[[2, 0, 2]] * a[put(a, [1, 1, 0])], (X,)),
    "gather": (lambda a: a.gather(1, put(a, PICKS)).square(), (X,)),
    "embedding": (lambda w: F.embedding(put(w, [[1, 0], [1, 2]]), w, padding_idx=0), (X,)),
    "batch_norm": (
        lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True),
        (drawn(6, 4), ROW, ROW),
    ),
    "batch_norm, images": (
        lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True),
        (drawn(3, 4, 2, 2), ROW, ROW),
    ),
    "batch_norm, eval": (
        lambda x, g, b: F.batch_norm(x, put(x, FOUR), put(x, FOUR * FOUR), g, b),
        (drawn(6, 4), ROW, ROW),
    ),
    "layer_norm": (lambda x, g, b: F.layer_norm(x, (4,), g, b), (X, ROW, ROW)),
    "group_norm": (lambda x, g, b: F.group_norm(x, 2, g, b), (X, ROW, ROW)),
    "rms_norm": (lambda x, g: F.rms_norm(x, 4, g), (X, ROW)),
    "cross_entropy": (lambda x: F.cross_entropy(x, put(x, LABELS)), (X,)),
    "cross_entropy, sum": (
        lambda x: F.cross_entropy(x, put(x, [2, -100, 3]), reduction="sum", label_smoothing=0.1),
        (X,),
    ),
    "cross_entropy, probabilities": (
        lambda x, t: F.cross_entropy(x, t.softmax(1)),
        (X, Y),
    ),
    "cross_entropy, nothing": (
        lambda x: F.cross_entropy(x, put(x, [-100] * 3)).amax() + x.sum(),
        (X,),
    ),
    "nll_loss": (
        lambda x: F.nll_loss(x.log_softmax(1), put(x, LABELS), weight=put(x, FOUR)),
        (X,),
    ),
    "mse_loss": (lambda a, b: F.mse_loss(a, b), (X, Y)),
    "huber_loss": (lambda a, b: F.huber_loss(a, b, delta=0.7), (X, Y)),
    "binary_cross_entropy_with_logits": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, t.sigmoid(), pos_weight=put(x, FOUR)),
        (X, Y),
    ),
    "dropout": (lambda x: F.dropout(x, 0.4), (X,)),
}  # fmt: skip


def through(
    function: Function, inputs: list[np.ndarray[Any, Any]], seeds: list[Any], on: str
) -> list[np.ndarray[Any, Any]]:
    """The output, its gradients, and the gradients of a random combination of those."""
    mg.manual_seed(5)
    x = [mg.tensor(a, device=on, requires_grad=True) for a in inputs]
    y = function(*x)
    seed = mg.tensor(np.resize(seeds[0], y.shape), device=on)
    first = mg.grad(y, x, seed, create_graph=True)
    mixed = sum((g * mg.tensor(s, device=on)).sum() for g, s in zip(first, seeds[1:], strict=True))
    results = [y, *first]
    if mixed.requires_grad:
        second = mg.grad(mixed, x, allow_unused=True)
        results += [g for g in second if g is not None]
    (function(*x) * seed).sum().backward()
    results += [a.grad for a in x]
    assert all(r.device == mg.device(on) for r in results)
    return [r.detach().cpu().numpy() for r in results]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_the_numbers_of_the_cpu(
    name: str, strict: str, rng: np.random.Generator
) -> None:
    function, shapes = OPERATIONS[name]
    inputs = [rng.uniform(low, high, shape) for shape, low, high in shapes]
    seeds = [rng.standard_normal(64), *(rng.standard_normal(a.shape) for a in inputs)]
    here, there = (through(function, inputs, seeds, on) for on in ("cpu", strict))
    for expected, got in zip(here, there, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


# ------------------------------------------------------------------------------- a training step

DEPTH, WIDTH, BATCH, CLASSES = 20, 16, 32, 10


class Network:
    """Linear - BatchNorm - Sigmoid, twenty times, and a linear head; trained by plain descent."""

    def __init__(self, on: str) -> None:
        mg.manual_seed(11)
        self.layers = [
            {
                "weight": mg.randn(WIDTH, WIDTH, device=on).requires_grad_(),
                "bias": mg.randn(WIDTH, device=on).requires_grad_(),
                "gamma": (mg.rand(WIDTH, device=on) + 0.5).detach().requires_grad_(),
                "beta": mg.randn(WIDTH, device=on).requires_grad_(),
                "running": (mg.zeros(WIDTH, device=on), mg.ones(WIDTH, device=on)),
            }
            for _ in range(DEPTH)
        ]
        self.head = mg.randn(CLASSES, WIDTH, device=on).requires_grad_()
        self.parameters = [self.head]
        for layer in self.layers:
            self.parameters += [p for p in layer.values() if isinstance(p, mg.Tensor)]

    def loss(self, x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        for layer in self.layers:
            x = F.linear(x, layer["weight"], layer["bias"])
            x = F.batch_norm(
                x, *layer["running"], layer["gamma"], layer["beta"], training=True
            ).sigmoid()
        return F.cross_entropy(F.linear(x, self.head), labels)

    def step(self, x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        for p in self.parameters:
            p.grad = None
        loss = self.loss(x, labels)
        loss.backward()
        with mg.no_grad():
            for p in self.parameters:
                p.sub_(p.grad, alpha=0.05)
        return loss.detach()


def batch(on: str) -> tuple[mg.Tensor, mg.Tensor]:
    mg.manual_seed(12)
    return mg.randn(BATCH, WIDTH, device=on), mg.randint(0, CLASSES, (BATCH,), device=on)


def test_a_training_step_gives_the_numbers_of_the_cpu(strict: str) -> None:
    here, there = Network("cpu"), Network(strict)
    for _ in range(3):
        losses = [net.step(*batch(on)).cpu() for net, on in ((here, "cpu"), (there, strict))]
        np.testing.assert_allclose(losses[1].numpy(), losses[0].numpy(), rtol=1e-5)
    for p, q in zip(here.parameters, there.parameters, strict=True):
        np.testing.assert_allclose(
            q.detach().cpu().numpy(), p.detach().numpy(), rtol=1e-3, atol=1e-5
        )


def test_a_training_step_launches_no_more_than_this(strict: str) -> None:
    net, (x, labels) = Network(strict), batch(strict)
    net.step(x, labels)
    with counted() as launches:
        net.step(x, labels)
    assert launches.total() <= 1500, launches


def test_what_is_on_the_host_is_put_on_the_default_device(strict: str) -> None:
    array, here = np.ones(3), mg.ones(3)
    mg.set_default_device(strict)
    try:
        assert mg.tensor(array).device == mg.tensor([1.0]).device == "cuda:0"
        assert mg.tensor(array, device="cpu").device == "cpu"
        assert mg.tensor(here).device == "cpu", "a Tensor has a device already"
        assert mg.tensor(mg.ones(3, device="cuda:1").data).device == "cuda:1"
        assert mg.from_numpy(array).device == "cpu", "it shares its memory"
    finally:
        mg.set_default_device(None)


NORMS: dict[str, Callable[[mg.Tensor], mg.Tensor]] = {
    "layer_norm": lambda a: F.layer_norm(a, (4,)),
    "group_norm": lambda a: F.group_norm(a.reshape(3, 2, 2), 1).reshape(3, 4),
    "rms_norm": lambda a: F.rms_norm(a, 4),
}


@pytest.mark.parametrize("size", [1e18, 1e20, 3e38])
@pytest.mark.parametrize("name", NORMS)
def test_the_squares_may_leave_the_range_of_float32(strict: str, name: str, size: float) -> None:
    """Beside ordinary rows, and rows that are not finite, which stay so."""
    x = np.array([[-1.0, 0.5, 0.3, -0.8], [1.0, -0.25, 0.75, 0.9], [0.3, 0.4, -0.9, 0.2]])
    x[:2] *= size
    cotangent = np.array([[0.3, -1.2, 0.8, 0.4], [-0.5, 1.1, 1.7, 0.2], [0.7, -0.4, 0.9, 1.3]])
    wide = mg.tensor(x, dtype=mg.float64, requires_grad=True)
    single = mg.tensor(x, dtype=mg.float32, device=strict, requires_grad=True)
    y, z = NORMS[name](wide), NORMS[name](single)
    (exact,) = mg.grad(y, wide, mg.tensor(cotangent))
    (gradient,) = mg.grad(z, single, mg.tensor(cotangent, dtype=mg.float32, device=strict))
    np.testing.assert_allclose(z.detach().cpu().numpy(), y.detach().numpy(), rtol=2e-5, atol=1e-6)
    rows = np.array([[size], [size], [1.0]])
    np.testing.assert_allclose(
        gradient.cpu().numpy() * rows, exact.numpy() * rows, rtol=1e-4, atol=1e-6
    )
    x[0, 1] = np.inf
    bad = NORMS[name](mg.tensor(x, dtype=mg.float32, device=strict)).cpu().numpy()
    assert np.isnan(bad[0]).any()
    np.testing.assert_allclose(bad[1:], y.detach().numpy()[1:], rtol=2e-5, atol=1e-6)

"""Activation checkpointing: the numbers of an ordinary pass, in less memory."""

import tracemalloc

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.testing import gradcheck, gradgradcheck


def network(seed: int = 1, layers: int = 6, momentum: float | None = 0.1) -> nn.Sequential:
    mg.manual_seed(seed)
    parts = []
    for _ in range(layers):
        parts += [nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=momentum), nn.Sigmoid()]
        parts.append(nn.Dropout(0.2))
    return nn.Sequential(*parts)


def run(model, x, cotangent, segments):
    """The output, the gradients, the buffers, and what the generator gives afterwards."""
    mg.manual_seed(3)
    x = x.detach().requires_grad_()
    y = mg.checkpoint_sequential(model, segments, x) if segments else model(x)
    y.backward(cotangent)
    grads = [t.grad.numpy() for t in (x, *model.parameters())]
    return [y.detach().numpy(), *grads, *(b.numpy() for b in model.buffers()), mg.rand(3).numpy()]


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("segments", [1, 2, 5, 24])
def test_it_gives_the_numbers_of_an_ordinary_pass(segments, momentum, rng):
    """Bit by bit: dropout's masks, BatchNorm's statistics, the state of the generator."""
    x = mg.tensor(rng.standard_normal((5, 8)), dtype=mg.float32)
    cotangent = mg.tensor(rng.standard_normal((5, 8)), dtype=mg.float32)
    expected = run(network(momentum=momentum), x, cotangent, 0)
    got = run(network(momentum=momentum), x, cotangent, segments)
    assert len(got) == len(expected) > 40
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_both_derivatives_are_right(rng):
    w = mg.tensor(rng.standard_normal((3, 3)), requires_grad=True)

    def part(x, scale, w):
        return F.batch_norm(F.tanh(x @ w) * scale, None, None, training=True) ** 3

    def checkpointed(x, w):
        return mg.checkpoint(part, x, 1.7, w) * x

    x = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    assert gradcheck(checkpointed, (x, w))
    assert gradgradcheck(checkpointed, (x, w))


def test_the_gradient_of_a_gradient_reaches_a_parameter_of_the_function(rng):
    layer = nn.Linear(3, 3, dtype=mg.float64)
    x = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    cotangent, other = (mg.tensor(rng.standard_normal((4, 3))) for _ in range(2))

    def second(part):
        (dx,) = mg.grad(part(x), x, cotangent, create_graph=True)
        return mg.grad(dx, layer.weight, other)[0].numpy()

    expected = second(lambda x: layer(x).tanh())
    got = second(lambda x: mg.checkpoint(lambda x: layer(x).tanh(), x))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_one_inside_another(rng):
    layers = [nn.Linear(4, 4) for _ in range(4)]
    x = mg.tensor(rng.standard_normal((3, 4)), dtype=mg.float32)

    def pair(first):
        return lambda x: layers[first + 1](layers[first](x).sigmoid()).sigmoid()

    def nested(x):
        return mg.checkpoint(pair(2), mg.checkpoint(pair(0), x))

    cotangent = mg.tensor(rng.standard_normal((3, 4)), dtype=mg.float32)
    parameters = [layer.weight for layer in layers]
    expected = mg.grad(pair(2)(pair(0)(x)), parameters, cotangent)
    got = mg.grad(mg.checkpoint(nested, x), parameters, cotangent)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_it_needs_the_memory_of_its_parts():
    """64 layers in 8 parts: 8 + 8 of them, a quarter."""
    layers = [nn.Linear(64, 64) for _ in range(64)]

    def peak(segments: int) -> int:
        x = mg.randn(512, 64)
        for layer in layers:  # the gradients are there in either case
            layer.weight.grad, layer.bias.grad = mg.zeros(64, 64), mg.zeros(64)
        tracemalloc.start()
        y = mg.checkpoint_sequential(layers, segments, x) if segments else None
        if y is None:
            y = x
            for layer in layers:
                y = layer(y)
        y.backward(mg.randn(512, 64))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(8), peak(0)  # what is kept from the first time on
    assert peak(8) < 0.4 * peak(0)


def test_without_gradients_it_is_a_call(rng):
    layer, calls = nn.Linear(3, 2), []

    def part(x):
        calls.append(x)
        return layer(x)

    x = mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float32)
    with mg.no_grad():
        y = mg.checkpoint(part, x)
    assert calls[0] is x
    assert not y.requires_grad
    layer.requires_grad_(False)
    assert mg.checkpoint(part, x).grad_fn is None


def test_what_needs_no_gradient_gets_none(rng):
    a, b, c = (mg.tensor(rng.standard_normal(3), requires_grad=i > 0) for i in range(3))
    y = mg.checkpoint(lambda a, b, c: a * b, a, b, c)
    y.backward(mg.tensor([0.3, -1.2, 0.8], dtype=mg.float64))
    np.testing.assert_allclose(b.grad.numpy(), a.numpy() * [0.3, -1.2, 0.8], rtol=1e-12)
    assert a.grad is None
    assert c.grad is None
    y = mg.checkpoint(lambda b: b, b)
    (grad,) = mg.grad(y, b, mg.tensor([0.3, -1.2, 0.8], dtype=mg.float64))
    assert grad.tolist() == [0.3, -1.2, 0.8]


def test_a_second_run_that_differs_is_refused(rng):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    y = mg.checkpoint(model, mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float32))
    model.eval()
    with pytest.raises(RuntimeError, match=r"gave another output.*train\(\) or eval\(\)"):
        y.sum().backward()
    assert all(p.grad is None for p in model.parameters())


def test_a_parameter_that_was_changed_is_refused(rng):
    layer = nn.Linear(3, 3)
    y = mg.checkpoint(layer, mg.tensor(rng.standard_normal((4, 3)), dtype=mg.float32))
    layer.weight.detach().mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_graph_from_outside_is_refused(rng):
    x = mg.tensor(rng.standard_normal(3), requires_grad=True)
    outside = x.exp()
    with pytest.raises(RuntimeError, match=r"the result of a Exp from outside.*as an input"):
        mg.checkpoint(lambda x: x * outside, x)
    y = mg.checkpoint(lambda x, outside: x * outside, x, outside)
    (grad,) = mg.grad(y, x, mg.tensor([0.3, -1.2, 0.8], dtype=mg.float64))
    expected = (1 + x.detach()) * x.detach().exp() * mg.tensor([0.3, -1.2, 0.8], dtype=mg.float64)
    np.testing.assert_allclose(grad.numpy(), expected.numpy(), rtol=1e-12)


def test_after_an_error_in_the_second_run_all_is_as_before(rng):
    fails = []
    x = mg.tensor(rng.standard_normal(3), requires_grad=True)

    def part(x):
        if fails:
            mg.rand(2)
            raise KeyboardInterrupt
        return F.dropout(x, 0.4)

    y = mg.checkpoint(part, x)
    fails.append(True)
    state = mg.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        y.sum().backward()
    assert mg.get_rng_state() == state
    norm = nn.BatchNorm1d(2)
    norm(mg.tensor([[0.3, -1.2], [0.8, 0.4]]))
    assert norm.num_batches_tracked.item() == 1


@pytest.mark.parametrize("segments", [0, 3])
def test_a_wrong_number_of_parts_is_refused(segments):
    with pytest.raises(ValueError, match=f"segments is {segments}, expected 1 to 2"):
        mg.checkpoint_sequential([F.tanh, F.exp], segments, mg.ones(2))


def test_another_result_than_a_tensor_is_refused():
    with pytest.raises(TypeError, match="checkpoint: got a tuple from the function"):
        mg.checkpoint(lambda x: (x, x), mg.ones(2, requires_grad=True))

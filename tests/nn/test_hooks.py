"""Hooks of modules: what they see, what they may change, and when they end."""

import gc
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class TwoInTwoOut(nn.Module):
    """(a, b) -> (a b, a + 2 b), and the number it was given."""

    def forward(self, a: mg.Tensor, b: mg.Tensor, factor: float = 2.0) -> tuple:
        return a * b, a + factor * b, factor


def test_pre_hooks_see_the_arguments_and_may_replace_them() -> None:
    layer, seen = nn.Sigmoid(), []
    handle = layer.register_forward_pre_hook(lambda module, args: seen.append((module, args)))
    x = mg.tensor([0.5])
    layer(x)
    assert seen == [(layer, (x,))]
    handle.remove()
    layer(x)
    assert len(seen) == 1
    layer.register_forward_pre_hook(lambda module, args: args[0] * 0)
    layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    assert layer(x).item() == pytest.approx(1 / (1 + np.exp(-1)))


def test_forward_hooks_see_the_output_and_may_replace_it() -> None:
    layer, seen = nn.ReLU(), []
    handle = layer.register_forward_hook(lambda module, args, output: seen.append((args, output)))
    layer.register_forward_hook(lambda module, args, output: output + 10)
    x = mg.tensor([-0.5, 2.0])
    y = layer(x)
    assert seen[0][0] == (x,)
    assert seen[0][1].numpy().tolist() == [0.0, 2.0]
    assert y.numpy().tolist() == [10.0, 12.0]
    handle.remove()
    handle.remove()
    layer(x)
    assert len(seen) == 1


def test_a_hook_may_remove_itself() -> None:
    layer, calls = nn.ReLU(), []

    def once(module: nn.Module, args: tuple, output: mg.Tensor) -> None:
        calls.append("first")
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda *_: calls.append("second"))
    layer(mg.ones(1))
    layer(mg.ones(1))
    assert calls == ["first", "second", "second"]


def test_a_hook_is_a_function() -> None:
    with pytest.raises(TypeError, match="got a str, expected a function"):
        nn.ReLU().register_forward_hook("print")


def test_backward_hooks_see_the_gradients_through_this_layer_alone(rng) -> None:
    # x has another user beside the layer, whose gradient is no business of the hook.
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_hook(lambda *args: seen.append(args))
    x = mg.tensor(rng.normal(size=(4, 3)).astype(np.float32), requires_grad=True)
    dy = mg.tensor(rng.normal(size=(4, 2)).astype(np.float32))
    ((layer(x) * dy).sum() + (x * 5).sum()).backward()
    ((module, grad_input, grad_output),) = seen
    assert module is layer
    through = dy.numpy() @ layer.weight.detach().numpy()
    np.testing.assert_allclose(grad_output[0].numpy(), dy.numpy())
    np.testing.assert_allclose(grad_input[0].numpy(), through, rtol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), through + 5, rtol=1e-5)


def test_backward_hooks_may_replace_the_gradient_of_the_input() -> None:
    layer = nn.Sigmoid()
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: grad_output)
    layer.register_full_backward_hook(lambda module, grad_input, _: grad_input[0] * 3)
    x = mg.tensor([0.7, -1.2], requires_grad=True)
    layer(x).backward(mg.tensor([1.5, -2.5]))
    np.testing.assert_allclose(x.grad.numpy(), [4.5, -7.5], rtol=1e-6)


def test_several_inputs_and_outputs_are_seen_at_once() -> None:
    layer, seen = TwoInTwoOut(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a = mg.tensor([[1.5, -2.0]], requires_grad=True)
    b = mg.tensor([[0.5, 3.0]], requires_grad=True)
    product, total, number = layer(a, b)
    assert number == 2.0
    (product * 3 + total * 7).sum().backward()
    ((grad_input, grad_output),) = seen
    assert [g if g is None else g.numpy().tolist() for g in grad_output] == [
        [[3.0, 3.0]], [[7.0, 7.0]], None,
    ]  # fmt: skip
    # da = 3 b + 7, db = 3 a + 14
    np.testing.assert_allclose(grad_input[0].numpy(), [[8.5, 16.0]])
    np.testing.assert_allclose(grad_input[1].numpy(), [[18.5, 8.0]])
    np.testing.assert_allclose(a.grad.numpy(), [[8.5, 16.0]])
    np.testing.assert_allclose(b.grad.numpy(), [[18.5, 8.0]])


def test_several_inputs_may_be_replaced() -> None:
    layer = TwoInTwoOut()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[1], gi[0]))
    a, b = mg.tensor([1.5], requires_grad=True), mg.tensor([0.5], requires_grad=True)
    layer(a, b)[0].sum().backward()
    assert (a.grad.item(), b.grad.item()) == (1.5, 0.5)


def test_an_input_without_gradient_is_none() -> None:
    layer, seen = TwoInTwoOut(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi))
    a, b = mg.tensor([1.5]), mg.tensor([0.5], requires_grad=True)
    layer(a, b)[0].sum().backward()
    assert seen[0][0] is None
    assert seen[0][1].item() == 1.5


def test_without_inputs_that_need_gradients_the_hook_is_called_all_the_same() -> None:
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].numpy().tolist())))
    layer(mg.tensor([[0.5, 1.5]])).sum().backward()
    assert seen == [((None,), [[1.0]])]


def test_a_hook_sees_each_pass_over_a_graph() -> None:
    layer, seen = nn.Sigmoid(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].item()))
    y = layer(mg.tensor([0.7], requires_grad=True))
    y.backward(mg.tensor([2.0]), retain_graph=True)
    y.backward(mg.tensor([3.0]))
    assert seen == [2.0, 3.0]


def test_gradients_that_a_hook_sees_can_be_differentiated() -> None:
    layer, seen = nn.Sigmoid(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0]))
    x = mg.tensor([0.7], dtype=mg.float64, requires_grad=True)
    mg.grad(layer(x), x, create_graph=True)
    (second,) = mg.grad(seen[0], x)
    s = 1 / (1 + np.exp(-0.7))
    assert second.item() == pytest.approx(s * (1 - s) * (1 - 2 * s))


def test_nothing_is_watched_where_nothing_is_recorded() -> None:
    layer = nn.Sigmoid()
    layer.register_full_backward_hook(lambda *_: pytest.fail("there is no backward pass"))
    with mg.no_grad():
        assert layer(mg.tensor([0.0])).item() == 0.5


def test_a_removed_backward_hook_is_silent() -> None:
    layer, seen = nn.Sigmoid(), []
    handle = layer.register_full_backward_hook(lambda *_: seen.append(1))
    handle.remove()
    layer(mg.tensor([0.5], requires_grad=True)).sum().backward()
    assert seen == []


@pytest.mark.parametrize("answer", [3.0, (mg.ones(1), mg.ones(1)), mg.ones(3)])
def test_a_hook_that_returns_something_else_is_an_error(answer: object) -> None:
    layer = nn.Sigmoid()
    layer.register_full_backward_hook(lambda *_: answer)
    with pytest.raises(RuntimeError, match="Sigmoid: a full backward hook returned"):
        layer(mg.tensor([0.5], requires_grad=True)).sum().backward()


def test_an_output_that_cannot_be_watched_is_an_error() -> None:
    class Named(nn.Module):
        def forward(self, x: mg.Tensor) -> dict:
            return {"y": x * 2}

    layer = Named()
    layer.register_full_backward_hook(lambda *_: None)
    with pytest.raises(TypeError, match=r"Named: .* got a dict"):
        layer(mg.tensor([0.5], requires_grad=True))


def test_a_list_stays_a_list_and_constants_pass() -> None:
    class Parts(nn.Module):
        def forward(self, x: mg.Tensor) -> list:
            return [x * 2, x * 3]

    layer = Parts()
    layer.register_full_backward_hook(lambda *_: pytest.fail("nothing requires a gradient"))
    y = layer(mg.tensor([0.5]))
    assert isinstance(y, list)
    assert [part.item() for part in y] == [1.0, 1.5]


def test_hooks_leave_no_circle_behind() -> None:
    layer = nn.Sigmoid()
    layer.register_full_backward_hook(lambda *_: None)
    gc.collect()
    gc.disable()
    try:
        x = mg.tensor([0.5], requires_grad=True)
        y = layer(x)
        seen = weakref.ref(y)
        y.sum().backward()
        del y
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parity
def test_hooks_see_what_pytorchs_see(torch, rng) -> None:
    weight, x = rng.normal(size=(2, 3)), rng.normal(size=(4, 3))
    results = []
    for library, modules, tensor in (
        (mg, nn, mg.tensor),
        (torch, torch.nn, torch.tensor),
    ):
        net = modules.Sequential(modules.Linear(3, 2, bias=False), modules.Sigmoid()).double()
        net.load_state_dict({"0.weight": tensor(weight)})
        seen = []
        for module in net:
            module.register_full_backward_hook(
                lambda _, gi, go, seen=seen: seen.append((gi[0].numpy(), go[0].numpy()))
            )
        data = tensor(x, dtype=library.float64, requires_grad=True)
        (net(data) ** 2).sum().backward()
        results.append(seen)
    assert len(results[0]) == len(results[1]) == 2
    for ours, theirs in zip(*results, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-12)


@pytest.mark.parametrize("used", [0, 1])
def test_an_output_that_is_not_used_has_no_gradient(used: int, rng) -> None:
    layer, seen = TwoInTwoOut(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go))
    a, b = (mg.tensor(rng.normal(size=3), requires_grad=True) for _ in range(2))
    dy = mg.tensor(rng.normal(size=3))
    outputs = layer(a, b)
    outputs[used].backward(dy, retain_graph=True)
    (outputs[0] * 2 + outputs[1] * 3).backward(dy)
    first, second = seen
    assert first[1 - used] is None
    np.testing.assert_array_equal(first[used].numpy(), dy.numpy())
    np.testing.assert_allclose(second[0].numpy(), 2 * dy.numpy())
    np.testing.assert_allclose(second[1].numpy(), 3 * dy.numpy())


def test_an_input_that_is_not_used_has_no_gradient(rng) -> None:
    class First(nn.Module):
        def forward(self, a: mg.Tensor, b: mg.Tensor) -> mg.Tensor:
            return a * 2.5

    layer, seen = First(), []

    def triple(module: nn.Module, grad_input: tuple, grad_output: tuple) -> tuple:
        seen.append(grad_input)
        return (grad_input[0] * 3, grad_input[1])

    layer.register_full_backward_hook(triple)
    a, b = (mg.tensor(rng.normal(size=4), requires_grad=True) for _ in range(2))
    dy = mg.tensor(rng.normal(size=4))
    layer(a, b).backward(dy)
    assert seen[0][1] is None
    np.testing.assert_allclose(a.grad.numpy(), 7.5 * dy.numpy())


class Moments(NamedTuple):
    mean: mg.Tensor
    count: int
    spread: mg.Tensor


class Parts(tuple):
    """A tuple that cannot be made from its elements alone, as it wants a name."""

    def __new__(cls, parts: tuple, name: str) -> "Parts":
        return super().__new__(cls, parts)


def test_a_namedtuple_stays_one() -> None:
    class Measure(nn.Module):
        def forward(self, x: mg.Tensor) -> Moments:
            return Moments(x.mean(), 7, x.std())

    layer, seen = Measure(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go))
    y = layer(mg.tensor([0.5, 2.5, 4.0], requires_grad=True))
    assert isinstance(y, Moments)
    assert y.count == 7
    y.spread.backward(mg.tensor(2.5))
    assert [g if g is None else g.item() for g in seen[0]] == [None, None, 2.5]


def test_another_kind_of_tuple_becomes_a_plain_one() -> None:
    class Split(nn.Module):
        def forward(self, x: mg.Tensor) -> Parts:
            return Parts((x * 2, x * 3), "halves")

    layer = Split()
    layer.register_full_backward_hook(lambda *_: None)
    x = mg.tensor([0.5], requires_grad=True)
    double, triple = layer(x)
    (double + triple).backward(mg.tensor([1.5]))
    assert x.grad.item() == 7.5


def second_order(library, modules, squared: bool) -> list:
    """The derivative of |g|^2, where g = dL/dx went through hooks that double; with the layers
    whose hooks ran, in both passes."""
    calls = []

    def double(number: int):
        return lambda module, grad_input, _: (calls.append(number), (grad_input[0] * 2,))[1]

    net = modules.Sequential(modules.Tanh(), modules.Sigmoid(), modules.Tanh())
    for number, module in enumerate(net):
        module.register_full_backward_hook(double(number))
    x = library.tensor([0.7, -0.4, 0.3], dtype=library.float64, requires_grad=True)
    y = net(x)
    loss = (y * y if squared else y).sum()
    grad = mg.grad if library is mg else library.autograd.grad
    (g,) = grad(loss, x, create_graph=True)
    calls.append("second")
    (g * g).sum().backward()
    return [g.detach().numpy(), x.grad.numpy(), calls]


def test_a_hook_is_not_called_where_a_double_backward_enters_the_layer() -> None:
    # With y = sigmoid(x), the hook makes g = 2 s'(x), and d(g^2)/dx = 8 s' s''.
    layer, calls = nn.Sigmoid(), []
    layer.register_full_backward_hook(lambda m, gi, go: (calls.append(1), (gi[0] * 2,))[1])
    x = mg.tensor([0.7, -0.4], dtype=mg.float64, requires_grad=True)
    (g,) = mg.grad(layer(x).sum(), x, create_graph=True)
    (g * g).sum().backward()
    s = 1 / (1 + np.exp(-x.detach().numpy()))
    slope = s * (1 - s)
    np.testing.assert_allclose(x.grad.numpy(), 8 * slope * slope * (1 - 2 * s), rtol=1e-12)
    assert calls == [1]


@pytest.mark.parity
@pytest.mark.parametrize("squared", [False, True])
def test_a_double_backward_calls_the_hooks_that_pytorch_calls(torch, squared: bool) -> None:
    *ours, our_calls = second_order(mg, nn, squared)
    *theirs, their_calls = second_order(torch, torch.nn, squared)
    assert our_calls == their_calls
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


@pytest.mark.parametrize("both", [False, True])
def test_a_hook_must_not_change_the_type(both: bool) -> None:
    layer = TwoInTwoOut()
    layer.register_full_backward_hook(lambda m, gi, go: tuple(g and g.double() for g in gi))
    a, b = mg.tensor([1.5], requires_grad=True), mg.tensor([0.5], requires_grad=both)
    with pytest.raises(RuntimeError, match=r"TwoInTwoOut: .*'float64'.* expected .*'float32'"):
        layer(a, b)[0].sum().backward()

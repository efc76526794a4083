"""What all optimisers share: groups, state, and the errors that keep training from going wrong."""

import copy
import re
from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

MAKERS = [
    lambda p, **o: optim.SGD(p, lr=0.1, momentum=0.9, **o),
    lambda p, **o: optim.Adam(p, lr=0.1, **o),
    lambda p, **o: optim.AdamW(p, lr=0.1, **o),
    lambda p, **o: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True, **o),
    lambda p, **o: optim.Adagrad(p, lr=0.1, **o),
]
makers = pytest.mark.parametrize("make", MAKERS, ids=["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])


def parameters(rng, *shapes) -> list:
    return [nn.Parameter(rng.normal(size=shape)) for shape in shapes or [(3, 2), (4,)]]


def train(optimizer, tensors, steps: int, seed: int = 1) -> None:
    """Steps with random gradients."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for tensor in tensors:
            tensor.grad = mg.tensor(rng.normal(size=tensor.shape)).to(tensor.dtype)
        optimizer.step()


def values(tensors) -> list:
    return [tensor.detach().numpy().copy() for tensor in tensors]


# -------------------------------------------------------------------------------------- steps


@makers
def test_a_step_changes_what_has_a_gradient_and_nothing_else(make, rng) -> None:
    moving, resting, frozen = parameters(rng, (3,), (3,), (3,))
    frozen.requires_grad_(False)
    before = values([moving, resting, frozen])
    memory = moving.data
    optimizer = make([moving, resting, frozen])
    (moving * mg.tensor(np.array([1.0, -2.0, 3.0]))).sum().backward()
    gradient = moving.grad.numpy().copy()
    optimizer.step()
    assert np.all(np.sign(values([moving])[0] - before[0]) == -np.sign(gradient))
    np.testing.assert_array_equal(values([resting])[0], before[1])
    np.testing.assert_array_equal(values([frozen])[0], before[2])
    np.testing.assert_array_equal(moving.grad.numpy(), gradient)
    assert moving.data is memory, "in place"
    assert moving.requires_grad
    assert moving.is_leaf


@makers
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_stay(make, dtype) -> None:
    tensor = nn.Parameter(np.ones(3, dtype))
    optimizer = make([tensor], weight_decay=0.1)
    for _ in range(3):
        tensor.grad = mg.tensor(np.array([1.0, -2.0, 3.0], dtype))
        optimizer.step()
    assert tensor.dtype == dtype
    for value in optimizer.state_dict()["state"][0].values():
        assert isinstance(value, int) or value.dtype == dtype


@makers
def test_a_single_number_can_be_learnt(make) -> None:
    x = nn.Parameter(3.0)
    optimizer = make([x])
    for _ in range(400):
        optimizer.zero_grad()
        ((x - 1.25) ** 2).backward()
        optimizer.step()
    assert x.item() == pytest.approx(1.25, abs=0.02)
    assert x.shape == ()


@makers
def test_a_graph_from_before_the_step_is_stale(make) -> None:
    layer = nn.Linear(3, 2)
    optimizer = make(layer.parameters())
    x = mg.tensor([[0.3, -0.7, 1.1]], requires_grad=True)
    y = layer(x).sum()
    y.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"Linear: its input 2.* changed in place"):
        y.backward()


def test_a_closure_is_called_with_recording_on() -> None:
    x = nn.Parameter([3.0])
    optimizer = optim.SGD([x], lr=0.5)

    def closure() -> mg.Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 9
    assert x.item() == 0


def test_zero_grad_forgets_or_zeroes(rng) -> None:
    tensors = parameters(rng)
    optimizer = optim.SGD(tensors)
    train(optimizer, tensors, 1)
    optimizer.zero_grad(set_to_none=False)
    assert all(np.all(t.grad.numpy() == 0) for t in tensors)
    optimizer.zero_grad()
    assert all(t.grad is None for t in tensors)


# ------------------------------------------------------------------------------------- groups


def test_groups_have_options_of_their_own() -> None:
    a, b, c = (nn.Parameter([1.0]) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": iter([c]), "weight_decay": 1.0})
    for tensor in (a, b, c):
        tensor.grad = mg.tensor([2.0])
    optimizer.step()
    assert a.item() == pytest.approx(1 - 0.2)
    assert b.item() == pytest.approx(1 - 1.0)
    assert c.item() == pytest.approx(1 - 0.1 * 3)
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    assert a.item() == pytest.approx(0.8 - 2)


def test_repr_lists_groups_and_options() -> None:
    text = repr(optim.SGD([{"params": [nn.Parameter([1.0])], "lr": 0.25}], momentum=0.5))
    assert text.startswith("SGD(\n  group 0: 1 parameters, lr=0.25, momentum=0.5")


@makers
def test_wrong_parameters_are_refused(make) -> None:
    a = nn.Parameter([1.0])
    emptied = iter([a])
    assert len(list(emptied)) == 1
    product = a * 2
    for params, kind, message in [
        ([], ValueError, "got no parameters"),
        (emptied, ValueError, "a variable that holds it is empty"),
        (a, TypeError, r"params is one Tensor, expected a list of them"),
        ([a, 3.0], TypeError, "parameter 1 is a float, expected a Tensor"),
        ([("weight", a)], TypeError, "parameter 0 is a tuple, expected a Tensor"),
        ([product], ValueError, "parameter 0, of shape (1,), is the result of a recorded"),
        ([a, a], ValueError, "parameter 1, of shape (1,), is given twice"),
        ([{"params": [a]}, {"params": [a]}], ValueError, "given twice"),
        ([{"params": [a]}, [a]], TypeError, "a parameter group is list"),
        ([{"parameters": [a]}], TypeError, "expected a dict with 'params'"),
        ([{"params": [a], "speed": 3}], TypeError, "unknown options ['speed']"),
    ]:
        with pytest.raises(kind, match=re.escape(message)):
            make(params)


def test_a_refused_group_changes_nothing() -> None:
    a, b = nn.Parameter([1.0]), nn.Parameter([2.0])
    optimizer = optim.SGD([a])
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [b, a]})
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.add_param_group({"params": [b], "lr": -1})
    assert len(optimizer.param_groups) == 1


@makers
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"lr": -0.1}, ValueError, "lr is -0.1, expected at least 0"),
        ({"lr": float("nan")}, ValueError, "lr is nan"),
        ({"lr": "0.1"}, TypeError, "lr is a str, expected a number"),
        ({"lr": True}, TypeError, "lr is a bool, expected a number"),
        ({"weight_decay": -1}, ValueError, "weight_decay is -1"),
    ],
)
def test_bad_options_are_refused(make, options: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        make([{"params": [nn.Parameter([1.0])], **options}])


def test_numpys_numbers_do_not_widen_the_arithmetic() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=np.float64(0.1))
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_an_optimiser_without_a_rule_says_so() -> None:
    a = nn.Parameter([1.0])
    a.grad = mg.tensor([1.0])
    optimizer = optim.Optimizer([a], {"lr": 0.1, "weight_decay": 0.0})
    with pytest.raises(NotImplementedError, match="Optimizer: update is not written"):
        optimizer.step()


@makers
def test_a_model_converted_after_the_first_step_is_noticed(make, rng) -> None:
    layer = nn.Linear(3, 2)
    optimizer = make(layer.parameters())
    train(optimizer, list(layer.parameters()), 1)
    state = optimizer.state_dict()
    layer.double()
    before = values(layer.parameters())
    with pytest.raises(TypeError, match=r"is float32 \(numpy\), but the parameter is now float64"):
        train(optimizer, list(layer.parameters()), 1)
    for old, new in zip(before, values(layer.parameters()), strict=True):
        np.testing.assert_array_equal(old, new)
    optimizer.load_state_dict(state)  # the remedy that the message names
    train(optimizer, list(layer.parameters()), 1)


# -------------------------------------------------------------------------------------- state


@makers
def test_training_goes_on_from_a_saved_state_as_if_nothing_had_happened(make, rng) -> None:
    tensors = parameters(rng)
    optimizer = make([{"params": [tensors[0]]}, {"params": [tensors[1]], "lr": 0.05}])
    train(optimizer, tensors, 5)
    state = copy.deepcopy(optimizer.state_dict())
    twins = [nn.Parameter(value) for value in values(tensors)]
    train(optimizer, tensors, 5, seed=2)
    other = make([{"params": [twins[0]]}, {"params": [twins[1]]}])
    other.load_state_dict(state)
    assert [group["lr"] for group in other.param_groups] == [0.1, 0.05]
    train(other, twins, 5, seed=2)
    for a, b in zip(values(tensors), values(twins), strict=True):
        np.testing.assert_array_equal(a, b)
    untouched = state["state"][0]
    for name, value in optimizer.state_dict()["state"][0].items():
        assert name in untouched
        if not isinstance(value, int):
            assert np.any(value.numpy() != untouched[name].numpy()), "the state was a copy"


def test_a_copied_model_and_optimiser_stay_together(rng) -> None:
    layer = nn.Linear(3, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    train(optimizer, list(layer.parameters()), 2)
    twin, its_optimizer = copy.deepcopy((layer, optimizer))
    before = values(layer.parameters())
    train(its_optimizer, list(twin.parameters()), 1)
    for old, new, moved in zip(
        before, values(layer.parameters()), values(twin.parameters()), strict=True
    ):
        np.testing.assert_array_equal(old, new)
        assert np.all(moved != old)


def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(rng) -> None:
    tensors = parameters(rng)
    optimizer = optim.SGD(tensors, lr=0.1, momentum=0.9)
    train(optimizer, tensors, 2)
    good = copy.deepcopy(optimizer.state_dict())

    def changed(change) -> dict:
        state = copy.deepcopy(good)
        change(state)
        return state

    wrong_shape = mg.ones(7)
    for state, message in [
        ({}, "the state has no 'state' and 'param_groups'"),
        (3, "the state has no 'state' and 'param_groups'"),
        (changed(lambda s: s["param_groups"].append(s["param_groups"][0])), "groups of [2, 2]"),
        (changed(lambda s: s["param_groups"][0]["params"].pop()), "groups of [1] parameters"),
        (changed(lambda s: s["state"].update({9: {}})), "names a parameter 9"),
        (
            changed(lambda s: s["state"][1].update(momentum_buffer=wrong_shape)),
            "momentum_buffer of parameter 1 has shape (7,), expected (4,)",
        ),
        (changed(lambda s: s["param_groups"][0].update(lr=-3)), "lr is -3"),
        (changed(lambda s: s["param_groups"][0].update(amsgrad=True)), "amsgrad=True"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            optimizer.load_state_dict(state)
    now = optimizer.state_dict()
    assert now["param_groups"] == good["param_groups"]
    for number, remembered in good["state"].items():
        buffer = now["state"][number]["momentum_buffer"]
        np.testing.assert_array_equal(buffer.numpy(), remembered["momentum_buffer"].numpy())


def test_a_buffer_that_was_never_made_is_none_in_pytorchs_states(rng) -> None:
    (tensor,) = parameters(rng, (3,))
    optimizer = optim.SGD([tensor], lr=0.1, momentum=0.9)
    state = optimizer.state_dict()
    optimizer.load_state_dict({**state, "state": {0: {"momentum_buffer": None}}})
    before = values([tensor])[0]
    train(optimizer, [tensor], 1)
    np.testing.assert_allclose(values([tensor])[0], before - 0.1 * tensor.grad.numpy())


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"lr": 0.1}), ("AdamW", {"lr": 0.1})],
)
def test_a_state_moves_to_pytorch_and_back(torch, rng, name: str, options: dict) -> None:
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(8, 3, 2))
    mine = nn.Parameter(start)
    ours = getattr(optim, name)([mine], **options)
    other = torch.nn.Parameter(torch.tensor(start))
    theirs = getattr(torch.optim, name)([other], **options)

    def ours_step(gradient) -> None:
        mine.grad = mg.tensor(gradient)
        ours.step()

    def theirs_step(gradient) -> None:
        other.grad = torch.tensor(gradient)
        theirs.step()

    for gradient in gradients[:4]:
        theirs_step(gradient)
    mine.data = other.detach().numpy().copy()
    ours.load_state_dict(theirs.state_dict())
    for gradient in gradients[4:6]:
        ours_step(gradient), theirs_step(gradient)
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-12)

    state = ours.state_dict()
    state["state"] = {
        number: {k: torch.from_numpy(v.numpy()) if isinstance(v, mg.Tensor) else v
                 for k, v in remembered.items()}
        for number, remembered in state["state"].items()
    }  # fmt: skip
    theirs = getattr(torch.optim, name)([other], lr=7.0)
    theirs.load_state_dict(copy.deepcopy(state))
    for gradient in gradients[6:]:
        ours_step(gradient), theirs_step(gradient)
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(("saved", "loaded"), [("Adam", "AdamW"), ("AdamW", "Adam")])
def test_a_state_of_the_other_adam_is_refused(torch, saved: str, loaded: str) -> None:
    theirs = getattr(torch.optim, saved)([torch.nn.Parameter(torch.ones(2))])
    ours = getattr(optim, loaded)([nn.Parameter([1.0, 1.0])])
    with pytest.raises(ValueError, match="decoupled_weight_decay"):
        ours.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("params", [nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 1)), None, 0.1])
def test_a_model_is_not_its_parameters(params: object) -> None:
    with pytest.raises(
        TypeError, match=rf"SGD: params is a {type(params).__name__}, .*\.parameters\(\)"
    ):
        optim.SGD(params, lr=0.1)


def test_hooks_run_before_and_after_a_step() -> None:
    weight = mg.tensor([4.0], requires_grad=True)
    optimizer, seen = optim.SGD([weight], lr=0.25), []

    def note(name: str) -> Callable[..., None]:
        return lambda opt, args, kwargs: seen.append((name, opt is optimizer, weight.item()))

    handles = [
        optimizer.register_step_pre_hook(note("before")),
        optimizer.register_step_post_hook(note("after")),
    ]
    (weight * weight).sum().backward()
    optimizer.step()
    assert seen == [("before", True, 4.0), ("after", True, 2.0)]
    copy.deepcopy(optimizer).step()  # hooks look at this optimiser and not at copies of it
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 2


def test_a_hook_that_is_no_function_is_refused() -> None:
    optimizer = optim.SGD([mg.tensor([4.0], requires_grad=True)], lr=0.25)
    with pytest.raises(TypeError, match="hook: got a int"):
        optimizer.register_step_pre_hook(3)

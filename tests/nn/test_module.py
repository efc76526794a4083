"""Module: names, modes, moves, state, copies and the messages of its errors."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class Block(nn.Module):
    """A layer, a parameter of its own, a buffer that is saved and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter([2.0, 3.0])
        self.fc = nn.Linear(3, 2)
        self.register_buffer("offset", mg.tensor([0.5, -0.5]))
        self.register_buffer("cache", mg.tensor([1.0]), persistent=False)
        self.register_buffer("count", mg.tensor(4, dtype=mg.int64))
        self.register_parameter("absent", None)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.fc(x) * self.scale + self.offset


class Net(nn.Module):
    """Two blocks, the second under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Block()
        self.second = Block()
        self.again = self.second

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.first(x).sum() + self.again(x).sum()


def values(state: dict) -> dict:
    return {name: tensor.numpy().copy() for name, tensor in state.items()}


# -------------------------------------------------------------------------------------- names


def test_parameters_are_named_by_their_path_and_shared_ones_come_once() -> None:
    names = [name for name, _ in Net().named_parameters()]
    block = ["scale", "fc.weight", "fc.bias"]
    assert names == [f"{part}.{name}" for part in ("first", "second") for name in block]
    every = [name for name, _ in Net().named_parameters(remove_duplicate=False)]
    assert every == names + [f"again.{name}" for name in block]


def test_without_recurse_only_its_own() -> None:
    block = Block()
    assert [name for name, _ in block.named_parameters(recurse=False)] == ["scale"]
    assert next(block.parameters(recurse=False)) is block.scale
    assert [name for name, _ in block.named_parameters("net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in nn.Sequential(block).named_buffers(recurse=False)] == []


def test_buffers_and_modules_are_named_too() -> None:
    net = Net()
    assert [name for name, _ in net.first.named_buffers()] == ["offset", "cache", "count"]
    assert len(list(net.buffers())) == 6
    assert [name for name, _ in net.named_modules()] == [
        "", "first", "first.fc", "second", "second.fc",
    ]  # fmt: skip
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert list(net.children()) == [net.first, net.second]
    assert list(net.modules()) == [net, net.first, net.first.fc, net.second, net.second.fc]


def test_a_parameter_shared_by_two_layers_comes_once() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert set(net.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_apply_goes_from_the_leaves_to_the_root() -> None:
    net, seen = Net(), []
    assert net.apply(seen.append) is net
    assert seen == [net.first.fc, net.first, net.second.fc, net.second, net]


def test_attributes_can_be_replaced_and_deleted() -> None:
    block = Block()
    block.scale = nn.Parameter([5.0, 5.0])
    assert dict(block.named_parameters())["scale"] is block.scale
    block.scale = None
    assert "scale" not in dict(block.named_parameters())
    block.offset = mg.tensor([9.0, 9.0])
    assert block.state_dict()["offset"].numpy().tolist() == [9.0, 9.0]
    block.cache = mg.tensor([8.0])
    assert "cache" not in block.state_dict(), "it was not persistent and stays so"
    del block.fc, block.offset
    assert [name for name, _ in block.named_modules()] == [""]
    assert [name for name, _ in block.named_buffers()] == ["cache", "count"]
    block.fc = 3  # the name is free again
    assert block.fc == 3


# ------------------------------------------------------------------------------------- errors


def test_a_misspelt_attribute_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"Linear has no attribute 'wieght'.*'weight'"):
        _ = nn.Linear(2, 2).wieght
    with pytest.raises(AttributeError, match=r"Linear has no attribute 'zzz'$"):
        _ = nn.Linear(2, 2).zzz
    assert not hasattr(nn.Linear(2, 2), "_private")


def test_assigning_before_super_init_says_so() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(2, 2)

    class Never(nn.Module):
        def __init__(self) -> None:
            self.size = 3

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x

    with pytest.raises(AttributeError, match=r"Early: 'fc' was assigned before super"):
        Early()
    with pytest.raises(AttributeError, match=r"Never: super\(\).__init__\(\) has not been called"):
        Never()(mg.ones(2))


def test_a_module_without_forward_says_what_to_write() -> None:
    with pytest.raises(NotImplementedError, match="Module: forward is not written"):
        nn.Module()(mg.ones(2))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", mg.ones(2), r"'scale' is a Tensor, expected a Parameter or None; wrap it"),
        ("offset", 3.0, "buffer 'offset' is a float, expected a Tensor"),
        ("fc", mg.ones(2), "'fc' is a Tensor, expected a Module"),
    ],
)
def test_a_registered_name_keeps_its_kind(name: str, value: object, message: str) -> None:
    block = Block()
    before = block.__dict__[name]
    with pytest.raises(TypeError, match=message):
        setattr(block, name, value)
    assert block.__dict__[name] is before


@pytest.mark.parametrize("name", ["", "a.b", 3])
def test_names_are_strings_without_dots(name: object) -> None:
    with pytest.raises(ValueError, match="expected a string"):
        nn.Module().add_module(name, nn.Sigmoid())


@pytest.mark.parametrize("name", ["forward", "training", "parameters"])
def test_names_in_use_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="exists already"):
        nn.Module().register_buffer(name, mg.ones(1))


def test_one_name_cannot_be_two_things() -> None:
    with pytest.raises(ValueError, match="'fc' exists already"):
        Block().register_buffer("fc", mg.ones(1))


def test_a_module_cannot_contain_itself() -> None:
    outer, inner = nn.Sequential(), nn.Sequential()
    outer.append(inner)
    with pytest.raises(ValueError, match="part of itself"):
        inner.append(outer)
    with pytest.raises(ValueError, match="part of itself"):
        inner.me = inner
    assert len(inner) == 0


# -------------------------------------------------------------------------------------- modes


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    with pytest.raises(TypeError, match="mode is a list, expected True or False"):
        net.train([1, 2])


def test_requires_grad_freezes() -> None:
    net = Net().requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(mg.ones(1, 3)).requires_grad
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters())


def test_zero_grad_forgets_or_zeroes() -> None:
    net = Net()
    net(mg.tensor([[0.3, -0.7, 1.1]])).backward()
    assert all(np.any(p.grad.numpy() != 0) for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(np.all(p.grad.numpy() == 0) for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in net.parameters())


# -------------------------------------------------------------------------------------- moves


def test_a_change_of_type_keeps_the_parameters_and_takes_the_gradients_along() -> None:
    net = Net()
    before, old = list(net.parameters()), values(net.state_dict())
    net(mg.tensor([[0.3, -0.7, 1.1]])).backward()
    gradients = [p.grad.numpy() for p in before]
    assert net.double() is net
    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
    for parameter, gradient in zip(before, gradients, strict=True):
        assert parameter.dtype == parameter.grad.dtype == mg.float64
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient.astype(np.float64))
    assert net.first.offset.dtype == mg.float64
    assert net.first.count.dtype == mg.int64, "integers keep their type"
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), old[name])
    assert net.half().first.scale.dtype == mg.float16
    assert net.float().first.scale.dtype == mg.float32
    assert net.cpu().to("cpu", mg.float64).first.scale.dtype == mg.float64
    assert net.to(mg.ones(1)).first.scale.dtype == mg.float32
    assert net.to(dtype=mg.float64, device="cpu").first.scale.dtype == mg.float64


def test_a_frozen_parameter_stays_frozen_in_a_move() -> None:
    layer = nn.Linear(2, 2).requires_grad_(False).double()
    assert not layer.weight.requires_grad


def test_a_module_is_not_made_integer() -> None:
    with pytest.raises(TypeError, match="only a floating type"):
        nn.Linear(2, 2).to(mg.int64)


def test_a_device_that_is_not_there_is_an_error_and_nothing_moves(monkeypatch) -> None:
    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    net = Net()
    for move in (net.cuda, lambda: net.to("cuda:0", mg.float64)):
        with pytest.raises(RuntimeError, match="'cuda' is not available"):
            move()
    assert all(p.device == "cpu" and p.dtype == mg.float32 for p in net.parameters())


# -------------------------------------------------------------------------------------- state


def test_state_dict_holds_what_shall_be_saved_under_dotted_names() -> None:
    names = list(Net().state_dict())
    block = ["scale", "offset", "count", "fc.weight", "fc.bias"]
    assert names == [f"{part}.{n}" for part in ("first", "second", "again") for n in block]
    assert set(nn.Linear(1, 1).state_dict(prefix="net.")) == {"net.weight", "net.bias"}


def test_state_dict_shares_the_memory_and_requires_no_gradient() -> None:
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    layer.weight.data[0, 0] = 7.0
    assert state["weight"].numpy()[0, 0] == 7.0
    assert not state["weight"].requires_grad


def test_a_state_moves_from_one_network_to_another() -> None:
    source, target = Net(), Net().double()
    answer = target.load_state_dict(source.state_dict())
    assert repr(answer) == "<All keys matched successfully>"
    x = np.array([[0.3, -0.7, 1.1]])
    with mg.no_grad():
        expected, got = source(mg.tensor(x).float()), target(mg.tensor(x))
    assert got.dtype == mg.float64, "the target keeps its type"
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-6)
    source.first.scale.data[:] = 0
    assert np.all(target.first.scale.detach().numpy() != 0), "it is a copy"


# ------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_independent_and_shares_what_was_shared(copier) -> None:
    net = Net().eval()
    net(mg.tensor([[0.3, -0.7, 1.1]])).backward()
    twin = copier(net)
    assert twin.again is twin.second
    assert twin.second is not net.second
    assert not twin.training
    assert len(list(twin.parameters())) == len(list(net.parameters()))
    before = values(net.state_dict())
    with mg.no_grad():
        for tensor in [*twin.parameters(), *twin.buffers()]:
            tensor.fill_(9)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    twin.first.extra = nn.Parameter([1.0])
    assert "extra" not in dict(net.first.named_parameters())


def test_a_module_is_freed_without_the_garbage_collector() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())
    net(mg.ones(2, 3)).sum().backward()
    gc.disable()
    try:
        seen = weakref.ref(net[0])
        del net
        assert seen() is None
    finally:
        gc.enable()


# --------------------------------------------------------------------------------------- repr


def test_repr_draws_the_tree() -> None:
    net = nn.Sequential(nn.Linear(8, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=8, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        ")"
    )


@pytest.mark.parity
def test_repr_and_names_are_those_of_pytorch(torch) -> None:
    def build(library):
        return library.Sequential(
            library.Flatten(),
            library.Linear(8, 3, bias=False),
            library.Sequential(library.BatchNorm1d(3, momentum=None), library.Dropout(0.25)),
            library.LeakyReLU(0.2),
            library.LayerNorm(3),
            library.ELU(0.5),
        )

    ours, theirs = build(nn), build(torch.nn)
    options_not_offered = ", inplace=False"
    assert repr(ours) == repr(theirs).replace(options_not_offered, "")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]


@pytest.mark.parametrize("move", [lambda m: m.to("cpu"), lambda m: m.float(), lambda m: m.cpu()])
def test_a_move_that_changes_nothing_is_no_change(move, rng) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    x = mg.tensor(rng.normal(size=(5, 3)).astype(np.float32))
    dy = mg.tensor(rng.normal(size=(5, 2)).astype(np.float32))
    model(x).backward(dy)
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    kept = [p.grad for p in model.parameters()]
    y = model(x)
    move(model)
    assert all(p.grad is grad for p, grad in zip(model.parameters(), kept, strict=True))
    model.zero_grad()
    y.backward(dy)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient)


def test_a_shallow_copy_has_members_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model.register_buffer("scale", mg.ones(1), persistent=False)
    twin = copy.copy(model)
    assert twin[0] is model[0]
    assert set(twin.state_dict()) == set(model.state_dict())
    twin.extra = nn.Linear(3, 1)
    twin.register_forward_hook(lambda *_: pytest.fail("the hook is the copy's"))
    del twin.scale
    assert [name for name, _ in model.named_children()] == ["0", "1"]
    assert [name for name, _ in model.named_parameters()] == [
        "0.weight", "0.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert next(name for name, _ in model.named_buffers()) == "scale"
    model(mg.randn(4, 2))
    assert "extra.weight" in twin.state_dict()


def test_a_parameter_in_the_place_of_a_buffer_is_learnt():
    module = nn.Module()
    module.register_buffer("w", mg.ones(2))
    module.w = nn.Parameter(mg.zeros(2))
    assert [name for name, _ in module.named_parameters()] == ["w"]
    assert not list(module.named_buffers())
    assert list(module.state_dict()) == ["w"]


def test_a_number_that_half_precision_cannot_hold_is_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model[1].running_var.fill_(1e5)
    before = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"1\.running_var holds 100000, which float16 cannot"):
        model.half()
    for name, t in model.state_dict().items():
        assert t.dtype == before[name].dtype
        np.testing.assert_array_equal(t.numpy(), before[name])
    model[1].running_var.fill_(6e4)
    assert model.half()[1].running_var.tolist() == [6e4] * 3

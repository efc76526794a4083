"""nn.fuse: the same function with the same tensors, in fewer operations."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.backend import default_device
from minigrad.nn.fuse import LinearBatchNormSigmoid
from tests.devices import cuda, device, emulated, strict

__all__ = ["cuda", "device", "emulated", "strict"]  # fixtures


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 4),
        nn.BatchNorm1d(4),
        nn.Sigmoid(),
        nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4, momentum=0.3), nn.Sigmoid()),
        nn.BatchNorm1d(4, affine=False),
        nn.Linear(4, 6),
        nn.Tanh(),
        nn.Linear(6, 3),
    )


def batch(rng: np.random.Generator) -> tuple[mg.Tensor, mg.Tensor]:
    here = default_device()
    x, labels = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    return mg.tensor(x, device=here), mg.tensor(labels, device=here)


def gradients(model: nn.Module, x: mg.Tensor, labels: mg.Tensor) -> list[np.ndarray]:
    """The loss and all gradients of one pass."""
    model.zero_grad()
    loss = nn.CrossEntropyLoss()(model(x), labels)
    loss.backward()
    return [t.detach().cpu().numpy() for t in (loss, *(p.grad for p in model.parameters()))]


def buffers(model: nn.Module) -> list[np.ndarray]:
    return [b.cpu().numpy().copy() for b in model.buffers()]


def agree(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def equal_in_training_and_evaluation(rng: np.random.Generator) -> None:
    x, labels = batch(rng)
    model = network().double()
    before = [b.clone() for b in model.buffers()]
    expected, statistics = gradients(model, x, labels), buffers(model)
    for buffer, old in zip(model.buffers(), before, strict=True):
        buffer.copy_(old)
    fused = nn.fuse(model)
    agree(gradients(fused, x, labels), expected)
    agree(buffers(fused), statistics)
    agree(gradients(fused.eval(), x, labels), gradients(model.eval(), x, labels))
    agree(buffers(fused), statistics)


def test_values_gradients_and_statistics(device: str, rng: np.random.Generator) -> None:
    equal_in_training_and_evaluation(rng)


def test_on_the_kernels(emulated: str, rng: np.random.Generator) -> None:
    mg.set_default_device(emulated)
    try:
        equal_in_training_and_evaluation(rng)
    finally:
        mg.set_default_device(None)


def test_which_neighbours_become_one() -> None:
    fused = nn.fuse(network())
    assert [type(m).__name__ for m in fused] == [
        "LinearBatchNormSigmoid", "FusedAway", "Identity", "Sequential", "BatchNorm1d",
        "LinearActivation", "Identity", "Linear",
    ]  # fmt: skip
    assert isinstance(fused[3][1], nn.BatchNormSigmoid)
    assert fused[3][1].momentum == 0.3
    assert "out_features=6, bias=True, activation='tanh'" in repr(fused[5])
    rows = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 4), nn.GELU())
    assert [type(m) for m in nn.fuse(rows)] == [type(m) for m in rows]
    norms = nn.Sequential(nn.BatchNorm1d(4), nn.Tanh(), nn.Sigmoid(), nn.BatchNorm2d(4))
    assert [type(m) for m in nn.fuse(norms)] == [type(m) for m in norms]


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("on", ["cpu", "emulated"])
def test_linear_and_activation(
    activation: type[nn.Module],
    on: str,
    rng: np.random.Generator,
    request: pytest.FixtureRequest,
) -> None:
    where = on if on == "cpu" else request.getfixturevalue(on)
    model = nn.Sequential(nn.Linear(5, 4), activation(), nn.Linear(4, 3)).double().to(where)
    x, labels = (t.to(where) for t in batch(rng))
    fused = nn.fuse(model)
    assert type(fused[0]) is nn.LinearActivation
    expected = gradients(model, x, labels)
    agree(gradients(fused, x, labels), expected)
    made = nn.LinearActivation(5, 4, activation=fused[0].activation).double().to(where)
    made.load_state_dict(model[0].state_dict())
    agree([made(x).detach().cpu().numpy()], [model[:2](x).detach().cpu().numpy()])


def test_errors_name_the_layer() -> None:
    with pytest.raises(ValueError, match=r"^Linear: input has 7 features in its last axis, exp"):
        nn.LinearActivation(8, 3)(mg.ones(2, 7))


class OddSigmoid(nn.Sigmoid):
    def forward(self, input: mg.Tensor) -> mg.Tensor:
        return 2 * super().forward(input) - 1


class Backwards(nn.Sequential):
    def forward(self, input: mg.Tensor) -> mg.Tensor:
        for module in reversed(list(self)):
            input = module(input)
        return input


class Residual(nn.Module):
    """Not a row, with one inside."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm1d(4), nn.Sigmoid())
        self.scale = 3.0

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.scale * x + self.body(x)


def test_subclasses_are_left_as_they_are(rng: np.random.Generator) -> None:
    x = mg.tensor(rng.normal(size=(7, 4)))
    for model in (
        nn.Sequential(nn.BatchNorm1d(4), OddSigmoid()),
        Backwards(nn.BatchNorm1d(4), nn.Sigmoid()),
    ):
        fused = nn.fuse(model.double())
        assert type(fused[0]) is nn.BatchNorm1d
        np.testing.assert_array_equal(fused(x).detach().numpy(), model(x).detach().numpy())


def test_rows_inside_other_modules(rng: np.random.Generator) -> None:
    model, x = Residual().double(), mg.tensor(rng.normal(size=(7, 4)))
    fused = nn.fuse(model)
    assert type(fused) is Residual
    assert type(fused.body[0]) is nn.BatchNormSigmoid
    np.testing.assert_allclose(
        fused(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-12, atol=1e-12
    )


def test_the_model_itself_stays_as_it_is() -> None:
    model = network()
    text, hooks = repr(model), len(model[0]._forward_hooks)
    fused = nn.fuse(model)
    fused[0].register_forward_hook(lambda *_: None)
    fused.add_module("more", nn.Identity())
    assert repr(model) == text
    assert len(model[0]._forward_hooks) == hooks


def test_a_pair_with_a_hook_stays_two() -> None:
    for number in (0, 1):
        seen = []
        model = nn.Sequential(nn.BatchNorm1d(4), nn.Sigmoid())
        model[number].register_forward_hook(lambda module, args, y, seen=seen: seen.append(y))
        fused = nn.fuse(model)
        fused(mg.randn(5, 4))
        assert len(seen) == 1
        assert type(fused[0]) is nn.BatchNorm1d


def test_parameters_and_buffers_are_the_same_objects() -> None:
    model = network()
    fused = nn.fuse(model)
    for own, others in zip(model.named_parameters(), fused.named_parameters(), strict=True):
        assert own[0] == others[0]
        assert own[1] is others[1]
    for own, others in zip(model.named_buffers(), fused.named_buffers(), strict=True):
        assert own[0] == others[0]
        assert own[1] is others[1]
    fused.double()
    assert model[1].weight.dtype == model[1].running_mean.dtype == np.float64


def test_training_one_trains_the_other(rng: np.random.Generator) -> None:
    x, labels = batch(rng)
    model = network().double()
    fused = nn.fuse(model)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    before = model[1].weight.tolist()
    gradients(fused, x, labels)
    optimizer.step()
    assert model[1].weight.tolist() != before
    assert model[1].num_batches_tracked.item() == 1
    np.testing.assert_allclose(
        fused.eval()(x).detach().numpy(), model.eval()(x).detach().numpy(), rtol=1e-12
    )


def test_checkpoints_move_both_ways(tmp_path, rng: np.random.Generator) -> None:
    x, labels = batch(rng)
    trained = network().double()
    gradients(trained, x, labels)
    for source, target in (
        (trained, nn.fuse(network().double())),
        (nn.fuse(trained), network().double()),
    ):
        mg.save(source.state_dict(), tmp_path / "model.npz")
        target.load_state_dict(mg.load(tmp_path / "model.npz"))
        assert list(source.state_dict()) == list(target.state_dict())
        np.testing.assert_allclose(
            target.eval()(x).detach().numpy(), source.eval()(x).detach().numpy(), rtol=1e-12
        )


def test_each_has_its_own_train_and_eval_state() -> None:
    model = network().eval()
    model[3].train()
    fused = nn.fuse(model)
    assert [m.training for m in fused.modules()] == [m.training for m in model.modules()]
    fused.train()
    assert not model.training
    assert not model[1].training


def test_modules_used_twice_share_their_tensors(rng: np.random.Generator) -> None:
    norm, linear = nn.BatchNorm1d(4), nn.Linear(4, 4)
    model = nn.Sequential(linear, norm, nn.Sigmoid(), linear, norm, nn.Tanh()).double()
    fused = nn.fuse(model)
    assert type(fused[0]) is LinearBatchNormSigmoid
    assert type(fused[3]) is nn.Linear
    assert type(fused[4]) is nn.BatchNorm1d
    assert list(fused.state_dict()) == list(model.state_dict())
    assert len(list(fused.parameters())) == 4
    x = mg.tensor(rng.normal(size=(7, 4)))
    np.testing.assert_allclose(
        fused(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-11, atol=1e-12
    )
    assert norm.num_batches_tracked.item() == 4, "two places, two models"


def layer(**options: bool) -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, **options), nn.Sigmoid())


def test_a_whole_layer_and_what_it_is_left_as_without_all_its_parts() -> None:
    def kinds(model: nn.Module) -> list[str]:
        return [type(m).__name__ for m in nn.fuse(model)]

    assert kinds(layer()) == ["LinearBatchNormSigmoid", "FusedAway", "Identity"]
    assert kinds(layer(track_running_stats=False))[0] == "LinearBatchNormSigmoid"
    pairs = ["Linear", "BatchNormSigmoid", "Identity"]
    assert kinds(layer(affine=False)) == pairs
    assert kinds(layer(bias=False)) == pairs
    assert kinds(nn.Sequential(nn.Linear(5, 4, bias=False), *layer()[1:])) == pairs
    assert kinds(nn.Sequential(*layer()[:2])) == ["Linear", "BatchNorm1d"]
    for number, expected in enumerate((pairs, ["Linear", "BatchNorm1d", "Sigmoid"])):
        model = layer()
        model[number].register_forward_hook(lambda *_: None)
        assert kinds(model) == expected


def test_a_layer_that_is_fused_again_is_a_copy_of_its_own() -> None:
    once = nn.fuse(layer())
    twice = nn.fuse(once).eval()
    assert once[0].norm is once[1]
    assert twice[0].norm is twice[1]
    assert once[0].norm.training
    assert twice[0].weight is once[0].weight
    assert twice[1].weight is once[1].weight


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"track_running_stats": False}])
def test_a_layer_without_running_statistics_or_with_plain_averages(
    options: dict[str, bool], rng: np.random.Generator
) -> None:
    model = layer(**options).double()
    fused, other = nn.fuse(model), copy.deepcopy(model)
    for _ in range(3):
        x = mg.tensor(rng.normal(size=(7, 5)))
        np.testing.assert_allclose(
            fused(x).detach().numpy(), other(x).detach().numpy(), rtol=1e-11, atol=1e-12
        )
    agree(buffers(fused), buffers(other))
    x = mg.tensor(rng.normal(size=(7, 5)))
    np.testing.assert_allclose(
        fused.eval()(x).detach().numpy(), other.eval()(x).detach().numpy(), rtol=1e-11, atol=1e-12
    )


def test_a_layer_refuses_what_the_three_refuse_and_counts_nothing() -> None:
    model = layer()
    fused = nn.fuse(model)
    for bad in (mg.ones(1, 5), mg.ones(3, 6), mg.ones(2, 3, 5), [1.0]):
        with pytest.raises((TypeError, ValueError)) as expected:
            model(bad)
        with pytest.raises(type(expected.value)) as found:
            fused(bad)
        assert str(found.value) == str(expected.value)
    assert model[1].num_batches_tracked.item() == 0


def test_what_is_no_module() -> None:
    with pytest.raises(TypeError, match="fuse: got a list, expected a Module"):
        nn.fuse([nn.BatchNorm1d(3), nn.Sigmoid()])


def test_an_activation_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="activation is 'foo', expected 'sigmoid', 'tanh', 'relu'"):
        nn.LinearActivation(2, 3, activation="foo")


class InLists(nn.Module):
    """Keeps its modules in a ModuleList, and in plain ones that ``forward`` runs."""

    def __init__(self) -> None:
        super().__init__()
        parts = [nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Sigmoid()]
        self.registered = nn.Sequential(*parts)
        self.plain = [parts[0], {"norm": parts[1]}, (parts[2], 2.5)]
        self.rest = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        first, second, (third, factor) = self.plain
        return self.rest(third(second["norm"](first(x))) * factor)


def test_plain_lists_hold_the_copies(rng) -> None:
    model = InLists().double()
    fused = nn.fuse(model)
    copies = [fused.plain[0], fused.plain[1]["norm"], fused.plain[2][0]]
    assert copies == list(fused.registered)  # and they are not fused
    assert not set(copies) & set(model.registered)
    assert type(fused.rest[0]).__name__ == "LinearActivation"
    x = mg.tensor(rng.normal(size=(7, 5)))
    model.eval()
    assert fused.plain[1]["norm"].training
    fused.eval()
    np.testing.assert_allclose(fused(x).data, model(x).data, rtol=1e-12)
    fused.train()
    mean = model.registered[1].running_mean.numpy().copy()
    y = model(x)  # in evaluation still
    assert np.array_equal(model.registered[1].running_mean.numpy(), mean)
    z = fused(x)
    assert not np.allclose(y.data, z.data)
    assert not np.array_equal(model.registered[1].running_mean.numpy(), mean)  # it is shared

"""The same training on every device: the same start, the same numbers, nothing read back."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.devices import cuda, device, strict
from tests.strict_cupy.stand_in import no_sync

__all__ = ["cuda", "device", "strict"]  # fixtures

OPTIMISERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD, all options": lambda p: optim.SGD(
        p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, maximize=True
    ),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, maximize=True),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, weight_decay=0.01),
}
optimisers = pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 4),
        nn.BatchNorm1d(4),
        nn.Sigmoid(),
        nn.Dropout(0.25),
        nn.Linear(4, 4, bias=False),
        nn.LayerNorm(4),
        nn.GELU(),
        nn.Linear(4, 3),
    )


def train(model: nn.Module, optimizer: optim.Optimizer, device: str) -> list:
    """Losses and norms of three steps, with the gradients clipped."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(3):
        x = mg.tensor(rng.normal(size=(6, 5)), device=device)
        labels = mg.tensor(rng.integers(0, 3, size=6), device=device)
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), labels)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        nn.utils.clip_grad_value_(model.parameters(), 0.3)
        optimizer.step()
        found += [loss, norm]
    return [value.item() for value in found]


@optimisers
def test_training_gives_the_same_numbers(device: str, make) -> None:
    results = []
    for where in ("cpu", device):
        mg.manual_seed(5)
        model = network().double().to(where)
        numbers = train(model, make(model.parameters()), where)
        assert all(t.device == model[0].weight.device for t in model.state_dict().values())
        results.append((numbers, {k: v.cpu().numpy() for k, v in model.state_dict().items()}))
    (numbers, state), (other_numbers, other_state) = results
    np.testing.assert_allclose(other_numbers, numbers, rtol=1e-10)
    for name, value in state.items():
        np.testing.assert_allclose(other_state[name], value, rtol=1e-8, atol=1e-12, err_msg=name)


@optimisers
def test_a_model_in_training_moves_with_its_optimiser(device: str, tmp_path, make) -> None:
    """On the CPU, saved, and taken up on another device."""
    mg.manual_seed(5)
    model = network().double().cpu()
    optimizer = make(model.parameters())
    train(model, optimizer, "cpu")
    state = {"model": model.state_dict(), "optim": optimizer.state_dict()}
    mg.save(state, tmp_path / "run.npz")
    mg.manual_seed(6)
    expected = train(model, optimizer, "cpu")

    there = network().double().to(device)
    its_optimizer = make(there.parameters())
    state = mg.load(tmp_path / "run.npz")
    there.load_state_dict(state["model"])
    its_optimizer.load_state_dict(state["optim"])
    mg.manual_seed(6)
    np.testing.assert_allclose(train(there, its_optimizer, device), expected, rtol=1e-8)
    mg.save(its_optimizer.state_dict(), tmp_path / "back.npz")


def test_gradients_move_with_the_model(strict: str) -> None:
    layer = nn.Linear(3, 2)
    layer(mg.ones(4, 3)).sum().backward()
    gradient = layer.weight.grad.numpy().copy()
    weight = layer.weight
    assert layer.cuda().weight is weight
    assert weight.device == weight.grad.device == "cuda:0"
    np.testing.assert_array_equal(weight.grad.cpu().numpy(), gradient)
    assert layer.to("cuda:1").bias.device == "cuda:1"
    assert layer.cpu().weight.grad.device == "cpu"


def test_new_modules_are_made_where_they_are_asked_for(strict: str) -> None:
    for layer in (
        nn.Linear(3, 2, device="cuda"),
        nn.BatchNorm1d(3, device="cuda"),
        nn.LayerNorm(3, device="cuda"),
        nn.Embedding(3, 2, padding_idx=0, device="cuda"),
    ):
        assert {t.device for t in layer.state_dict().values()} == {"cuda:0"}


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_that_was_left_behind_is_refused_and_not_counted(
    strict: str, training: bool
) -> None:
    layer = nn.BatchNorm1d(3, affine=False).cuda().train(training)
    message = r"on cuda:0 and the input on cpu.*input with \.to\('cuda:0'\), or the model with"
    with pytest.raises(TypeError, match=message):
        layer(mg.randn(4, 3))
    assert layer.num_batches_tracked.cpu().item() == 0
    assert layer.running_mean.cpu().tolist() == [0.0] * 3


def test_an_optimiser_that_was_left_behind_says_so(strict: str) -> None:
    layer = nn.Linear(3, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    for parameter in layer.parameters():
        parameter.grad = mg.ones(*parameter.shape)
    optimizer.step()
    layer.cuda()
    with pytest.raises(TypeError, match=r"float32 \(numpy\), but the parameter is now float32 on"):
        optimizer.step()


@optimisers
def test_a_step_reads_nothing_back(strict: str, make) -> None:
    """Reading a number waits until the GPU has done everything that was asked of it."""
    model = network().cuda()
    optimizer = make(model.parameters())
    for _ in range(2):
        x, labels = mg.ones(4, 5, device="cuda"), mg.tensor([0, 1, 2, 0], device="cuda")
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(x), labels).backward()
        with no_sync():
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            nn.utils.clip_grad_value_(model.parameters(), 0.3)
            optimizer.step()

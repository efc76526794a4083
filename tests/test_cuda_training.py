"""A training step on the CUDA kernels: the CPU's numbers, and a stated number of launches."""

from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.cuda.raw_module import DryRawModule
from tests.devices import emulated, strict, use_kernels
from tests.strict_cupy.stand_in import counted, no_sync

__all__ = ["emulated", "strict"]  # fixtures

Make = Callable[[object], optim.Optimizer]
OPTIMISERS: dict[str, Make] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD, momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
}
DEPTH, WIDTH, BATCH, CLASSES = 20, 16, 33, 10


def network(depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))


def step(
    model: nn.Module, optimizer: optim.Optimizer, on: str, dtype: type[np.generic] = np.float32
) -> mg.Tensor:
    mg.manual_seed(7)
    x = mg.randn(BATCH, WIDTH, device=on, dtype=dtype)
    labels = mg.randint(0, CLASSES, (BATCH,), device=on)
    with no_sync():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
    return loss.detach()


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_training_on_the_kernels_gives_the_numbers_of_the_cpu(make: Make, emulated: str) -> None:
    losses, states = [], []
    for on in ("cpu", emulated):
        mg.manual_seed(5)
        model = network(2).double().to(on)
        optimizer = make(model.parameters())
        losses.append([step(model, optimizer, on, np.float64).item() for _ in range(2)])
        states.append({k: v.cpu().numpy() for k, v in model.state_dict().items()})
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)
    for name, value in states[0].items():
        # Adam divides by the root of a squared gradient, and so enlarges what was rounded.
        np.testing.assert_allclose(states[1][name], value, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_step_of_twenty_layers_waits_for_nothing_and_launches_this_often(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_kernels(monkeypatch, DryRawModule)
    model = network(DEPTH).to("cuda")
    optimizer = make(model.parameters())
    step(model, optimizer, "cuda")
    with counted() as launches:
        step(model, optimizer, "cuda")
    per_layer = (
        2 + 3 + 2 + 1  # product and bias; BatchNorm; running statistics and their count; sigmoid
        + 1 + 3 + 4    # backwards: sigmoid; BatchNorm; two products, and the bias in two stages
    )  # fmt: skip
    head = 2 + 2 + 2 + 4  # product and bias; the loss; 1 and the loss's gradient; as above
    assert launches.total() <= DEPTH * per_layer + head + 1, launches
    assert launches["sgd_step"] + launches["adam_step"] == 1, "the optimiser, for all parameters"


def test_a_fused_network_trains_as_the_network_does(emulated: str) -> None:
    losses, states = [], []
    for change in (lambda model: model, nn.fuse):
        mg.manual_seed(5)
        model = change(network(2).double().to(emulated))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        losses.append([step(model, optimizer, emulated, np.float64).item() for _ in range(2)])
        states.append({k: v.cpu().numpy() for k, v in model.state_dict().items()})
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_fusing_takes_five_launches_from_each_layer(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_kernels(monkeypatch, DryRawModule)
    model = network(DEPTH).to("cuda")
    optimizer = make(model.parameters())
    found = []
    for version in (model, nn.fuse(model)):
        step(version, optimizer, "cuda")
        with counted() as launches:
            step(version, optimizer, "cuda")
        found.append(launches.total())
        assert (launches["sigmoid_forward"] == 0) == (version is not model)
    # The sigmoid, forwards and backwards; and the bias, which is added and summed over in three
    # launches: now others add it to the mean, and write the zeros that are its gradient.
    assert found[1] == found[0] - 5 * DEPTH
    assert found[1] <= 231


def test_fusing_takes_a_launch_from_each_layer_without_batch_norm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_kernels(monkeypatch, DryRawModule)
    layers = [part for part in network(DEPTH) if not isinstance(part, nn.BatchNorm1d)]
    model = nn.Sequential(*layers).to("cuda")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    found = []
    for version in (model, nn.fuse(model)):
        step(version, optimizer, "cuda")
        with counted() as launches:
            step(version, optimizer, "cuda")
        found.append(launches.total())
    assert found[1] == found[0] - DEPTH  # the sigmoid forwards
    assert launches["sigmoid_forward"] == 0


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_without_kernels_a_step_launches_several_times_as_often(make: Make, strict: str) -> None:
    model = network(DEPTH).to(strict)
    optimizer = make(model.parameters())
    step(model, optimizer, strict)
    with counted() as launches:
        step(model, optimizer, strict)
    assert 800 < launches.total() < 2700, launches

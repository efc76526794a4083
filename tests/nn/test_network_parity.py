"""The 20-layer network beside PyTorch's, step by step: the same start, and then the same losses,
gradients, weights and running statistics."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

STEPS, DEPTH, WIDTH, CLASSES, BATCH = 50, 20, 12, 4, 24


def network(modules, **options):
    layers = []
    for _ in range(DEPTH):
        layers += [
            modules.Linear(WIDTH, WIDTH, **options),
            modules.BatchNorm1d(WIDTH, **options),
            modules.Sigmoid(),
        ]
    return modules.Sequential(*layers, modules.Linear(WIDTH, CLASSES, **options))


@pytest.mark.parity
def test_fifty_steps_of_the_twenty_layer_network(torch, rng) -> None:
    ours, theirs = network(nn, dtype=mg.float64), network(torch.nn, dtype=torch.float64)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    steppers = (
        optim.SGD(ours.parameters(), lr=0.1, momentum=0.9),
        torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9),
    )
    criteria = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    start = {name: value.numpy().copy() for name, value in ours.state_dict().items()}
    for step in range(STEPS):
        labels = rng.integers(0, CLASSES, size=BATCH)
        x = rng.normal(size=(BATCH, WIDTH)) + labels[:, None]
        losses = []
        for net, stepper, criterion, tensor in zip(
            (ours, theirs), steppers, criteria, (mg.tensor, torch.tensor), strict=True
        ):
            stepper.zero_grad()
            loss = criterion(net(tensor(x)), tensor(labels))
            loss.backward()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-8), f"loss in step {step}"
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            # A bias before BatchNorm has no gradient but rounding: compared with 1 in scale.
            np.testing.assert_allclose(
                p.grad.numpy(), q.grad.numpy(), rtol=1e-5, atol=1e-9, err_msg=f"{name}, {step}"
            )
        for stepper in steppers:
            stepper.step()
        state = theirs.state_dict()
        for name, value in ours.state_dict().items():
            np.testing.assert_allclose(
                value.numpy(), state[name].numpy(), rtol=1e-6, atol=1e-8, err_msg=f"{name}, {step}"
            )
    moved = np.abs(ours[0].weight.detach().numpy() - start["0.weight"]).max()
    assert moved > 0.01, "the first layer has learnt, so the comparison was of something"

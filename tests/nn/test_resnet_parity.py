"""A small ResNet beside PyTorch's: the state dict moves both ways, and both compute the same."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

CLASSES = 5


def resnet(modules, dtype):
    """The same network from either library: He et al. (2016), with three blocks of two."""
    options = {"dtype": dtype}

    class Block(modules.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = modules.Conv2d(inputs, outputs, 3, stride, 1, bias=False, **options)
            self.bn1 = modules.BatchNorm2d(outputs, **options)
            self.conv2 = modules.Conv2d(outputs, outputs, 3, 1, 1, bias=False, **options)
            self.bn2 = modules.BatchNorm2d(outputs, **options)
            self.shortcut = modules.Sequential()
            if stride > 1 or inputs != outputs:
                self.shortcut = modules.Sequential(
                    modules.Conv2d(inputs, outputs, 1, stride, bias=False, **options),
                    modules.BatchNorm2d(outputs, **options),
                )

        def forward(self, x):
            y = self.bn1(self.conv1(x)).relu()
            return (self.bn2(self.conv2(y)) + self.shortcut(x)).relu()

    class ResNet(modules.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = modules.Conv2d(3, 8, 3, 1, 1, **options)
            self.bn1 = modules.BatchNorm2d(8, **options)
            self.pool = modules.MaxPool2d(3, 2, 1)
            self.blocks = modules.Sequential(Block(8, 8, 1), Block(8, 12, 2), Block(12, 16, 2))
            self.head = modules.Linear(16, CLASSES, **options)

        def forward(self, x):
            y = self.blocks(self.pool(self.bn1(self.conv1(x)).relu()))
            return self.head(y.mean((2, 3)))

    return ResNet()


@pytest.fixture
def pair(torch):
    """The network in both libraries, in float32; a few buffers are not as they begin."""
    mg.manual_seed(3)
    torch.manual_seed(4)
    return resnet(nn, mg.float32), resnet(torch.nn, torch.float32)


def batch(rng):
    return rng.normal(0.3, 1.2, (6, 3, 20, 20)).astype(np.float32), rng.integers(0, CLASSES, 6)


def passed(net, tensor, x, labels, cross_entropy):
    """Outputs, and the gradients of parameters and input."""
    for p in net.parameters():
        p.grad = None
    given = tensor(x)
    given.requires_grad = True
    outputs = net(given)
    cross_entropy(outputs, tensor(labels)).backward()
    gradients = {name: p.grad.numpy() for name, p in net.named_parameters()}
    return outputs.detach().numpy(), {**gradients, "input": given.grad.numpy()}


def agree(a, b, what):
    """To 1e-5 of the largest number of the array."""
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max(), err_msg=what)


@pytest.mark.parity
@pytest.mark.parametrize("way", ["from PyTorch", "to PyTorch"])
def test_a_state_dict_gives_the_same_outputs_and_gradients(torch, pair, rng, way):
    ours, theirs = pair
    x, labels = batch(rng)
    with torch.no_grad():  # running statistics of their own, on both sides
        theirs(torch.tensor(x[::-1].copy() * 0.7))
    with mg.no_grad():
        ours(mg.tensor(x[::-1].copy() * 1.4))
    if way == "from PyTorch":
        ours.load_state_dict(theirs.state_dict())
    else:
        theirs.load_state_dict(
            {name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()}
        )
    for mode in ("eval", "train"):
        getattr(ours, mode)()
        getattr(theirs, mode)()
        y, gradients = passed(ours, mg.tensor, x, labels, nn.functional.cross_entropy)
        z, expected = passed(theirs, torch.tensor, x, labels, torch.nn.functional.cross_entropy)
        agree(y, z, mode)
        assert list(gradients) == list(expected)
        # The bias before BatchNorm has no gradient in training but rounding.
        drop = "conv1.bias" if mode == "train" else None
        for name in gradients:
            if name != drop:
                agree(gradients[name], expected[name], f"{name}, {mode}")
    states = ours.state_dict(), theirs.state_dict()
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        agree(value.numpy(), states[1][name].numpy(), name)


@pytest.mark.parity
def test_ten_steps_of_training(torch, rng):
    """In float64, where rounding does not grow: every loss, and the state at the end."""
    mg.manual_seed(6)
    ours, theirs = resnet(nn, mg.float64), resnet(torch.nn, torch.float64)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    steppers = [
        library.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for library, net in ((optim, ours), (torch.optim, theirs))
    ]
    criteria = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    first = None
    for step in range(10):
        x, labels = batch(rng)
        losses = []
        for net, stepper, criterion, tensor in zip(
            (ours, theirs), steppers, criteria, (mg.tensor, torch.tensor), strict=True
        ):
            stepper.zero_grad()
            loss = criterion(net(tensor(x.astype(np.float64))), tensor(labels))
            loss.backward()
            stepper.step()
            losses.append(loss.item())
        first = losses[0] if first is None else first
        assert losses[0] == pytest.approx(losses[1], rel=1e-9), f"loss in step {step}"
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(
            ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-6, atol=1e-9, err_msg=name
        )
    assert losses[0] != pytest.approx(first, rel=0.01)

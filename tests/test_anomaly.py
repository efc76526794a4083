"""detect_anomaly names the operation, the module and the line that made a number not finite."""

import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.core import execute
from minigrad.ops import Op, apply


def caught(function: Any) -> mg.AnomalyError:
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError) as info:
        function()
    return info.value


def test_the_forward_operation_is_named() -> None:
    x = mg.tensor([1.5, 0.0, -2.0])
    error = caught(lambda: (x + 1).log() * 2)
    assert (error.operation, error.half, error.module) == ("Log", "forward", "")
    assert "test_anomaly.py:" in error.line
    assert "made 1 of 3 numbers of its result of shape (3,) not finite (1 NaN, 0 infinite)" in str(
        error
    )


class Overflow(nn.Module):
    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return (x * 1000).exp()


@pytest.mark.parametrize("depth", [0, 2])
def test_the_module_is_named_by_its_path(depth: int) -> None:
    model: nn.Module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Sigmoid(), Overflow()))
    path = "1.1.Overflow"
    for _ in range(depth):
        model, path = nn.Sequential(nn.Identity(), model), f"1.{path}"
    error = caught(lambda: model(mg.tensor([[1.0, 2.0]])))
    assert error.module == path
    assert f"Exp.forward in {path} made" in str(error)


class Root(Op):
    """A rule whose gradient is infinite at 0, where its value is 0."""

    saves = ("y",)

    def forward(self, x: Any) -> Any:
        return np.sqrt(x)

    def backward(self, grad: Any, y: Any, x: Any) -> Any:
        return grad / (2 * y)


class Rooted(nn.Module):
    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return apply(Root(), x)


@pytest.mark.parametrize("kernels", [True, False])
def test_the_backward_operation_is_named_with_the_line_that_recorded_it(kernels: bool) -> None:
    model = nn.Sequential(nn.Identity(), Rooted())
    x = mg.tensor([4.0, 0.0], requires_grad=True)

    def step() -> None:
        with mg.use_kernels(kernels):
            y = model(x)
            (y * y).sum()
            y.sum().backward()

    error = caught(step)
    assert (error.operation, error.half, error.module) == ("Root", "backward", "1.Rooted")
    assert "it was recorded at" in str(error)
    assert "test_anomaly.py:" in error.line
    assert x.grad is None


def test_what_was_not_finite_before_is_passed_on() -> None:
    x = mg.tensor([np.inf, 1.0], requires_grad=True)
    with mg.detect_anomaly():
        y = (x * 2).sum()
        y.backward()
    assert y.item() == np.inf


def test_a_batch_that_is_not_finite_is_found_where_it_is_made() -> None:
    model = nn.Sequential(nn.Linear(2, 3), Overflow(), nn.BatchNorm1d(3))
    assert caught(lambda: model(mg.tensor([[1e3, 2.0], [2e3, 3.0]]))).module == "1.Overflow"


def test_it_is_over_afterwards_and_in_other_threads() -> None:
    plain = execute.forward
    seen: list[Any] = []

    def other() -> None:
        seen.append(mg.tensor([0.0]).log().item())

    with mg.detect_anomaly():
        with mg.detect_anomaly():
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(mg.AnomalyError):
            mg.tensor([0.0]).log()
    assert seen == [-np.inf]
    assert execute.forward is plain
    assert mg.tensor([0.0]).log().item() == -np.inf


def test_other_errors_say_where_the_operation_was_recorded() -> None:
    x = mg.tensor([2.0, 3.0], requires_grad=True)
    with mg.detect_anomaly():
        y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"True\. It was recorded at .*test_anomaly"):
        y.backward()


def test_training_within_it_gives_the_same_numbers() -> None:
    def losses(watch: bool) -> list[float]:
        mg.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Linear(4, 2))
        optimizer = mg.optim.SGD(model.parameters(), lr=0.3)
        x, labels = mg.randn(8, 3), mg.tensor([0, 1] * 4)
        values = []
        for _ in range(3):
            optimizer.zero_grad()
            if watch:
                with mg.detect_anomaly():
                    loss = F.cross_entropy(model(x), labels)
                    loss.backward()
            else:
                loss = F.cross_entropy(model(x), labels)
                loss.backward()
            optimizer.step()
            values.append(loss.item())
        return values

    assert losses(watch=True) == losses(watch=False)

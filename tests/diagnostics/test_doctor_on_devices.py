"""The doctor on the stand-in for CuPy, and on a GPU where there is one: the same findings there."""

import dataclasses
from typing import Any

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.diagnostics import diagnose, track
from tests.devices import cuda, strict
from tests.diagnostics.ward import sick
from tests.diagnostics.ward.parts import Case

__all__ = ["cuda", "strict"]  # fixtures

NAMES = {name: build for cases in sick.SICK.values() for name, build in cases.items()}


@pytest.fixture(params=["strict", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> str:
    """The device that is not the CPU."""
    return str(request.getfixturevalue(request.param))


def there(case: Case, device: str) -> Case:
    """The case, moved. The optimiser keeps the parameters, which move with the model."""
    case.model.to(device)
    return dataclasses.replace(case, x=case.x.to(device), labels=case.labels.to(device))


@pytest.mark.parametrize(
    "name",
    [
        "eight sigmoid layers from the default",
        "one layer of three shifted",
        "one layer with tiny weights",
        "positive weights and relu",
        "all weights zero",
        "one layer of four dead",
        "features in different units",
        "softmax before cross entropy",
        "fewer outputs than classes",
        "sgd at 100",
        "detached in the middle",
        "a momentum of a ten thousandth",
        "one channel is infinite",
        "nearly everything dropped",
        "the root of a distance of zero",
        "float16 tanh",
    ],
)
def test_the_findings_are_those_on_the_cpu(gpu: str, name: str) -> None:
    mg.manual_seed(1)
    here = diagnose(**NAMES[name]().arguments(), steps=6)
    mg.manual_seed(1)
    moved = there(NAMES[name](), gpu)
    report = diagnose(**moved.arguments(), steps=6)
    assert report.kinds == here.kinds != []
    assert [f.where for f in report.findings] == [f.where for f in here.findings]


def test_a_step_of_ones_own_is_undone_there(gpu: str) -> None:
    mg.manual_seed(1)
    case = there(sick.D(sick.mlp(64, 10, 2, 12, norm=nn.BatchNorm1d), sick.adam), gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        loss = case.loss(case.model(x), labels)
        loss.backward()
        case.optimizer.step()
        return loss

    def state() -> list[Any]:
        return [t.cpu().data.tobytes() for t in [*case.model.parameters(), *case.model.buffers()]]

    step(case.x, case.labels)
    before = state()
    case.step = step
    report = diagnose(**case.arguments(), steps=3, try_remedies=True, remedy_steps=3)
    assert report.kinds == ["accumulating-gradients"]
    assert state() == before


def test_a_run_is_tracked_there(gpu: str) -> None:
    tables = []
    for device in ("cpu", gpu):
        mg.manual_seed(1)
        model = sick.mlp(12, 4, 2, 8, nn.Sigmoid, sick.xavier, nn.BatchNorm1d)
        model.append(nn.Linear(4, 4)).append(nn.ReLU())
        case = there(Case(model, *sick.blobs(24), sick.sgd(model)), device)
        with track(model, case.optimizer, every=2) as history:
            for _ in range(5):
                case.optimizer.zero_grad()
                case.loss(model(case.x), case.labels).backward()
                case.optimizer.step()
        tables.append(history.to_dict()["values"])
    assert tables[0].keys() == tables[1].keys() == {
        "gradient", "update", "spread", "behind", "saturated", "dead",
    }  # fmt: skip
    for name in ("gradient", "update", "spread"):
        for layer, numbers in tables[0][name].items():
            assert tables[1][name][layer] == pytest.approx(numbers, rel=1e-3), (name, layer)

"""The devices that a test can be run on: the CPU, the strict stand-in for CuPy, a GPU.

A test that takes ``device`` runs once on each; new tensors are made there, so that most tests need
no other change than to read results with ``.cpu()``. A whole file opts in with

    pytestmark = pytest.mark.usefixtures("device")
"""

import sys
from collections.abc import Iterator

import pytest

import minigrad as mg
from minigrad import backend
from tests.strict_cupy import stand_in


def _stand_in_for_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(backend, "_cuda_status", None)
    monkeypatch.delenv("MINIGRAD_NO_CUDA", raising=False)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> str:
    """The device name under which the stand-in answers."""
    _stand_in_for_cupy(monkeypatch)
    return "cuda"


@pytest.fixture
def cuda() -> str:
    """The device name of the first GPU; without one the test is skipped, with the reason."""
    working, reason = backend.cuda_status()
    if not working:
        pytest.skip(f"no CUDA device: {reason}")
    return "cuda"


@pytest.fixture(params=["cpu", "strict", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where new tensors are made during the test: ``"cpu"``, or ``"cuda"`` for the others."""
    name = "cpu" if request.param == "cpu" else request.getfixturevalue(request.param)
    mg.set_default_device(name)
    yield name
    mg.set_default_device(None)

"""The devices that a test can be run on: the CPU, the strict stand-in for CuPy, a GPU.

A test that takes ``device`` runs once on each; new tensors are made there, so that most tests need
no other change than to read results with ``.cpu()``. A whole file opts in with

    pytestmark = pytest.mark.usefixtures("device")
"""

import sys
from collections.abc import Iterator

import pytest

import minigrad as mg
from minigrad.backend import cuda as cuda_setup
from minigrad.core import execute
from minigrad.kernels import cublas, launch
from tests.cuda import emulator
from tests.cuda.raw_module import RawModule
from tests.strict_cupy import runtime, stand_in


def _stand_in_for_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for remembered in ("_cuda_status", "_precision", "_told_precision"):
        monkeypatch.setattr(cuda_setup, remembered, None)
    monkeypatch.delenv("MINIGRAD_NO_CUDA", raising=False)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> str:
    """The device name under which the stand-in answers; it runs the rules, and no kernels."""
    _stand_in_for_cupy(monkeypatch)
    monkeypatch.setattr(execute, "cupy_forward", {})
    monkeypatch.setattr(execute, "cupy_backward", {})
    monkeypatch.setattr(execute, "cupy_steps", {})
    monkeypatch.setattr(execute, "cupy_in_place", {})
    return "cuda"


def use_kernels(monkeypatch: pytest.MonkeyPatch, raw_module: type[RawModule]) -> None:
    """Have the stand-in run minigrad's CUDA kernels by ``raw_module``."""
    reason = emulator.unavailable()
    if reason is None and raw_module.sanitizer:
        reason = emulator.sanitizer_unavailable(raw_module.sanitizer)
    if reason is not None:
        pytest.skip(f"CUDA kernels cannot be emulated: {reason}")
    _stand_in_for_cupy(monkeypatch)
    monkeypatch.setattr(stand_in.module, "RawModule", raw_module, raising=False)
    monkeypatch.setattr(cublas, "load", lambda version: runtime.cublas)
    launch.module.cache_clear()
    launch.kernel.cache_clear()


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> str:
    """As ``strict``, with minigrad's CUDA kernels, run by the emulator."""
    use_kernels(monkeypatch, RawModule)
    return "cuda"


@pytest.fixture
def cuda() -> str:
    """The device name of the first GPU; without one the test is skipped, with the reason."""
    working, reason = cuda_setup.cuda_status()
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

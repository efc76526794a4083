"""Devices, and the honest answer where there is no GPU."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import cuda
from tests.devices import strict

__all__ = ["strict"]  # a fixture


@pytest.fixture
def fresh_probe(monkeypatch):
    """Let cuda_status look again, and forget what it found here afterwards."""
    monkeypatch.setattr(cuda, "_cuda_status", None)
    monkeypatch.delenv("MINIGRAD_NO_CUDA", raising=False)


@pytest.mark.parametrize(
    ("name", "kind", "index"),
    [("cpu", "cpu", None), ("cuda", "cuda", 0), ("cuda:0", "cuda", 0), ("cuda:3", "cuda", 3)],
)
def test_a_device_has_a_type_and_an_index(name, kind, index):
    device = mg.device(name)
    assert (device.type, device.index) == (kind, index)
    assert repr(device) == f"device('{device}')"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "", "cuda:-1"])
def test_an_unknown_device_is_an_error(name):
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda' or"):
        mg.device(name)


def test_a_tensor_is_on_the_cpu():
    assert mg.zeros(2).device == "cpu"
    assert mg.zeros(2).to("cpu").cpu().device == "cpu"


def test_switched_off_by_the_environment(monkeypatch):
    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    working, reason = cuda.cuda_status()
    assert not working
    assert "MINIGRAD_NO_CUDA" in reason
    with pytest.raises(RuntimeError, match="MINIGRAD_NO_CUDA"):
        mg.zeros(2).cuda()
    with pytest.raises(RuntimeError, match="not available"):
        mg.zeros(2, device="cuda")


def fake_cupy(folder, source):
    (folder / "cupy.py").write_text(source)
    return folder


SITUATIONS = {
    "import broken": ("raise ImportError('libfoo.so is missing')", "cannot be imported"),
    "crash at import": ("raise OSError('bad')", "cannot be imported"),
    "a missing dependency": ("import no_such_module_at_all", "cannot be imported"),
    "no driver": (
        """
class cuda:
    class runtime:
        @staticmethod
        def getDeviceCount():
            raise RuntimeError('driver version is insufficient')
""",
        "no usable CUDA driver .driver version",
    ),
    "no device": (
        """
class cuda:
    class runtime:
        getDeviceCount = staticmethod(lambda: 0)
""",
        "no CUDA device",
    ),
    "no compiler": (
        """
class cuda:
    class runtime:
        getDeviceCount = staticmethod(lambda: 1)
def asarray(x):
    raise RuntimeError('libnvrtc was not found')
""",
        "test kernel failed .*libnvrtc",
    ),
    "wrong answers": (
        """
import numpy
class cuda:
    class runtime:
        getDeviceCount = staticmethod(lambda: 1)
asarray = lambda x: numpy.asarray(x) * 2
""",
        "1 \\+ 2 = 6",
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_reason_is_told_apart(situation, tmp_path, monkeypatch, fresh_probe):
    source, message = SITUATIONS[situation]
    monkeypatch.syspath_prepend(fake_cupy(tmp_path, source))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    working, reason = cuda.cuda_status()
    sys.modules.pop("cupy", None)
    assert not working
    import re

    assert re.search(message, reason), reason


def test_cupy_missing_names_the_extra(monkeypatch, fresh_probe):
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes `import cupy` fail as if it were absent
    working, reason = cuda.cuda_status()
    assert not working
    assert "cupy-cuda13x[ctk]" in reason


def test_a_working_gpu_is_reported(tmp_path, monkeypatch, fresh_probe):
    source = """
import numpy
__version__ = "14.2.0"
class cuda:
    class runtime:
        getDeviceCount = staticmethod(lambda: 2)
class ndarray: pass
asarray = numpy.asarray
"""
    monkeypatch.syspath_prepend(fake_cupy(tmp_path, source))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    assert cuda.cuda_status() == (True, "2 CUDA devices, CuPy 14.2.0")
    assert cuda.cuda_status()[0], "the answer is remembered"
    sys.modules.pop("cupy", None)


def test_the_default_device_comes_from_the_environment():
    code = "import minigrad as mg; print(mg.default_device())"
    environment = {**os.environ, "MINIGRAD_DEVICE": "cuda:1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "cuda:1"


def test_the_default_device_can_be_set(monkeypatch):
    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    with pytest.raises(RuntimeError, match="not available"):
        mg.set_default_device("cuda")
    assert mg.default_device() == "cpu", "a failed request changes nothing"
    mg.set_default_device("cpu")
    assert mg.zeros(1).device == "cpu"
    mg.set_default_device(None)


def test_the_same_seed_gives_the_same_numbers():
    mg.manual_seed(7)
    first = mg.randn(5).numpy()
    mg.manual_seed(7)
    np.testing.assert_array_equal(mg.randn(5).numpy(), first)
    assert not np.array_equal(mg.randn(5).numpy(), first)


# ------------------------------------------------------------------------------------ precision


def products(strict: str) -> tuple[float, float]:
    """The relative errors of a product of matrices, and of one of stacks of them."""
    a, b = np.random.default_rng(3).normal(size=(2, 40, 40)).astype(np.float32)
    exact = a.astype(np.float64) @ b
    there = mg.tensor(a, device=strict), mg.tensor(b, device=strict)
    plain = (there[0] @ there[1]).cpu().numpy()
    stacked = (there[0].reshape(1, 40, 40) @ there[1]).cpu().numpy()
    size = np.abs(exact).max()
    return tuple(float(np.abs(found - exact).max() / size) for found in (plain, stacked))


def test_high_precision_shortens_the_factors_and_highest_does_not(strict: str) -> None:
    assert mg.get_float32_matmul_precision() == "highest"
    assert max(products(strict)) < 1e-6
    mg.set_float32_matmul_precision("high")
    assert mg.get_float32_matmul_precision() == "high"
    plain, stacked = products(strict)
    assert 1e-5 < plain < 1e-3
    assert stacked < 1e-6
    mg.set_float32_matmul_precision("highest")
    assert max(products(strict)) < 1e-6


def test_a_precision_that_was_set_before_cuda_is_used_holds(strict: str) -> None:
    assert cuda._cuda_status is None
    mg.set_float32_matmul_precision("high")
    assert cuda._cuda_status is None, "a choice of precision starts no driver"
    assert products(strict)[0] > 1e-5


def test_on_the_cpu_no_precision_changes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for remembered in ("_precision", "_told_precision"):
        monkeypatch.setattr(cuda, remembered, None)
    before = products("cpu")
    mg.set_float32_matmul_precision("high")
    assert products("cpu") == before


def test_the_environments_precision_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_precision", None)
    monkeypatch.setenv("CUPY_TF32", "1")
    assert mg.get_float32_matmul_precision() == "high"


def test_a_precision_that_cannot_be_set_leaves_the_old_one(
    strict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="got 'medium', expected 'highest' or 'high'"):
        mg.set_float32_matmul_precision("medium")
    mg.ones(1, device=strict)
    monkeypatch.delattr(sys.modules["cupy._core"], "_routines_linalg")
    with pytest.raises(RuntimeError, match=r"has no such switch .*CUPY_TF32=1"):
        mg.set_float32_matmul_precision("high")
    assert mg.get_float32_matmul_precision() == "highest"
    assert products(strict)[0] < 1e-6


def test_the_state_of_the_generator_can_be_put_back(tmp_path):
    mg.manual_seed(4)
    mg.rand(3)
    state = mg.get_rng_state()
    first = mg.rand(5).tolist()
    mg.save(state, tmp_path / "rng.npz")
    mg.set_rng_state(state)
    assert mg.rand(5).tolist() == first
    mg.set_rng_state(mg.load(tmp_path / "rng.npz"))
    assert mg.rand(5).tolist() == first
    before = mg.get_rng_state()
    for wrong in ({}, {"bit_generator": "MT19937"}, 3):
        with pytest.raises((TypeError, ValueError)):
            mg.set_rng_state(wrong)
    assert mg.get_rng_state() == before


def test_an_empty_device_in_the_environment_is_none(monkeypatch):
    monkeypatch.setenv("MINIGRAD_DEVICE", "")
    assert mg.default_device() == "cpu"

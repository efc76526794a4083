"""Memory shared with NumPy, PyTorch and CuPy, in both directions and without a copy."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.devices import cuda, strict
from tests.strict_cupy.stand_in import meter
from tests.strict_cupy.stand_in import module as stand_in

__all__ = ["cuda", "strict"]  # fixtures

TYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch", reason="compares with PyTorch: make parity")
    return module


def numbers(dtype: str) -> np.ndarray[Any, Any]:
    return (np.arange(6).reshape(2, 3) % 4).astype(dtype)


# ------------------------------------------------------------------------------------- on the CPU


@pytest.mark.parametrize("dtype", TYPES)
def test_numpy_shares_both_ways(dtype: str) -> None:
    array = numbers(dtype)
    here = mg.from_dlpack(array)
    assert here.dtype == dtype
    array[0, 1] = 0
    assert here[0, 1].item() == 0
    there = np.from_dlpack(here)
    assert np.shares_memory(there, array)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", TYPES)
def test_pytorch_shares_both_ways(dtype: str, torch: ModuleType) -> None:
    theirs = torch.from_numpy(numbers(dtype))
    here = mg.from_dlpack(theirs)
    assert here.dtype == dtype
    assert here.tolist() == theirs.tolist()
    theirs[0, 1] = 0
    assert here[0, 1].item() == 0
    here.copy_(mg.zeros_like(here))
    assert not theirs.any()
    back = torch.from_dlpack(here)
    assert back.data_ptr() == theirs.data_ptr()


@pytest.mark.parity
def test_a_transposed_tensor_of_pytorch_keeps_its_layout(torch: ModuleType) -> None:
    theirs = torch.arange(6.0).reshape(2, 3).T
    here = mg.from_dlpack(theirs)
    assert here.tolist() == theirs.tolist()
    assert torch.from_dlpack(here.T).is_contiguous()


@pytest.mark.parity
def test_gradients_meet_at_the_border(torch: ModuleType) -> None:
    """A network of PyTorch with a head of minigrad: the gradient crosses without a copy."""
    w = torch.tensor([[0.5, -1.5], [2.5, 0.25]], requires_grad=True)
    features = w * 3
    head = mg.from_dlpack(features.detach()).requires_grad_()
    (head * head).sum().backward()
    features.backward(torch.from_dlpack(head.grad))
    torch.testing.assert_close(w.grad, 18 * w.detach())


@pytest.mark.parity
def test_what_pytorch_has_and_numpy_has_not(torch: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"from_dlpack: the source is torch\.bfloat16"):
        mg.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(TypeError, match="dtype: got complex64"):
        mg.from_dlpack(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(BufferError, match="require"):
        mg.from_dlpack(torch.ones(2, requires_grad=True))


def test_what_requires_a_gradient_is_not_passed_on() -> None:
    x = mg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"__dlpack__: .*use \.detach\(\)"):
        np.from_dlpack(x)
    np.from_dlpack(x.detach())[0] = 5
    assert x.tolist() == [5, 1, 1]


def test_what_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"from_dlpack: got a list, .* mg\.tensor"):
        mg.from_dlpack([1.0])


def test_memory_on_a_gpu_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        def __dlpack__(self, **options: Any) -> Any: ...

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    with pytest.raises(RuntimeError, match="device 'cuda' is not available: switched off"):
        mg.from_dlpack(Elsewhere())


def test_on_the_cpu_there_is_no_cuda_array_interface() -> None:
    assert not hasattr(mg.ones(3), "__cuda_array_interface__")
    assert mg.ones(3).__dlpack_device__() == (1, 0)


# -------------------------------------------------------------------------------- on the stand-in


@pytest.mark.parametrize("device", [0, 1])
def test_cupy_shares_both_ways(device: int, strict: str) -> None:
    with stand_in.cuda.Device(device):
        theirs = stand_in.asarray(numbers("float32"))
    here = mg.from_dlpack(theirs)
    assert here.device == f"cuda:{device}"
    assert here.__dlpack_device__() == (2, device)
    here.mul_(2.0)
    back = stand_in.from_dlpack(here)
    assert back.data.ptr == theirs.data.ptr
    np.testing.assert_array_equal(theirs.get(), 2 * numbers("float32"))


def test_the_cuda_array_interface_shows_the_memory(strict: str) -> None:
    here = mg.tensor(numbers("float32"), device="cuda")
    uploads = meter.uploads
    theirs = stand_in.asarray(here)
    theirs[0, 1] = 7.5
    assert here[0, 1].item() == 7.5
    assert here.T.__cuda_array_interface__["strides"] == (4, 12)
    assert meter.uploads == uploads
    with pytest.raises(RuntimeError, match=r"__cuda_array_interface__: .*\.detach\(\)"):
        here.requires_grad_().__cuda_array_interface__  # noqa: B018


def test_tensor_copies_what_another_library_has_on_the_gpu(strict: str) -> None:
    class Foreign:
        """Such as a PyTorch tensor: no array of NumPy's or CuPy's."""

        def __init__(self, memory: Any) -> None:
            self.__cuda_array_interface__ = memory.__cuda_array_interface__

    theirs = stand_in.asarray(numbers("int32"))
    here = mg.tensor(Foreign(theirs))
    assert here.device == "cuda:0"
    assert here.dtype == np.int32
    here.mul_(0)
    np.testing.assert_array_equal(theirs.get(), numbers("int32"))


# --------------------------------------------------------------------------------------- on a GPU


@pytest.mark.gpu
@pytest.mark.parity
def test_pytorch_shares_the_memory_of_a_gpu(cuda: str, torch: ModuleType) -> None:
    theirs = torch.arange(6.0, device="cuda").reshape(2, 3)
    here = mg.from_dlpack(theirs)
    here.mul_(2.0)
    assert theirs.sum().item() == 30
    assert torch.from_dlpack(here).data_ptr() == theirs.data_ptr()
    assert torch.as_tensor(here, device="cuda").data_ptr() == theirs.data_ptr()

"""``mg.cuda``: on the stand-in, and the honest answer without a GPU."""

import gc

import pytest

import minigrad as mg
from minigrad import cuda
from tests.devices import strict
from tests.strict_cupy.stand_in import module as cupy
from tests.strict_cupy.stand_in import pools

__all__ = ["strict"]  # a fixture


def test_without_cuda_it_says_so_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_NO_CUDA", "1")
    assert not cuda.is_available()
    assert cuda.device_count() == 0
    working, reason = cuda.status()
    assert not working
    assert "MINIGRAD_NO_CUDA" in reason
    for act in (cuda.synchronize, cuda.memory_allocated, cuda.empty_cache, cuda.Event):
        with pytest.raises(RuntimeError, match="MINIGRAD_NO_CUDA"):
            act()


def test_with_cuda_it_says_what_there_is(strict: str) -> None:
    assert cuda.is_available()
    assert cuda.device_count() == 2
    assert "2 CUDA devices" in cuda.status()[1]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_device_that_is_no_gpu_is_an_error(name: str, strict: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        cuda.synchronize(name)


def test_memory_is_counted_per_device_and_given_back(strict: str) -> None:
    gc.collect()
    before = [cuda.memory_allocated(f"cuda:{i}") for i in range(2)]
    x = mg.zeros(100, device="cuda:1")
    assert cuda.memory_allocated("cuda:1") == before[1] + 400
    assert cuda.memory_allocated() == before[0]
    del x
    assert cuda.memory_allocated("cuda:1") == before[1]


def test_a_finished_step_leaves_no_memory_behind(strict: str) -> None:
    w = mg.randn(20, 30, device="cuda").requires_grad_()
    gc.collect()
    gc.disable()
    try:
        before = cuda.memory_allocated()
        for _ in range(3):
            loss = (w.sigmoid() @ w.T).exp().mean()
            loss.backward()
            w.grad = None
            del loss
            assert cuda.memory_allocated() == before
    finally:
        gc.enable()


def test_the_cache_of_one_device_is_emptied(strict: str) -> None:
    before = [pool.emptied for pool in pools]
    cuda.empty_cache("cuda:1")
    assert [pool.emptied for pool in pools] == [before[0], before[1] + 1]


def test_events_measure_time_and_leave_the_current_device(strict: str) -> None:
    start, end = cuda.Event("cuda:1"), cuda.Event("cuda:1")
    start.record()
    mg.zeros(10, device="cuda:1")
    end.record()
    end.synchronize()
    cuda.synchronize("cuda:1")
    assert start.elapsed_time(end) > 0
    assert end.elapsed_time(start) < 0
    assert cupy.cuda.Device().id == 0

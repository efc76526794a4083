"""The stand-in refuses what CuPy refuses: each planted fault is found, and sound code runs."""

import gc
import json
import operator
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.strict_cupy import linalg
from tests.strict_cupy.runtime import Stream
from tests.strict_cupy.stand_in import (
    HiddenSync,
    WrongOnGPU,
    counted,
    meter,
    module,
    no_sync,
    pools,
)

cp: Any = module
HOST = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)


def on_device() -> Any:
    return cp.asarray(HOST)


FAULTS: dict[str, tuple[type[Exception], Callable[[Any], Any]]] = {
    # conversion in passing
    "np.asarray": (TypeError, lambda x: np.asarray(x)),
    "np.array": (TypeError, lambda x: np.array(x)),
    "assignment into a host array": (TypeError, lambda x: HOST.copy().__setitem__(slice(None), x)),
    "memoryview": (TypeError, lambda x: memoryview(x)),
    "list of device arrays": (TypeError, lambda x: cp.array([x[0, 0], x[0, 1]])),
    # host arrays among device arrays
    "device + host": (TypeError, lambda x: x + HOST),
    "host + device": (TypeError, lambda x: HOST + x),
    "device @ host": (TypeError, lambda x: x @ HOST.T),
    "in place with host": (TypeError, lambda x: x.__iadd__(HOST)),
    "np.multiply": (TypeError, lambda x: np.multiply(x, HOST)),
    "0-d host array": (TypeError, lambda x: x * np.array(2.0)),
    "concatenate": (TypeError, lambda x: cp.concatenate([x, HOST])),
    "np.concatenate": (TypeError, lambda x: np.concatenate([x, HOST])),
    "zeros_like of host": (TypeError, lambda x: cp.zeros_like(HOST)),
    "where with host": (TypeError, lambda x: cp.where(x > 0, x, HOST)),
    "assign host": (TypeError, lambda x: x.__setitem__(slice(None), HOST)),
    "host out": (TypeError, lambda x: np.add(x, x, out=HOST.copy())),
    "ufunc of a list": (TypeError, lambda x: cp.exp([1.0, 2.0])),
    "device + list": (TypeError, lambda x: operator.add(x, [1.0, 2.0, 3.0])),
    # what CuPy does not have
    "errstate": (AttributeError, lambda x: cp.errstate(divide="ignore")),
    "frompyfunc": (AttributeError, lambda x: cp.frompyfunc(abs, 1, 1)),
    "ufunc where=": (TypeError, lambda x: cp.divide(x, x, where=x > 0)),
    "ufunc order=": (TypeError, lambda x: cp.add(x, x, order="F")),
    "sum where=": (TypeError, lambda x: cp.sum(x, where=x > 0)),
    "max initial=": (TypeError, lambda x: cp.max(x, initial=0)),
    "mean where=": (TypeError, lambda x: x.mean(axis=0, where=True)),
    "var mean=": (TypeError, lambda x: x.var(axis=0, mean=0)),
    "maximum.reduce": (NotImplementedError, lambda x: cp.maximum.reduce(x)),
    "multiply.at": (TypeError, lambda x: cp.multiply.at(x, (cp.array([0]),), 1.0)),
    "subtract.at of floats": (TypeError, lambda x: cp.subtract.at(x, (cp.array([0]),), 1.0)),
    "add.at of int8": (TypeError, lambda x: cp.add.at(cp.zeros(3, dtype="int8"), cp.array([0]), 1)),
    "flags.writeable": (AttributeError, lambda x: x.flags.writeable),
    "method of NumPy alone": (AttributeError, lambda x: x.setflags(write=False)),
    "as an index": (TypeError, lambda x: [1, 2][cp.array(1)]),
    "as a key": (TypeError, lambda x: {x: 1}),
    # what CuPy does wrongly and says nothing of
    "read past the end": (WrongOnGPU, lambda x: x[cp.array([5])]),
    "read before the start": (WrongOnGPU, lambda x: x[cp.array([-3])]),
    "take past the end": (WrongOnGPU, lambda x: cp.take(x, cp.array([7]))),
    "write past the end": (WrongOnGPU, lambda x: x.__setitem__(cp.array([5]), 1.0)),
    "add.at past the end": (WrongOnGPU, lambda x: cp.add.at(x, cp.array([5]), x[:1])),
    "write twice": (WrongOnGPU, lambda x: x.__setitem__(cp.array([0, 0]), x)),
    # the other device
    "array of another device": (ValueError, lambda x: x + elsewhere()),
    "work on another device": (ValueError, lambda x: elsewhere() * 2),
    "a device that is not there": (RuntimeError, lambda x: cp.cuda.Device(2)),
}


def elsewhere() -> Any:
    with cp.cuda.Device(1):
        return on_device()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    error, act = FAULTS[fault]
    with pytest.raises(error) as caught:
        act(on_device())
    assert type(caught.value) is not IndexError  # the engine's own checks raise that


SYNCS: dict[str, Callable[[Any], Any]] = {
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.argmax()),
    "if": lambda x: 1 if x.any() else 0,
    "item": lambda x: x.sum().item(),
    "format": lambda x: f"{x.sum():.3f}",
    "print": lambda x: str(x),
    "tolist": lambda x: x.tolist(),
    "get": lambda x: x.get(),
    "asnumpy": lambda x: cp.asnumpy(x),
    "mask": lambda x: x[x > 1],
    "nonzero": lambda x: cp.nonzero(x),
    "nonzero, the method": lambda x: x.nonzero(),
    "where with one argument": lambda x: cp.where(x > 1),
    "unique": lambda x: cp.unique(x),
    "in": lambda x: 1.5 in x.ravel(),
    "max of Python": lambda x: max(x[0]),
}


@pytest.mark.parametrize("what", SYNCS)
def test_a_hidden_copy_to_the_host_is_found(what: str) -> None:
    x = on_device()
    SYNCS[what](x)  # outside it is allowed
    with no_sync(), pytest.raises(HiddenSync):
        SYNCS[what](x)


def test_after_no_sync_copies_are_allowed_again_even_after_an_error() -> None:
    x = on_device()
    with pytest.raises(HiddenSync), no_sync():
        float(x.sum())
    assert float(x[0, 0]) == 1.5


SOUND: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda xp, x: (2 - x) * x / (x * x + 1) - abs(-x) ** 1.5,
    "comparison": lambda xp, x: xp.where((x > 0) & (x <= 2), x, 0),
    "reduction": lambda xp, x: (x - x.mean(axis=0, keepdims=True)).sum(axis=(0, 1)),
    "product": lambda xp, x: x @ x.T,
    "division by zero": lambda xp, x: 1 / (x - x),
    "gather": lambda xp, x: x[xp.asarray([1, 0, 1]), xp.asarray([2, -1, 0])],
    "slices": lambda xp, x: x[:, ::2][None, ..., 0],
    "layout": lambda xp, x: xp.ascontiguousarray(x.T).reshape(-1),
    "NumPy's scalars": lambda xp, x: np.float64(2) * x,
    "NumPy's functions": lambda xp, x: np.exp(x),
    "fused methods": lambda xp, x: x.clip(-1, 1).astype(np.float64).var(axis=1, ddof=1),
    "concatenate": lambda xp, x: xp.concatenate([x, x], axis=1),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_sound_code_gives_the_numbers_of_numpy(name: str) -> None:
    with no_sync():
        there = SOUND[name](cp, on_device())
    with np.errstate(all="ignore"):
        here = np.asarray(SOUND[name](np, HOST))
    assert isinstance(there, cp.ndarray)
    assert there.dtype == here.dtype
    np.testing.assert_array_equal(there.get(), here)


def test_a_reduction_gives_an_array_and_no_number() -> None:
    total = on_device().sum()
    assert isinstance(total, cp.ndarray)
    assert total.shape == ()


def test_views_know_whose_memory_they_show() -> None:
    x = on_device()
    assert x.base is None
    for view in (x[0], x.T, x.reshape(-1), x[:, 1:][0], cp.broadcast_to(x, (4, 2, 3))):
        assert view.base is x
    for fresh in (x + 1, x.copy(), x[cp.array([0])], x.sum(axis=0), cp.ascontiguousarray(x.T)):
        assert fresh.base is None
    assert cp.asarray(x) is x
    assert x.astype(np.float32, copy=False) is x


def test_results_lie_in_c_order_whatever_the_operands() -> None:
    x = on_device().T
    assert not x.flags.c_contiguous
    assert (x + 1).flags.c_contiguous


def test_launches_are_counted_and_views_and_allocations_are_none() -> None:
    x = on_device()
    with counted() as launches:
        cp.empty_like(x)
        y = x.T[1:].reshape(-1)
        y = y * 2 + y
        y += 1
        x[0] = 0
    assert launches == {"multiply": 1, "add": 1, "iadd": 1, "setitem": 1, "reshape": 1}


def test_uploads_are_counted() -> None:
    before = meter.uploads
    cp.asarray(HOST)
    cp.zeros((2, 3))
    assert meter.uploads == before + 1


def test_asarray_brings_an_array_to_the_current_device() -> None:
    x = elsewhere()
    assert x.device.id == 1
    here = cp.asarray(x)
    assert here.device.id == 0
    assert here.base is None
    np.testing.assert_array_equal(here.get(), HOST)


def test_memory_is_given_back_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        before = pools[0].used_bytes()
        x = on_device()
        y = x.T
        assert pools[0].used_bytes() == before + 24
        del x
        assert pools[0].used_bytes() == before + 24  # the view holds it
        del y
        assert pools[0].used_bytes() == before
    finally:
        gc.enable()


def test_the_snapshot_is_of_a_cupy_that_the_extras_allow() -> None:
    api = json.loads(Path(__file__).with_name("cupy_api.json").read_text(encoding="utf-8"))
    assert api["cupy"].startswith("14.")


def test_the_snapshot_is_that_of_an_installed_cupy() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    api = json.loads(Path(__file__).with_name("cupy_api.json").read_text(encoding="utf-8"))
    if cupy.__version__.split(".")[0] != api["cupy"].split(".")[0]:
        pytest.skip(f"the snapshot is of CuPy {api['cupy']}, installed is {cupy.__version__}")
    missing = [n for n in (*api["functions"], *api["ufuncs"]) if not hasattr(cupy, n)]
    missing += [n for n in api["ndarray"] if not hasattr(cupy.ndarray, n)]
    assert not missing


# ------------------------------------------------------------------ memory shared, products in TF32


def test_memory_is_shared_by_dlpack_and_by_its_address() -> None:
    ours = cp.asarray([[1.5, 2.5], [3.5, 4.5]])
    views = cp.from_dlpack(ours.T), cp.asarray(SimpleNamespace(**interface_of(ours[:, 1])))
    ours[0, 1] = 9.0
    assert views[0].get().tolist() == [[1.5, 3.5], [9.0, 4.5]]
    assert views[1].get().tolist() == [9.0, 4.5]


def interface_of(array: Any) -> dict[str, Any]:
    return {"__cuda_array_interface__": array.__cuda_array_interface__}


def test_dlpack_refuses_what_cupy_refuses() -> None:
    with pytest.raises(TypeError, match="not a GPU's"):
        cp.from_dlpack(np.ones(3))
    with cp.cuda.Device(1):
        there = cp.asarray([1.0])
    with pytest.raises(ValueError, match="another device"):
        there.__dlpack__()


def test_tf32_keeps_ten_bits() -> None:
    exact = np.float32([1 + 2**-10, -3.5, 2**-100, 0])
    np.testing.assert_array_equal(linalg.shortened(exact), exact)
    np.testing.assert_array_equal(linalg.shortened(np.float32([1 + 2**-12])), [1])
    x = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    off = np.abs(linalg.shortened(x) / x - 1)
    assert 2**-12 < off.max() <= 2**-11


# ------------------------------------------------------------------------------------ graphs


def captured(work: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``work`` returned while it was captured, and the graph."""
    stream = cp.cuda.Stream(non_blocking=True)
    with stream, cp.cuda.using_allocator(lambda size: None):
        stream.begin_capture()
        try:
            return work(), stream.end_capture()
        finally:
            if Stream.recorded is not None:
                stream.end_capture()


def test_a_capture_computes_nothing_and_each_launch_everything() -> None:
    x = on_device()
    place = cp.zeros(3, dtype=np.float32)

    def work() -> Any:
        y = cp.exp(x * 2)
        place[...] = y[1]
        y += 1
        cp.add(y, y, out=y)
        return y, y.sum(axis=0)

    with counted() as launches:
        (y, total), graph = captured(work)
    assert not launches
    assert np.isnan(y.get()).all()
    for factor in (1.0, 0.5):
        x[...] = cp.asarray(np.float32([[1, 2, 3], [0.5, 0.25, 0.125]])) * factor
        expected = np.exp(x.get() * 2)
        graph.launch()
        np.testing.assert_allclose(place.get(), expected[1], rtol=1e-6)
        np.testing.assert_allclose(y.get(), 2 * (expected + 1), rtol=1e-6)
        np.testing.assert_allclose(total.get(), 2 * (expected + 1).sum(0), rtol=1e-6)


def test_a_launch_of_a_graph_counts_as_one() -> None:
    _, graph = captured(lambda: cp.zeros((2, 3)) + 1)
    with counted() as launches:
        graph.launch()
    assert launches == {"graph": 1}


CAPTURED: dict[str, tuple[type[BaseException], str, Callable[[Any], Any]]] = {
    "a product": (NotImplementedError, "cuBLAS", lambda x: x @ x.T),
    "item": (RuntimeError, "CaptureUnsupported", lambda x: x[0, 0].item()),
    "a branch": (RuntimeError, "CaptureUnsupported", lambda x: bool(x[0, 0] > 0)),
    "get": (RuntimeError, "CaptureUnsupported", lambda x: x.get()),
    "waiting": (RuntimeError, "CaptureUnsupported", lambda x: cp.cuda.Device().synchronize()),
    "an upload": (WrongOnGPU, "someone else's", lambda x: cp.asarray([1.0])),
    "an index from the host": (WrongOnGPU, "someone else's", lambda x: x[[0, 1]]),
}


@pytest.mark.parametrize("case", CAPTURED)
def test_a_capture_refuses_what_cuda_and_cupy_refuse(case: str) -> None:
    kind, message, work = CAPTURED[case]
    x = on_device()
    with pytest.raises(kind, match=message):
        captured(lambda: work(x))
    assert (x + 1).get().shape == (2, 3)  # the capture is over


def test_a_capture_needs_memory_of_its_own_and_an_idle_stream() -> None:
    with cp.cuda.Stream(non_blocking=True) as stream:
        with pytest.raises(AssertionError, match="memory that others are given"):
            stream.begin_capture()
        with cp.cuda.using_allocator(lambda size: None):
            cp.cuda.Device().synchronize()
            assert on_device().size + (on_device() + 1).size == 12
            with pytest.raises(AssertionError, match="while the stream is at work"):
                stream.begin_capture()
            stream.synchronize()


def test_a_stream_that_waits_for_no_other_is_waited_for() -> None:
    stream = cp.cuda.Stream(non_blocking=True)
    x = on_device() + 1
    with stream:
        with pytest.raises(WrongOnGPU, match="does not wait"):
            x + 1
        cp.cuda.Device().synchronize()
        y = x + 1
    with pytest.raises(WrongOnGPU, match="does not wait"):
        y + 1
    stream.synchronize()
    assert (y + 1).shape == (2, 3)


def test_only_the_current_stream_is_captured_and_not_the_default_one() -> None:
    with pytest.raises(RuntimeError, match="CaptureImplicit"):
        cp.cuda.Stream(non_blocking=True).begin_capture()
    with cp.cuda.Stream() as stream, pytest.raises(RuntimeError, match="CaptureImplicit"):
        stream.begin_capture()

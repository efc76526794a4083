"""Without mpiexec there is one process, which needs no MPI and computes what it did before."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import distributed as dist
from minigrad import nn
from minigrad.core.autograd import apply
from minigrad.distributed.sync_batchnorm import SyncBatchNormRule
from minigrad.distributed.world import LAUNCHERS
from minigrad.testing import gradcheck, gradgradcheck


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in LAUNCHERS:
        for name in names:
            monkeypatch.delenv(name, raising=False)


def test_one_process() -> None:
    dist.init()
    dist.barrier()
    assert (dist.rank(), dist.world_size()) == (0, 1)


@pytest.mark.parametrize("names", LAUNCHERS)
def test_the_rank_is_read_from_the_environment(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(names[0], "2")
    assert dist.world_size() == 1  # half a pair says nothing
    monkeypatch.setenv(names[1], "4")
    assert (dist.rank(), dist.world_size()) == (2, 4)
    with pytest.raises(RuntimeError, match=r"call minigrad.distributed.init\(\) first"):
        dist.barrier()
    monkeypatch.setenv(names[0], "4")
    with pytest.raises(ValueError, match=f"{names[0]}='4' and {names[1]}='4'"):
        dist.rank()


@pytest.mark.parametrize(
    "function",
    [dist.all_reduce, lambda x: dist.all_reduce(x, "mean"), dist.broadcast, dist.all_gather],
)
def test_collectives_of_one(function: Any, rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, 3))
    x = mg.tensor(values, requires_grad=True)
    y = function(x)
    np.testing.assert_array_equal(y.data.reshape(2, 3), values)
    assert not np.shares_memory(y.data, x.data)
    assert gradcheck(function, (x,))


def test_bad_arguments_of_collectives() -> None:
    with pytest.raises(ValueError, match="op is 'max', expected 'sum' or 'mean'"):
        dist.all_reduce(mg.ones(2), "max")
    with pytest.raises(ValueError, match="source is 1, expected a rank from 0 to 0"):
        dist.broadcast(mg.ones(2), 1)
    with pytest.raises(TypeError, match="rank 0 is bool, expected numbers"):
        dist.all_gather(mg.tensor([True]))


def test_the_rule_of_sync_batchnorm_to_second_order(rng: np.random.Generator) -> None:
    inputs = [
        mg.tensor(rng.normal(size=size) + 1.3, requires_grad=True) for size in ((4, 3, 2), 3, 3)
    ]

    def rule(*xs: mg.Tensor) -> mg.Tensor:
        return apply(SyncBatchNormRule(1e-5), *xs)

    assert gradcheck(rule, inputs)
    assert gradgradcheck(rule, inputs)


def test_convert_keeps_parameters_state_and_mode(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.BatchNorm2d(4)))
    before = dict(model.named_parameters())
    model.eval()
    assert dist.convert_sync_batchnorm(model) is model
    assert type(model[1]) is type(model[2][0]) is dist.SyncBatchNorm
    assert not model[1].training
    after = dict(model.named_parameters())
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    x = mg.tensor(rng.normal(size=(5, 4)).astype(np.float32))
    plain, sync = nn.BatchNorm1d(4), dist.convert_sync_batchnorm(nn.BatchNorm1d(4))
    np.testing.assert_array_equal(plain(x).data, sync(x).data)


def test_convert_refuses_a_fused_layer_and_changes_nothing() -> None:
    fused = nn.Sequential(
        nn.BatchNorm1d(4), nn.fuse(nn.Sequential(nn.BatchNorm1d(4), nn.Sigmoid()))
    )
    with pytest.raises(TypeError, match=r"BatchNormSigmoid, expected .*convert before nn.fuse"):
        dist.convert_sync_batchnorm(fused)
    assert type(fused[0]) is nn.BatchNorm1d
    with pytest.raises(TypeError, match="got a int, expected a Module"):
        dist.convert_sync_batchnorm(3)  # type: ignore[arg-type]


def test_data_parallel_of_one_is_the_module(rng: np.random.Generator) -> None:
    linear = nn.Linear(3, 2)
    parallel = dist.DataParallel(linear)
    x = mg.tensor(rng.normal(size=(5, 3)).astype(np.float32))
    np.testing.assert_array_equal(parallel(x).data, linear(x).data)
    with parallel.no_sync():
        parallel(x).sum().backward()
    assert linear.weight.grad is not None
    np.testing.assert_allclose(linear.weight.grad.data, np.tile(x.data.sum(0), (2, 1)), rtol=1e-5)
    with pytest.raises(TypeError, match="got a list, expected a Module"):
        dist.DataParallel([])  # type: ignore[arg-type]


def test_batch_loss_of_one_is_the_mean() -> None:
    assert dist.batch_loss(mg.tensor(6.0), 4).item() == 1.5
    with pytest.raises(ValueError, match=r"have \[0\] samples"):
        dist.batch_loss(mg.tensor(6.0), 0)

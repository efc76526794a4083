"""What each process does in the tests with several: ``mpiexec -n 3 python ranks.py CASE ...``.

Each function is one test. A failed assertion ends all processes with a code that is not 0.
"""

import contextlib
import os
import re
import signal
import sys
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import distributed as dist
from minigrad import nn

C = 5
SHARES = {2: [8, 3], 3: [7, 1, 0], 4: [5, 1, 0, 6]}
"""Samples per rank, for each number of ranks: uneven, one, none."""


def data(*features: int) -> tuple[Any, Any, slice]:
    """A batch, a random cotangent, and the rows of this rank; the same numbers everywhere."""
    rng = np.random.default_rng(3)
    shares = SHARES[dist.world_size()]
    stops = np.cumsum(shares)
    rows = slice(int(stops[dist.rank()] - shares[dist.rank()]), int(stops[dist.rank()]))
    x = rng.normal(size=(sum(shares), *features)) * 1.7 + 40.0
    return x, rng.normal(size=x.shape), rows


def close(a: Any, b: Any, tolerance: float = 1e-11) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def sum_over_ranks(array: Any) -> Any:
    return dist.all_reduce(mg.tensor(np.array(array))).data


# ------------------------------------------------------------------------------------ collectives


def collectives() -> None:
    rng = np.random.default_rng(0)
    P, r = dist.world_size(), dist.rank()
    xs, dys = rng.normal(size=(P, 2, 3)), rng.normal(size=(P, 2, 3))
    wide = rng.normal(size=(P, P, 2, 3))  # rank, row, ...

    def run(function: Any, cotangent: Any) -> tuple[Any, Any]:
        x = mg.tensor(xs[r], requires_grad=True)
        y = function(x)
        y.backward(mg.tensor(cotangent))
        assert x.grad is not None
        return y.data, x.grad.data

    y, dx = run(dist.all_reduce, dys[r])
    close(y, xs.sum(0))
    close(dx, dys.sum(0))
    y, dx = run(lambda x: dist.all_reduce(x, "mean"), dys[r])
    close(y, xs.mean(0))
    close(dx, dys.mean(0))
    y, dx = run(dist.all_gather, wide[r])
    close(y, xs)
    close(dx, wide.sum(0)[r])
    y, dx = run(lambda x: dist.broadcast(x, P - 1), dys[r])
    close(y, xs[P - 1])
    close(dx, dys.sum(0) if r == P - 1 else np.zeros((2, 3)))
    assert dist.all_reduce(mg.tensor(2.5)).item() == 2.5 * P  # no axes
    assert dist.all_reduce(mg.tensor([0.5], dtype=mg.float16)).dtype == mg.float16
    turned = mg.tensor(np.arange(6.0).reshape(2, 3)).T  # not in one piece
    close(dist.all_reduce(turned).data, P * np.arange(6.0).reshape(2, 3).T)
    dist.barrier()


def inputs_that_differ() -> None:
    """Every rank raises, and names the culprit; nobody waits."""
    last = dist.world_size() - 1
    odd = dist.rank() == last
    for bad, kind, text in (
        (mg.ones(3), ValueError, f"rank {last} has shape (3,)"),
        (mg.ones(2, dtype=mg.float64), TypeError, f"rank {last} is float64"),
        ([1.0, 2.0], TypeError, f"rank {last} is a list"),
    ):
        with pytest.raises(kind, match=re.escape(text)):
            dist.all_reduce(bad if odd else mg.ones(2))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ SyncBatchNorm


def sync_batchnorm() -> None:
    """Output, all gradients and running statistics are those of one process; images too."""
    for features in ((C,), (C, 3), (C, 2, 3)):
        x, dy, rows = data(*features)
        weight, bias = np.linspace(0.5, 1.9, C), np.linspace(-1.2, 0.7, C)
        sync, whole = nn_pair(len(features) == 3)
        for layer in (sync, whole):
            layer.load_state_dict({"weight": weight, "bias": bias}, strict=False)
        for _ in range(2):
            tx = mg.tensor(x, requires_grad=True)
            y = whole(tx)
            y.backward(mg.tensor(dy))
            own = mg.tensor(x[rows], requires_grad=True)
            mine = sync(own)
            mine.backward(mg.tensor(dy[rows]))
        close(mine.data, y.data[rows])
        # Over uneven shards: dx divides by the number of all samples.
        close(own.grad.data, tx.grad.data[rows])
        # dgamma and dbeta are this rank's: their sum is the whole one's, and not P times that.
        for name in ("weight", "bias"):
            summed = sum_over_ranks(getattr(sync, name).grad.data)
            close(summed, getattr(whole, name).grad.data)
        # The running variance counts all samples.
        for name, buffer in whole.named_buffers():
            close(dict(sync.named_buffers())[name].data, buffer.data)
        sync.eval(), whole.eval()
        close(sync(own).data, whole(tx).data[rows])


def nn_pair(images: bool) -> tuple[Any, Any]:
    kind = nn.BatchNorm2d if images else nn.BatchNorm1d
    return dist.SyncBatchNorm(C, dtype=mg.float64), kind(C, dtype=mg.float64)


def second_order() -> None:
    """The gradient of |dL/dx|^2, summed over all ranks, is that of one process."""
    x, dy, rows = data(C)

    def penalty(layer: Any, x: Any, dy: Any) -> tuple[Any, Any]:
        tx = mg.tensor(x, requires_grad=True)
        (dx,) = mg.grad((layer(tx) * mg.tensor(dy)).sum(), tx, create_graph=True)
        (dx * dx * mg.tensor(dy)).sum().backward()
        return tx.grad.data, layer.weight.grad.data

    sync, whole = nn_pair(False)
    ddx, dweight = penalty(whole, x, dy)
    own_ddx, own_dweight = penalty(sync, x[rows], dy[rows])
    close(own_ddx, ddx[rows], 1e-9)
    close(sum_over_ranks(own_dweight), dweight, 1e-9)


def float32_far_from_zero() -> None:
    """Mean 10,000 and standard deviation 1 in float32: the digits are there."""
    x, _, rows = data(C)
    far = (x - 40.0 + 1e4).astype(np.float32)
    exact = far.astype(np.float64)
    exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    close(dist.SyncBatchNorm(C)(mg.tensor(far[rows])).data, exact[rows], 2e-5)


def too_few_samples() -> None:
    layer = dist.SyncBatchNorm(C)
    with pytest.raises(ValueError, match="1 values per channel"):
        layer(mg.ones(int(dist.rank() == 0), C))
    assert layer.num_batches_tracked.item() == 0
    close(layer.running_var.data, np.ones(C))


# ------------------------------------------------------------------------------------ DataParallel


def network(norm: bool = True) -> Any:
    """No bias below a BatchNorm: its gradient is rounding alone, which Adam would make large."""
    mg.manual_seed(7)
    layers: list[Any] = []
    for _ in range(3):
        layers += [
            nn.Linear(C, C, bias=not norm),
            *([nn.BatchNorm1d(C)] if norm else []),
            nn.Sigmoid(),
        ]
    return nn.Sequential(*layers).to(mg.float64)


def optimizer(kind: str, model: Any) -> Any:
    if kind == "adam":
        return mg.optim.Adam(model.parameters(), lr=0.01)
    return mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def losses(model: Any, x: Any, t: Any) -> Any:
    return F.mse_loss(model(mg.tensor(x)), mg.tensor(t), reduction="sum")


def distance(a: Any, b: Any) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max(float(np.abs(p.data - q.data).max()) for p, q in pairs)


def training(kind: str, sync: bool, steps: int = 100, parts: int = 1) -> float:
    """How far the state is from one process's after ``steps``, each of them over ``parts`` batches
    whose gradients add up."""
    x, t, rows = data(C)
    x = x - 40.0
    whole, own = network(), network()
    if dist.rank():
        for p in own.parameters():  # rank 0's values count
            nn.init.normal_(p)
    if sync:
        own = dist.convert_sync_batchnorm(own)
    parallel = dist.DataParallel(own, check_every=10)
    one, many = optimizer(kind, whole), optimizer(kind, parallel)
    for _ in range(steps):
        one.zero_grad()
        many.zero_grad()
        for part in range(1, parts + 1):
            (losses(whole, part * x, t) / len(x)).backward()
            mine = losses(parallel, part * x[rows], t[rows])
            with parallel.no_sync() if part < parts else contextlib.nullcontext():
                dist.batch_loss(mine, rows.stop - rows.start).backward()
        one.step()
        many.step()
    return distance(whole, own)


def training_with_sgd() -> None:
    assert training("sgd", sync=True) < 1e-10


def training_with_adam() -> None:
    assert training("adam", sync=True) < 1e-10


def training_with_accumulation() -> None:
    assert training("sgd", sync=True, parts=3) < 1e-10


def plain_batchnorm_is_another_function() -> None:
    """Why SyncBatchNorm is there: 2 ranks, and the state is far from one process's."""
    off = training("sgd", sync=False, steps=20)
    assert off > 1e-2, off


def accumulation_and_unused() -> None:
    """Two batches in one exchange; parameters that nobody or one rank uses, a frozen one."""
    x, t, rows = data(C)
    x = x - 40.0
    n = rows.stop - rows.start
    whole, own = network(norm=False), network(norm=False)
    extra = nn.Parameter(mg.ones(C, dtype=mg.float64))
    own.register_parameter("extra", extra)
    own.register_parameter("nobody", nn.Parameter(mg.ones(C, dtype=mg.float64)))
    parallel = dist.DataParallel(own)
    for model in (whole, own):
        model[0].weight.requires_grad_(False)
    (losses(whole, x, t) / len(x) + losses(whole, 2 * x, t) / len(x)).backward()
    with parallel.no_sync():
        dist.batch_loss(losses(parallel, x[rows], t[rows]), n).backward()
    loss = dist.batch_loss(losses(parallel, 2 * x[rows], t[rows]), n)
    if dist.rank() == 0:
        loss = loss + (extra * 6.0).sum()
    loss.backward()
    for (name, p), q in zip(whole.named_parameters(), list(own.parameters())[2:], strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            close(q.grad.data, p.grad.data)
    close(extra.grad.data, np.full(C, 6.0 / dist.world_size()))
    assert own.nobody.grad is None
    assert own[0].weight.grad is None


def models_that_differ() -> None:
    last = dist.world_size() - 1
    with pytest.raises(ValueError, match=rf"rank {last} stands weight with shape \(2, 5\)"):
        dist.DataParallel(nn.Linear(C, 2 if dist.rank() == last else 3))


def convolutional() -> Any:
    mg.manual_seed(3)
    layers = [nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3)).to(mg.float64)


def a_convolutional_network() -> None:
    x, t, rows = data(36)
    x, t = (x - 40.0).reshape(-1, 1, 6, 6), t[:, :3]
    whole = convolutional()
    parallel = dist.DataParallel(dist.convert_sync_batchnorm(convolutional()))
    one, many = optimizer("sgd", whole), optimizer("sgd", parallel)
    for _ in range(20):
        one.zero_grad()
        many.zero_grad()
        (losses(whole, x, t) / len(x)).backward()
        dist.batch_loss(losses(parallel, x[rows], t[rows]), rows.stop - rows.start).backward()
        one.step()
        many.step()
    assert distance(whole, parallel.module) < 1e-10


def parameters_that_drift_apart() -> None:
    """A learning rate that differs in one process: found at the next check."""
    last = dist.world_size() - 1
    parallel = dist.DataParallel(network(norm=False), check_every=2)
    rate = 0.1 if dist.rank() < last else 0.2
    steps = mg.optim.SGD(parallel.parameters(), lr=rate)
    x, t, rows = data(C)

    def step() -> None:
        steps.zero_grad()
        dist.batch_loss(losses(parallel, x[rows], t[rows]), rows.stop - rows.start).backward()
        steps.step()

    step()
    with pytest.raises(ValueError, match=f"0.weight of rank {last} is not that of rank 0"):
        step()


def a_run_that_is_saved(path: str) -> None:
    """Ten steps of Adam, saved by rank 0."""
    goes_on(path, None)


def batch() -> tuple[Any, Any]:
    """The same for any number of processes."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((14, C)), rng.standard_normal((14, C))


def a_run_that_goes_on(path: str) -> None:
    """Ten more, by another number of processes: the result is that of twenty steps in one."""
    x, t = batch()
    whole = network()
    one = optimizer("adam", whole)
    for _ in range(20):
        one.zero_grad()
        (losses(whole, x, t) / len(x)).backward()
        one.step()
    assert distance(whole, goes_on(path, mg.load(path))) < 1e-10


def goes_on(path: str, state: Any) -> Any:
    """Ten steps from ``state`` on, or from the start; rank 0 saves."""
    x, t = batch()
    rows = slice(dist.rank(), None, dist.world_size())
    model = dist.convert_sync_batchnorm(network())
    if state is not None:
        model.load_state_dict(state["model"])
    parallel = dist.DataParallel(model)
    steps = optimizer("adam", parallel)
    if state is not None:
        steps.load_state_dict(state["optimizer"])
    for _ in range(10):
        steps.zero_grad()
        mine = losses(parallel, x[rows], t[rows])
        dist.batch_loss(mine, len(x[rows])).backward()
        steps.step()
    dist.save({"model": model.state_dict(), "optimizer": steps.state_dict()}, path)
    assert os.path.exists(path)
    return model


# ------------------------------------------------------------------------------------ faults


def rank_0_cannot_save() -> None:
    kind = FileNotFoundError if dist.rank() == 0 else RuntimeError
    with pytest.raises(kind, match="no-such-folder"):
        dist.save({"a": 1}, "no-such-folder/model.npz")


def one_rank_raises() -> None:
    if dist.rank() == 1:
        raise KeyError("the culprit")
    dist.barrier()  # for ever, if nobody ended it


def one_rank_is_killed() -> None:
    if dist.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


if __name__ == "__main__":
    dist.init()
    for case in sys.argv[1:]:
        name, _, argument = case.partition("=")
        globals()[name](*[argument] * bool(argument))
        print(f"{case}: done", flush=True)

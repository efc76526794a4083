"""Data parallelism: the same network in every process, each with its own share of the batch.

The gradient of a sum over the batch is the sum of the gradients over its shares. So it is enough to
average the gradients after each backward pass; the steps of the optimisers are then the same
everywhere, and the parameters stay equal.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import hooks
from ..core.versions import mark_written
from ..nn.module import Module
from ..tensor import Tensor
from .collectives import back, on_host
from .state import check_equal
from .world import communicator, world_size

BUCKET = 1 << 22
"""Bytes in a bucket, about: the sum of one is under way while the next is packed."""


class DataParallel(Module):
    """``module``, with gradients that are averaged over all processes.

    Parameters and buffers are those of rank 0 from the start. After a backward pass through the
    module, each parameter's ``.grad`` is the mean over the processes. Every process must call the
    module and go backward equally often. A parameter that one process did not use counts as 0
    there; one that nobody used, or that is frozen, is left alone.

    ``grad`` (instead of ``backward``) and passes with ``create_graph`` are not averaged.

    Args:
        module: the network.
        check_every: compare the parameters of the processes before each so many averages; 0: never.

    Raises:
        TypeError: ``module`` is no Module.
        ValueError: the modules of the processes differ, or their parameters at a later check. The
            message names rank and parameter.
    """

    def __init__(self, module: Module, check_every: int = 0) -> None:
        super().__init__()
        if not isinstance(module, Module):
            raise TypeError(f"DataParallel: got a {type(module).__name__}, expected a Module")
        self.module = module
        self.check_every, self._averages = check_every, 0
        self._averaging, self._owed, self._unaveraged = True, False, False
        comm = communicator("DataParallel")
        if comm is None:
            return
        state = [*module.named_parameters(), *module.named_buffers()]
        check_alike(comm.allgather([(name, t.shape, str(t.dtype)) for name, t in state]))
        for _, tensor in state:
            values = on_host(tensor.array).copy()
            comm.Bcast(values, 0)
            tensor.array[...] = back(values, tensor.array)
            mark_written(tensor.array, by="a DataParallel's broadcast from rank 0")
        hooks.after_backward[id(self)] = self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self._owed = True
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Backward passes within add up in this process alone; the next one outside averages the
        sum. For the gradient of several batches with one exchange."""
        before, self._averaging = self._averaging, False
        try:
            yield
        finally:
            self._averaging = before

    def gave_gradients(self, leaf_grads: dict[Any, Any]) -> None:
        """Average what a backward pass is about to add to the parameters' ``.grad``."""
        parameters = list(self.module.parameters())
        if not self._owed or not any(p in leaf_grads for p in parameters):
            return
        if any(isinstance(leaf_grads.get(p), Tensor) for p in parameters):  # create_graph
            return
        self._owed = False
        if not self._averaging:
            self._unaveraged = True
            return
        self._averages += 1
        if self.check_every and self._averages % self.check_every == 0:
            check_equal(self.module.named_parameters(), "DataParallel")
        own: list[Any] = [leaf_grads.get(p) if p.requires_grad else None for p in parameters]
        if self._unaveraged:
            for i, parameter in enumerate(parameters):
                if parameter.requires_grad and parameter.grad is not None:
                    kept = parameter.grad.array
                    own[i] = kept if own[i] is None else own[i] + kept
        for parameter, grad in zip(parameters, mean_of(parameters, own), strict=True):
            if grad is not None:
                leaf_grads[parameter] = grad
                if self._unaveraged:
                    parameter.grad = None  # it is in the mean
        self._unaveraged = False


def check_alike(states: list[list[tuple[Any, ...]]]) -> None:
    """Raise a ValueError, in every process, if their modules differ."""
    for rank, state in enumerate(states):
        if state == states[0]:
            continue
        for own, first in zip(state, states[0], strict=False):
            if own != first:
                raise ValueError(
                    f"DataParallel: in the module of rank {rank} stands {own[0]} with shape "
                    f"{own[1]} and type {own[2]}, where rank 0 has {first[0]} with {first[1]} and "
                    f"{first[2]}; build the same module in every process"
                )
        raise ValueError(
            f"DataParallel: the module of rank {rank} has {len(state)} parameters and buffers and "
            f"that of rank 0 {len(states[0])}; build the same module in every process"
        )


def mean_of(parameters: list[Any], grads: list[Any]) -> list[Any]:
    """The mean over all processes of each gradient; None for those that are None everywhere."""
    comm = communicator("DataParallel")
    used = np.array([grad is not None for grad in grads], np.int64)
    everywhere = np.empty_like(used)
    comm.Allreduce(used, everywhere)
    means: list[Any] = [None] * len(parameters)
    under_way = []
    for bucket in buckets(parameters, [i for i in range(len(parameters)) if everywhere[i]]):
        flat = packed(parameters, grads, bucket)
        total = np.empty_like(flat)
        under_way.append((bucket, flat, total, comm.Iallreduce(flat, total)))
    for bucket, _, total, request in under_way:
        request.Wait()
        total /= world_size()
        start = 0
        for i in bucket:
            like = parameters[i].array
            means[i] = back(total[start : start + like.size].reshape(like.shape), like)
            start += like.size
    return means


def buckets(parameters: list[Any], chosen: list[int]) -> list[list[int]]:
    """The numbers ``chosen`` in groups of one type and about ``BUCKET`` bytes; the last parameters
    first, whose gradients are ready first."""
    groups: list[list[int]] = []
    size = 0
    for i in reversed(chosen):
        array = parameters[i].array
        last = parameters[groups[-1][0]].array if groups else None
        if last is None or last.dtype != array.dtype or size + array.nbytes > BUCKET:
            groups.append([])
            size = 0
        groups[-1].append(i)
        size += array.nbytes
    return groups


def packed(parameters: list[Any], grads: list[Any], bucket: list[int]) -> Any:
    """The gradients of a bucket end to end in NumPy's memory, with 0 for None."""
    parts = []
    for i in bucket:
        like = parameters[i].array
        if grads[i] is None:
            dtype = np.float32 if like.dtype == np.float16 else like.dtype
            parts.append(np.zeros(like.size, dtype))
        else:
            parts.append(on_host(grads[i]).reshape(-1))
    return np.concatenate(parts)


def batch_loss(total: Tensor, samples: int) -> Tensor:
    """The share of this process in the mean loss of the whole batch.

        total * P / N        P processes, N samples in all of them

    Args:
        total: the *sum* of this process's losses (``reduction="sum"``); 0 if it has no samples.
        samples: how many samples these are.

    The mean of its values, and of its gradients, over the processes is the loss of the whole batch
    and its gradient, however the samples are shared out. It has to be weighted before the backward
    pass: ``SyncBatchNorm`` adds up what comes from all processes.

    Raises:
        ValueError: ``samples`` is negative in a process, or 0 in all of them.
    """
    comm = communicator("batch_loss")
    counts = [samples] if comm is None else comm.allgather(samples)
    if min(counts) < 0 or sum(counts) == 0:
        raise ValueError(
            f"batch_loss: the processes have {counts} samples, expected numbers from 0 and at "
            f"least one sample"
        )
    return total * (world_size() / sum(counts))

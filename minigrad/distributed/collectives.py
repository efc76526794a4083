"""Operations in which every process takes part, and their gradients.

A collective call waits until all processes have made it. So all of them must make the same calls in
the same order, forward and backward.

There is one loss, the *sum* of what the processes call their loss:  L = sum_r L_r. ``grad`` in a
rule is dL/dy of this process's y, and what it returns is dL/dx of its x. An x that has reached the
y of other processes gets something back from each of them, so the backward pass communicates too.
"""

from typing import Any

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import apply, call_op
from ..core.op import Op
from ..events import tell
from ..ops import Zero
from ..tensor import Tensor
from .world import communicator, rank, world_size


def on_host(array: Array) -> Any:
    """An array as MPI can send it: in NumPy's memory, in one piece, of a type that MPI knows."""
    tell("leaves_the_step", "sends numbers to other processes", "call it outside of the step")
    array = array if type(array) is np.ndarray else array_module(array).asnumpy(array)
    dtype = np.float32 if array.dtype == np.float16 else array.dtype
    return np.asarray(array, dtype, order="C")


def back(result: Any, like: Array) -> Array:
    """What MPI has sent, on the device and of the type of ``like``."""
    return array_module(like).asarray(result, dtype=like.dtype)


class AllReduce(Op):
    """y = sum_r x_r, the same in every process.

    Every y_s holds x_r once, so dL/dx_r = sum_s dy_s: the backward pass is the forward pass.
    """

    def forward(self, x: Array) -> Array:
        comm = communicator("all_reduce")
        if comm is None:
            return x.copy()
        sent = on_host(x)
        total = np.empty_like(sent)
        comm.Allreduce(sent, total)
        return back(total, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        return call_op(AllReduce(), grad)


class AllGather(Op):
    """y[r] = x_r, the same in every process.    x: S, y: (P, *S) for P processes

    x_r stands in row r of every y_s, so dL/dx_r = sum_s dy_s[r].
    """

    def forward(self, x: Array) -> Array:
        comm = communicator("all_gather")
        if comm is None:
            return x[None].copy()
        sent = on_host(x)
        rows = np.empty((world_size(), *sent.shape), sent.dtype)
        comm.Allgather(sent, rows)
        return back(rows, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        return call_op(AllReduce(), grad)[rank()]


class Broadcast(Op):
    """y = x_source in every process.

    dL/dx_source = sum_s dy_s, and the x of the others has reached nobody: 0.
    """

    def __init__(self, source: int) -> None:
        self.source = source

    def forward(self, x: Array) -> Array:
        comm = communicator("broadcast")
        if comm is None:
            return x.copy()
        sent = on_host(x)
        result = sent.copy()  # of the same memory, an error would leave half a message
        comm.Bcast(result, self.source)
        return back(result, x)

    def backward(self, grad: Array, y: Array, x: Array) -> Any:
        total = call_op(AllReduce(), grad)
        return total if rank() == self.source else call_op(Zero(), total)


def all_reduce(input: Tensor, op: str = "sum") -> Tensor:
    """The sum, or with ``op="mean"`` the mean, of ``input`` over all processes, in each of them.

    Differentiable, for the sum of all processes' losses; all of them must then go backward.

    Raises:
        TypeError: the input is no Tensor, holds booleans, or has another type in another process.
        ValueError: ``op`` is another word, or the shapes differ. The message names the rank.
    """
    if op not in ("sum", "mean"):
        raise ValueError(f"all_reduce: op is {op!r}, expected 'sum' or 'mean'")
    check("all_reduce", input)
    total: Tensor = apply(AllReduce(), input)
    return total / world_size() if op == "mean" else total


def all_gather(input: Tensor) -> Tensor:
    """``input`` of all processes, stacked in the order of ranks.    S -> (world_size, *S)

    Differentiable and with errors as ``all_reduce``.
    """
    check("all_gather", input)
    return apply(AllGather(), input)


def broadcast(input: Tensor, source: int = 0) -> Tensor:
    """``input`` of the process with the rank ``source``, in each of them.

    Differentiable and with errors as ``all_reduce``; also a ValueError if there is no such rank.
    """
    check("broadcast", input)
    if source not in range(world_size()):
        raise ValueError(
            f"broadcast: source is {source!r}, expected a rank from 0 to {world_size() - 1}"
        )
    return apply(Broadcast(int(source)), input)


def check(name: str, input: Any) -> None:
    """Raise in every process if the inputs of ``name`` do not fit in one of them."""
    found: Any = f"a {type(input).__name__}"
    if isinstance(input, Tensor):
        found = (input.shape, str(input.dtype))
    comm = communicator(name)
    answers = [found] if comm is None else comm.allgather(found)
    for number, answer in enumerate(answers):
        if isinstance(answer, str):
            raise TypeError(f"{name}: the input of rank {number} is {answer}, expected a Tensor")
        if answer[1] == "bool":
            raise TypeError(f"{name}: the input of rank {number} is bool, expected numbers")
        if answer[1] != answers[0][1]:
            raise TypeError(
                f"{name}: the input of rank {number} is {answer[1]} and that of rank 0 "
                f"{answers[0][1]}, expected one type"
            )
        if answer[0] != answers[0][0]:
            raise ValueError(
                f"{name}: the input of rank {number} has shape {answer[0]} and that of rank 0 "
                f"{answers[0][0]}, expected one shape"
            )

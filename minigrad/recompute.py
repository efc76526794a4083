"""Activation checkpointing: memory for time.

Backward needs what forward computed, so a graph of n layers holds n layers' activations. Without
them, a part of the network can be run again when backward comes to it: forward keeps the part's
inputs alone, and the part costs a second forward pass.

Cut n layers into k parts of n/k. In memory at the same time are the k inputs of the parts, and, in
backward, the n/k layers of the one part that has just run again:

    k + n/k,  smallest at  k = sqrt(n),  where it is 2 sqrt(n).

So 2000 layers take the memory of about 90, for one more forward pass: a step takes about 4/3 of the
time, as backward costs two forward passes. Chen, Xu, Zhang, Guestrin (2016), "Training Deep Nets
with Sublinear Memory Cost", section 4.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np

from .backend import Array
from .backend.random import drawing_again, get_rng_state
from .core.autograd import grad as gradients_of
from .core.autograd import record
from .core.gradmode import enable_grad, is_grad_enabled, recomputing
from .core.graph import next_order, oldest_first
from .core.op import Op
from .tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """``function(*inputs)``, whose activations are not kept: backward computes them again.

    The second run draws the same random numbers (the same dropout masks) and leaves BatchNorm's
    running statistics alone, which the first has updated. Gradients of gradients work.

    Args:
        function: a module or a function; it returns one Tensor, the same one in both runs. What it
            prints or counts happens twice, and so do module hooks.
        inputs: Tensors and whatever else it takes. Parameters that it uses are found by itself.

    Raises:
        TypeError: the result is no Tensor.
        RuntimeError: the function uses a Tensor from outside that is part of a graph (give it as an
            input); or, in backward, the second run gave another output: the mode, or something else
            that the function reads, has changed in between.
    """
    if not is_grad_enabled():
        return function(*inputs)
    start, state = next_order(), get_rng_state()
    call = Call(function, inputs)
    copies = [detached(x) for x in call.tensors(inputs)]
    y = call(copies)
    if not isinstance(y, Tensor):
        raise TypeError(
            f"checkpoint: got a {type(y).__name__} from the function, expected one Tensor"
        )
    if not y.requires_grad:
        return y
    tensors = call.tensors(inputs)
    leaves = leaves_below(y, start, copies)
    op = Recompute(call, leaves, state)
    parents = [x.node if x.requires_grad else None for x in tensors]
    output = y.detach()
    record(op, output, [x.array for x in [*tensors, *leaves]], [*parents, *leaves])
    return output


class Call:
    """A function and its arguments, without those that are Tensors."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self.function = function
        self.places = [i for i, x in enumerate(arguments) if isinstance(x, Tensor)]
        self.others = [None if isinstance(x, Tensor) else x for x in arguments]

    def tensors(self, arguments: Sequence[Any]) -> list[Tensor]:
        """The Tensors among ``arguments``."""
        return [arguments[i] for i in self.places]

    def __call__(self, tensors: Sequence[Tensor]) -> Any:
        arguments = list(self.others)
        for place, tensor in zip(self.places, tensors, strict=True):
            arguments[place] = tensor
        return self.function(*arguments)


class Recompute(Op):
    """y = function(x_1, ..., x_k; w_1, ..., w_p): the inputs, and the leaves that it reads.

    With dy the gradient of y, backward has to give the vector-Jacobian products dy^T (dy/dx_i) and
    dy^T (dy/dw_j). A second run makes the graph of the function, and a backward pass through it,
    from dy, gives just these.
    """

    saves = ("y", "xs")

    def __init__(self, call: Call, leaves: list[Tensor], state: dict[str, Any]) -> None:
        self.call, self.leaves, self.state = call, leaves, state

    def backward(self, grad: Any, y: Any, *xs: Any) -> tuple[Any, ...]:
        again = isinstance(grad, Tensor)  # gradients of gradients: the Tensors are those of forward
        needed = [parent is not None for parent in self.parents]
        count = len(self.call.places)
        inputs = list(xs[:count])
        if not again:
            inputs = [
                detached(Tensor.from_array(x), n) for x, n in zip(inputs, needed, strict=False)
            ]
        with recomputation(self.state):
            second = self.call(inputs)
        check_the_same(y.array if again else y, second)
        wanted = [x for x, n in zip([*inputs, *self.leaves], needed, strict=True) if n]
        dy = grad if again else Tensor.from_array(grad)
        found = iter(gradients_of(second, wanted, dy, create_graph=again, allow_unused=True))
        grads = [next(found) if n else None for n in needed]
        return tuple(grads if again else [None if g is None else g.array for g in grads])


@contextmanager
def recomputation(state: dict[str, Any]) -> Iterator[None]:
    """Within it a part of the model runs for the second time, with the random numbers of the
    first."""
    before = recomputing.set(True)
    try:
        with enable_grad(), drawing_again(state):
            yield
    finally:
        recomputing.reset(before)


def detached(x: Tensor, requires_grad: bool | None = None) -> Tensor:
    """The same array as a leaf, which requires a gradient if ``x`` does."""
    copy = x.detach()
    copy._requires_grad = x.requires_grad if requires_grad is None else requires_grad
    return copy


def leaves_below(y: Tensor, start: int, inputs: list[Tensor]) -> list[Tensor]:
    """The leaves that ``y`` was made from, besides ``inputs``, by operations after ``start``."""
    nodes = oldest_first([y.node])
    if nodes and nodes[0].order < start:
        raise RuntimeError(
            f"checkpoint: the function uses the result of a {nodes[0].name} from outside, through "
            f"which gradients flow. Give that Tensor to checkpoint as an input, or detach it."
        )
    below = [parent for node in nodes for parent in node.parents if parent is not None]
    known = {id(x) for x in inputs}
    leaves = {id(leaf): leaf for leaf in [y.node, *below] if not leaf.order}
    return [leaf for key, leaf in leaves.items() if key not in known]


def check_the_same(first: Array, second: Any) -> None:
    """Whether the second run has given what the first gave, but for rounding. A GPU, which would
    have to be waited for, is asked for the shape alone."""
    same = isinstance(second, Tensor) and second.shape == first.shape
    if same and type(first) is np.ndarray and first.size:
        size = np.abs(first, where=np.isfinite(first), out=np.zeros_like(first)).max()
        same = np.allclose(second.array, first, rtol=0, atol=1e-3 * float(size), equal_nan=True)
    if not same:
        raise RuntimeError(
            "checkpoint: the function gave another output when backward ran it again. Between "
            "forward and backward, leave as it is what the function reads: train() or eval(), the "
            "parameters, and whatever it counts."
        )


def checkpoint_sequential(
    functions: Iterable[Callable[..., Tensor]], segments: int, input: Tensor
) -> Tensor:
    """``input`` through the functions one after the other, cut into ``segments`` parts of about the
    same number, each of which is a ``checkpoint``.

    Args:
        functions: an ``nn.Sequential``, or a list of modules or functions of one Tensor.
        segments: how many parts, from 1 to the number of functions; its square root needs least
            memory.

    Raises:
        ValueError: another number of segments.
    """
    functions = list(functions)
    if not 1 <= segments <= len(functions):
        raise ValueError(
            f"checkpoint_sequential: segments is {segments}, expected 1 to {len(functions)}, the "
            f"number of functions"
        )
    ends = [len(functions) * i // segments for i in range(segments + 1)]
    for start, end in pairwise(ends):
        input = checkpoint(partial(run, functions[start:end]), input)
    return input


def run(functions: Sequence[Callable[..., Tensor]], x: Tensor) -> Tensor:
    """``x`` through the functions, one after the other."""
    return reduce(lambda y, function: function(y), functions, x)

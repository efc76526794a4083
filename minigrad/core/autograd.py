"""Running an operation, recording it, and going back through the record.

``apply`` is the one place where an operation runs, and ``gradients`` the one place where a backward
pass runs. Whether a rule or a kernel computes is decided in ``execute``, what is refused is in
``guard``, and what hooks get to see in ``hooks``.
"""

from collections.abc import Sequence
from contextvars import copy_context
from typing import Any

import numpy as np

from ..backend import Array, array_module, make_current, on_device_of, owner
from ..events import events
from . import execute, guard, hooks, versions
from .gradmode import autocasting, enable_grad, grad_mode
from .graph import backpropagate, next_order
from .hooks import PullBack
from .op import Op, Shape, shape_of
from .variable import Variable

# ------------------------------------------------------------------------------- one operation


def apply(op: Op, *inputs: Any) -> Any:
    """Run ``op`` on Tensors, and record it if one of them requires a gradient.

    Raises:
        TypeError: an input is no Tensor, or the inputs are on different devices or of different
            floating types.
    """
    convert = autocasting.get()
    if convert is not None:
        inputs = convert(op, inputs)
    arrays: list[Array] = []
    parents: list[Any] = []
    recorded = False
    try:
        for x in inputs:
            arrays.append(x.array)
            parents.append((x.grad_fn or x) if x._requires_grad else None)
            recorded = recorded or x._requires_grad
    except AttributeError:
        guard.tensors(op, inputs)
        raise
    dtype = arrays[0].dtype
    for array in arrays:
        if array.dtype is not dtype:
            guard.one_type(op, arrays)
    output = inputs[0].from_array(execute.forward(op, arrays))
    if recorded and grad_mode.get():
        record(op, output, arrays, parents)
    return output


def record(op: Op, output: Variable, arrays: list[Array], parents: list[Any]) -> None:
    """Make ``op`` a node of the graph: number it, link it to ``parents``, save what backward reads.

    The graph links nodes and not Tensors, so that a Tensor which nobody holds can go. A leaf is
    its own node; an input that needs no gradient has none.
    """
    op.order, op.parents = next_order(), parents
    saved = [output.array, *arrays]
    for place in op.unsaved:
        if place >= len(saved):  # an input that may be left out
            break
        saved[place] = shape_of(saved[place].shape)
    op.saved = saved
    output._requires_grad, output.grad_fn = True, op


def call_op(op: Op, *values: Any) -> Any:
    """Apply ``op`` to arrays, or to Tensors where ``backward`` is itself being differentiated."""
    for value in values:
        if isinstance(value, Variable):
            return apply(op, *values)
    return op.forward(*values)


# ------------------------------------------------------------------------ back through one node


def pull_back(node: Op, grad: Any) -> tuple[Any, ...]:
    """The gradients of a node's inputs, from the gradient of its output."""
    if node.saved is None or versions.latest > node.order:
        guard.before(node)
    input_grads = execute.backward(node, grad, node.saved or ())
    if type(input_grads) is not tuple:
        input_grads = (input_grads,)
    guard.after(node, input_grads)
    return input_grads


def pull_back_recorded(node: Op, grad: Any) -> tuple[Any, ...]:
    """The same by the rule alone, on Tensors: its arithmetic is recorded, and can be differentiated
    again."""
    guard.before(node)
    input_grads = node.backward(grad, *as_tensors(node, grad))
    if type(input_grads) is not tuple:
        input_grads = (input_grads,)
    guard.after(node, input_grads)
    return input_grads


def as_tensors(node: Op, like: Any) -> tuple[Any, ...]:
    """What ``node`` saved, as the Tensors it was: its output, leaves, constants, and others."""
    tensors = []
    for value, origin in zip(node.saved or (), (node, *node.parents), strict=True):
        if type(value) is Shape:
            tensor: Any = value
        elif isinstance(origin, Variable):
            guard.same_leaf(origin, value)
            tensor = origin
        else:
            tensor = like.from_array(value)
            tensor._requires_grad, tensor.grad_fn = origin is not None, origin
        tensors.append(tensor)
    return tuple(tensors)


# --------------------------------------------------------------------------- one backward pass


def gradients(
    outputs: Sequence[Variable],
    seeds: Sequence[Variable],
    targets: set[Any] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> dict[Any, Any]:
    """The gradients of all leaves, or of the nodes ``targets``: arrays, or Tensors on a graph of
    their own if ``create_graph``. ``seeds`` are the gradients of the ``outputs``.

    It is called in a copy of the context (see ``contextvars``). What it sets there ends with the
    copy, also when Ctrl-C comes: the grad mode, and that NumPy gives inf and NaN in silence.
    """
    grad_mode.set(create_graph)
    np.seterr(all="ignore")
    grads: dict[Any, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        node = output.grad_fn or output
        value = seed if create_graph else seed.array
        grads[node] = grads[node] + value if node in grads else value
    step: PullBack = pull_back_recorded if create_graph else pull_back
    free = None if (create_graph if retain_graph is None else retain_graph) else Op.free
    watch = None
    if targets is not None or hooks.watched:
        watch = hooks.Watch(targets, grads, outputs[0])
        step, free = watch.around(step, free), None
    with on_device_of(seeds[0].array):
        leaf_grads = backpropagate(grads, step, free)
        for leaf, grad in leaf_grads.items():
            if leaf.hooks:
                leaf_grads[leaf] = hooks.run_hooks(leaf, grad, leaf)
        if watch is None:
            return leaf_grads
        watch.retain()
    return {**leaf_grads, **watch.grads}


def backward(
    output: Any,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add dL/dx to ``x.grad`` for every leaf x with ``requires_grad`` that this came from.

    Args:
        gradient: dL/d(this tensor). Default 1, for a tensor with a single element: the loss.
        retain_graph: keep the graph for another pass (default: the value of ``create_graph``).
            Otherwise its memory is freed as the walk passes.
        create_graph: record the pass itself, so that the gradients can be differentiated.
            ``x.grad`` then refers to the graph and the graph to x: set it to None when done, or
            use ``grad``, which leaves no such circle.

    Raises:
        RuntimeError: nothing to differentiate; not a single element and no ``gradient``; the
            graph was freed; or a tensor that a rule needs was changed in place. No ``.grad`` has
            changed then.
        TypeError: the gradient is no Tensor, or of another type or device.
    """
    seed = seed_of(output, gradient, "backward")
    inside = copy_context()
    leaf_grads = inside.run(gradients, (output,), (seed,), None, retain_graph, create_graph)
    if events.listener is not None:
        events.listener.gave_gradients(leaf_grads)
    for watcher in hooks.after_backward.values():
        watcher.gave_gradients(leaf_grads)
    taken = set() if gradient is None else {id(owner(seed.array))}
    sums = []  # nothing is added before all is known
    with on_device_of(seed.array):  # afterwards, the GPU is current that was so before
        for leaf, grad in leaf_grads.items():
            if leaf._requires_grad:  # it may have been frozen since
                total = to_user(grad, leaf, taken)
                if leaf._grad is not None:
                    total = added(leaf._grad, total, create_graph)
                sums.append((leaf, total))
    for leaf, total in sums:
        leaf._grad = total


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of (the sum of) ``outputs`` with respect to ``inputs``. No leaf's ``.grad``
    changes, and what does not lead to an input is not computed.

    Args:
        outputs: scalars, or tensors with a ``grad_outputs`` of the same shape each.
        inputs: tensors that require gradients, leaves or not.
        grad_outputs: dL/d(output) for each output.
        retain_graph: keep the graph for another pass (default: the value of ``create_graph``).
        create_graph: make the results differentiable themselves.
        allow_unused: give None for an input that no output depends on, instead of an error.

    Raises:
        RuntimeError: an output or input does not require a gradient, or is not connected; or what
            ``Tensor.backward`` raises.
        TypeError: an output, an input or a ``grad_outputs`` is no Tensor.
        ValueError: not as many ``grad_outputs`` as outputs.
    """
    ys, xs = as_tuple(outputs), as_tuple(inputs)
    given = (None,) * len(ys) if grad_outputs is None else as_tuple(grad_outputs)
    guard.grad_arguments(ys, xs, given)
    seeds = [seed_of(y, seed, "grad") for y, seed in zip(ys, given, strict=True)]
    targets = {x.node for x in xs}
    grads = copy_context().run(gradients, ys, seeds, targets, retain_graph, create_graph)
    taken = {id(owner(seed.array)) for seed in seeds}
    with on_device_of(seeds[0].array):
        results = [to_user(grads[x.node], x, taken) if x.node in grads else None for x in xs]
    if not allow_unused:
        guard.connected(results, xs)
    return tuple(results)


def seed_of(output: Variable, gradient: Any, name: str) -> Any:
    """The gradient that a backward pass starts from: the one that was given, or 1 for a loss."""
    guard.seed(output, gradient, name)
    if gradient is not None:
        return gradient
    with on_device_of(output.array):
        return output.from_array(array_module(output.array).ones_like(output.array))


def to_user(grad: Any, like: Variable, taken: set[int]) -> Any:
    """A gradient as a user gets it: a Tensor of the type of ``like``, in memory of its own.

    A rule may pass one array on to several inputs (Add), or a view of it (Reshape). Whoever changes
    one ``.grad`` in place must not change another, nor the seed: ``taken`` has the memory that is
    in use already.
    """
    if isinstance(grad, Variable):  # create_graph: the copy is recorded
        copy: Any = grad
        copy = copy.clone() if id(owner(grad.array)) in taken else copy
        taken.add(id(owner(grad.array)))
        return copy
    if type(grad) is not np.ndarray:
        make_current(grad)
        grad = like.from_array(grad).array  # of one of NumPy's numbers, an array
    if grad.dtype is not like.array.dtype:
        grad = grad.astype(like.array.dtype, copy=False)
    if grad.base is not None or id(grad) in taken:
        grad = grad.copy()
    taken.add(id(grad))
    return like.from_array(grad)


def added(old: Any, new: Any, create_graph: bool) -> Any:
    """The sum of two gradients, recorded if ``create_graph``."""
    guard.addable(old, new)
    with on_device_of(new.array):
        if not create_graph:
            return new.from_array(old.array + new.array)
        with enable_grad():
            return old + new


def as_tuple(tensors: Any) -> tuple[Any, ...]:
    """One Tensor or several, as several."""
    return (tensors,) if isinstance(tensors, Variable) else tuple(tensors)

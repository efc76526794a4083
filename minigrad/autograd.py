"""Recording operations, and going back through the record.

``apply`` is the one place where an operation runs: it takes the arrays out of its Tensors, calls
``forward``, and, if a gradient will be wanted, makes the operation a node of the graph.
``backpropagate_from`` is the one place where a backward pass runs: it hands each node's gradient
to the node's ``backward``, in the order that ``graph.py`` determines.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kernels, writes
from .backend import (
    Array,
    array_module,
    device_of,
    follow,
    memory_of,
    on_device_of,
    owner,
)
from .capture import capture
from .gradmode import mode, set_grad_enabled
from .graph import backpropagate, next_order, oldest_first
from .methods import Base
from .ops.base import Op, Shape, shape_of

if TYPE_CHECKING:
    from .tensor import Tensor

# ------------------------------------------------------------------------------- one operation


def apply(op: Op, *inputs: "Tensor") -> "Tensor":
    """Run ``op`` on Tensors, and record it if one of them requires a gradient.

    Raises:
        TypeError: an input is no Tensor, or the inputs are on different devices or of different
            floating types.
    """
    arrays: list[Array] = []
    parents: list[Any] = []
    wanted = False
    try:
        for x in inputs:
            arrays.append(x.array)
            if x._requires_grad:
                # A leaf is its own node. The graph refers to nodes, not to Tensors: those may go.
                parents.append(x.grad_fn or x)
                wanted = True
            else:
                parents.append(None)
    except AttributeError:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise TypeError(f"{op.name}: inputs are {kinds}, expected Tensors") from None
    first = arrays[0]
    kind, dtype = type(first), first.dtype
    for array in arrays:
        if type(array) is not kind or array.dtype is not dtype:
            _check_alike(op, arrays)
            break
    if kind is np.ndarray:
        out = kernels.forward(op, arrays)
    else:
        if len({array.device.id for array in arrays}) > 1:
            _check_alike(op, arrays)
        if capture.active:
            capture.read += memory_of(*arrays)
        with on_device_of(first):
            out = kernels.forward(op, arrays)
    result = inputs[0].from_array(out)
    if wanted and mode.enabled:
        op.order, op.parents, op.saved = next_order(), parents, _kept(op, result.array, arrays)
        result._requires_grad, result.grad_fn = True, op
    return result


def _kept(op: Op, out: Array, arrays: list[Array]) -> list[Any]:
    """Output and inputs, with no more than the shape of those that ``backward`` does not read."""
    kept: list[Any] = [out, *arrays]
    for place in op.unsaved:
        if place >= len(kept):  # an input that may be left out
            break
        kept[place] = shape_of(kept[place].shape)
    return kept


def _check_alike(op: Op, arrays: list[Array]) -> None:
    """All on one device, and all floating ones of one type."""
    devices = list(dict.fromkeys(device_of(a) for a in arrays))
    if len(devices) > 1:
        raise TypeError(
            f"{op.name}: inputs are on {' and '.join(devices)}, expected one device; "
            f"move them with .to({str(devices[0])!r})"
        )
    types = list(dict.fromkeys(a.dtype for a in arrays if a.dtype.kind == "f"))
    if len(types) > 1:
        raise TypeError(
            f"{op.name}: inputs are {' and '.join(map(str, types))}, expected one floating type; "
            f"convert with .float() or .double()"
        )


# --------------------------------------------------------------------------- one backward pass


def backpropagate_from(
    outputs: Sequence["Tensor"],
    seeds: Sequence["Tensor"],
    targets: set[Any] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Any, Any]:
    """The gradients of the leaves, or of the nodes ``targets``: arrays, or Tensors that are on
    a graph themselves if ``create_graph``."""
    grads: dict[Any, Any] = {}
    found: dict[Any, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        value = seed if create_graph else seed.array
        node = output.node
        grads[node] = grads[node] + value if node in grads else value

    needed = None if targets is None else _leading_to(targets, grads)
    retained: list[tuple[Callable[[], Tensor | None], Any]] = []

    def pull_back(node: Any, grad: Any) -> tuple[Any, ...]:
        passed = needed is None or node in needed
        wanted = targets is None or node in targets
        if node.hooks and (passed or wanted):
            grad = _run_hooks(node, grad, outputs[0])
        if targets is not None and wanted:
            found[node] = grad
        if node.retained_by is not None and (passed or wanted):
            retained.append((node.retained_by, grad))
        if not passed:
            return (None,) * len(node.parents)
        kept = node.saved
        if kept is None or writes.latest > node.order:
            _check_kept(node)
        if create_graph:
            shares = node.backward(grad, *_as_tensors(node, outputs[0]))
        else:
            if type(grad) is not np.ndarray:
                follow(grad)
            shares = kernels.backward(node, grad, kept)
        if type(shares) is not tuple:
            shares = (shares,)
        _check_shares(node, shares)
        if type(shares[0]) is not np.ndarray:  # of Move, it is on another device than grad,
            follow(shares[0])  # and the walk adds up next
        if not retain_graph:
            node.saved, node.parents = None, ()
            node.workspace = node._cached = None
        return shares

    with on_device_of(seeds[0].array), set_grad_enabled(create_graph):
        for leaf, grad in backpropagate(grads, pull_back).items():
            if leaf.hooks:
                grad = _run_hooks(leaf, grad, outputs[0])
            if targets is None or leaf in targets:
                found[leaf] = grad
        for tensor, grad in retained:  # not on the way: an error would leave half of them changed
            _retain(tensor(), grad)
    return found


def _leading_to(targets: set[Any], roots: Iterable[Any]) -> set[Any]:
    """The nodes under ``roots`` that gradients pass on their way to ``targets``."""
    needed: set[Any] = set()
    for node in oldest_first(roots):
        freed = node.saved is None  # whatever it led to: an error is due, unless it is a target
        if (freed and node not in targets) or any(
            parent in needed or parent in targets for parent in node.parents
        ):
            needed.add(node)
    return needed


def _check_kept(node: Op) -> None:
    """What ``node`` keeps must still be there, and still be what ``forward`` saw."""
    if node.saved is None:
        raise RuntimeError(
            f"{node.name}: this graph has been used for a backward pass and its memory freed; "
            f"for a second pass, give the first one retain_graph=True"
        )
    for i, value in enumerate(node.saved):
        if type(value) is not Shape and writes.written_since(value, node.order):
            which = f"input {i}" if i else "output"
            raise RuntimeError(
                f"{node.name}: its {which}, of shape {tuple(value.shape)}, was changed in place "
                f"after the operation ran, and its gradient needs the old values; make a new "
                f"tensor instead (y = y + 1, not y.add_(1)), or change a .clone()"
            )


def _as_tensors(node: Op, any_tensor: "Tensor") -> tuple[Any, ...]:
    """What ``node`` keeps as the Tensors it was, so that its rule is recorded."""
    origins = (node, *node.parents)
    kept = node.saved or ()
    return tuple([_on_graph(v, o, any_tensor) for v, o in zip(kept, origins, strict=True)])


def _on_graph(value: Any, origin: Any, any_tensor: "Tensor") -> Any:
    """A kept array as the Tensor it was: the output of ``origin``, a leaf, or a constant."""
    if type(value) is Shape:
        return value
    if isinstance(origin, Base):
        if origin.array is not value:
            raise RuntimeError(
                f"a leaf of shape {tuple(value.shape)} was given other data between forward and "
                f"backward; create_graph=True needs it unchanged"
            )
        return origin
    tensor = any_tensor.from_array(value)
    if origin is not None:
        tensor._requires_grad, tensor.grad_fn = True, origin
    return tensor


def _check_shares(node: Op, shares: tuple[Any, ...]) -> None:
    """What a rule returned must fit what it was given: one gradient per input, of its shape."""
    parents, kept = node.parents, node.saved or ()
    if len(shares) != len(parents):
        raise RuntimeError(
            f"{node.name}.backward returned {len(shares)} gradients, expected {len(parents)}: "
            f"one for each input"
        )
    for i, share in enumerate(shares):
        if share is None or parents[i] is None:
            continue
        expected = kept[i + 1].shape
        try:
            shape = share.shape
        except AttributeError:
            raise RuntimeError(
                f"{node.name}.backward returned a {type(share).__name__} for input {i + 1}, "
                f"expected an array of shape {tuple(expected)} or None"
            ) from None
        if shape != expected:
            raise RuntimeError(
                f"{node.name}.backward returned a gradient of shape {tuple(share.shape)} for "
                f"input {i + 1}, expected {tuple(expected)}, the shape of the input"
            )


def _run_hooks(node: Any, grad: Any, any_tensor: "Tensor") -> Any:
    """Show the gradient of a node to its hooks; each may return another one."""
    as_tensor = isinstance(grad, Base)
    for hook in list(node.hooks):
        seen: Any = grad if as_tensor else any_tensor.from_array(grad)
        answer = hook(seen)
        if answer is None:
            continue
        shape = answer.shape if hasattr(answer, "shape") else None
        if not isinstance(answer, Base) or shape != seen.shape:
            got = type(answer).__name__ if shape is None else f"one of shape {tuple(shape)}"
            raise RuntimeError(
                f"a gradient hook returned {got}, expected None or a Tensor of shape {seen.shape}"
            )
        grad = answer if as_tensor else answer.array
    return grad if as_tensor else grad.copy()  # a hook may keep what it saw


def _retain(tensor: "Tensor | None", grad: Any) -> None:
    """Add to the ``.grad`` of a tensor that is not a leaf but asked for it, if it still exists."""
    if tensor is not None:
        follow(tensor.array)
        recorded: Any = grad  # if create_graph, and then the copy is recorded too
        fresh = recorded.clone() if isinstance(grad, Base) else tensor.from_array(grad.copy())
        tensor._grad = fresh if tensor._grad is None else tensor._grad + fresh


def _seed(output: "Tensor", gradient: "Tensor | None", name: str) -> "Tensor":
    """The gradient a backward pass starts from: the given one, or 1 for a loss."""
    if not output._requires_grad:
        raise RuntimeError(
            f"{name}: this tensor was not computed from anything with requires_grad=True "
            f"(or was computed under no_grad), so there is nothing to differentiate"
        )
    if gradient is None:
        if output.array.size != 1:
            raise RuntimeError(
                f"{name}: the tensor has shape {output.shape}, expected a single number; reduce it "
                f"(.sum(), .mean()) or pass gradient, a Tensor of the same shape"
            )
        with on_device_of(output.array):
            return output.from_array(array_module(output.array).ones_like(output.array))
    if not isinstance(gradient, Base):
        raise TypeError(f"{name}: gradient is a {type(gradient).__name__}, expected a Tensor")
    if gradient.shape != output.shape:
        raise RuntimeError(
            f"{name}: gradient has shape {gradient.shape}, expected {output.shape}, that of the "
            f"tensor"
        )
    if gradient.device != output.device or gradient.dtype != output.dtype:
        raise TypeError(
            f"{name}: gradient is {gradient.dtype} on {gradient.device}, expected {output.dtype} "
            f"on {output.device}; convert it with .to(...)"
        )
    return gradient


def _finished(grad: Any, like: "Tensor", taken: set[int]) -> "Tensor":
    """A gradient as the user gets it: in the type of ``like``, in memory of its own."""
    dtype = like.array.dtype
    if type(grad) is not np.ndarray:
        if isinstance(grad, Base):  # create_graph: the copy is recorded
            memory = id(owner(grad.array))
            given: Any = grad
            result: Tensor = given.clone() if memory in taken else given
            taken.add(memory)
            return result
        follow(grad)
        grad = like.from_array(grad).array  # of one of NumPy's numbers, an array
    if grad.dtype is not dtype:
        grad = grad.astype(dtype, copy=False)
    # A rule may pass one array on to several inputs (Add), or a view of it (Reshape); whoever
    # changes one .grad in place must not change another, nor the seed.
    if grad.base is not None or id(grad) in taken:
        grad = grad.copy()
    taken.add(id(grad))
    return like.from_array(grad)


def backward(
    output: "Tensor",
    gradient: "Tensor | None" = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """``Tensor.backward``: add to ``.grad`` of every leaf. Nothing is added before all is known."""
    seed = _seed(output, gradient, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    found = backpropagate_from((output,), (seed,), None, keep, create_graph)
    taken = {id(owner(seed.array))}
    if capture.active:
        _refuse_other_leaves(found)
    with on_device_of(seed.array), set_grad_enabled(create_graph):
        totals = []
        for leaf, share in found.items():
            if leaf._requires_grad:  # it may have been frozen since
                total = _finished(share, leaf, taken)
                totals.append((leaf, total if leaf._grad is None else leaf._grad + total))
        for leaf, total in totals:
            leaf._grad = total


def _refuse_other_leaves(leaves: Iterable["Tensor"]) -> None:
    """A replay gives gradients to the parameters that it knows of."""
    for leaf in leaves:
        if id(leaf) not in capture.parameters:
            raise RuntimeError(
                f"cuda.graph: the step gives a gradient to a tensor of shape {leaf.shape}, which "
                f"is no parameter of the model; pass a model that holds all that is trained"
            )


def grad(
    outputs: "Tensor | Sequence[Tensor]",
    inputs: "Tensor | Sequence[Tensor]",
    grad_outputs: "Tensor | Sequence[Tensor | None] | None" = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> "tuple[Tensor | None, ...]":
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
    ys = _as_tuple(outputs)
    xs = _as_tuple(inputs)
    given = (None,) * len(ys) if grad_outputs is None else _as_tuple(grad_outputs)
    if len(given) != len(ys):
        raise ValueError(f"grad: {len(ys)} outputs but {len(given)} grad_outputs")
    for what, tensors in (("output", ys), ("input", xs)):
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Base):
                kind = type(tensor).__name__
                raise TypeError(f"grad: {what} {i} is a {kind}, expected a Tensor")
    for i, x in enumerate(xs):
        if not x._requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient")
    seeds = [_seed(y, g, "grad") for y, g in zip(ys, given, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    found = backpropagate_from(ys, seeds, {x.node for x in xs}, keep, create_graph)
    results: list[Tensor | None] = []
    taken = {id(owner(seed.array)) for seed in seeds}
    with on_device_of(seeds[0].array):
        for i, x in enumerate(xs):
            if x.node in found:
                results.append(_finished(found[x.node], x, taken))
            elif allow_unused:
                results.append(None)
            else:
                raise RuntimeError(
                    f"grad: no output depends on input {i} (of shape {x.shape}); "
                    f"allow_unused=True gives None for it"
                )
    return tuple(results)


def _as_tuple(tensors: Any) -> tuple[Any, ...]:
    return (tensors,) if isinstance(tensors, Base) else tuple(tensors)

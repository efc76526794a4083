"""All that can only raise: what an operation, a rule or a call of ``backward`` must not be given.

Nothing here computes anything. Whoever reads how the engine works may skip this file.
"""

from collections.abc import Sequence
from typing import Any

from ..backend import Array, device_of
from . import versions
from .op import Op, Shape
from .variable import Variable

# ---------------------------------------------------------------------------- one operation


def tensors(op: Op, inputs: Sequence[Any]) -> None:
    """All inputs are Tensors."""
    if not all(isinstance(x, Variable) for x in inputs):
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise TypeError(f"{op.name}: inputs are {kinds}, expected Tensors")


def one_type(op: Op, arrays: Sequence[Array]) -> None:
    """All arrays are of one kind, and all floating ones of one type: NumPy would convert them."""
    dtype = arrays[0].dtype
    for array in arrays:
        if array.dtype is not dtype:
            one_device(op, arrays)
            types = list(dict.fromkeys(a.dtype for a in arrays if a.dtype.kind == "f"))
            if len(types) > 1:
                raise TypeError(
                    f"{op.name}: inputs are {' and '.join(map(str, types))}, expected one floating "
                    f"type; convert with .float() or .double()"
                )
            return


def one_device(op: Op, arrays: Sequence[Array]) -> None:
    """All arrays are on one device."""
    devices = list(dict.fromkeys(map(device_of, arrays)))
    if len(devices) > 1:
        raise TypeError(
            f"{op.name}: inputs are on {' and '.join(devices)}, expected one device; "
            f"move them with .to({str(devices[0])!r})"
        )


# --------------------------------------------------------------------- back through one node


def before(node: Op) -> None:
    """What ``node`` saved must still be there, and still be what ``forward`` saw."""
    if node.saved is None:
        raise RuntimeError(
            f"{node.name}: this graph has been used for a backward pass and its memory freed; "
            f"for a second pass, give the first one retain_graph=True{recorded(node)}"
        )
    for i, value in enumerate(node.saved):
        if type(value) is not Shape and versions.written_since(value, node.order):
            which = f"input {i}" if i else "output"
            by = versions.writer(value)
            remedy = (
                "call backward before that, or make the pass after it"
                if by
                else "make a new tensor instead (y = y + 1, not y.add_(1)), or change a .clone()"
            )
            raise RuntimeError(
                f"{node.name}: its {which}, of shape {tuple(value.shape)}, was changed in place "
                f"{f'by {by} ' if by else ''}after the operation ran, and its gradient needs the "
                f"old values; {remedy}{recorded(node)}"
            )


def recorded(node: Op) -> str:
    """Where a node was recorded, if ``detect_anomaly`` has noted it."""
    if node.made_at is None:
        return ""
    module, line = node.made_at
    return f". It was recorded at {line}" + (f", in {module}" if module else "")


def after(node: Op, input_grads: tuple[Any, ...]) -> None:
    """A rule must return one gradient per input, of the input's shape, or None."""
    parents, saved = node.parents, node.saved or ()
    if len(input_grads) != len(parents):
        raise RuntimeError(
            f"{node.name}.backward returned {len(input_grads)} gradients, expected "
            f"{len(parents)}: one for each input"
        )
    for i, grad in enumerate(input_grads):
        if grad is None or parents[i] is None:
            continue
        expected = saved[i + 1].shape
        shape = getattr(grad, "shape", None)
        if shape == expected:
            continue
        if shape is None:
            raise RuntimeError(
                f"{node.name}.backward returned a {type(grad).__name__} for input {i + 1}, "
                f"expected an array of shape {tuple(expected)} or None"
            )
        raise RuntimeError(
            f"{node.name}.backward returned a gradient of shape {tuple(shape)} for input {i + 1}, "
            f"expected {tuple(expected)}, the shape of the input"
        )


def same_leaf(leaf: Variable, saved: Array) -> None:
    """A leaf that is read again as a Tensor must hold what ``forward`` saw."""
    if leaf.array is not saved:
        raise RuntimeError(
            f"a leaf of shape {tuple(saved.shape)} was given other data between forward and "
            f"backward; create_graph=True needs it unchanged"
        )


def hook_answer(answer: Any, grad: Variable) -> None:
    """A hook must return a gradient like the one that it was shown."""
    expected = f"expected None or a Tensor of shape {grad.shape}, {grad.dtype}, on {grad.device}"
    if not isinstance(answer, Variable):
        raise RuntimeError(f"a gradient hook returned {type(answer).__name__}, {expected}")
    if (answer.shape, answer.dtype, answer.device) != (grad.shape, grad.dtype, grad.device):
        raise RuntimeError(
            f"a gradient hook returned a Tensor of shape {answer.shape}, {answer.dtype}, on "
            f"{answer.device}, {expected}"
        )


# ------------------------------------------------------------------- the whole backward pass


def seed(output: Variable, gradient: Any, name: str) -> None:
    """A backward pass starts from a number, or from a gradient that fits its tensor."""
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
        return
    if not isinstance(gradient, Variable):
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


def grad_arguments(outputs: Sequence[Any], inputs: Sequence[Any], grad_outputs: Any) -> None:
    """The arguments of ``grad`` are Tensors, as many as they should be, and inputs want one."""
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(grad_outputs)} grad_outputs")
    for what, values in (("output", outputs), ("input", inputs)):
        for i, value in enumerate(values):
            if not isinstance(value, Variable):
                kind = type(value).__name__
                raise TypeError(f"grad: {what} {i} is a {kind}, expected a Tensor")
    for i, x in enumerate(inputs):
        if not x._requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient")


def connected(grads: Sequence[Any], inputs: Sequence[Variable]) -> None:
    """Every input of ``grad`` has a part in an output."""
    for i, (grad, x) in enumerate(zip(grads, inputs, strict=True)):
        if grad is None:
            raise RuntimeError(
                f"grad: no output depends on input {i} (of shape {x.shape}); "
                f"allow_unused=True gives None for it"
            )


def addable(old: Variable, new: Variable) -> None:
    """A gradient is added to one like it: ``x.data`` may have changed between two passes."""
    ours, theirs = [(str(g.shape), str(g.dtype), str(g.device)) for g in (new, old)]
    if ours != theirs:
        raise RuntimeError(
            f"backward: the .grad of a tensor is {', '.join(theirs)}, and the new gradient "
            f"{', '.join(ours)}; it was given other data since: set its .grad to None first"
        )

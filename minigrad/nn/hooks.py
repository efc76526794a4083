"""Backward hooks of modules: seeing the gradients that leave and enter a layer.

A hook on a Tensor sees the gradient from *all* users of the tensor, which for the input of a layer
may be more than this layer. So the inputs, and likewise the outputs, are passed through one
operation that changes nothing and that nobody else uses; the gradient at that operation is the
gradient through the layer. Several inputs are joined into one vector for it, because only then is
there one moment in the backward pass at which the gradients of all of them are known.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.gradmode import is_grad_enabled
from ..functional import cat
from ..tensor import RemovableHandle, Tensor

BackwardHook = Callable[[Any, tuple[Tensor | None, ...], tuple[Tensor | None, ...]], Any]
Gradients = tuple[Tensor | None, ...]


def added(hooks: list[Any], hook: Any) -> RemovableHandle:
    """Add ``hook`` to ``hooks``; the handle's ``remove`` takes it out."""
    if not callable(hook):
        raise TypeError(f"hook: got a {type(hook).__name__}, expected a function")
    hooks.append(hook)
    return RemovableHandle(hooks, hook)


def run_watched(
    module: Any, hooks: Sequence[BackwardHook], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """``module.forward(*args, **kwargs)``, with ``hooks`` called when the backward pass comes by.

    Raises:
        TypeError: the output is neither a Tensor nor a tuple or list.
    """
    if not is_grad_enabled():
        return module.forward(*args, **kwargs)
    inputs = _places(args)
    # Between the output and the inputs of one backward pass; None in between. A double backward
    # enters a layer in its middle, at what its rules have saved, and is none of the hooks'.
    grad_output: Gradients | None = None

    def call_hooks(grad_input: Gradients, grad_output: Gradients) -> Gradients:
        for hook in hooks:
            answer = hook(module, grad_input, grad_output)
            if answer is not None:
                given, grad_input = grad_input, answer if isinstance(answer, tuple) else (answer,)
                _check(module, grad_input, given, args, inputs)
        return grad_input

    def at_input(grads: Gradients) -> Gradients:
        nonlocal grad_output
        if grad_output is None:  # the gradient has not come through the output
            return grads
        grad_input = call_hooks(_spread(grads, inputs, len(args)), grad_output)
        grad_output = None
        return tuple(grad_input[i] for i in inputs)

    def at_output(grads: Gradients) -> Gradients:
        nonlocal grad_output
        grad_output = _spread(grads, places, len(outputs))
        if not inputs:
            call_hooks((None,) * len(args), grad_output)
            grad_output = None
        return grads

    output = module.forward(*_passed(args, inputs, at_input), **kwargs)
    if not isinstance(output, (Tensor, tuple, list)):
        raise TypeError(
            f"{type(module).__name__}: a full backward hook needs an output that is a Tensor or a "
            f"tuple of Tensors, got a {type(output).__name__}"
        )
    outputs = (output,) if isinstance(output, Tensor) else tuple(output)
    places = _places(outputs)
    passed = _passed(outputs, places, at_output)
    if isinstance(output, Tensor):
        return passed[0]
    if isinstance(output, list):
        return list(passed)
    return type(output)._make(passed) if hasattr(output, "_make") else passed  # a namedtuple


def _places(values: tuple[Any, ...]) -> list[int]:
    return [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]


def _spread(grads: Gradients, places: list[int], length: int) -> Gradients:
    """``grads`` at their places among ``length``, None elsewhere."""
    found = dict(zip(places, grads, strict=True))
    return tuple(found.get(i) for i in range(length))


def _passed(
    values: tuple[Any, ...], places: list[int], hook: Callable[[Gradients], Gradients]
) -> tuple[Any, ...]:
    """``values`` with the Tensors at ``places`` one operation later; in the backward pass
    ``hook`` gets all of their gradients (None of one that nothing depends on), and what it returns
    goes on."""
    tensors = [values[i] for i in places]
    if not tensors:
        return values
    if len(tensors) == 1:
        joined = tensors[0].reshape(tensors[0].shape)
        joined.register_hook(lambda grad: hook((grad,))[0])
        pieces: Any = [joined]
    else:
        sizes, shapes = [t.numel() for t in tensors], [t.shape for t in tensors]
        joined = cat([t.reshape(-1) for t in tensors])
        pieces = _unflat(joined, sizes, shapes)
        arrived: set[int] = set()  # in the joined gradient, what did not arrive would be zeros

        def at_joined(flat: Tensor) -> Tensor:
            grads = _unflat(flat, sizes, shapes)
            answer = hook(tuple(g if i in arrived else None for i, g in enumerate(grads)))
            arrived.clear()
            changed = [b if a is None else a for a, b in zip(answer, grads, strict=True)]
            return cat([g.reshape(-1) for g in changed])

        joined.register_hook(at_joined)
        for i, piece in enumerate(pieces):
            piece.register_hook(functools.partial(_note, arrived, i))
    replaced = dict(zip(places, pieces, strict=True))
    return tuple(replaced.get(i, v) for i, v in enumerate(values))


def _note(arrived: set[int], number: int, grad: Tensor) -> None:
    arrived.add(number)


def _unflat(flat: Tensor, sizes: list[int], shapes: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
    pieces = flat.split(sizes)
    return tuple(piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))


def _check(
    module: Any, answer: tuple[Any, ...], given: Gradients, args: tuple[Any, ...], inputs: list[int]
) -> None:
    """What a hook returned must fit the inputs; None only where it was given None."""
    expected = [_kind(args[i]) if i in inputs else None for i in range(len(args))]
    got = [_kind(g) if isinstance(g, Tensor) else None for g in answer]
    if len(got) != len(expected) or any(
        got[i] != expected[i] and not (answer[i] is None and given[i] is None) for i in inputs
    ):
        raise RuntimeError(
            f"{type(module).__name__}: a full backward hook returned the gradients {got}, "
            f"expected {expected}: one for each positional argument"
        )


def _kind(tensor: Tensor) -> tuple[str, ...]:
    return str(tensor.shape), str(tensor.dtype), str(tensor.device)

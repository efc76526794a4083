"""What executes when an operation runs: its rule in ``ops/``, or a faster kernel in its place.

A kernel computes what the ``forward`` or the ``backward`` of its operation computes, from the same
arguments:

    forward(op, *inputs)            -> the output, or None
    backward(op, grad, y, *inputs)  -> the gradients of the inputs, or None

``None`` means that the kernel does not know this case (another number of axes, another type), and
then the rule runs. Between its two halves a kernel may leave arrays in ``op.workspace``; where that
is None, ``forward`` was not the kernel's, and neither is ``backward``.

Kernels see arrays only. When gradients of gradients are wanted, the rules run on Tensors. The rules
define what is right: a test holds every kernel to its rule, and ``mg.use_kernels(False)`` runs the
rules alone.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, array_module, make_current, on_device_of
from ..events import tell
from . import guard
from .gradmode import recomputing
from .op import Op

Kernel = Callable[..., Any]


numpy_forward: dict[type[Op], Kernel] = {}
numpy_backward: dict[type[Op], Kernel] = {}
cupy_forward: dict[type[Op], Kernel] = {}
cupy_backward: dict[type[Op], Kernel] = {}
"""The kernels for the arrays of one library, by the class of the operation: see ``kernels/``."""

cupy_steps: dict[str, Kernel] = {}
"""What makes the step of an optimiser on a GPU for all parameters at once, in place, by its name:

    step(weights, gradients, state, group, pointer_cache) -> False if this is not its case

``state`` holds numbers, and arrays over all parameters end to end; the first step fills it."""

InPlace = dict[Callable[..., None], Callable[..., bool]]
numpy_in_place: InPlace = {}
cupy_in_place: InPlace = {}
"""Those of functions that change arrays in place; they return False for what they do not know."""


class _Switch(threading.local):
    """In each thread of its own."""

    kernels = os.environ.get("MINIGRAD_KERNELS", "1") not in ("", "0")


switch = _Switch()


class use_kernels:
    """Run kernels in the place of rules, where there are some, if ``enabled``; else the rules.

    ``mg.use_kernels(False)`` holds from then on, in this thread; ``with mg.use_kernels(False):``
    ends it. The environment variable MINIGRAD_KERNELS=0 starts every thread that way. With kernels
    off, a debugger steps from a line of a user into the rule that computes it, on either device.
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._before = [switch.kernels]  # a stack: one `with` may stand inside another
        self._entered = False
        switch.kernels = enabled

    def __enter__(self) -> None:
        if self._entered:  # the first time, the constructor has done it
            self._before.append(switch.kernels)
            switch.kernels = self.enabled
        self._entered = True

    def __exit__(self, *exception: object) -> None:
        switch.kernels = self._before.pop()


def forward(op: Op, arrays: Sequence[Array]) -> Array:
    """The output of ``op``: by its kernel if there is one for this case, else by its rule."""
    if type(arrays[0]) is not np.ndarray:
        return _forward_elsewhere(op, arrays)
    kernel = numpy_forward.get(type(op))
    output = kernel(op, *arrays) if kernel is not None and switch.kernels else None
    return op.forward(*arrays) if output is None else output


def backward(op: Op, grad: Array, saved: Sequence[Any]) -> Any:
    """The gradients of the inputs of ``op``, likewise."""
    if type(grad) is not np.ndarray:
        return _backward_elsewhere(op, grad, saved)
    kernel = numpy_backward.get(type(op))
    input_grads = kernel(op, grad, *saved) if kernel is not None and switch.kernels else None
    return op.backward(grad, *saved) if input_grads is None else input_grads


def takes_kernels(array: Array) -> bool:
    """Whether kernels may run on an array of a subclass: ``replay/`` has one, which notes what is
    done with it."""
    return switch.kernels and getattr(type(array), "takes_kernels", False)


def _forward_elsewhere(op: Op, arrays: Sequence[Array]) -> Array:
    guard.one_device(op, arrays)
    if array_module(arrays[0]) is np:  # a subclass of NumPy's arrays
        kernel = numpy_forward.get(type(op)) if takes_kernels(arrays[0]) else None
        output = kernel(op, *arrays) if kernel is not None else None
        return op.forward(*arrays) if output is None else output
    tell("read", *arrays)
    with on_device_of(arrays[0]):
        kernel = cupy_forward.get(type(op))
        output = kernel(op, *arrays) if kernel is not None and switch.kernels else None
        return op.forward(*arrays) if output is None else output


def _backward_elsewhere(op: Op, grad: Array, saved: Sequence[Any]) -> Any:
    if array_module(grad) is np:  # a number of NumPy's, or a subclass of its arrays
        kernel = numpy_backward.get(type(op)) if takes_kernels(grad) else None
        input_grads = kernel(op, grad, *saved) if kernel is not None else None
        return op.backward(grad, *saved) if input_grads is None else input_grads
    make_current(grad)
    kernel = cupy_backward.get(type(op))
    input_grads = kernel(op, grad, *saved) if kernel is not None and switch.kernels else None
    input_grads = op.backward(grad, *saved) if input_grads is None else input_grads
    # The gradient of Move lies on another GPU. Make that one current, because the walk sums there.
    make_current(input_grads[0] if type(input_grads) is tuple else input_grads)
    return input_grads


def in_place(rule: Callable[..., None], *arguments: Any) -> None:
    """Run a rule that changes its first argument in place, an array: its kernel, or itself. Where a
    part of the model runs for the second time, the first has done it."""
    if recomputing.get():
        return
    array = arguments[0]
    kernel = (numpy_in_place if isinstance(array, np.ndarray) else cupy_in_place).get(rule)
    with on_device_of(array):
        if kernel is None or not switch.kernels or not kernel(*arguments):
            rule(*arguments)

"""Tensor: an array that remembers the operation and the inputs that made it.

``apply`` is the one place where an operation runs: it takes the arrays out of its Tensors, calls
``forward``, and, if a gradient will be wanted, turns the operation into a node of the graph.
``backpropagate_from`` is the one place where a backward pass runs: it hands each node's gradient to
the node's ``backward``, in the order that ``graph.py`` determines.
"""

import builtins
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from typing import Any, ClassVar, Self

import numpy as np

from . import ops
from .backend import (
    Array,
    Device,
    array_module,
    default_device,
    device_of,
    is_array,
    owner,
    to_device,
)
from .graph import backpropagate, tick
from .methods import Methods
from .ops.base import Op, Shape
from .writes import mark_written, written_since

# ------------------------------------------------------------------- whether to record operations


class _GradMode(threading.local):
    enabled = True


_mode = _GradMode()


class set_grad_enabled(ContextDecorator):
    """Within it, operations are recorded for backward if ``mode`` is true, and not if it is false.

    Use as ``with set_grad_enabled(False):`` or as a decorator. Each thread has a mode of its own.
    """

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def _recreate_cm(self) -> "set_grad_enabled":
        return set_grad_enabled(self.mode)  # a decorated function may call itself, or run twice

    def __enter__(self) -> None:
        self.before, _mode.enabled = _mode.enabled, self.mode

    def __exit__(self, *exception: object) -> None:
        _mode.enabled = self.before


class no_grad(set_grad_enabled):
    """Within it, nothing is recorded: no gradients, and no memory kept for them."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Within it, operations are recorded, also inside ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return _mode.enabled


# ------------------------------------------------------------------------------- one operation


def apply(op: Op, *inputs: "Tensor") -> "Tensor":
    """Run ``op`` on Tensors, and record it if one of them requires a gradient.

    Raises:
        TypeError: an input is no Tensor, or the inputs are on different devices or of different
            floating types.
    """
    try:
        arrays = [x._data for x in inputs]
    except AttributeError:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise TypeError(f"{op.name}: inputs are {kinds}, expected Tensors") from None
    first = arrays[0]
    for array in arrays:
        if type(array) is not type(first) or array.dtype is not first.dtype:
            _check_alike(op, arrays)
            break
    out = op.forward(*arrays)
    result = Tensor._wrap(out)
    if _mode.enabled:
        needs = tuple([x._requires_grad for x in inputs])
        if True in needs:
            record(op, inputs, needs, arrays, result)
    return result


def record(
    op: Op,
    inputs: tuple["Tensor", ...],
    needs: tuple[bool, ...],
    arrays: list[Array],
    result: "Tensor",
) -> None:
    """Make ``op`` the node of the graph that ``result`` comes from."""
    op.order = tick()
    op.needs_input_grad = needs
    op.parents = tuple(
        [(x.grad_fn or x) if x._requires_grad else None for x in inputs]  # a leaf is its own node
    )
    kept, out = op.keeps_inputs, result._data
    if kept is True:
        saved = arrays
    elif kept:
        saved = [a if i in kept else Shape(a.shape) for i, a in enumerate(arrays)]
    else:
        saved = [Shape(a.shape) for a in arrays]
    op.kept = (out if op.keeps_output else Shape(out.shape), *saved)
    result._requires_grad, result.grad_fn = True, op


def _check_alike(op: Op, arrays: list[Array]) -> None:
    """All on one device, and all floating ones of one type."""
    devices = list(dict.fromkeys(device_of(a) for a in arrays))
    if len(devices) > 1:
        raise TypeError(
            f"{op.name}: inputs are on {' and '.join(devices)}, expected one device; "
            f"move them with .to({str(devices[0])!r})"
        )
    types = list(dict.fromkeys(str(a.dtype) for a in arrays if a.dtype.kind == "f"))
    if len(types) > 1:
        raise TypeError(
            f"{op.name}: inputs are {' and '.join(types)}, expected one floating type; "
            f"convert with .float() or .double()"
        )


# --------------------------------------------------------------------------- one backward pass


def backpropagate_from(
    outputs: Sequence["Tensor"],
    seeds: Sequence["Tensor"],
    capture: set[Any] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Any, Any]:
    """The gradients of the leaves, or of the nodes in ``capture``: arrays, or Tensors that are on
    a graph themselves if ``create_graph``."""
    grads: dict[Any, Any] = {}
    found: dict[Any, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        value = seed if create_graph else seed._data
        node = output.node
        grads[node] = grads[node] + value if node in grads else value

    def pull_back(node: Any, grad: Any) -> tuple[Any, ...]:
        if node.hooks:
            grad = _run_hooks(node, grad)
        is_leaf = isinstance(node, Tensor)
        if is_leaf if capture is None else node in capture:
            found[node] = grad
        if is_leaf:
            return ()
        arguments = _kept_arguments(node, create_graph)
        shares = node.backward(grad, *arguments)
        if type(shares) is not tuple:
            shares = (shares,)
        _check_shares(node, shares)
        if not retain_graph:
            node.kept, node.parents, node._memo = None, (), None
        return shares

    with set_grad_enabled(create_graph):
        backpropagate(grads, pull_back)
    return found


def _kept_arguments(node: Op, create_graph: bool) -> tuple[Any, ...]:
    """The output and inputs of ``node`` as its rule gets them, after checking that they are still
    what ``forward`` saw."""
    if node.kept is None:
        raise RuntimeError(
            f"{node.name}: this graph has been used for a backward pass and its memory freed; "
            f"for a second pass, give the first one retain_graph=True"
        )
    stale = [
        i
        for i, value in enumerate(node.kept)
        if type(value) is not Shape and written_since(value, node.order)
    ]
    if stale:
        which = "its output" if stale[0] == 0 else f"its input {stale[0]}"
        raise RuntimeError(
            f"{node.name}: {which}, of shape {tuple(node.kept[stale[0]].shape)}, was changed in "
            f"place after the operation ran, and its gradient needs the old values; make a new "
            f"tensor instead (y = y + 1, not y.add_(1)), or change a .clone()"
        )
    if not create_graph:
        return node.kept
    origins = (node, *node.parents)
    return tuple(_on_graph(v, origin) for v, origin in zip(node.kept, origins, strict=True))


def _on_graph(value: Any, origin: Any) -> Any:
    """A kept array as the Tensor it was: the output of ``origin``, a leaf, or a constant."""
    if type(value) is Shape:
        return value
    if isinstance(origin, Tensor):
        if origin._data is not value:
            raise RuntimeError(
                f"a leaf of shape {tuple(value.shape)} was given other data between forward and "
                f"backward; create_graph=True needs it unchanged"
            )
        return origin
    tensor = Tensor._wrap(value)
    if origin is not None:
        tensor._requires_grad, tensor.grad_fn = True, origin
    return tensor


def _check_shares(node: Op, shares: tuple[Any, ...]) -> None:
    """What a rule returned must fit what it was given: one gradient per input, of its shape."""
    if len(shares) != len(node.parents):
        raise RuntimeError(
            f"{node.name}.backward returned {len(shares)} gradients, expected {len(node.parents)}: "
            f"one for each input"
        )
    inputs = node.kept[1:] if node.kept else ()
    for i, (share, given, parent) in enumerate(zip(shares, inputs, node.parents, strict=True)):
        if share is None or parent is None:
            continue
        if not hasattr(share, "shape"):
            raise RuntimeError(
                f"{node.name}.backward returned a {type(share).__name__} for input {i + 1}, "
                f"expected an array of shape {tuple(given.shape)} or None"
            )
        if share.shape != given.shape:
            raise RuntimeError(
                f"{node.name}.backward returned a gradient of shape {tuple(share.shape)} for "
                f"input {i + 1}, expected {tuple(given.shape)}, the shape of the input"
            )


def _run_hooks(node: Any, grad: Any) -> Any:
    """Show the gradient of a node to its hooks; each may return another one."""
    as_tensor = isinstance(grad, Tensor)
    for hook in list(node.hooks):
        seen = grad if as_tensor else Tensor._wrap(grad)
        answer = hook(seen)
        if answer is None:
            continue
        if not isinstance(answer, Tensor) or answer.shape != seen.shape:
            got = answer.shape if isinstance(answer, Tensor) else type(answer).__name__
            raise RuntimeError(
                f"a gradient hook returned {got}, expected None or a Tensor of shape {seen.shape}"
            )
        grad = answer if as_tensor else answer._data
    return grad


def _seed(output: "Tensor", gradient: "Tensor | None", name: str) -> "Tensor":
    """The gradient a backward pass starts from: the given one, or 1 for a loss."""
    if not output._requires_grad:
        raise RuntimeError(
            f"{name}: this tensor was not computed from anything with requires_grad=True "
            f"(or was computed under no_grad), so there is nothing to differentiate"
        )
    if gradient is None:
        if output._data.size != 1:
            raise RuntimeError(
                f"{name}: the tensor has shape {output.shape}, expected a single number; reduce it "
                f"(.sum(), .mean()) or pass gradient, a Tensor of the same shape"
            )
        return Tensor._wrap(array_module(output._data).ones_like(output._data))
    if not isinstance(gradient, Tensor):
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
    if isinstance(grad, Tensor):
        return grad
    grad = Tensor._wrap(grad)._data
    if grad.dtype != like.dtype:
        grad = grad.astype(like.dtype)
    # A rule may pass one array on to several inputs (Add), or a view of it (Reshape); whoever
    # changes one .grad in place must not change another, nor the seed.
    memory = owner(grad)
    if memory is not grad or id(memory) in taken:
        grad = grad.copy()
    taken.add(id(grad))
    return Tensor._wrap(grad)


def grad(
    outputs: "Tensor | Sequence[Tensor]",
    inputs: "Tensor | Sequence[Tensor]",
    grad_outputs: "Tensor | Sequence[Tensor | None] | None" = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> "tuple[Tensor | None, ...]":
    """The gradients of (the sum of) ``outputs`` with respect to ``inputs``; no ``.grad`` changes.

    Args:
        outputs: scalars, or tensors with a ``grad_outputs`` of the same shape each.
        inputs: tensors that require gradients, leaves or not.
        grad_outputs: dL/d(output) for each output.
        retain_graph: keep the graph for another pass (default: the value of ``create_graph``).
        create_graph: make the results differentiable themselves.
        allow_unused: give None for an input that no output depends on, instead of an error.

    Raises:
        RuntimeError: an output or input does not require a gradient, or is not connected.
    """
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        grad_outputs = (grad_outputs,) * len(outputs)
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(grad_outputs)} grad_outputs")
    for i, x in enumerate(inputs):
        if not x._requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient")
    seeds = [_seed(y, g, "grad") for y, g in zip(outputs, grad_outputs, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    found = backpropagate_from(outputs, seeds, {x.node for x in inputs}, keep, create_graph)
    results: list[Tensor | None] = []
    taken = {id(owner(seed._data)) for seed in seeds}
    for i, x in enumerate(inputs):
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


# -------------------------------------------------------------------------------------- tensor


class Tensor(Methods):
    """An n-dimensional array, its gradient, and the operation it came from.

    Args:
        data: numbers, nested lists of them, an array, or a Tensor; it is copied.
        dtype: a NumPy type. Default: that of an array; float32 for Python floats.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; default ``default_device()``.
        requires_grad: whether ``backward`` shall fill ``.grad``.

    Raises:
        TypeError: the data are not real numbers, or a gradient is required of integers.
        ValueError: nested lists of unequal lengths.
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_requires_grad", "grad_fn", "hooks")

    __array_ufunc__ = None  # ndarray * Tensor is for Tensor to answer
    order: ClassVar[int] = 0  # a leaf is a node of the graph: older than all others,
    parents: ClassVar[tuple[()]] = ()  # and made from nothing

    _data: Array
    _grad: "Tensor | None"
    _requires_grad: bool
    grad_fn: Op | None
    hooks: list[Callable[["Tensor"], Any]] | None

    def __init__(
        self,
        data: Any,
        dtype: Any = None,
        device: str | None = None,
        requires_grad: bool = False,
    ) -> None:
        self._data = as_array(data, dtype, device)
        self._grad, self._requires_grad, self.grad_fn, self.hooks = None, False, None, None
        if requires_grad:
            self.requires_grad = True

    @staticmethod
    def _wrap(data: Any) -> "Tensor":
        """A Tensor around an array, without a copy."""
        tensor = Tensor.__new__(Tensor)
        tensor._data = np.asarray(data) if isinstance(data, np.generic) else data
        tensor._grad, tensor._requires_grad, tensor.grad_fn, tensor.hooks = None, False, None, None
        return tensor

    _new = _wrap
    apply_op = staticmethod(apply)

    # ----------------------------------------------------------------------- what it is

    @property
    def data(self) -> Array:
        """The NumPy or CuPy array itself. ``t.data = array`` and ``t.data -= step`` replace or
        change it without being recorded.

        Writing *into* it (``t.data[0] = 1``) cannot be noticed, and so backward cannot warn of it;
        ``t[0] = 1`` under ``no_grad`` can.
        """
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        if isinstance(data, Tensor):
            data = data._data
        if not is_array(data):
            raise TypeError(f"data: got a {type(data).__name__}, expected an array")
        if self._requires_grad and data.dtype.kind != "f":
            raise TypeError(f"data: got {data.dtype}, but this tensor requires a gradient")
        if data is self._data:  # what `t.data -= step` ends with
            mark_written(data)
        self._data = data

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self._data.ndim)

    def dim(self) -> int:
        """The number of axes."""
        return int(self._data.ndim)

    def numel(self) -> int:
        """The number of elements."""
        return int(self._data.size)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._data.dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        """Where the elements are: ``"cpu"`` or ``"cuda:<number>"``."""
        return device_of(self._data)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded operation."""
        return self.grad_fn is None

    @property
    def node(self) -> Any:
        """Its place in the graph: the operation that made it, or itself if it is a leaf."""
        return self if self.grad_fn is None else self.grad_fn

    def __repr__(self) -> str:
        values = np.array2string(
            to_device(self._data, Device("cpu")), separator=", ", prefix="tensor("
        )
        notes = [values, f"dtype={self.dtype}"]
        if self.device != "cpu":
            notes.append(f"device={str(self.device)!r}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self._requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __bool__(self) -> bool:
        return bool(self._single("bool"))

    def __float__(self) -> builtins.float:
        return float(self._single("float"))

    def __int__(self) -> int:
        return int(self._single("int"))

    def __index__(self) -> int:
        if self.dtype.kind != "i":
            raise TypeError(f"index: the tensor is {self.dtype}, expected integers")
        return int(self._single("index"))

    def _single(self, name: str) -> Any:
        if self._data.size != 1:
            raise ValueError(f"{name}: the tensor has shape {self.shape}, expected one element")
        return self._data.item()

    def item(self) -> Any:
        """The single element as a Python number."""
        return self._single("item")

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array, which shares its memory with this Tensor.

        Raises:
            RuntimeError: the Tensor requires a gradient; use ``.detach().numpy()``.
            TypeError: it is on a GPU; use ``.cpu().numpy()``.
        """
        if self._requires_grad:
            raise RuntimeError("numpy: the tensor requires a gradient; use .detach().numpy()")
        if self.device != "cpu":
            raise TypeError(f"numpy: the tensor is on {self.device}; use .cpu().numpy()")
        return self._data  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __reduce__(self) -> Any:
        """For pickle and copy.deepcopy: leaves only, as what they were computed from is lost."""
        if self.grad_fn is not None:
            raise RuntimeError(
                f"only leaves can be copied or pickled, and this tensor came from {self.grad_fn!r};"
                f" use .detach()"
            )
        return _rebuild, (type(self), self._data, self._requires_grad)

    # ------------------------------------------------------------------- moves and types

    def to(self, *args: Any, **kwargs: Any) -> "Tensor":
        """On another device, in another type, or both: ``to("cuda")``, ``to(np.float64)``,
        ``to(other_tensor)``, ``to(device=..., dtype=...)``. Itself if nothing changes.

        A change of floating type is recorded, and so is a move; one to integers ends the graph.
        """
        device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
        if kwargs:
            raise TypeError(f"to: unexpected arguments {sorted(kwargs)}")
        for argument in args:
            if isinstance(argument, Tensor):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, str) and argument.startswith(("cpu", "cuda")):
                device = argument
            else:
                dtype = argument
        result = self
        if device is not None and Device(device) != self.device:
            result = apply(ops.Move(self.device, Device(device)), result)
        if dtype is not None and as_dtype(dtype) != self.dtype:
            target = as_dtype(dtype)
            if self.dtype.kind == target.kind == "f":
                result = apply(ops.Cast(self.dtype, target), result)
            else:
                result = Tensor._wrap(result._data.astype(target))
        return result

    def cpu(self) -> "Tensor":
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> "Tensor":
        """On a GPU.

        Raises:
            RuntimeError: there is none; the message says why.
        """
        return self.to(f"cuda:{index}")

    def float(self) -> "Tensor":
        """As float32."""
        return self.to(np.float32)

    def double(self) -> "Tensor":
        """As float64."""
        return self.to(np.float64)

    def half(self) -> "Tensor":
        """As float16."""
        return self.to(np.float16)

    def long(self) -> "Tensor":
        """As int64."""
        return self.to(np.int64)

    def detach(self) -> "Tensor":
        """The same array as a constant: it shares the memory and requires no gradient."""
        return Tensor._wrap(self._data)

    def clone(self) -> "Tensor":
        """A copy; the copying is recorded."""
        return apply(ops.Clone(), self)

    def contiguous(self) -> "Tensor":
        """Itself, or a copy whose elements lie in memory in the order of their indices."""
        return self if self._data.flags.c_contiguous else self.clone()

    # ------------------------------------------------------------------------- gradients

    @property
    def requires_grad(self) -> bool:
        """Whether backward passes reach this tensor."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.grad_fn is not None:
            if value:
                return
            raise RuntimeError(
                "requires_grad: this tensor is the result of a recorded operation; use .detach()"
            )
        if value and self._data.dtype.kind != "f":
            raise TypeError(
                f"requires_grad: the tensor is {self.dtype}, expected a floating type "
                f"(a gradient of integers makes no sense); use .float()"
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad``; returns itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> "Tensor | None":
        """dL/d(this tensor), added up over all backward passes since it was last set to None."""
        if self._grad is None and self.grad_fn is not None:
            warnings.warn(
                "grad: this tensor is not a leaf, so its gradient is not kept; "
                "call .retain_grad() on it before backward",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, grad: "Tensor | None") -> None:
        if grad is not None:
            if not isinstance(grad, Tensor):
                raise TypeError(f"grad: got a {type(grad).__name__}, expected a Tensor or None")
            theirs, ours = (grad.shape, grad.dtype, grad.device), (
                self.shape,
                self.dtype,
                self.device,
            )
            if theirs != ours:
                raise ValueError(f"grad: got {theirs}, expected {ours} (shape, type, device)")
        self._grad = grad

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add dL/dx to ``x.grad`` for every leaf x with ``requires_grad`` that this came from.

        Args:
            gradient: dL/d(this tensor). Default 1, for a tensor with a single element: the loss.
            retain_graph: keep the graph for another pass (default: the value of
                ``create_graph``). Otherwise its memory is freed as the walk passes.
            create_graph: record the pass itself, so that the gradients can be differentiated.
                ``x.grad`` then refers to the graph and the graph to x: set it to None when done,
                or use ``grad``, which leaves no such circle.

        Raises:
            RuntimeError: nothing to differentiate; not a single element and no ``gradient``; the
                graph was freed; or a tensor that a rule needs was changed in place. No ``.grad``
                has changed then.
        """
        seed = _seed(self, gradient, "backward")
        keep = create_graph if retain_graph is None else retain_graph
        found = backpropagate_from((self,), (seed,), None, keep, create_graph)
        taken = {id(owner(seed._data))}
        for leaf, share in found.items():
            total = _finished(share, leaf, taken)
            if leaf._grad is not None:
                with set_grad_enabled(create_graph):
                    total = leaf._grad + total
            leaf._grad = total

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its ``.grad`` too."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: the tensor does not require a gradient")
        if self.grad_fn is None:
            return
        this = weakref.ref(self)  # the node must not hold the tensor that holds the node

        def keep(grad: Tensor) -> None:
            tensor = this()
            if tensor is not None:
                fresh = grad if grad._requires_grad else grad.clone()
                tensor._grad = fresh if tensor._grad is None else tensor._grad + fresh

        self.register_hook(keep)

    def register_hook(self, hook: Callable[["Tensor"], Any]) -> "RemovableHandle":
        """Have ``hook(grad)`` called with this tensor's gradient in each backward pass; if it
        returns a Tensor, that takes the gradient's place. The handle's ``remove`` ends it."""
        if not self._requires_grad:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        node = self.node
        if node.hooks is None:
            node.hooks = []
        node.hooks.append(hook)
        return RemovableHandle(node.hooks, hook)

    # ------------------------------------------------------------------ changes in place

    def _write(self, name: str, change: Callable[[Array], None], *others: Any) -> Self:
        """Change the array, and note that its memory is no longer what earlier operations saw."""
        recorded = self._requires_grad or any(getattr(o, "requires_grad", False) for o in others)
        if recorded and _mode.enabled:
            raise RuntimeError(
                f"{name}: a change in place cannot be recorded for backward; make a new tensor "
                f"(y = y + 1), or, if no gradient shall flow through it, use no_grad()"
            )
        change(self._data)
        mark_written(self._data)
        return self

    def _operand(self, other: Any, name: str) -> Any:
        """The other operand of a change in place, as an array or number."""
        if isinstance(other, Tensor):
            if other.device != self.device:
                raise TypeError(f"{name}: operands are on {self.device} and {other.device}")
            return other._data
        if isinstance(other, (bool, int, float, np.generic)):
            return other
        raise TypeError(
            f"{name}: the other operand is a {type(other).__name__}, expected a Tensor or a number"
        )

    def _update(self, name: str, other: Any, ufunc: str) -> Self:
        value = self._operand(other, name)
        function = getattr(array_module(self._data), ufunc)

        def change(array: Array) -> None:
            function(array, value, out=array, casting="same_kind")

        return self._write(name, change, other)

    def add_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Add ``alpha * other`` in place."""
        return self._update("add_", other if alpha == 1 else other * alpha, "add")

    def sub_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Subtract ``alpha * other`` in place."""
        return self._update("sub_", other if alpha == 1 else other * alpha, "subtract")

    def mul_(self, other: Any) -> Self:
        """Multiply by ``other`` in place."""
        return self._update("mul_", other, "multiply")

    def div_(self, other: Any) -> Self:
        """Divide by ``other`` in place."""
        return self._update("div_", other, "true_divide")

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_

    def copy_(self, source: Any) -> Self:
        """Overwrite with the elements of ``source``, broadcast to this shape."""
        array = as_array(source, self.dtype, self.device)
        try:
            array = array_module(array).broadcast_to(array, self.shape)
        except ValueError:
            raise ValueError(
                f"copy_: the source has shape {tuple(array.shape)}, expected {self.shape} or one "
                f"that broadcasts to it"
            ) from None
        return self._write("copy_", lambda mine: mine.__setitem__(Ellipsis, array), source)

    def fill_(self, value: Any) -> Self:
        """Set every element to ``value``."""
        return self._write("fill_", lambda mine: mine.fill(value))

    def zero_(self) -> Self:
        """Set every element to 0."""
        return self.fill_(0)

    def __setitem__(self, index: Any, value: Any) -> None:
        operand = self._operand(value, "setitem")
        where = self._index(index)
        self._write("setitem", lambda mine: mine.__setitem__(where, operand), value)


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; doing so twice is no error."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


def tensor(
    data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A Tensor with a copy of ``data``; see ``Tensor`` for the arguments and errors."""
    return Tensor(data, dtype, device, requires_grad)


def _rebuild(kind: type[Tensor], data: Array, requires_grad: bool) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, data, device=device_of(data), requires_grad=requires_grad)
    return tensor


# ------------------------------------------------------------------------------- data coming in


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """``dtype`` as a NumPy type of the kinds a Tensor holds.

    Raises:
        TypeError: complex numbers, strings, objects, extended precision, or no type at all.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}, expected a NumPy type such as float32") from None
    if found.kind not in "fiub" or found.itemsize > 8:
        raise TypeError(f"dtype: got {found}, expected float16/32/64, an integer type or bool")
    return found.newbyteorder("=")


def as_array(data: Any, dtype: Any = None, device: str | None = None) -> Array:
    """A new array with the numbers in ``data``, checked; see ``Tensor`` for the rules."""
    if isinstance(data, Tensor):
        data = data._data
    if is_array(data):
        array = data
        device = device_of(data) if device is None else Device(device)
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ValueError(f"tensor: nested lists of unequal lengths ({error})") from None
        if array.dtype == object:
            _refuse_objects(array)
        typed = isinstance(data, np.generic) or (
            isinstance(data, (list, tuple)) and len(data) and hasattr(data[0], "dtype")
        )
        if array.dtype == np.float64 and not typed:
            array = array.astype(np.float32)
        device = default_device() if device is None else Device(device)
    target = as_dtype(array.dtype if dtype is None else dtype)
    as_dtype(array.dtype)
    return to_device(array.astype(target, copy=True), device)


def _refuse_objects(array: np.ndarray[Any, Any]) -> None:
    for index, value in np.ndenumerate(array):
        if not isinstance(value, (bool, int, float)):
            where = f" at index {tuple(index)}" if index else ""
            raise TypeError(f"tensor: the element{where} is {value!r}, expected a number")
    raise TypeError("tensor: an integer does not fit into 64 bits")

"""A step that is recorded once and replayed: as one CUDA graph, with one launch.

To launch a kernel takes the host 5 to 20 microseconds, and a step of 20 layers has some 300
kernels. Where the layers are small, the GPU mostly waits for the next one. A CUDA graph is the list
of all that a step has launched, with every argument; the GPU works it off on its own.

What makes it fast makes it dangerous: the Python of the step does not run again. An address, a
shape, a number is what it was when the graph was captured. So here

* inputs are copied to where the graph reads them, and labels are checked anew;
* what a replay would not do, or would do to what it does not know of, is refused while the step is
  captured (``backend.refuse_while_capturing``);
* the graph has memory of its own (``kernels/arena.py``), and holds what the step read besides;
* it has to give what the step gives, twice in a row and for other inputs, before it is handed out;
* what it takes for granted of the model is looked at before each replay;
* what it returns is copied, as the next replay writes to the same place.

The step of the optimiser stays outside. It is one launch (``kernels/cuda_steps.py``), and its
numbers are new each time: the learning rate, how many steps Adam has made.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from .backend import (
    Array,
    array_module,
    capture,
    device_of,
    get_float32_matmul_precision,
    hand_on_host_copy,
    import_cupy,
    on_device_of,
    owner,
    remember_on_host,
    to_device,
)
from .graph import tick
from .kernels.arena import Arena
from .kernels.cublas import Direct
from .nn import Module
from .tensor import Tensor
from .writes import mark_written, written_since

WARM_UP = 2
"""Runs before the capture: they compile kernels and find memory, which a capture should not do."""

WITHIN = {"float16": 3e-2, "float32": 1e-3, "float64": 1e-8}
"""How far a replay may be from the step, in parts of the largest element. The kernels are the same;
cuBLAS may split its sums in another way, and in TF32 that is all the digits there are."""

PLAIN = (bool, int, float, str, type(None))
WATCHED = (*PLAIN, tuple, type, FunctionType, MethodType)
"""What of a module's attributes is looked at beside its members; the plain ones by their value."""

Step = Callable[..., Any]
Found = dict[str, np.ndarray[Any, Any] | None]


class Replay:
    """What ``graph`` returns: call it as the step was called."""

    def __init__(self, step: Step, inputs: tuple[Tensor, ...], model: Module) -> None:
        self.step, self.model = step, model
        self.name = getattr(step, "__name__", type(step).__name__)
        self._check_arguments(inputs)
        self.parameters, self.buffers = list(model.parameters()), list(model.buffers())
        self.there = (*self.parameters, *self.buffers)[0]._data  # something on the right GPU
        self.device = device_of(self.there)
        gradients = [p._grad for p in self.parameters]
        with on_device_of(self.there):
            kept = [b._data.copy() for b in self.buffers]
            self.inputs = [Tensor._wrap(to_device(x._data, self.device).copy()) for x in inputs]
            try:
                self._fill(inputs)
                for place in self.inputs:
                    remember_on_host(place._data)  # labels are checked while nothing can be read
                self._capture()
                expected = self._trial(step, inputs, kept)
                self._take_for_granted()
                self._compare(self._trial(self, inputs, kept), expected)
            finally:
                self._restore(kept)
                for p, gradient in zip(self.parameters, gradients, strict=True):
                    p._grad = gradient

    def __call__(self, *inputs: Tensor) -> Any:
        """Run the step with ``inputs``, on either device, of the shapes and types it was captured
        with.

        Returns:
            What the step returns, without a graph for backward. Gradients are in ``.grad``, in
            memory that the next replay writes to: clone those that you keep.

        Raises:
            IndexError: a label or an index is out of range.
            TypeError, ValueError: inputs of another number, type or shape.
            RuntimeError: the model is not as it was captured. In all cases nothing has changed.
        """
        self._check_inputs(inputs)
        self._check_model()
        with on_device_of(self.there):
            self._fill(inputs)
            for check in self.checks:
                check()
            self.graph.launch()
            written = [b._data for b in self.buffers]
            for p, gradient, array in self.gradients:
                p._grad = gradient
                if gradient is not None:
                    gradient._data = array  # whatever has become of it since
                    written.append(array)
            mark_written(*written)
            copies = [Tensor._wrap(array.copy()) for array in self.outputs]
        return self.shape(copies)

    # ------------------------------------------------------------------------------- capturing

    def _capture(self) -> None:
        """Record the step on a stream of its own, in memory that nothing else is put into."""
        cupy: Any = import_cupy()
        stream = cupy.cuda.Stream(non_blocking=True)
        self.arena = Arena(cupy.cuda)
        cupy.get_default_memory_pool().free_all_blocks()  # it keeps what a step needs; so will this
        cupy.cuda.Device().synchronize()  # the stream waits for no other,
        with cupy.cuda.using_allocator(self.arena.malloc), stream:
            self.gemm = Direct(cupy, stream)
            self.gemm.prepare()
            capture.begin(self.gemm, self.parameters)
            try:
                for _ in range(WARM_UP):
                    self.step(*self.inputs)
                    self._refuse_other_writes()
                zeros = [Tensor._wrap(cupy.zeros_like(p._data)) for p in self.parameters]
                for p, zero in zip(self.parameters, zeros, strict=True):
                    p._grad = zero  # to see what the step does to it
                stream.synchronize()
                self.gemm.prepare()
                capture.forget()
                result = self._recorded(stream)
                self.checks = capture.checks
                read = [memory() for memory in capture.read]
            finally:
                capture.end()
                stream.synchronize()  # and no other waits for it
        self.outputs, self.shape = self._outputs(result)
        self.read = [memory for memory in read if memory is not None]  # and so it stays
        self.gradients = [
            (p, p._grad, None if p._grad is None else p._grad._data)
            for p, zero in zip(self.parameters, zeros, strict=True)
            if p._grad is not zero or written_since(zero._data, self.begun)
        ]

    def _recorded(self, stream: Any) -> Any:
        """Run the step once more, and make ``graph`` of what it launches."""
        self.begun = tick()
        stream.begin_capture()
        try:
            result = self.step(*self.inputs)
            self.graph = stream.end_capture()
        except BaseException as error:
            with contextlib.suppress(Exception):  # it has failed already
                stream.end_capture()
            if not isinstance(error, Exception):  # Ctrl-C
                raise
            raise RuntimeError(f"cuda.graph: {self.name} cannot be captured: {error}") from error
        return result

    def _refuse_other_writes(self) -> None:
        """What is changed in place and is still there after the step, a replay would change too."""
        known = [*self.buffers, *self.inputs, *(p._grad for p in self.parameters)]
        ids = {id(owner(t._data)) for t in known if t is not None}
        for reference in capture.written:
            memory = reference()
            if memory is not None and id(memory) not in ids:
                raise RuntimeError(
                    f"cuda.graph: the step changes a tensor of shape {tuple(memory.shape)} in "
                    f"place, which is no buffer of the model; change it after each replay, with "
                    f"what the step returns"
                )

    def _outputs(self, result: Any) -> tuple[list[Array], Callable[[list[Tensor]], Any]]:
        """The arrays that the step returned, and how to return others like them."""
        if isinstance(result, Tensor):
            return [result._data], lambda copies: copies[0]
        if isinstance(result, tuple | list) and all(isinstance(r, Tensor) for r in result):
            make = getattr(type(result), "_make", type(result))  # of a namedtuple
            return [r._data for r in result], make
        raise TypeError(
            f"cuda.graph: {self.name} returned a {type(result).__name__}, expected a Tensor or a "
            f"tuple of Tensors, such as the loss"
        )

    # --------------------------------------------------------------------------------- checking

    def _check_arguments(self, inputs: tuple[Tensor, ...]) -> None:
        if not callable(self.step):
            raise TypeError(
                f"cuda.graph: the step is a {type(self.step).__name__}, expected a function"
            )
        devices = {str(t.device) for t in (*self.model.parameters(), *self.model.buffers())}
        if len(devices) != 1 or "cpu" in devices:
            where = " and ".join(sorted(devices)) or "nowhere: it has no parameters"
            raise ValueError(f"cuda.graph: the model is on {where}, expected one GPU")
        for number, x in enumerate(inputs):
            if not isinstance(x, Tensor):
                kind = type(x).__name__
                raise TypeError(f"cuda.graph: input {number} is a {kind}, expected a Tensor")
            _refuse_gradient("cuda.graph", number, x)
            alike = np.array_equal(_on_host(x._data), _on_host(_altered(x)._data))
            if alike and (x.numel() > 1 or x.dtype.kind == "f"):
                raise ValueError(
                    f"cuda.graph: input {number} is zero, or the same from its last element to its "
                    f"first, and cannot show that the graph reads it; give an example from training"
                )
        self._take_for_granted()
        what = next(self._changes(), None)
        if what is not None:  # as nothing can have changed yet
            raise ValueError(
                f"cuda.graph: {what} is not empty, and a replay would call none; remove them"
            )

    def _check_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs) != len(self.inputs):
            raise TypeError(
                f"{self.name}: got {len(inputs)} inputs, expected {len(self.inputs)}, as it was "
                f"captured with"
            )
        for number, (x, place) in enumerate(zip(inputs, self.inputs, strict=True)):
            if not isinstance(x, Tensor):
                kind = type(x).__name__
                raise TypeError(f"{self.name}: input {number} is a {kind}, expected a Tensor")
            _refuse_gradient(self.name, number, x)
            if x.shape != place.shape or x.dtype != place.dtype:
                raise ValueError(
                    f"{self.name}: input {number} is {x.dtype} of shape {x.shape}, expected "
                    f"{place.dtype} of shape {place.shape}, as it was captured with; run the step "
                    f"itself for a batch of another size (the last one), or capture it for that too"
                )

    def _check_model(self) -> None:
        """The graph reads and writes fixed addresses, and does what the modules did at the time."""
        what = next(self._changes(), None)
        if what is not None:
            raise RuntimeError(
                f"{self.name}: {what} is not what it was when the graph was captured; "
                f"capture it again"
            )

    def _take_for_granted(self) -> None:
        """Note all that ``_changes`` looks at."""
        self.precision = get_float32_matmul_precision()
        self.modules = [
            (
                name or "the model",
                module,
                {
                    key: value
                    for key, value in vars(module).items()
                    if key in module._members or isinstance(value, WATCHED)
                },
                len(module._members),
            )
            for name, module in self.model.named_modules()
        ]
        self.tensors = [
            (name, tensor, tensor._data, tensor._requires_grad)
            for name, tensor in (*self.model.named_parameters(), *self.model.named_buffers())
        ]

    def _changes(self) -> Iterator[str]:
        """What of the model has changed since: members and numbers of modules, memory, hooks."""
        if get_float32_matmul_precision() != self.precision:
            yield "the precision of matrix products"
        for name, module, state, members in self.modules:
            now = vars(module)
            for key, value in state.items():
                found = now.get(key)
                if found is value or (type(found) is type(value) in PLAIN and found == value):
                    continue
                yield f"{key} of {name}"
            if len(module._members) != members:
                yield f"the list of parts of {name}"
            if now.get("forward") is not state.get("forward"):
                yield f"forward of {name}"
            if module._pre_hooks or module._forward_hooks or module._backward_hooks:
                yield f"the list of hooks of {name}"
        for name, tensor, data, requires_grad in self.tensors:
            if tensor._data is not data:
                yield f"the memory of {name}"
            if tensor._requires_grad is not requires_grad:
                yield f"requires_grad of {name}"
            if tensor.hooks:
                yield f"the list of hooks of {name}"

    def _trial(self, step: Step, inputs: tuple[Tensor, ...], kept: list[Array]) -> Found:
        """What ``step`` computes, twice in a row: for ``inputs``, and for others made of them."""
        self._restore(kept)
        for p in self.parameters:
            p._grad = Tensor._wrap(array_module(p._data).zeros_like(p._data))
        found: Found = {}
        for turn, given in (("first", inputs), ("second", tuple(map(_altered, inputs)))):
            self._fill(given)
            outputs, _ = self._outputs(step(*(given if step is self else self.inputs)))
            for number, array in enumerate(outputs):
                found[f"output {number} of the {turn} run"] = _on_host(array)
            for name, p in self.model.named_parameters():
                gradient = None if p._grad is None else _on_host(p._grad._data)
                found[f"the gradient of {name} in the {turn} run"] = gradient
            for name, buffer in self.model.named_buffers():
                found[f"{name} after the {turn} run"] = _on_host(buffer._data)
        return found

    def _compare(self, found: Found, expected: Found) -> None:
        """Raise a RuntimeError if the graph does not do what the step does."""
        sizes = [_largest(v) for n, v in expected.items() if n.startswith("the gradient")]
        noise = 1e-3 * max(sizes, default=0.0)  # of a gradient that is 0 but for rounding
        for what, value in expected.items():
            replayed = found[what]
            if value is None and replayed is None:
                continue
            if value is not None and replayed is not None:
                floor = noise if what.startswith("the gradient") else 0.0
                within = WITHIN.get(str(value.dtype), 0.0) * max(_largest(value), floor)
                if np.allclose(replayed, value, rtol=0, atol=within, equal_nan=True):
                    continue
            raise RuntimeError(
                f"cuda.graph: a replay of {self.name} gave another result than running it: {what} "
                f"differs. Each run must begin with zero_grad() and depend on nothing that changes "
                f"from call to call but the inputs and the model"
            )

    # ------------------------------------------------------------------------------ small parts

    def _fill(self, inputs: tuple[Tensor, ...]) -> None:
        """Copy ``inputs`` to where the graph reads them, with what the host knows of integers."""
        for x, place in zip(inputs, self.inputs, strict=True):
            there = to_device(x._data, self.device)
            place._data[...] = there
            mark_written(place._data)  # with which what the host knew is forgotten
            hand_on_host_copy(there, place._data)

    def _restore(self, kept: list[Array]) -> None:
        for buffer, before in zip(self.buffers, kept, strict=True):
            buffer._data[...] = before
            mark_written(buffer._data)


def _altered(x: Tensor) -> Tensor:
    """Other numbers that are as good: the elements from the last to the first, and smaller."""
    with on_device_of(x._data):
        turned = array_module(x._data).flip(x._data)
        return Tensor._wrap(turned * 0.75 if x.dtype.kind == "f" else turned.copy())


def _on_host(array: Array) -> np.ndarray[Any, Any]:
    host = to_device(array, device_of(np.empty(0)))
    return np.array(host)


def _largest(value: np.ndarray[Any, Any] | None) -> float:
    """The largest element but for what is infinite or no number."""
    return 0.0 if value is None else float(np.abs(value[np.isfinite(value)]).max(initial=0))


def _refuse_gradient(name: str, number: int, x: Tensor) -> None:
    if x.requires_grad:
        raise ValueError(
            f"{name}: input {number} requires a gradient, and only parameters get one; "
            f"pass .detach()"
        )


def graph(step: Step, *inputs: Tensor, model: Module) -> Replay:
    """Capture a training step as one CUDA graph, which replays with one launch.

        def step(x, labels):
            model.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        replay = mg.cuda.graph(step, x, labels, model=model)
        for x, labels in loader:              # batches of the size it was captured with
            loss = replay(x, labels)
            optimizer.step()

    The step is run five times while it is captured and checked; buffers and gradients of the model
    are put back afterwards. It ends before ``optimizer.step()``, which stays an ordinary call, as
    do ``clip_grad_norm_`` and schedules: their numbers change from step to step. (PyTorch's
    function of this kind is ``torch.cuda.make_graphed_callables``.)

    Args:
        step: takes the inputs; begins with ``zero_grad``, calls ``backward``, returns a Tensor or a
            tuple of them. What its Python does besides is done now, and not in a replay.
        inputs: an example of them, with which it is captured: a batch from training.
        model: the module whose parameters it gives gradients to, on a GPU.

    Raises:
        TypeError, ValueError: an argument is not of this kind.
        RuntimeError: the step cannot be captured: it draws random numbers (dropout), reads a number
            (``item()``), moves an array to the GPU, makes a product of other than two matrices, or
            trains or changes something besides the model; or a replay differs from it. The model is
            as before then.

    Source: NVIDIA, "CUDA C++ Programming Guide", chapter "CUDA Graphs".
    """
    return Replay(step, inputs, model)

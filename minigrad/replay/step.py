"""Capturing a step, and what the replays of it do."""

import contextlib
from collections.abc import Callable
from typing import Any

from ..backend import (
    Array,
    device_of,
    hand_on_host_copy,
    import_cupy,
    on_device_of,
    owner,
    remember_on_host,
    to_device,
)
from ..core.graph import next_order
from ..core.versions import mark_written, written_since
from ..kernels.arena import Arena
from ..kernels.cublas import Direct
from ..nn import Module
from ..tensor import Tensor
from .recording import Recording
from .snapshot import ModelSnapshot
from .trial import difference, is_symmetric, outcome

WARM_UP = 2
"""Runs before the capture: they compile kernels and find memory, which a capture should not do."""

Step = Callable[..., Any]


class Replay:
    """What ``graph`` returns: call it as the step was called."""

    def __init__(self, step: Step, inputs: tuple[Tensor, ...], model: Module) -> None:
        self.step, self.model = step, model
        self.name = getattr(step, "__name__", type(step).__name__)
        self._check_arguments(inputs)
        self.parameters, self.buffers = list(model.parameters()), list(model.buffers())
        self.there = (*self.parameters, *self.buffers)[0].array  # something on the right GPU
        self.device = device_of(self.there)
        gradients = [p._grad for p in self.parameters]
        with on_device_of(self.there):
            kept = [b.array.copy() for b in self.buffers]
            self.inputs = [
                Tensor.from_array(to_device(x.array, self.device).copy()) for x in inputs
            ]
            try:
                self._fill(inputs)
                for place in self.inputs:
                    remember_on_host(place.array)  # labels are checked while nothing can be read
                self._capture()
                self._restore(kept)
                expected = outcome(self._run_step, inputs, model)
                self._restore(kept)
                self.snapshot = ModelSnapshot(model)
                what = difference(outcome(self, inputs, model), expected)
            finally:
                self._restore(kept)
                for p, gradient in zip(self.parameters, gradients, strict=True):
                    p._grad = gradient
        if what is not None:
            raise RuntimeError(
                f"cuda.graph: a replay of {self.name} gave another result than running it: {what} "
                f"differs. Each run must begin with zero_grad() and depend on nothing that changes "
                f"from call to call but the inputs and the model"
            )

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
            written = [b.array for b in self.buffers]
            for p, gradient, array in self.gradients:
                p._grad = gradient
                if gradient is not None:
                    gradient.array = array  # whatever has become of it since
                    written.append(array)
            mark_written(*written)
            copies = [Tensor.from_array(array.copy()) for array in self.outputs]
        return self.like_the_step(copies)

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
            try:
                with Recording(self.gemm, self.parameters) as recording:
                    for _ in range(WARM_UP):
                        self.step(*self.inputs)
                        self._refuse_other_writes(recording)
                    zeros = [Tensor.from_array(cupy.zeros_like(p.array)) for p in self.parameters]
                    for p, zero in zip(self.parameters, zeros, strict=True):
                        p._grad = zero  # to see what the step does to it
                    stream.synchronize()
                    self.gemm.prepare()
                    recording.forget()
                    begun = next_order()
                    result = self._recorded(stream)
                    self.checks = recording.checks
                    read = [memory() for memory in recording.memory_read]
            finally:
                stream.synchronize()  # and no other waits for it
        self._keep_outputs(result)
        self.read = [memory for memory in read if memory is not None]  # and so it stays
        self.gradients = [
            (p, p._grad, None if p._grad is None else p._grad.array)
            for p, zero in zip(self.parameters, zeros, strict=True)
            if p._grad is not zero or written_since(zero.array, begun)
        ]

    def _recorded(self, stream: Any) -> Any:
        """Run the step once more, and make ``graph`` of what it launches."""
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

    def _refuse_other_writes(self, recording: Recording) -> None:
        """What is changed in place and is still there after the step, a replay would change too."""
        known = [*self.buffers, *self.inputs, *(p._grad for p in self.parameters)]
        ids = {id(owner(t.array)) for t in known if t is not None}
        for reference in recording.memory_written:
            memory = reference()
            if memory is not None and id(memory) not in ids:
                raise RuntimeError(
                    f"cuda.graph: the step changes a tensor of shape {tuple(memory.shape)} in "
                    f"place, which is no buffer of the model; change it after each replay, with "
                    f"what the step returns"
                )

    def _keep_outputs(self, result: Any) -> None:
        """Note where the graph leaves what the step returns, and how to return others like it."""
        self.like_the_step: Callable[[list[Tensor]], Any]
        if isinstance(result, Tensor):
            self.outputs: list[Array] = [result.array]
            self.like_the_step = lambda copies: copies[0]
        elif isinstance(result, tuple | list) and all(isinstance(r, Tensor) for r in result):
            self.outputs = [r.array for r in result]
            self.like_the_step = getattr(type(result), "_make", type(result))  # of a namedtuple
        else:
            raise TypeError(
                f"cuda.graph: {self.name} returned a {type(result).__name__}, expected a Tensor "
                f"or a tuple of Tensors, such as the loss"
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
            _check_input("cuda.graph", number, x)
            if is_symmetric(x):
                raise ValueError(
                    f"cuda.graph: input {number} is zero, or the same from its last element to its "
                    f"first, and cannot show that the graph reads it; give an example from training"
                )
        self.snapshot = ModelSnapshot(self.model)
        for name in self.snapshot.hooked():
            raise ValueError(
                f"cuda.graph: {name} has hooks, which a replay would not call; remove them"
            )

    def _check_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs) != len(self.inputs):
            raise TypeError(
                f"{self.name}: got {len(inputs)} inputs, expected {len(self.inputs)}, as it was "
                f"captured with"
            )
        for number, (x, place) in enumerate(zip(inputs, self.inputs, strict=True)):
            _check_input(self.name, number, x)
            if x.shape != place.shape or x.dtype != place.dtype:
                raise ValueError(
                    f"{self.name}: input {number} is {x.dtype} of shape {x.shape}, expected "
                    f"{place.dtype} of shape {place.shape}, as it was captured with; run the step "
                    f"itself for a batch of another size (the last one), or capture it for that too"
                )

    def _check_model(self) -> None:
        for what in self.snapshot.changes():
            raise RuntimeError(
                f"{self.name}: {what} is not what it was when the graph was captured; "
                f"capture it again"
            )
        for name in self.snapshot.hooked():
            raise RuntimeError(
                f"{self.name}: {name} has hooks, which a replay does not call; run the step "
                f"itself, or remove them"
            )

    # ------------------------------------------------------------------------------ small parts

    def _run_step(self, *inputs: Tensor) -> Any:
        """The step itself, with the inputs where the graph reads them."""
        self._fill(inputs)
        return self.step(*self.inputs)

    def _fill(self, inputs: tuple[Tensor, ...]) -> None:
        """Copy ``inputs`` to where the graph reads them, with what the host knows of integers."""
        for x, place in zip(inputs, self.inputs, strict=True):
            there = to_device(x.array, self.device)
            place.array[...] = there
            mark_written(place.array)  # with which what the host knew is forgotten
            hand_on_host_copy(there, place.array)

    def _restore(self, kept: list[Array]) -> None:
        for buffer, before in zip(self.buffers, kept, strict=True):
            buffer.array[...] = before
            mark_written(buffer.array)


def _check_input(name: str, number: int, x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: input {number} is a {type(x).__name__}, expected a Tensor")
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

"""Capturing a step, and what the replays of it do."""

import threading
from collections.abc import Callable
from typing import Any

from ..backend import (
    Array,
    array_module,
    default_generator,
    device_of,
    get_rng_state,
    hand_on_host_copy,
    on_device_of,
    owner,
    remember_on_host,
    to_device,
)
from ..core.graph import next_order
from ..core.versions import entries_of, mark_again, mark_written, written_since
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .notes import Call, OtherPath, raw
from .on_cpu import PlanRecorder
from .on_gpu import GraphRecorder
from .plan import Memory, Plan
from .recording import Recording
from .show import as_html, as_text
from .snapshot import ModelSnapshot
from .trial import difference, is_symmetric, outcome

WARM_UP = 2
"""Runs before the capture: they compile kernels and find memory, which a capture should not do."""

Step = Callable[..., Any]


class Replay:
    """What ``capture`` returns: call it as the step was called."""

    update: Any
    outputs: list[Array]
    like_the_step: Callable[[list[Tensor]], Any]
    gradients: list[tuple[Tensor, Tensor | None, Array | None]]

    def __init__(
        self,
        step: Step,
        inputs: tuple[Tensor, ...],
        model: Module,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.step, self.model, self.update = step, model, None  # the update waits for the trial
        self.thread = threading.get_ident()
        self.name = getattr(step, "__name__", type(step).__name__)
        self._check_arguments(inputs)
        self.parameters, self.buffers = list(model.parameters()), list(model.buffers())
        self._check_optimizer(optimizer)
        self.there = (*self.parameters, *self.buffers)[0].array  # something on the right GPU
        self.device = device_of(self.there)
        gradients, random = [p._grad for p in self.parameters], get_rng_state()
        on_cpu = self.device.type == "cpu"
        self.recorder: Any = (PlanRecorder if on_cpu else GraphRecorder)(self.parameters)
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
                self._draw_from(random)
                expected = outcome(self._run_step, inputs, model)
                self._restore(kept)
                self.snapshot = ModelSnapshot(model)
                self._draw_from(random)
                what = difference(outcome(self, inputs, model), expected)
            finally:
                self._restore(kept)
                self._draw_from(random)
                for p, gradient in zip(self.parameters, gradients, strict=True):
                    p._grad = gradient
        if what is not None:
            raise RuntimeError(
                f"capture: a replay of {self.name} gave another result than running it: {what} "
                f"differs. Each run must begin with zero_grad() and depend on nothing that changes "
                f"from call to call but the inputs and the model"
            )
        if optimizer is not None:
            self.update = self.recorder.update(optimizer, self.gradients)

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
        result = self._replay(inputs)
        if self.update is not None:
            self.update.step()
        return result

    def _replay(self, inputs: tuple[Tensor, ...]) -> Any:
        with on_device_of(self.there):
            self._fill(inputs)
            for check in self.checks:
                check()
            try:
                self.recorder.launch()
            except OtherPath:
                return self._run_detached(inputs)
            for p, gradient, array in self.gradients:
                p._grad = gradient
                if gradient is not None:
                    gradient.array = array  # whatever has become of it since
            if self.entries:
                mark_again(self.entries)
            else:  # a GPU, whose integers the host may know
                mark_written(*self.written)
            copies = [Tensor.from_array(array.copy()) for array in self.outputs]
        return self.like_the_step(copies)

    # --------------------------------------------------------------------------------- to read

    @property
    def plan(self) -> Plan:
        """The calls that a replay makes, on the CPU.

        Raises:
            AttributeError: the step runs on a GPU, which has the calls and does not show them.
        """
        found: Plan | None = getattr(self.recorder, "plan", None)
        if found is None:
            raise AttributeError(f"{self.name}: a step on a GPU has no plan that could be shown")
        return found

    @property
    def calls(self) -> list[Call]:
        """What a replay does, in its order: on the CPU."""
        return self.plan.calls

    @property
    def memory(self) -> Memory:
        """The bytes that a replay holds, besides the model: on the CPU."""
        return self.plan.memory

    def to_html(self, path: Any) -> None:
        """Write the plan as a page, with the lifetimes of its arrays: on the CPU.

        Raises:
            OSError: it cannot be written there.
        """
        as_html(self.plan, path)

    def __str__(self) -> str:
        return as_text(self.plan) if self.device.type == "cpu" else repr(self)

    # ------------------------------------------------------------------------------- capturing

    def _capture(self) -> None:
        """Run the step to see what it does, and once more to record it."""
        with self.recorder.around() as recording:
            for _ in range(WARM_UP):
                self.step(*self.inputs)
                self._refuse_other_writes(recording)
            zeros = [
                Tensor.from_array(array_module(p.array).zeros_like(p.array))
                for p in self.parameters
            ]
            for p, zero in zip(self.parameters, zeros, strict=True):
                p._grad = zero  # to see what the step does to it
            recording.forget()
            begun = next_order()
            tensors = [*self.inputs, *self.parameters, *self.buffers, *zeros]
            try:
                result = self.recorder.record(lambda: self.step(*self.inputs), tensors)
            except Exception as error:
                raise RuntimeError(f"capture: {self.name} cannot be captured: {error}") from error
            self.checks = recording.checks
            read = [memory() for memory in recording.memory_read]
        self._keep_outputs(result)
        self._keep_gradients(zeros, begun)
        self.read = [memory for memory in read if memory is not None]  # and so it stays
        kept = [*self.outputs, *(array for *_, array in self.gradients if array is not None)]
        self.recorder.finish(kept, [*self.parameters, *self.buffers])
        self.outputs = [raw(array) for array in self.outputs]
        self.written = [b.array for b in self.buffers]
        self.written += [array for *_, array in self.gradients if array is not None]
        self.entries = entries_of(self.written) if self.device.type == "cpu" else []

    def _keep_gradients(self, zeros: list[Tensor], begun: int) -> None:
        """Note where a replay leaves the gradients of those parameters that the step gives one."""
        self.gradients = []
        for p, zero in zip(self.parameters, zeros, strict=True):
            gradient = p._grad
            if gradient is None:
                self.gradients.append((p, None, None))
            elif gradient is not zero or written_since(zero.array, begun):
                if gradient is not zero:
                    self.recorder.must_be_noted(gradient.array, "a gradient")
                gradient.array = raw(gradient.array)
                self.gradients.append((p, gradient, gradient.array))

    def _refuse_other_writes(self, recording: Recording) -> None:
        """What is changed in place and is still there after the step, a replay would change too."""
        known = [*self.buffers, *self.inputs, *(p._grad for p in self.parameters)]
        ids = {id(owner(t.array)) for t in known if t is not None}
        for reference in recording.memory_written:
            memory = reference()
            if memory is not None and id(memory) not in ids:
                raise RuntimeError(
                    f"capture: the step changes a tensor of shape {tuple(memory.shape)} in "
                    f"place, which is no buffer of the model; change it after each replay, with "
                    f"what the step returns"
                )

    def _keep_outputs(self, result: Any) -> None:
        """Note where the graph leaves what the step returns, and how to return others like it."""
        if isinstance(result, Tensor):
            self.outputs = [result.array]
            self.like_the_step = lambda copies: copies[0]
        elif isinstance(result, tuple | list) and all(isinstance(r, Tensor) for r in result):
            self.outputs = [r.array for r in result]
            self.like_the_step = getattr(type(result), "_make", type(result))  # of a namedtuple
        else:
            raise TypeError(
                f"capture: {self.name} returned a {type(result).__name__}, expected a Tensor "
                f"or a tuple of Tensors, such as the loss"
            )
        for array in self.outputs:
            self.recorder.must_be_noted(array, "what it returns")

    # --------------------------------------------------------------------------------- checking

    def _check_arguments(self, inputs: tuple[Tensor, ...]) -> None:
        if not callable(self.step):
            raise TypeError(
                f"capture: the step is a {type(self.step).__name__}, expected a function"
            )
        devices = {str(t.device) for t in (*self.model.parameters(), *self.model.buffers())}
        if len(devices) != 1:
            where = " and ".join(sorted(devices)) or "nowhere: it has no parameters"
            raise ValueError(f"capture: the model is on {where}, expected one device")
        for number, x in enumerate(inputs):
            _check_input("capture", number, x)
            if is_symmetric(x):
                raise ValueError(
                    f"capture: input {number} is zero, or the same from its last element to its "
                    f"first, and cannot show that a replay reads it; give an example from training"
                )
        self.snapshot = ModelSnapshot(self.model)
        for name in self.snapshot.hooked():
            raise ValueError(
                f"capture: {name} has hooks, which a replay would not call; remove them"
            )

    def _check_optimizer(self, optimizer: Optimizer | None) -> None:
        if optimizer is None:
            return
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"capture: optimizer is a {type(optimizer).__name__}, expected an Optimizer"
            )
        known = {id(p) for p in self.parameters}
        for group in optimizer.param_groups:
            for p in group["params"]:
                if id(p) not in known:
                    raise ValueError(
                        f"capture: the optimizer updates a tensor of shape {p.shape}, which is no "
                        f"parameter of the model"
                    )

    def _check_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        if threading.get_ident() != self.thread:
            raise RuntimeError(
                f"{self.name}: it was captured in another thread, and its memory is used by one "
                f"at a time; capture it in each thread that calls it"
            )
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
        if self.snapshot.holds():
            return
        for what in self.snapshot.changes():
            raise RuntimeError(
                f"{self.name}: {what} is not what it was when the step was captured; "
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

    def _run_detached(self, inputs: tuple[Tensor, ...]) -> Any:
        """The step itself, where a replay would take another path than the numbers ask for."""
        result = self.step(*(x.to(self.device) for x in inputs))
        single = isinstance(result, Tensor)
        return self.like_the_step([r.detach() for r in ([result] if single else result)])

    def _fill(self, inputs: tuple[Tensor, ...]) -> None:
        """Copy ``inputs`` to where the graph reads them, with what the host knows of integers."""
        for x, place in zip(inputs, self.inputs, strict=True):
            there = to_device(x.array, self.device)
            place.array[...] = there
            mark_written(place.array)  # with which what the host knew is forgotten
            hand_on_host_copy(there, place.array)

    def _draw_from(self, state: dict[str, Any]) -> None:
        """Let the generator go on from ``state``, if the step has drawn from it."""
        if self.recorder.drew:
            default_generator().bit_generator.state = state

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

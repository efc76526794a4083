"""``mg.capture``: a step is recorded once, checked, and replayed from then on."""

from typing import Any

from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .step import Replay, Step


def capture(
    step: Step,
    *inputs: Tensor,
    model: Module,
    optimizer: Optimizer | None = None,
    dynamic: bool = False,
) -> Any:
    """Capture a training step, to replay it without the Python that made it.

        def step(x, labels):
            model.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        captured = mg.capture(step, x, labels, model=model, optimizer=optimizer)
        for x, labels in loader:              # batches of the size it was captured with
            loss = captured(x, labels)        # forward, backward and the update
            schedule.step()

    On the CPU the step becomes a plan of NumPy's calls into fixed memory (``replay/notes.py`` and
    ``replay/plan.py``); on a GPU one CUDA graph, which replays with one launch.

    The step is run five times while it is captured and checked; buffers and gradients of the model
    and the random generator are put back afterwards. Where a replay meets a question whose answer
    is another one now, such as whether a variance is finite, the step itself runs in its place.
    (PyTorch's function of this kind is ``torch.cuda.make_graphed_callables``.)

    Args:
        step: takes the inputs; begins with ``zero_grad``, calls ``backward``, returns a Tensor or a
            tuple of them. What its Python does besides is done now, and not in a replay; a Tensor
            that is neither an input nor part of the model should not change. It may clip the
            gradients (``clip_grad_norm_``), and does not call ``optimizer.step()``.
        inputs: an example of them, with which it is captured: a batch from training.
        model: the module whose parameters it gives gradients to.
        optimizer: its step follows each replay, on the CPU as a part of the plan. Its options and
            its state may change (schedules, ``load_state_dict``).
        dynamic: capture the step again for each new shape of the inputs, such as the last batch of
            an epoch, instead of refusing it.

    Raises:
        TypeError, ValueError: an argument is not of this kind.
        RuntimeError: the step cannot be captured: it reads a number (``item()``), or trains or
            changes something besides the model; or a replay differs from it. On the CPU also:
            something is computed in a way that cannot be noted, and the message says where. On a
            GPU also: it draws random numbers (dropout), moves an array to the GPU, or makes a
            product of other than two matrices. The model is as before then.

    Source of the GPU's part: NVIDIA, "CUDA C++ Programming Guide", chapter "CUDA Graphs".
    """
    if not dynamic:
        return Replay(step, inputs, model, optimizer)
    replay = PerShape(step, model, optimizer)
    replay.of(inputs)
    return replay


class PerShape:
    """One replay for each shape and type of the inputs that has been met."""

    def __init__(self, step: Step, model: Module, optimizer: Optimizer | None) -> None:
        self.step, self.model, self.optimizer = step, model, optimizer
        self.replays: dict[Any, Replay] = {}

    def of(self, inputs: tuple[Tensor, ...]) -> Replay:
        """The replay for inputs like these, captured now if there is none."""
        key = tuple((getattr(x, "shape", None), getattr(x, "dtype", None)) for x in inputs)
        replay = self.replays.get(key)
        if replay is None:
            replay = self.replays[key] = Replay(self.step, inputs, self.model, self.optimizer)
        return replay

    def __call__(self, *inputs: Tensor) -> Any:
        """Run the step with ``inputs``; as ``Replay`` does."""
        return self.of(inputs)(*inputs)

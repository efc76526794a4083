"""What wraps the backward walk where somebody asked for it: hooks, retained gradients, targets.

A node may have ``hooks``, functions that see its gradient and may replace it; or ``retained_by``,
a Tensor that wants its gradient in ``.grad`` although it is no leaf. And ``grad`` asks for the
gradients of some nodes, its targets, and for no others. Most backward passes have none of these,
and then nothing of this file runs.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from ..backend import make_current
from . import guard
from .graph import oldest_first
from .variable import Variable

PullBack = Callable[[Any, Any], tuple[Any, ...]]

watched: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""The nodes that have hooks or a Tensor that retains their gradient."""


after_backward: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""By their ids, in the order in which they came: objects whose ``gave_gradients(leaf_grads)`` may
change what a backward pass is about to add to ``.grad`` (``distributed`` takes means there)."""


class Watch:
    """One backward pass: the targets' gradients, and what hooks and retaining Tensors get to see.

    ``targets`` is None if all leaves are wanted.
    """

    def __init__(self, targets: set[Any] | None, roots: Iterable[Any], like: Variable) -> None:
        self.targets, self.like = targets, like
        self.on_path = None if targets is None else on_path_to(targets, roots)
        self.grads: dict[Any, Any] = {}
        self.retained: list[tuple[Callable[[], Variable | None], Any]] = []

    def around(self, pull_back: PullBack, free: Callable[[Any], None] | None) -> PullBack:
        """``pull_back``, with what this watch adds to it; ``free`` for the nodes that have run."""

        def watched_pull_back(node: Any, grad: Any) -> tuple[Any, ...]:
            passes = self.on_path is None or node in self.on_path
            is_target = self.targets is None or node in self.targets
            if passes or is_target:
                if node.hooks:
                    grad = run_hooks(node, grad, self.like)
                if node.retained_by is not None:
                    self.retained.append((node.retained_by, grad))
            if self.targets is not None and is_target:
                self.grads[node] = grad
            if not passes:
                return (None,) * len(node.parents)
            input_grads = pull_back(node, grad)
            if free is not None:
                free(node)
            return input_grads

        return watched_pull_back

    def retain(self) -> None:
        """Fill the ``.grad`` of the Tensors that asked for it: after the walk, because an error on
        the way would leave half of them changed."""
        sums = []
        for reference, grad in self.retained:
            tensor = reference()
            if tensor is None:
                continue
            make_current(tensor.array)
            recorded = isinstance(grad, Variable)  # if create_graph; then the copy is recorded too
            copy: Any = grad.clone() if recorded else tensor.from_array(grad.copy())
            if tensor._grad is not None:
                guard.addable(tensor._grad, copy)
                copy = tensor._grad + copy
            sums.append((tensor, copy))
        for tensor, total in sums:
            tensor._grad = total


def on_path_to(targets: set[Any], roots: Iterable[Any]) -> set[Any]:
    """The nodes under ``roots`` that gradients pass on their way to ``targets``."""
    on_path: set[Any] = set()
    for node in oldest_first(roots):
        freed = node.saved is None  # whatever it led to: an error is due, unless it is a target
        if (freed and node not in targets) or any(
            parent in on_path or parent in targets for parent in node.parents
        ):
            on_path.add(node)
    return on_path


def run_hooks(node: Any, grad: Any, like: Variable) -> Any:
    """Show the gradient of a node to its hooks; each may return another one."""
    as_tensor = isinstance(grad, Variable)
    for hook in list(node.hooks):
        shown: Any = grad if as_tensor else like.from_array(grad)
        answer = hook(shown)
        if answer is not None:
            guard.hook_answer(answer, shown)
            grad = answer if as_tensor else answer.array
    return grad if as_tensor else grad.copy()  # a hook may keep what it saw

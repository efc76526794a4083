"""What a captured step assumes about its model, and whether it still holds.

A replay reads and writes fixed addresses, and does what the modules did when it was captured. So
everything that may change without its knowledge is noted here, and compared before each
replay.
"""

from collections.abc import Iterator
from operator import eq, is_
from types import FunctionType, MethodType

from ..backend import get_float32_matmul_precision
from ..nn import Module

PLAIN = (bool, int, float, str, type(None))
WATCHED = (*PLAIN, tuple, type, FunctionType, MethodType)
"""What of a module's attributes is looked at beside its members; the plain ones by their value."""


class ModelSnapshot:
    """A model as it is at this moment."""

    def __init__(self, model: Module) -> None:
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
            for name, module in model.named_modules()
        ]
        self.tensors = [
            (name, tensor, tensor.array, tensor._requires_grad)
            for name, tensor in (*model.named_parameters(), *model.named_buffers())
        ]

        self.now = [vars(module) for _, module, *_ in self.modules]
        self.before = list(map(dict, self.now))
        self.hooks = [hooks for _, module, *_ in self.modules for hooks in module.hook_lists]
        self.arrays = [array for _, _, array, _ in self.tensors]
        self.named = [tensor for _, tensor, *_ in self.tensors]

    def holds(self) -> bool:
        """Whether all is as it was to the last attribute, and without hooks; found by comparing
        dictionaries and lists as wholes. If not, ``changes`` and ``hooked`` look closer."""
        try:
            same = all(map(eq, self.now, self.before))
        except (RuntimeError, ValueError):  # of arrays and Tensors, which have no single answer
            return False
        named = self.named
        return (
            same
            and get_float32_matmul_precision() == self.precision
            and all(map(is_, [t.array for t in named], self.arrays))
            and all(t.requires_grad is flag for _, t, _, flag in self.tensors)
            and not any(t.hooks for t in named)
            and not any(self.hooks)
        )

    def changes(self) -> Iterator[str]:
        """What has changed since: members and numbers of modules, memory and flags of tensors."""
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
        for name, tensor, data, requires_grad in self.tensors:
            if tensor.array is not data:
                yield f"the memory of {name}"
            if tensor._requires_grad is not requires_grad:
                yield f"requires_grad of {name}"

    def hooked(self) -> Iterator[str]:
        """Which modules and tensors have hooks, which are Python and not replayed."""
        for name, module, *_ in self.modules:
            if module.has_hooks:
                yield name
        for name, tensor, *_ in self.tensors:
            if tensor.hooks:
                yield name

"""Module: named parameters and buffers, modules inside modules, and a train/eval state.

A module is a function that owns the numbers it needs. Assigning a ``Parameter``, a buffer or
another module to an attribute registers its name, and from these names everything else follows:
what an optimiser updates (``parameters``), what a checkpoint holds (``state_dict``), what moves to
another device (``to``) and what ``print(model)`` draws. The values themselves are ordinary
attributes, so reading ``self.weight`` costs nothing.

The mathematics is in ``functional/`` and ``ops/``; modules hold state and pass it on.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from ..tensor import RemovableHandle, Tensor
from .conversion import Conversion
from .hooks import BackwardHook, added, run_watched
from .notebook import as_table
from .parameter import Parameter, clear_gradients
from .state import IncompatibleKeys, load_into
from .unregistered import warn_of_unregistered


class Module(Conversion):
    """The base class of layers, networks and losses.

    Write ``__init__``, which calls ``super().__init__()`` and assigns parameters and modules to
    attributes, and ``forward``, which computes the output. Call the module itself, not
    ``forward``: the call runs the hooks as well.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    training: bool
    """Whether the module is in training mode, which Dropout and BatchNorm ask for."""

    _members: dict[str, str]
    """The registered names, each with its kind: "parameter", "buffer" or "module"."""

    def __init__(self) -> None:
        self.training = True
        self._members = {}
        self._not_saved: set[str] = set()  # buffers that are not persistent
        self._searched: set[str] = set()  # attributes, for modules in a plain list
        self._pre_hooks: list[Callable[..., Any]] = []
        self._forward_hooks: list[Callable[..., Any]] = []
        self._backward_hooks: list[BackwardHook] = []

    # --------------------------------------------------------------------------- calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output; every module writes its own."""
        raise NotImplementedError(
            f"{type(self).__name__}: forward is not written; define forward(self, ...) in the class"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (self._pre_hooks or self._forward_hooks or self._backward_hooks):  # as has_hooks
            return self.forward(*args, **kwargs)
        for hook in list(self._pre_hooks):
            answer = hook(self, args)
            if answer is not None:
                args = answer if isinstance(answer, tuple) else (answer,)
        if self._backward_hooks:
            output = run_watched(self, list(self._backward_hooks), args, kwargs)
        else:
            output = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks):
            answer = hook(self, args, output)
            if answer is not None:
                output = answer
        return output

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, args)`` called before each forward; what it returns, if anything,
        takes the place of the positional arguments. The handle's ``remove`` ends it."""
        return added(self._pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, args, output)`` called after each forward; what it returns, if
        anything, takes the place of the output. The handle's ``remove`` ends it."""
        return added(self._forward_hooks, hook)

    def register_full_backward_hook(self, hook: BackwardHook) -> RemovableHandle:
        """Have ``hook(module, grad_input, grad_output)`` called in each backward pass.

        Both are tuples with one gradient for each positional argument and for each output; None
        where there is none. What the hook returns, if anything, takes the place of ``grad_input``.
        Where no input requires a gradient, the hook is called all the same, as soon as
        ``grad_output`` is there. The handle's ``remove`` ends it.
        """
        return added(self._backward_hooks, hook)

    @property
    def has_hooks(self) -> bool:
        """Whether a call runs more than ``forward``."""
        return any(self.hook_lists)

    @property
    def hook_lists(self) -> tuple[list[Any], ...]:
        """The hooks themselves, by kind."""
        return self._pre_hooks, self._forward_hooks, self._backward_hooks

    # ----------------------------------------------------------------------- registering

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make ``param`` the parameter ``name``; None says that there is none under this name."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"{type(self).__name__}: parameter {name!r} is a {type(param).__name__}, "
                f"expected a Parameter or None; wrap it: nn.Parameter(...)"
            )
        self._register(name, param, "parameter")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make ``tensor`` a buffer: state that moves and is saved with the module but is not
        learnt, such as running statistics. One that is not ``persistent`` is not saved."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"{type(self).__name__}: buffer {name!r} is a {type(tensor).__name__}, "
                f"expected a Tensor or None"
            )
        self._register(name, tensor, "buffer")
        if not persistent:
            self._not_saved.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Make ``module`` a part of this one, as the attribute ``name``."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: {name!r} is a {type(module).__name__}, expected a Module"
            )
        self._register(name, module, "module")

    def _register(self, name: str, value: Any, kind: str) -> None:
        if "_members" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: {name!r} was assigned before super().__init__(); "
                f"call super().__init__() first in __init__"
            )
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(
                f"{type(self).__name__}: the name of a {kind} is {name!r}, expected a string that "
                f"is not empty and has no dot (dots separate the levels of a state dict)"
            )
        taken = name == "training" or hasattr(type(self), name)
        if taken or self._members.get(name, kind) != kind:
            raise ValueError(f"{type(self).__name__}: the attribute {name!r} exists already")
        if isinstance(value, Module) and any(
            part is self for _, part in value._named_modules("", set())
        ):
            raise ValueError(
                f"{type(self).__name__}: {name!r} contains this module; a module cannot be part "
                f"of itself"
            )
        self._members[name] = kind
        self._not_saved.discard(name)
        self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        kind = self.__dict__.get("_members", {}).get(name)
        if kind == "buffer" and isinstance(value, Parameter):
            delattr(self, name)  # it is learnt from now on
            kind = None
        if kind == "parameter" or (kind is None and isinstance(value, Parameter)):
            self.register_parameter(name, value)
        elif kind == "module" or (kind is None and isinstance(value, Module)):
            self.add_module(name, value)
        elif kind == "buffer":
            self.register_buffer(name, value, persistent=name not in self._not_saved)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._members.pop(name, None)
        self._not_saved.discard(name)

    def __copy__(self) -> Self:
        """A module with the same members; what is added to one is not added to the other."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in (
            "_members", "_not_saved", "_searched",
            "_pre_hooks", "_forward_hooks", "_backward_hooks",
        ):  # fmt: skip
            twin.__dict__[name] = self.__dict__[name].copy()
        return twin

    def __getattr__(self, name: str) -> Any:
        """Reached only for names that do not exist."""
        kind = type(self).__name__
        if "_members" not in self.__dict__ and not name.startswith("__"):
            raise AttributeError(
                f"{kind}: super().__init__() has not been called; it comes first in __init__",
                name=name,
                obj=self,
            )
        close = [] if name.startswith("_") else difflib.get_close_matches(name, dir(self), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        # Without name= and obj= Python adds no suggestion of its own behind ours.
        raise AttributeError(f"{kind} has no attribute {name!r}{hint}")

    # ----------------------------------------------------------------------- what it has

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> "Iterator[tuple[str, Module]]":
        """This module (under the name ``prefix``) and all modules inside it, with dotted names;
        one that is used in several places comes once.

        Modules and Parameters in a plain list, tuple or dict do not come; a warning says so once.
        """
        new = []
        for path, module in self._named_modules(prefix, set() if remove_duplicate else None):
            if len(module._searched) < len(module.__dict__):
                new.append(module)
            yield path, module
        if new:
            warn_of_unregistered(new, (Module, Parameter), self._named_modules("", set()))

    def _named_modules(
        self, prefix: str, seen: "set[Module] | None"
    ) -> "Iterator[tuple[str, Module]]":
        if seen is not None:
            if self in seen:
                return
            seen.add(self)
        yield prefix, self
        for name, module in self.members_of("module"):
            yield from module._named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def members_of(self, kind: str) -> Iterator[tuple[str, Any]]:
        """The members of one kind, without those of modules inside and without None."""
        values = self.__dict__
        for name, its_kind in self._members.items():
            if its_kind == kind and values[name] is not None:
                yield name, values[name]

    def _named_tensors(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        seen = set()
        for path, module in modules:
            for name, tensor in module.members_of(kind):
                if tensor not in seen or not remove_duplicate:
                    seen.add(tensor)
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; a shared one comes once."""
        yield from self._named_tensors("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters; without ``recurse`` only this module's own."""
        yield from (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; a shared one comes once."""
        yield from self._named_tensors("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers; without ``recurse`` only this module's own."""
        yield from (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def modules(self) -> "Iterator[Module]":
        """This module and all modules inside it, each once."""
        yield from (module for _, module in self.named_modules())

    def named_children(self) -> "Iterator[tuple[str, Module]]":
        """The modules directly inside this one with their names, each once."""
        seen = set()
        for name, module in self.members_of("module"):
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> "Iterator[Module]":
        """The modules directly inside this one, each once."""
        yield from (module for _, module in self.named_children())

    # ------------------------------------------------------------------- what it is told

    def apply(self, fn: "Callable[[Module], Any]") -> Self:
        """Call ``fn`` on every module inside, and then on this one; for initialisation."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Into training mode, or with ``mode=False`` into evaluation mode, with all modules inside.

        Raises:
            TypeError: ``mode`` is no bool (``train`` does not train).
        """
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode is a {type(mode).__name__}, expected True or False")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Into evaluation mode: BatchNorm uses its running statistics, Dropout does nothing."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or, if not ``set_to_none``, make them zero)."""
        clear_gradients(self.parameters(), set_to_none)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters: False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    # ----------------------------------------------------------------------------- state

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and persistent buffers under PyTorch's names.

        The Tensors share the module's memory: to keep them as they are while training goes on,
        use ``copy.deepcopy(model.state_dict())``. ``{name: torch.from_numpy(t.numpy())}`` is a
        state dict for the same network in PyTorch.
        """
        state = {}
        for path, module in self.named_modules(prefix.removesuffix("."), remove_duplicate=False):
            for name, tensor in [*module.members_of("parameter"), *module.members_of("buffer")]:
                if name not in module._not_saved:
                    state[f"{path}.{name}" if path else name] = tensor.detach()
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy the values of ``state_dict`` into parameters and buffers.

        Values may be Tensors, NumPy or CuPy arrays, or anything with ``__array__``, such as the
        Tensors of a PyTorch state dict. They take on the type and device of this module.

        Returns:
            The missing and the unexpected keys: none if ``strict``.

        Raises:
            ValueError: names are missing or unexpected (only if ``strict``), or values do not fit.
                The message lists them all, and nothing has been loaded.
        """
        return load_into(type(self).__name__, self.state_dict(), state_dict, strict)

    # ----------------------------------------------------------------------------- print

    def extra_repr(self) -> str:
        """What stands between the parentheses of a layer's ``repr``; for subclasses to write."""
        return ""

    def _repr_html_(self) -> str:
        return as_table(self)

    def __repr__(self) -> str:
        lines = [f"({name}): {module!r}" for name, module in self.members_of("module")]
        extra, kind = self.extra_repr(), type(self).__name__
        if not lines:
            return f"{kind}({extra})"
        return "\n".join([f"{kind}({extra}", *lines]).replace("\n", "\n  ") + "\n)"

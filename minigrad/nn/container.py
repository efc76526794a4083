"""Modules made of modules, in a row, in a list, by name; and a list of Parameters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from .module import Module
from .parameter import Parameter


class _Row(Module):
    """Modules under the names "0", "1", ...: what ``Sequential`` and ``ModuleList`` share."""

    def _in_order(self) -> list[tuple[str, Module]]:
        return list(self.members_of("module"))

    def _name_at(self, index: int) -> str:
        names = [name for name, _ in self._in_order()]
        try:
            return names[index]
        except IndexError:
            raise IndexError(
                f"{type(self).__name__}: there is no module {index}, only {len(names)} of them"
            ) from None

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._made_of(self._in_order()[index])
        return self.__dict__[self._name_at(index)]

    def _made_of(self, named: list[tuple[str, Module]]) -> Self:
        row = type(self)()
        for name, module in named:
            row.add_module(name, module)
        return row

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """The modules behind it move up; names that are no numbers stay."""
        names = [name for name, _ in self._in_order()]
        for name in names[index] if isinstance(index, slice) else [self._name_at(index)]:
            delattr(self, name)
        if self._is_numbered():
            self._number(list(self))

    def __len__(self) -> int:
        return len(self._in_order())

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self._in_order()])

    def append(self, module: Module) -> Self:
        """Add one at the end; returns itself."""
        number = len(self)
        while str(number) in self.__dict__:  # a slice keeps its modules' numbers
            number += 1
        self.add_module(str(number), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put one before that at ``index``; those from there on move back. Returns itself.

        Raises:
            IndexError: ``index`` is not from -len to len.
            ValueError: the modules have names of their own, between which there is no next one.
        """
        kind, parts = type(self).__name__, list(self)
        if not -len(parts) <= index <= len(parts):
            raise IndexError(
                f"{kind}: cannot insert at {index}, expected {-len(parts)} to {len(parts)}"
            )
        if not self._is_numbered():
            names = ", ".join(name for name, _ in self._in_order())
            raise ValueError(
                f"{kind}: cannot insert among modules with names ({names}); make a new {kind}"
            )
        self.append(module)  # which refuses what is no module before anything has moved
        parts.insert(index, module)
        self._number(parts)
        return self

    def _is_numbered(self) -> bool:
        return all(name.isdecimal() for name, _ in self._in_order())

    def _number(self, modules: list[Module]) -> None:
        """Have these modules and no others, as "0", "1", ..."""
        for name, _ in self._in_order():
            delattr(self, name)
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several at the end; returns itself."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Row):
    """The modules one after the other: the output of each is the input of the next.

    ``Sequential(a, b)`` names them "0" and "1", ``Sequential({"fc": a, "out": b})`` as given.
    ``model[0]``, ``model[-1]``, ``model[:2]`` (a Sequential of the same modules), ``len(model)``
    and iteration work as for a list.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for index, part in enumerate(modules):
                self.add_module(str(index), part)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_Row):
    """A list of modules that are registered, which those in a plain list would not be."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _made_of(self, named: list[tuple[str, Module]]) -> Self:
        return type(self)(module for _, module in named)


class ModuleDict(Module):
    """A dict of modules that are registered, which those in a plain dict would not be."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def _by_name(self) -> dict[str, Module]:
        return dict(self.members_of("module"))

    def __getitem__(self, name: str) -> Module:
        if name not in self:
            raise KeyError(f"ModuleDict: there is no {name!r}, only {', '.join(self) or 'nothing'}")
        module: Module = self.__dict__[name]
        return module

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        _ = self[name]  # a name that is no module's is a KeyError, whatever attribute it is
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name()

    def __len__(self) -> int:
        return len(self._by_name())

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._by_name().keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._by_name().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names with their modules."""
        return self._by_name().items()


class ParameterList(Module):
    """A list of Parameters that are registered, which those in a plain list would not be.

    Raises:
        TypeError: one of them is no Parameter.
        IndexError: there is no such element.
    """

    def __init__(self, parameters: Iterable[Parameter] = ()) -> None:
        super().__init__()
        self.extend(parameters)

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[index]

    def __setitem__(self, index: int, parameter: Parameter) -> None:
        self.register_parameter(str(range(len(self))[index]), parameter)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Parameter]:
        return iter([parameter for _, parameter in self.members_of("parameter")])

    def append(self, parameter: Parameter) -> Self:
        """Add one at the end; returns itself."""
        self.register_parameter(str(len(self)), parameter)
        return self

    def extend(self, parameters: Iterable[Parameter]) -> Self:
        """Add several at the end; returns itself."""
        for parameter in parameters:
            self.append(parameter)
        return self

    def extra_repr(self) -> str:
        return ", ".join(f"({i}): {p.dtype} of shape {p.shape}" for i, p in enumerate(self))

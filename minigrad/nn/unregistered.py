"""Modules and Parameters in a plain list, which their module does not know of.

``self.layer = Linear(...)`` registers a module, because ``Module`` sees assignments to attributes.
``self.layers.append(Linear(...))`` does not pass by it. The optimiser would then train half of the
model, and the checkpoint hold half of it, without an error. All that can be done is to search the
lists later, when somebody asks for the parameters.
"""

import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Any

OWN = {"_members", "_not_saved", "_searched", "_pre_hooks", "_forward_hooks", "_backward_hooks"}
"""The attributes that ``Module`` itself has lists in."""

DEPTH = 3  # lists in lists; a list may contain itself


def in_plain_lists(
    module: Any, kinds: tuple[type, ...], searched: Collection[str] = ()
) -> Iterator[tuple[str, list[Any]]]:
    """The attributes of ``module`` that are lists, tuples or dicts, each with the objects of
    ``kinds`` in it; without those in ``searched``."""
    for name, value in module.__dict__.items():
        if isinstance(value, list | tuple | dict) and name not in OWN and name not in searched:
            yield name, list(_inside(value, kinds, DEPTH))


def _inside(value: Any, kinds: tuple[type, ...], depth: int) -> Iterator[Any]:
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, kinds):
            yield item
        elif isinstance(item, list | tuple | dict) and depth > 1:
            yield from _inside(item, kinds, depth - 1)


def warn_of_unregistered(
    modules: Iterable[Any], kinds: tuple[type, type], whole: Iterable[tuple[str, Any]]
) -> None:
    """Warn of what only lists of ``modules`` hold, and what is registered nowhere in the ``whole``
    model. ``kinds`` are the classes of modules and of parameters.

    Each attribute is searched once, so that there is one warning and the next call costs little.
    """
    registered = set()
    for _, module in whole:
        registered.add(id(module))
        registered.update(id(module.__dict__[name]) for name in module._members)
    for module in modules:
        searched, module._searched = module._searched, set(module.__dict__)
        for name, held in in_plain_lists(module, kinds, searched):
            lost = [item for item in held if id(item) not in registered]
            if lost:
                _warn(module, name, isinstance(lost[0], kinds[0]))


def _warn(module: Any, name: str, of_modules: bool) -> None:
    value = module.__dict__[name]
    if not of_modules:
        remedy = "use nn.ParameterList, or an attribute for each"
    elif isinstance(value, dict):
        remedy = "use nn.ModuleDict"
    else:
        remedy = "use nn.ModuleList"
    warnings.warn(
        f"{type(module).__name__}: the {type(value).__name__} {name!r} holds "
        f"{'modules' if of_modules else 'Parameters'} that are not registered, so parameters(), "
        f"state_dict(), to(), train() and eval() leave them out; {remedy}",
        stacklevel=4,
    )

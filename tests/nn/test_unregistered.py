"""Modules and Parameters in a plain list: who says so, when, and when nobody has to."""

import copy
import warnings
from typing import Any

import pytest

from minigrad import nn, optim


class Holder(nn.Module):
    """Keeps what it is given under the name ``parts``."""

    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.parts = parts


def two() -> list[nn.Module]:
    return [nn.Linear(2, 2), nn.Dropout(0.5)]


CALLS = {
    "parameters": lambda model: list(model.parameters()),
    "state_dict": lambda model: model.state_dict(),
    "to": lambda model: model.to("cpu"),
    "eval": lambda model: model.eval(),
    "optimizer": lambda model: optim.SGD(model.parameters(), lr=0.1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_first_call_warns_and_names_the_remedy(call: Any) -> None:
    model = Holder(two())
    message = r"Holder: the list 'parts' holds modules that are not registered.*nn\.ModuleList"
    with pytest.warns(UserWarning, match=message) as seen:
        call(model)
    assert len(seen) == 1
    call(model)  # a second warning would be an error


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (tuple(two()), "tuple 'parts' holds modules.*ModuleList"),
        ({"a": nn.Linear(2, 2)}, "dict 'parts' holds modules.*ModuleDict"),
        ([[1, "two"], [{"deep": nn.ReLU()}]], "list 'parts' holds modules"),
        ([nn.Parameter([1.5])], "list 'parts' holds Parameters.*ParameterList"),
    ],
)
def test_all_kinds_are_seen(parts: Any, message: str) -> None:
    model = nn.Sequential(nn.ReLU(), Holder(parts))
    with pytest.warns(UserWarning, match=message):
        list(model.parameters())


def test_a_list_that_is_filled_after_a_look_at_the_parameters() -> None:
    class Late(nn.Linear):  # whose constructor has looked at its parameters
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.later = [nn.Linear(2, 2)]

    with pytest.warns(UserWarning, match="Late: the list 'later'"):
        list(Late().parameters())


def test_what_is_registered_elsewhere_is_no_fault() -> None:
    parts = two()
    inner = Holder([*parts, 3, "relu", None])
    inner.weights = [inner.first.weight]
    endless: list[Any] = [parts[0]]
    endless.append(endless)
    inner.endless = endless
    model = nn.Sequential(inner, nn.ModuleList(parts))
    model.register_forward_hook(nn.ReLU())  # a module that is a hook is no part
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(model.parameters())
        copy.deepcopy(model).state_dict()
        copy.copy(model).eval()


def test_a_copy_is_searched_anew_where_it_differs() -> None:
    model = Holder([])
    list(model.parameters())
    twin = copy.copy(model)
    twin.more = two()
    list(model.parameters())
    with pytest.warns(UserWarning, match="'more'"):
        list(twin.parameters())

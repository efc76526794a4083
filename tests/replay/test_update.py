"""The optimiser's step inside a captured step: it follows its options, and what it cannot follow is
left to the optimiser."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.replay.live import LiveNumbers
from tests.replay.test_cpu import OPTIMISERS, batches, network, step_of

Change = Callable[[int, optim.Optimizer], None]


def trained(
    make: Callable[[Any], optim.Optimizer],
    change: Change,
    given: list[Any],
    captured: bool,
    dtype: str = "float32",
) -> tuple[dict[str, Any], list[int], Any]:
    """Train; ``change`` is called before each batch. What came of it, in which steps the
    optimiser's own ``step`` ran, and the captured step."""
    model = network().to(dtype)
    optimizer = make(model.parameters())
    step, own, turns, number = step_of(model, clip=5.0), optimizer.step, [], -1

    def counted() -> None:
        turns.append(number)
        own()

    optimizer.step = counted  # type: ignore[method-assign,assignment]
    given = [(x.to(dtype), labels) for x, labels in given]
    run = mg.capture(step, *given[0], model=model, optimizer=optimizer) if captured else step
    for number, (x, labels) in enumerate(given):  # read by ``counted``
        change(number, optimizer)
        run(x, labels)
        if not captured:
            optimizer.step()
    found = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    for p, remembered in optimizer.state_dict()["state"].items():
        for name, value in remembered.items():
            found[f"{name} {p}"] = value.numpy().copy() if hasattr(value, "numpy") else value
    return found, turns, run


def both(
    make: Callable[[Any], optim.Optimizer],
    change: Change,
    rng: np.random.Generator,
    dtype: str = "float32",
) -> list[int]:
    """Captured and not, compared to the last bit; in which steps the optimiser made its own."""
    given = batches(rng, 8)
    expected, *_ = trained(make, change, given, captured=False, dtype=dtype)
    found, turns, _ = trained(make, change, given, captured=True, dtype=dtype)
    assert found.keys() == expected.keys()
    for what, value in expected.items():
        np.testing.assert_array_equal(found[what], value, err_msg=what)
    return turns


def nothing(number: int, optimizer: optim.Optimizer) -> None:
    """The options stay."""


MORE: dict[str, Callable[[Any], optim.Optimizer]] = {
    **OPTIMISERS,
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.1),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, maximize=True),
    "centred": lambda p: optim.RMSprop(p, lr=0.01, centered=True),
    "a Tensor": lambda p: optim.SGD(p, lr=mg.tensor(0.1), dampening=0.3, momentum=0.5),
}


@pytest.mark.parametrize("name", MORE)
def test_the_first_step_is_the_optimisers_and_the_others_the_plans(
    name: str, rng: np.random.Generator
) -> None:
    assert both(MORE[name], nothing, rng) == [0]


def test_half_precision(rng: np.random.Generator) -> None:
    assert both(lambda p: optim.Adam(p, lr=0.01), nothing, rng, "float16") == [0]


def test_groups_have_options_of_their_own(rng: np.random.Generator) -> None:
    def make(parameters: Any) -> optim.Optimizer:
        first, *others = parameters
        return optim.AdamW([{"params": [first], "lr": 0.1, "betas": (0.5, 0.9)},
                            {"params": others, "weight_decay": 0.3}])  # fmt: skip

    assert both(make, nothing, rng) == [0]


def test_options_may_change_from_step_to_step(rng: np.random.Generator) -> None:
    def change(number: int, optimizer: optim.Optimizer) -> None:
        [group] = optimizer.param_groups
        group.update(lr=0.1 / (number + 1), betas=(0.9 - 0.1 * number, 0.99), eps=1e-3 * number)

    assert both(lambda p: optim.Adam(p, weight_decay=0.1), change, rng) == [0]


def test_another_path_of_the_rule_is_recorded_anew(rng: np.random.Generator) -> None:
    """Without weight decay a rule has fewer lines."""

    def change(number: int, optimizer: optim.Optimizer) -> None:
        optimizer.param_groups[0]["weight_decay"] = 0.2 if number in (3, 4) else 0.0

    assert both(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), change, rng) == [0]


def test_a_loaded_state_is_gone_on_from(rng: np.random.Generator) -> None:
    kept: dict[int, Any] = {}

    def change(number: int, optimizer: optim.Optimizer) -> None:
        if number == 3:
            state = optimizer.state_dict()["state"]
            kept[0] = {
                p: {k: v.clone() if isinstance(v, mg.Tensor) else v for k, v in s.items()}
                for p, s in state.items()
            }
        if number == 6:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": kept[0]})

    # The optimiser lays the new arrays end to end in its own step.
    assert both(lambda p: optim.Adam(p, lr=0.01), change, rng) == [0, 6]


def test_a_momentum_that_was_exchanged_is_noticed(rng: np.random.Generator) -> None:
    def change(number: int, optimizer: optim.Optimizer) -> None:
        if number == 4:
            state = next(iter(optimizer.state.values()))
            state["momentum_buffer"] = state["momentum_buffer"] * 2

    assert both(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), change, rng) == [0, 4]


def test_hooks_are_called_by_the_optimiser(rng: np.random.Generator) -> None:
    def change(number: int, optimizer: optim.Optimizer) -> None:
        if number == 5:
            optimizer.register_step_post_hook(lambda *_: None)

    assert both(lambda p: optim.SGD(p, lr=0.1), change, rng) == [0, 5, 6, 7]


class Rooted(optim.Optimizer):
    """A rule that wants a plain number."""

    together = "Rooted"

    def update(self, w: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """The square root of the rate."""
        w *= 0.99
        w -= math.sqrt(group["lr"]) * g


def test_a_rule_that_cannot_be_noted_is_left_to_the_optimiser(rng: np.random.Generator) -> None:
    def make(parameters: Any) -> optim.Optimizer:
        return Rooted(parameters, {"lr": 0.01, "weight_decay": 0.0})

    assert both(make, nothing, rng) == list(range(8))


def test_a_parameter_that_was_used_before_the_update_is_stale_afterwards(
    rng: np.random.Generator,
) -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    given = batches(rng, 4)
    captured = mg.capture(step_of(model), *given[0], model=model, optimizer=optimizer)
    for x, labels in given[:3]:
        captured(x, labels)
    before = (model[0].weight * model[0].weight).sum()
    captured(*given[3])
    with pytest.raises(RuntimeError, match=r"SGD\.step"):
        before.backward()


def test_numbers_are_computed_as_python_does() -> None:
    values = {("rate",): 0.3, ("count",): 3}
    numbers = LiveNumbers(lambda: dict(values))
    rate, count = numbers.number("rate"), numbers.number("count")
    found = (1 - rate * 0.7) / (2.5 - 0.9 ** (count + 1)) ** 0.5
    for values in ({("rate",): 0.3, ("count",): 3}, {("rate",): 0.1, ("count",): 7}):
        r, t = values["rate",], values["count",]
        expected = (1 - r * 0.7) / (2.5 - 0.9 ** (t + 1)) ** 0.5
        assert numbers.value(found.key, values) == expected
    with pytest.raises(TypeError):
        _ = rate < 1
    with pytest.raises(TypeError):
        _ = rate == 1

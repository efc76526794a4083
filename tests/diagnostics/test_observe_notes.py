"""What the rows of ``observe`` do not show is said; other threads, tasks and Ctrl-C do no harm."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.diagnostics import observe
from tests.interrupts import interrupted


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()


def batch(rng: np.random.Generator) -> mg.Tensor:
    return mg.tensor(rng.normal(size=(6, 3)))


def test_an_ordinary_pass_needs_no_note(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid()).double()
    with observe(model) as seen:
        model(batch(rng)).sum().backward()
    assert seen.notes() == []
    assert len(str(seen).splitlines()) == 3
    assert [row.dead_units for row in seen] == [0, 0]


def test_dead_units_are_counted_where_they_die(rng: np.random.Generator) -> None:
    model = two_layers()
    with mg.no_grad():
        model[0].bias.copy_(mg.tensor([-100.0, 0.0, -200.0, 0.0]))
    model.append(nn.Identity())
    with observe(model) as seen:
        model(batch(rng)).sum().backward()
    assert [row.dead_units for row in seen] == [0, 2, 0, 0]
    assert seen.notes() == ["Dead units, the same for every sample: 2 in 1."]
    assert str(seen).endswith(seen.notes()[0])
    assert seen.to_dict()["notes"] == seen.notes()


def test_a_layer_does_not_kill_what_was_dead_before(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Identity(), nn.Flatten())
    with mg.no_grad():
        model[0].weight.zero_()
    with observe(model) as seen:
        model(mg.randn(4, 2))
        assert [row.dead_units for row in seen] == [3, 0, 0]
        model(mg.randn(1, 2))  # one sample cannot show it
    assert [row.dead_units for row in seen] == [None, None, None]


class Skips(nn.Module):
    """Has a parameter of its own beside its modules, and calls one of three of them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter([1.5])
        self.used, self.unused, self.other = nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU()

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.used(x) * self.scale


def test_layers_that_were_not_called_and_parameters_without_a_row_are_named() -> None:
    model = nn.Sequential(Skips())
    with observe(model) as seen:
        assert seen.notes() == ["In no row, because their modules have submodules: 0.scale."]
        model(mg.randn(4, 3)).sum().backward()
    assert [row.name for row in seen] == ["0.used"]
    assert seen.notes()[0] == "Not called in this pass: 0.unused, 0.other."
    many = nn.ModuleList([nn.ReLU() for _ in range(9)])
    model.append(many)
    model[0].forward = lambda x: many[8](x)
    model[1].forward = lambda x: x
    with observe(model) as seen:
        model(mg.randn(4, 3))
    assert "0.used, 0.unused, 0.other, 1.0, 1.1 and 6 more." in seen.notes()[0]


def test_several_backward_passes_are_said(rng: np.random.Generator) -> None:
    model, x = two_layers(), batch(rng)
    with observe(model) as seen:
        y = model(x)
        y.sum().backward(retain_graph=True)
        assert seen.notes() == []
        first = seen.rows[2].grad_output
        (y * 3).sum().backward()
        model(x).sum().backward()
    assert seen.backward_passes == 3
    assert seen.notes() == [
        "3 backward passes ran; a row has the gradients of the last one that reached it."
    ]
    assert seen.rows[2].grad_output == pytest.approx(first)


def test_another_thread_does_not_mix_in(rng: np.random.Generator) -> None:
    model, x = two_layers(), batch(rng)
    rows: dict[str, Any] = {}

    def other() -> None:
        with observe(model) as seen:
            (model(x * 7).sum() * 5).backward()
        rows["other"] = seen.rows[0].input.max, len(seen)

    with observe(model) as seen:
        loss = model(x).sum()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        loss.backward()
        gradient = seen.rows[2].grad_parameters["bias"]
    assert len(seen) == 3
    assert seen.rows[0].input.max == pytest.approx(x.numpy().max())
    assert gradient == pytest.approx(6 * np.sqrt(2))  # dL/db is 6 twice
    assert rows["other"] == (pytest.approx(7 * x.numpy().max()), 3)
    assert seen.backward_passes == 1


def test_two_tasks_do_not_mix(rng: np.random.Generator) -> None:
    model, x = two_layers(), batch(rng)

    async def look(factor: float) -> tuple[int, float, float]:
        with observe(model) as seen:
            y = model(x * factor)
            await asyncio.sleep(0)
            (y.sum() * factor).backward()
            await asyncio.sleep(0)
        return len(seen), seen.rows[0].input.max, seen.rows[2].grad_output

    async def both() -> list[tuple[int, float, float]]:
        return list(await asyncio.gather(look(2.0), look(3.0)))

    largest = x.numpy().max()
    for factor, answer in zip((2.0, 3.0), asyncio.run(both()), strict=True):
        expected = (3, factor * largest, factor * np.sqrt(12))
        assert answer == pytest.approx(expected)


def test_gradients_of_another_thread_do_not_mix_in(rng: np.random.Generator) -> None:
    layer, x = nn.Linear(3, 2).double(), batch(rng)

    def elsewhere(grad: mg.Tensor) -> None:
        thread = threading.Thread(target=lambda: (layer(x).sum() * 5).backward())
        thread.start()
        thread.join()

    with observe(layer) as seen:
        y = layer(x)
        y.register_hook(elsewhere)  # between the gradient of y and those of the parameters
        y.sum().backward()
    assert seen.rows[0].grad_parameters["bias"] == pytest.approx(6 * np.sqrt(2))


# Python ignores what is raised in the callback of a weak reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("with_a_pass", "every"), [(False, 1), (True, 11)])
def test_ctrl_c_at_any_moment_leaves_no_hooks(
    with_a_pass: bool, every: int, rng: np.random.Generator
) -> None:
    model, x = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).double(), batch(rng)

    def run() -> None:
        with observe(model):
            if with_a_pass:
                model(x).sum().backward()

    places = 0
    for place in interrupted(run, every):
        places += 1
        left = [h for m in model.modules() for h in (*m._pre_hooks, *m._forward_hooks)]
        left += [h for p in model.parameters() for h in p.hooks or []]
        assert not left, place
    assert places > 50

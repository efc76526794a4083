"""``observe`` against the same pass computed by hand, and what it must not leave behind."""

import json
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.diagnostics import Observation, observe
from tests.devices import cuda, device, strict

__all__ = ["cuda", "device", "strict"]  # fixtures


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Sigmoid(), nn.Linear(5, 3)).double()


def batch(rng: np.random.Generator) -> tuple[mg.Tensor, mg.Tensor]:
    return mg.tensor(rng.normal(1.0, 3.0, (9, 6))), mg.tensor(rng.integers(0, 3, 9))


def hooks_left(model: nn.Module) -> list[Any]:
    """All hooks on modules and parameters."""
    modules = [h for m in model.modules() for h in [*m._pre_hooks, *m._forward_hooks]]
    return modules + [h for p in model.parameters() for h in p.hooks or []]


def test_the_rows_hold_the_numbers_of_the_pass(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as seen:
        F.cross_entropy(model(x), y).backward()

    # The same pass, layer by layer, with nothing but arrays.
    first, norm, _, head = model
    z = x.data @ first.weight.data.T + first.bias.data
    sigma = np.sqrt(z.var(axis=0) + norm.eps)
    u = (z - z.mean(axis=0)) / sigma
    a = 1 / (1 + np.exp(-u))
    logits = a @ head.weight.data.T + head.bias.data
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    d_logits = (p - np.eye(3)[y.data]) / 9
    da = d_logits @ head.weight.data
    du = da * a * (1 - a)
    dz = (du - du.mean(axis=0) - u * (du * u).mean(axis=0)) / sigma  # weight is 1 in BatchNorm
    expected = [
        ("0", "Linear", x.data, z, dz, dz.T @ x.data, dz.sum(axis=0)),
        ("1", "BatchNorm1d", z, u, du, (du * u).sum(axis=0), du.sum(axis=0)),
        ("2", "Sigmoid", u, a, da, None, None),
        ("3", "Linear", a, logits, d_logits, d_logits.T @ a, d_logits.sum(axis=0)),
    ]
    assert len(seen) == len(expected)
    for row, (name, kind, into, out, grad, d_weight, d_bias) in zip(seen, expected, strict=True):
        assert (row.name, row.kind, row.call) == (name, kind, 1)
        for stats, array in ((row.input, into), (row.output, out)):
            assert stats.shape == array.shape
            measured = (stats.min, stats.max, stats.std, stats.percentiles[25])
            direct = (array.min(), array.max(), array.std(), np.percentile(array, 25))
            assert measured == pytest.approx(direct, rel=1e-9)
        assert row.grad_output == pytest.approx(np.linalg.norm(grad), rel=1e-9)
        if d_weight is None:
            assert row.grad_weight is None
            assert row.grad_parameters == {}
        else:
            assert row.grad_weight == pytest.approx(np.linalg.norm(d_weight), rel=1e-6)
            bias = row.grad_parameters["bias"]
            assert bias == pytest.approx(np.linalg.norm(d_bias), rel=1e-6, abs=1e-14)
    assert [row.name for row in seen.of("Linear")] == ["0", "3"]


def test_the_pass_itself_is_not_changed(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    plain = F.cross_entropy(model(x), y)
    plain.backward()
    gradients = [p.grad.data.copy() for p in model.parameters()]
    model.zero_grad()
    with observe(model):
        seen = F.cross_entropy(model(x), y)
        seen.backward()
    assert seen.item() == plain.item()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert np.array_equal(parameter.grad.data, gradient)


def test_gradients_from_before_do_not_count(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as once:
        F.cross_entropy(model(x), y).backward()
    with observe(model) as again:  # .grad now holds the sum of both
        F.cross_entropy(model(x), y).backward()
    for a, b in zip(once, again, strict=True):
        assert b.grad_parameters == pytest.approx(a.grad_parameters, rel=1e-9)
        assert b.grad_output == pytest.approx(a.grad_output, rel=1e-9)


def test_hooks_are_gone_afterwards(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as seen:
        loss = F.cross_entropy(model(x), y)
        assert len(hooks_left(model)) > 4
    assert hooks_left(model) == []
    loss.backward()  # too late to be seen
    assert all(row.grad_output is None and row.grad_weight is None for row in seen)
    model(x)
    assert len(seen) == 4


def test_hooks_are_gone_after_an_error(rng: np.random.Generator) -> None:
    model, (x, _) = network(), batch(rng)

    def observe_a_mistake() -> None:
        with observe(model):
            model(x)
            assert len(hooks_left(model)) > 4
            model(x[:, :4])

    with pytest.raises(ValueError, match="features"):
        observe_a_mistake()
    assert hooks_left(model) == []


def test_hooks_of_others_stay(rng: np.random.Generator) -> None:
    model, (x, _) = network(), batch(rng)
    calls = []
    model[2].register_forward_hook(lambda *_: calls.append(1))
    with observe(model):
        model(x)
    model(x)
    assert len(calls) == 2


def test_no_array_is_kept(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    kept: list[weakref.ref[Any]] = []
    handle = model[0].register_forward_hook(lambda m, i, out: kept.append(weakref.ref(out.data)))
    model[3].register_forward_hook(lambda m, i, out: kept.append(weakref.ref(out.data)))
    with observe(model) as seen:
        loss = F.cross_entropy(model(x), y)
        assert all(array() is not None for array in kept)
        loss.backward()
        del loss
        assert [array() for array in kept] == [None, None]  # while the rows are still there
        model(x)  # a pass that is not followed by a backward pass
        assert [array() for array in kept[2:]] == [None, None]
    handle.remove()
    assert len(seen) == 4


def test_each_forward_pass_starts_anew(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as seen:
        first = F.cross_entropy(model(x), y)
        model(x * 2.0)
        doubled = seen.rows[0].input.max
        before = len(hooks_left(model))
        for _ in range(3):
            second = F.cross_entropy(model(x), y)
        assert len(hooks_left(model)) == before  # no hooks of earlier passes pile up
        first.backward()
        assert seen.rows[0].grad_output is None  # the rows are those of another pass
        second.backward()
    assert doubled == pytest.approx(2 * seen.rows[0].input.max)
    assert len(seen) == 4
    assert seen.rows[0].grad_output > 0


def test_a_layer_that_is_used_twice_has_two_rows(rng: np.random.Generator) -> None:
    shared = nn.Linear(4, 4).double()
    model = nn.Sequential(shared, nn.Tanh(), shared)
    x = mg.tensor(rng.standard_normal((7, 4)))
    with observe(model) as seen:
        model(x).sum().backward()
    assert [(row.kind, row.call) for row in seen] == [("Linear", 1), ("Tanh", 1), ("Linear", 2)]
    total = np.linalg.norm(shared.weight.grad.data)
    assert [row.grad_weight for row in seen.of("Linear")] == pytest.approx([total, total])
    assert "(call 2)" in str(seen)


def test_without_gradients_there_are_rows_all_the_same(rng: np.random.Generator) -> None:
    model, (x, _) = network(), batch(rng)
    with observe(model) as seen, mg.no_grad():
        model(x)
    assert len(seen) == 4
    assert all(row.grad_output is None and not row.grad_parameters for row in seen)
    assert hooks_left(model) == []


def test_a_frozen_parameter_has_no_gradient(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    model[3].weight.requires_grad_(False)
    with observe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    assert seen.rows[3].grad_weight is None
    assert set(seen.rows[3].grad_parameters) == {"bias"}


class Pair(nn.Module):
    """A layer whose input and output are not single Tensors."""

    def forward(self, numbers: list[mg.Tensor]) -> tuple[mg.Tensor, mg.Tensor]:
        return numbers[0] * 2.0, numbers[1]


def test_what_is_no_tensor_is_left_out() -> None:
    model = Pair()
    with observe(model) as seen:
        model([mg.ones(2), mg.ones(3)])
    [row] = seen.rows
    assert (row.name, row.kind, row.input, row.output) == ("", "Pair", None, None)
    assert "(model)" in str(seen)


def test_the_observed_thing_must_be_a_module() -> None:
    with pytest.raises(TypeError, match="observe: got a function, expected a Module"):
        observe(network).__enter__()  # type: ignore[arg-type]


def test_the_table_has_a_line_per_layer(rng: np.random.Generator) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    header, *lines = str(seen).splitlines()
    assert [line.split()[:2] for line in lines] == [[row.name, row.kind] for row in seen]
    assert header.split()[:3] == ["layer", "kind", "min"]
    assert lines[0].split()[2] == f"{seen.rows[0].output.min:.3g}"
    assert seen.table("input").splitlines()[1].split()[2] == f"{x.data.min():.3g}"
    assert lines[2].split()[-1] == "-"  # Sigmoid has no weight
    assert repr(seen) == "<Observation of 4 layers>"


def test_the_table_says_what_was_not_finite() -> None:
    model = nn.Sequential(nn.Identity())
    with observe(model) as seen:
        model(mg.tensor([1.0, float("nan"), float("inf")]))
    assert "2 values were NaN or infinite" in str(seen)


def test_the_rows_survive_json(rng: np.random.Generator, tmp_path: Any) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as seen:
        F.cross_entropy(model(x), y).backward()
    text = seen.to_json(tmp_path / "seen.json")
    rows = json.loads(text)["rows"]
    assert json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))["rows"] == rows
    assert rows[1]["output"]["max"] == seen.rows[1].output.max
    assert rows[1]["output"]["percentiles"]["75"] == seen.rows[1].output.percentiles[75]
    assert rows[3]["grad_parameters"]["weight"] == seen.rows[3].grad_weight
    with observe(nn.Identity()) as seen_nan:
        pass
    assert seen_nan.to_dict() == {"rows": [], "notes": []}


def test_every_device_gives_the_same_rows(device: str, rng: np.random.Generator) -> None:
    weight, x = rng.standard_normal((3, 4)), rng.normal(0.5, 4.0, (8, 4))

    def rows(where: str) -> Observation:
        model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Sigmoid()).double().to(where)
        with mg.no_grad():
            model[0].weight.copy_(mg.tensor(weight, device=where))
        with observe(model) as seen:
            model(mg.tensor(x, device=where)).square().sum().backward()
        return seen

    for here, there in zip(rows("cpu"), rows(device), strict=True):
        assert there.output.percentiles == pytest.approx(here.output.percentiles)
        assert there.output.histogram == pytest.approx(here.output.histogram)
        assert there.input.slope_rms == pytest.approx(here.input.slope_rms)
        assert there.grad_output == pytest.approx(here.grad_output)
        assert there.grad_parameters == pytest.approx(here.grad_parameters)


@pytest.mark.parametrize("order", ["first", "second then first", "first then second"])
def test_gradients_of_an_earlier_graph_are_not_of_this_one(
    order: str, rng: np.random.Generator
) -> None:
    model, (x, y) = network(), batch(rng)
    with observe(model) as alone:
        F.cross_entropy(model(x * 2.0), y).backward()
    with observe(model) as seen:
        losses = {"first": F.cross_entropy(model(x), y)}
        losses["second"] = F.cross_entropy(model(x * 2.0), y)
        for name in order.split(" then "):
            losses[name].backward()
    for row, expected in zip(seen, alone, strict=True):
        if order == "first":
            assert row.grad_parameters == {}
        else:
            assert row.grad_parameters == pytest.approx(expected.grad_parameters, rel=1e-9)


def test_a_layer_of_nothing_but_nan_has_no_numbers_to_show() -> None:
    model = nn.Sequential(nn.Identity())
    with observe(model) as seen:
        model(mg.full((2, 3), float("nan")))
    _, line, note = str(seen).splitlines()
    assert line.split() == ["0", "Identity", *["-"] * 10]
    assert note.startswith("6 values were NaN or infinite")

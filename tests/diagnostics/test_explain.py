"""The backward pass step by step: its numbers are backward's, and nothing changes."""

import re
from itertools import pairwise

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, ops
from minigrad.diagnostics import explain
from tests.browser import page

__all__ = ["page"]


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Sigmoid(), nn.Linear(3, 2))


@pytest.fixture
def loss(model, rng):
    x = mg.tensor(rng.standard_normal((4, 2)), dtype=mg.float32)
    return F.cross_entropy(model(x), mg.tensor([0, 1, 1, 0]))


def test_the_gradients_are_those_of_backward(model, loss):
    explained = explain(loss, model)
    assert all(p.grad is None for p in model.parameters())
    loss.backward()
    expected = {name: p.grad.numpy() for name, p in model.named_parameters()}
    assert [name for name, _ in explained.leaves] == sorted(expected)
    for name, gradient in explained.leaves:
        np.testing.assert_array_equal(gradient, expected[name])


def test_the_steps_are_those_of_the_walk(model, loss):
    steps = list(explain(loss, model))
    kinds = ["SoftmaxCrossEntropy", "Linear", "Sigmoid", "BatchNorm", "Linear"]
    assert [step.name for step in steps] == [f"{k} {5 - i}" for i, k in enumerate(kinds)]
    for step, kind in zip(steps, kinds, strict=True):
        assert step.derivation.splitlines()[0] == getattr(ops, kind).__doc__.splitlines()[0]
    for above, below in pairwise(steps):
        [sent] = [s for s in above.sends if s.to == below.name]
        np.testing.assert_array_equal(sent.gradient, below.arrives)
    assert [s.to for s in steps[1].sends[1:]] == ["3.weight", "3.bias"]


def test_it_says_where_paths_meet():
    w = mg.tensor([1.5, -2.0], requires_grad=True)
    last = explain((w * w + w).sum(), {"w": w})[-1]
    assert [sent.to for sent in last.sends] == ["w", "w"]
    first, second = last.sends
    np.testing.assert_allclose(first.total, [2.5, -1.0])  # 1 from the sum, w from one factor
    np.testing.assert_allclose(second.total, [4.0, -3.0])
    assert "paths meet: the sum so far is (2) [ 4., -3.]" in str(last)


def test_nothing_changes(model, loss):
    hooked = []
    model[0].weight.register_hook(hooked.append)
    state = {name: t.detach().numpy().copy() for name, t in model.state_dict().items()}
    first, second = str(explain(loss, model)), str(explain(loss, model))
    assert first == second
    assert not hooked
    assert mg.is_grad_enabled()
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.detach().numpy(), state[name])
    loss.backward()
    with pytest.raises(RuntimeError, match="graph"):
        explain(loss, model)


def test_large_arrays_are_shown_by_their_norm(rng):
    w = mg.tensor(rng.standard_normal((5, 8)), requires_grad=True)
    text = str(explain((w * 3.0).sum()))
    assert f"leaf 1 (5, 8): (5, 8) of norm {3 * np.sqrt(40):.3g}" in text


def test_one_step_at_a_time(model, loss, monkeypatch, capsys):
    answers = iter(["", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    explain(loss, model).show()
    text = capsys.readouterr().out
    assert "Step 2 of 5" in text
    assert "Step 3 of 5" not in text


def test_a_page_that_needs_nothing_else(model, loss, tmp_path):
    explained = explain(loss, model)
    explained.to_html(tmp_path / "steps.html")
    text = (tmp_path / "steps.html").read_text(encoding="utf-8")
    assert explained._repr_html_() in text
    assert text.count('<pre class="page"') == 6
    assert not re.search(r"(src|href)=|https?:", text)


@pytest.mark.browser
def test_buttons_and_arrow_keys_go_through_the_steps(model, loss, tmp_path, page):
    explain(loss, model).to_html(tmp_path / "steps.html")
    page.goto((tmp_path / "steps.html").as_uri())
    assert page.get_by_text("Step 1 of 5").is_visible()
    page.get_by_role("button").nth(1).click()
    assert page.get_by_text("Step 2 of 5").is_visible()
    assert not page.get_by_text("Step 1 of 5").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.get_by_text("Step 3 of 5").is_visible()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_text("2 / 6").is_visible()
    assert not page.outside


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda: explain(3.0), TypeError, "got a float, expected a Tensor"),
        (lambda: explain(mg.ones(2)), ValueError, "expected a single number"),
        (lambda: explain(mg.ones(2, requires_grad=True) * 2), ValueError, r"shape \(2,\)"),
        (lambda: explain(mg.ones(()), F), TypeError, "model is a module, expected a Module"),
    ],
)
def test_what_cannot_be_explained_is_refused(make, kind, says):
    with pytest.raises(kind, match=says):
        make()

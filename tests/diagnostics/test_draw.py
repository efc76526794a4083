"""The graph as a picture: what stands in it is the graph's, and nothing changes."""

import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.diagnostics import draw
from tests.browser import page

__all__ = ["page"]

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.fc(x).tanh()


def network(*layers: nn.Module, features: int = 4):
    """A model and its loss on random data."""
    model = nn.Sequential(*layers)
    return model, F.cross_entropy(model(mg.randn(3, features)), mg.tensor([0, 1, 1]))


def titles(drawing) -> list[str]:
    return [box.title for box in drawing.shown.boxes.values()]


def test_each_operation_and_leaf_is_drawn_once_with_its_arrows():
    w = mg.tensor([1.5, -2.0], requires_grad=True)
    drawing = draw((w * w + w).sum(), {"w": w})
    assert titles(drawing) == ["w", "Mul 1", "Add 2", "Sum 3"]
    names = {key: box.title for key, box in drawing.shown.boxes.items()}
    arrows = [(names[a], names[b]) for a, b in drawing.shown.arrows]
    assert sorted(arrows) == [
        ("Add 2", "Sum 3"), ("Mul 1", "Add 2"), ("w", "Add 2"), ("w", "Mul 1"), ("w", "Mul 1"),
    ]  # fmt: skip


def test_shapes_small_values_and_gradients_are_shown():
    w = mg.tensor([1.5, -2.0], requires_grad=True)
    big = mg.full((4, 4), 2.0, requires_grad=True)
    loss = (w * w).sum() + (big * big).sum()
    loss.backward(retain_graph=True)
    boxes = {b.title: b.lines for b in draw(loss, {"w": w, "big": big}).shown.boxes.values()}
    assert boxes["w"] == ["(2)", "= [ 1.5, -2. ]", "grad [ 3., -4.]"]
    assert boxes["big"] == ["(4, 4)", "grad of norm 16"]  # 16 times 4, squared and summed
    assert boxes["Add 5"] == ["= 70.25"]


def test_modules_are_frames_around_what_they_compute():
    model, loss = network(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2))
    drawing = draw(loss, model)
    places = {box.title: box.place for box in drawing.shown.boxes.values()}
    assert places["Linear 1"] == places["0.weight"] == places["0.bias"] == "0"
    assert places["Sigmoid 2"] == "1"
    assert places["Linear 3"] == "2"
    assert places["SoftmaxCrossEntropy 4"] == ""


def test_within_detect_anomaly_each_operation_stands_in_its_module():
    model = nn.Sequential(Block(), Block())
    with mg.detect_anomaly():
        loss = model(mg.randn(3, 4)).sum()
    places = {box.title: box.place for box in draw(loss, model).shown.boxes.values()}
    assert [places[name] for name in ("Linear 1", "Tanh 2", "Add 3")] == ["0.fc", "0", "0"]
    assert [places[name] for name in ("Linear 4", "Tanh 5", "Add 6")] == ["1.fc", "1", "1"]
    assert titles(draw(loss, model, fold=1)) == ["0  Block", "1  Block", "Sum 7"]


def test_twenty_layers_are_folded_into_a_few_boxes():
    layers = [m for _ in range(20) for m in (nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sigmoid())]
    model, loss = network(*layers, nn.Linear(4, 2))
    loss.backward(retain_graph=True)
    drawing = draw(loss, model)
    [first, *rest] = drawing.shown.boxes.values()
    assert first.title == "20 times Linear > BatchNorm1d > Sigmoid"
    assert [box.title for box in rest] == ["60  Linear", "SoftmaxCrossEntropy 62"]
    assert first.lines[0] == "0 to 59"
    lengths = [np.linalg.norm(model[i].weight.grad.numpy()) for i in (0, 57)]
    assert f"grad of weight: {lengths[0]:.2g} to {lengths[1]:.2g}" in first.lines
    assert len(drawing.whole.boxes) > 100
    assert len(drawing.shown.arrows) == 2


def test_two_of_a_kind_stay_two():
    model, loss = network(*[nn.Linear(4, 4) for _ in range(2)])
    assert titles(draw(loss, model, fold=1))[:2] == ["0  Linear", "1  Linear"]


def test_nothing_changes():
    model, loss = network(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    state = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    assert str(draw(loss, model)) == str(draw(loss, model))
    assert all(p.grad is None for p in model.parameters())
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), state[name])
    loss.backward()
    with pytest.raises(RuntimeError, match="freed"):
        draw(loss, model)


def test_without_graphviz_it_is_text(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    w = mg.ones(2, requires_grad=True)
    drawing = draw((w * w).sum(), {'<w> "#1"': w})
    assert drawing._repr_svg_() is None
    assert "#lt;w#gt; #quot;#35;1#quot;" in str(drawing)
    assert "graph TD" in drawing._repr_html_()
    drawing.to_html(tmp_path / "graph.html")
    assert "graph TD" in (tmp_path / "graph.html").read_text(encoding="utf-8")
    with pytest.raises(RuntimeError, match="install Graphviz"):
        drawing.to_svg(tmp_path / "graph.svg")


@needs_dot
def test_names_are_text_in_the_picture(tmp_path):
    w = mg.ones(2, requires_grad=True)
    name = '<b>&amp; "q" \\n \\N'
    draw((w * w).sum(), {name: w}).to_svg(tmp_path / "graph.svg")
    texts = [element.text for element in ET.parse(tmp_path / "graph.svg").iter()]
    assert name in [(text or "").replace("\xa0", " ") for text in texts]


@needs_dot
@pytest.mark.browser
def test_a_page_that_needs_nothing_else(tmp_path, page):
    layers = [m for _ in range(20) for m in (nn.Linear(4, 4), nn.Sigmoid())]
    model, loss = network(*layers)
    draw(loss, model).to_html(tmp_path / "graph.html")
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto((tmp_path / "graph.html").as_uri())
    assert page.get_by_text("20 times Linear").is_visible()
    assert not page.get_by_text("Sigmoid 40", exact=True).is_visible()
    page.get_by_text("All operations").click()
    assert page.get_by_text("Sigmoid 40", exact=True).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not page.outside


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda: draw(3.0), TypeError, "got a float, expected a Tensor"),
        (lambda: draw(mg.ones(2)), ValueError, "came from no recorded operation"),
        (lambda: draw(mg.ones((), requires_grad=True) * 2, F), TypeError, "model is a module"),
        (lambda: draw(mg.ones((), requires_grad=True) * 2, fold=-1), ValueError, "fold is -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, kind, says):
    with pytest.raises(kind, match=says):
        make()


def test_a_picture_that_nobody_could_read_is_refused():
    x = mg.ones((), requires_grad=True)
    y = x
    for _ in range(500):
        y = -y
    with pytest.raises(ValueError, match="501 boxes"):
        draw(y, fold=0)
    assert len(draw(y).shown.boxes) < 5

"""The fourth bench: expressions are read, not run; gradients are the engine's."""

import math

import pytest

from minigrad.lab.step_by_step import Walk

VALUES = {"w": 0.8, "x": 1.5, "b": -0.5}


def test_values_and_gradients_are_those_of_the_mathematics():
    walk = Walk("sigmoid(w * x + b) ** 2 + x", VALUES)
    s = 1 / (1 + math.exp(-(0.8 * 1.5 - 0.5)))
    slope = 2 * s * s * (1 - s)
    assert walk.value == pytest.approx(s * s + 1.5)
    assert walk.gradients["w"] == pytest.approx(slope * 1.5)
    assert walk.gradients["x"] == pytest.approx(slope * 0.8 + 1)
    assert walk.gradients["b"] == pytest.approx(slope)


def test_the_graph_shows_each_node_once_and_where_the_walk_is():
    walk = Walk("x * x + tanh(w)", VALUES)
    text = walk.mermaid(0)
    assert text.count('["Mul') == text.count('["Tanh') == text.count('["Add') == 1
    assert text.count("x = 1.5") == text.count("w = 0.8") == 1
    assert "b =" not in text
    assert text.count("-->") == 5  # x twice into Mul; w; Mul and Tanh into Add
    last = [line for line in text.splitlines() if "fill" in line]
    assert len(last) == 1
    assert "fill" not in walk.mermaid(len(walk.explanation))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("__import__('os')", "expected numbers, w, x, b"),
        ("x.data", "got 'x.data'"),
        ("y + 1", "got 'y'"),
        ("x @ w", "expected numbers"),
        ("'a' * x", "got \"'a'\""),
        ("sigmoid(x, w)", "expected numbers"),
        ("(x", "is no expression"),
        ("2 + 3", "holds none of w, x, b"),
        ("x", "computes nothing"),
        ("x" + " + x" * 60, "characters, expected"),
    ],
)
def test_what_is_no_such_expression_is_refused(expression, says):
    with pytest.raises(ValueError, match=says):
        Walk(expression, VALUES)

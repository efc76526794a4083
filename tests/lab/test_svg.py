"""Pictures: where things lie, and that they are well-formed."""

from xml.etree import ElementTree

import pytest

from minigrad.lab import svg

NAME = "{http://www.w3.org/2000/svg}"


def test_numbers_lie_where_the_axes_say():
    plot = svg.Plot("a & b", (2, 4), (-1, 3), "x <", "y")
    assert plot.across(3) == pytest.approx((plot.across(2) + plot.across(4)) / 2)
    assert plot.down(0) > plot.down(2)
    assert plot.down(0) - plot.down(1) == pytest.approx(plot.down(1) - plot.down(2))
    plot.points([3.5], [2.0], svg.BLUE)
    plot.line([2, 4], [0, 1], svg.RED, dashed=True)
    plot.box(2.5, 3.0, 0.0, 1.0, svg.ORANGE)
    root = ElementTree.fromstring(str(plot))
    assert root.find(f"{NAME}title").text == "a & b"
    dot = root.find(f"{NAME}circle")
    assert float(dot.get("cx")) == pytest.approx(plot.across(3.5), abs=0.1)
    assert float(dot.get("cy")) == pytest.approx(plot.down(2.0), abs=0.1)
    box = root.find(f"{NAME}rect")
    assert float(box.get("width")) == pytest.approx(plot.across(3) - plot.across(2.5), abs=0.2)
    assert "x <" in [text.text for text in root.iter(f"{NAME}text")]


def test_a_log_axis_counts_powers_of_ten():
    plot = svg.Plot("t", (0, 1), (1e-8, 1.0), log=True)
    steps = [plot.down(10.0**k) for k in (-8, -4, 0)]
    assert steps[0] - steps[1] == pytest.approx(steps[1] - steps[2])
    assert plot.down(0.0) == plot.down(1e-30) == steps[0]
    labels = [text.text for text in ElementTree.fromstring(str(plot)).iter(f"{NAME}text")]
    assert "10⁻⁴" in labels

"""What a notebook shows of Tensors, modules and observations: tables, escaped, that stay small."""

import html
import re

import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.diagnostics import observe
from minigrad.tables import MOST, escaped, table


def cells(page: str) -> list[list[str]]:
    """The texts in a table, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_text_is_escaped_everywhere() -> None:
    page = table([("<a>", "&")], ("<b>", "c"), "<d>", ["<e>"], "<f>")
    assert cells(page) == [["&lt;b&gt;", "c"], ["&lt;a&gt;", "&amp;"]]
    for letter in "abdef":
        assert f"&lt;{letter}&gt;" in page
    assert "<script" not in page
    assert "http" not in page


def test_escaped_is_what_the_standard_library_makes() -> None:
    text = "<a href='x' title=\"y\">&amp;</a>"
    assert escaped(text) == html.escape(text)


def test_a_long_table_is_cut_and_says_so() -> None:
    page = table([(i,) for i in range(MOST + 7)])
    assert len(cells(page)) == MOST
    assert "and 7 more rows" in page


def test_a_tensor_shows_shape_type_place_and_history() -> None:
    x = mg.randn(2, 3, requires_grad=True)
    assert cells(x._repr_html_()) == [
        ["shape", "2 x 3"], ["dtype", "float32"], ["device", "cpu"], ["gradient", "none yet"],
    ]  # fmt: skip
    y = (x * x).sum()
    assert ["made by", "Sum"] in cells(y._repr_html_())
    assert ["shape", "() - one number"] in cells(y._repr_html_())
    y.backward()
    assert ["gradient", "in .grad"] in cells(x._repr_html_())


def test_a_huge_tensor_stays_small_on_the_page() -> None:
    assert len(mg.zeros(1000, 1000)._repr_html_()) < 2000


def test_a_module_shows_its_parts_and_what_they_hold() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sigmoid())
    page = model.eval()._repr_html_()
    assert "Sequential: 24 parameters, in evaluation mode" in page
    _, linear, norm, sigmoid = cells(page)
    assert linear[0] == "0"
    assert linear[1].startswith("Linear(")
    assert linear[2:] == ["16", "0"]
    assert norm[2:] == ["8", "9"]  # mean, variance, and the count of batches
    assert sigmoid[2:] == ["0", "0"]
    assert cells(nn.Linear(3, 4)._repr_html_())[1][0] == "(itself)"


def test_an_observation_shows_its_table() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid())
    with observe(model) as seen:
        F.mse_loss(model(mg.randn(5, 3)), mg.randn(5, 4)).backward()
    page = seen._repr_html_()
    heading, first, *_ = cells(page)
    assert heading[:2] == ["layer", "kind"]
    assert first[:2] == ["0", "Linear"]
    assert float(first[4]) == pytest.approx(seen.rows[0].output.mean, rel=0.1)
    assert "Observation of 2 layers" in page

"""What the site does beyond Sphinx (docs/_site), each part on a small example."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PARTS = Path(__file__).parents[2] / "docs" / "_site"


def part(name: str) -> ModuleType:
    """A file of docs/_site, without the others."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed (make docs installs it)")
    if name == "mathml":
        pytest.importorskip("latex2mathml", reason="latex2mathml is not installed")
    spec = importlib.util.spec_from_file_location(f"site_{name}", PARTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_chinese_is_cut_into_pairs_and_latin_into_words() -> None:
    cut = part("chinese").pairs("批归一化（BatchNorm1d）的 dx")
    assert cut == ["批归", "归一", "一化", "batchnorm1d", "的", "dx"]


@pytest.mark.parametrize(
    ("text", "before", "after", "joined"),
    [
        ("梯度\n消失", "", "", "梯度消失"),
        ("为什么？\n梯度", "", "", "为什么？梯度"),
        ("用 BN\n层", "", "", "用 BN\n层"),
        ("two\nlines", "", "", "two\nlines"),
        ("\n消失", "度", "", "消失"),
        ("\n", "度", "消", ""),
        ("\n", "度", "a", "\n"),
        ("甲\n乙\n丙", "", "", "甲乙丙"),
    ],
)
def test_lines_join_between_chinese_characters_alone(
    text: str, before: str, after: str, joined: str
) -> None:
    assert part("chinese").join(text, before, after) == joined


def test_a_derivation_keeps_its_lines_and_prose_keeps_its_stars() -> None:
    ready = part("docstrings").ready(
        [
            "Y = A * B_, of **kwargs.",
            "",
            "1. first:  a = b",
            "   second",
            "",
            "Raises:",
            "    X: c*",
        ]
    )
    assert ready[0] == r"Y = A \* B\_, of \*\*kwargs."
    assert ready[2:6] == [".. code-block:: none", "", "   1. first:  a = b", "      second"]
    assert ready[7:9] == ["Raises:", r"    X: c\*"]


def test_an_example_of_a_docstring_stays_one() -> None:
    lines = [">>> a * b", "6"]
    assert part("docstrings").ready(lines)[:2] == lines


def test_a_formula_becomes_mathml_and_one_with_an_unknown_command_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = part("mathml")
    from docutils import nodes

    drawn = module.mathml(nodes.math("", r"\hat{x} = \arg\max \frac{1}{2}"), "inline")
    assert "<mfrac>" in drawn
    assert "\\" not in drawn
    assert not caplog.records
    module.mathml(nodes.math("", r"\nosuchcommand x"), "inline")
    assert "nosuchcommand is not known" in caplog.text


def test_a_page_is_one_program_of_scripts_and_of_what_is_typed() -> None:
    page = (
        "```python\na = 2\n```\n```python\n>>> b = a * 3\n>>> b\n6\n```\n```python no-run\nc\n```\n"
    )
    names: dict[str, int] = {}
    exec(part("figures").program(page), names)
    assert names["b"] == 6


def test_a_function_keeps_its_distance_and_an_index_its_base() -> None:
    module = part("mathml")
    from docutils import nodes

    assert "<mi>log</mi><mspace" in module.mathml(nodes.math("", r"\log p_t"), "inline")
    assert "<mspace" not in module.mathml(nodes.math("", r"\log_2 x + \max(a, b)"), "inline")

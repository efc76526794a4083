"""Every block of Python in the documentation runs, and prints what the page says it prints.

The blocks of a page share their names, from top to bottom. A block with prompts (``>>>``) is a
doctest; any other is run as a script. A fence of ```python no-run is for what cannot run
everywhere; it must still be Python.
"""

import re
from pathlib import Path
from typing import Any

import pytest


def test_the_blocks_of_a_page_run_and_print_what_they_show(
    page: Any, pages: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A translation has the blocks of its original, in the same order; they are run once."""
    monkeypatch.chdir(tmp_path)  # whatever a block writes, it writes there
    original = pages.get(page.name.removeprefix("zh/"))
    if original not in (None, page):
        same = [(block.info, block.text) for block in original.blocks]
        assert [(block.info, block.text) for block in page.blocks] == same
        return
    assert isinstance(page.names, dict)
    pictures = set(re.findall(r"images/lessons/([^)]+)\)", page.text))
    assert pictures <= {path.name for path in tmp_path.iterdir()}, "a lesson draws its pictures"


def test_blocks_that_are_not_run_are_still_python(page: Any) -> None:
    for block in page.blocks:
        if block.is_python and not block.runs:
            compile(block.text, f"{page.path}, line {block.line}", "exec")


def test_every_fence_of_a_page_is_understood(page: Any) -> None:
    """A fence that the pattern misses would be a block that nobody runs."""
    fences = re.findall(r"^ *```", page.text, re.M)
    assert len(fences) == 2 * len(page.blocks)
    languages = {block.info[0] for block in page.blocks if block.info}
    assert languages <= {
        "console",
        "ini",
        "json",
        "math",
        "pycon",
        "python",
        "sh",
        "text",
        "toml",
        "yaml",
    }
    assert "pycon" not in languages, "write ```python: a block with prompts is a doctest"


@pytest.fixture
def run_blocks(request: pytest.FixtureRequest) -> Any:
    """Run the blocks of a text as those of a page."""
    page_class: Any = type(request.getfixturevalue("pages")["README"])

    def run(text: str) -> dict[str, Any]:
        page = page_class.__new__(page_class)
        page.path, page.name, page.text = Path("planted.md"), "planted", text
        names: dict[str, Any] = page.names
        return names

    return run


def test_blocks_share_their_names(run_blocks: Any) -> None:
    names = run_blocks("```python\na = 3\n```\nthen\n```python\n>>> b = a * 7\n>>> b\n21\n```\n")
    assert (names["a"], names["b"]) == (3, 21)


def test_a_wrong_output_is_found(run_blocks: Any) -> None:
    with pytest.raises(AssertionError, match=r"(?s)Expected:\s+22\s+Got:\s+21"):
        run_blocks("```python\n>>> 3 * 7\n22\n```\n")


def test_an_unexpected_error_in_a_doctest_is_found(run_blocks: Any) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_blocks("```python\n>>> 3 / 0\n```\n")


def test_an_error_in_a_script_names_the_line_of_the_page(run_blocks: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks("one\ntwo\n\n```python\na = 1\nb = a / 0\n```\n")
    assert caught.traceback[-1].lineno == 5  # counted from 0


def test_what_is_no_python_is_left_alone(run_blocks: Any) -> None:
    names = run_blocks("```text\na = 1\n```\n```sh\nexit 1\n```\n```python no-run\nb = 1\n```\n")
    assert not {"a", "b"} & set(names)

"""``python -m minigrad.docs``: every page that a message names can be read, from a wheel too."""

import re
import tomllib
from pathlib import Path

import pytest

from minigrad import docs
from minigrad.diagnostics.doctor.kinds import KINDS
from minigrad.docs.__main__ import main

ROOT = Path(__file__).parents[1]


def test_the_pages_are_those_of_the_folder() -> None:
    assert docs.folder() == ROOT / "docs"
    assert {"README", "gpu", "derivations/batchnorm"} <= set(docs.names())
    assert not [name for name in docs.names() if name.startswith("_")]


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("batchnorm", "derivations/batchnorm"),
        ("docs/derivations/batchnorm.md", "derivations/batchnorm"),
        ("derivations/batchnorm", "derivations/batchnorm"),
        ("README", "README"),
        ("mixed", "mixed-precision"),
    ],
)
def test_a_page_is_found_by_any_of_its_names(name: str, page: str) -> None:
    assert docs.find(name) == ROOT / "docs" / f"{page}.md"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("batchnrom", "no page 'batchnrom'; the closest are derivations/batchnorm"),
        ("coursework", "several pages fit 'coursework': coursework-students, coursework-teachers"),
        ("zzz", "no page 'zzz'. Without a name, all are listed"),
    ],
)
def test_a_page_that_is_not_there(
    name: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 2
    assert complaint in capsys.readouterr().err


PAGE = """# One
first
```python
# no heading
```
## Two words, `code`
second
<a id="s-1"></a>**s-1.** step one
more
<a id="s-2"></a>**s-2.** step two
### Below two
third
## Last
fourth
"""


@pytest.mark.parametrize(
    ("anchor", "first", "last"),
    [
        ("one", "# One", "fourth"),
        ("two-words-code", "## Two words, `code`", "third"),
        ("s-1", '<a id="s-1"></a>**s-1.** step one', "more"),
        ("s-2", '<a id="s-2"></a>**s-2.** step two', '<a id="s-2"></a>**s-2.** step two'),
        ("last", "## Last", "fourth"),
    ],
)
def test_a_part_ends_where_the_next_begins(anchor: str, first: str, last: str) -> None:
    lines = docs.section(PAGE, anchor).splitlines()
    assert (lines[0], lines[-1]) == (first, last)


def test_what_is_code_is_no_part() -> None:
    with pytest.raises(ValueError, match="no part #no-heading"):
        docs.section(PAGE, "no-heading")


def test_the_contents_have_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert re.search(r"^derivations/batchnorm +BatchNorm$", capsys.readouterr().out, re.M)


def test_a_page_is_printed_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu", "--plain"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8") + "\n"


def test_what_messages_tell_to_read_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor's pages, one for each kind of finding, and the coursework's lessons."""
    tasks = tomllib.loads((ROOT / "minigrad/coursework/tasks.toml").read_text(encoding="utf-8"))
    lessons = {task["lesson"] for task in tasks["task"]}
    pages = {f"docs/diagnosis.md#{kind}" for kind in KINDS}
    pages |= {page for page in lessons if page.startswith("docs/")}
    pages |= {page for kind in KINDS.values() for page in re.findall(r"docs/\S+\.md", kind.see)}
    assert len(pages) > 20
    for page in sorted(pages):
        assert main([page]) == 0, page
        assert len(capsys.readouterr().out) > 100, page

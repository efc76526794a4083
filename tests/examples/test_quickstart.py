"""The code in the README is examples/quickstart.py, and prints what the README shows."""

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_code_prints_what_the_readme_shows() -> None:
    quickstart, observing = blocks("python")[:2]
    names = {"__name__": "__main__"}
    first, second = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(first):
        exec(compile(quickstart, "README.md", "exec"), names)
    assert [first.getvalue()] == blocks("text")
    with contextlib.redirect_stdout(second):
        exec(compile(observing, "README.md", "exec"), names)
    kinds = [line.split()[1] for line in second.getvalue().splitlines()[1:]]
    assert kinds == ["Linear", "BatchNorm1d", "Sigmoid", "Linear"]


def test_the_code_is_the_example() -> None:
    script = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    assert script.split('"""\n\n', 1)[1] == blocks("python")[0]


def test_the_pictures_and_pages_that_it_shows_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


# ----------------------------------------------------------------------- the README in Chinese

CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def test_the_chinese_readme_has_the_same_code_numbers_and_links() -> None:
    fences = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert fences.findall(CHINESE) == fences.findall(README)
    prose, chinese = fences.sub("", README), fences.sub("", CHINESE)
    # Numbers that a reader compares; the words of the one are not the words of the other.
    number = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])|1e-14|(?<!\w)600(?!\w)")
    assert sorted(number.findall(chinese)) == sorted(number.findall(prose))
    link = re.compile(r"\]\(([^)]+)\)")
    # A lesson is linked to in the language of the reader.
    theirs = {t.replace("docs/zh/", "docs/") for t in link.findall(prose)} - {"README.zh-CN.md"}
    ours = {t.replace("docs/zh/", "docs/") for t in link.findall(chinese)} - {"README.md"}
    assert ours == theirs
    assert "docs/zh/lessons/README.md" in link.findall(chinese)
    assert "README.zh-CN.md" in link.findall(prose)
    assert "README.md" in link.findall(chinese)

"""The lessons are there in both languages, each with the parts that a lesson has.

That their code runs, and is the same in both languages, is a matter of ``test_code_blocks``.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "docs" / "lessons").glob("[0-9]*.md"))
FOLDERS = ("lessons", "zh/lessons")


@pytest.fixture(params=[f"{folder}/{name}" for name in NAMES for folder in FOLDERS])
def lesson(request: pytest.FixtureRequest, pages: dict[str, Any]) -> Any:
    return pages[request.param]


def number(lesson: Any) -> int:
    return int(Path(lesson.name).name.partition("-")[0])


def test_there_are_ten_without_a_gap() -> None:
    assert [int(name.partition("-")[0]) for name in NAMES] == list(range(1, 11))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_contents_name_each_under_its_title(folder: str, pages: dict[str, Any]) -> None:
    entries = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\.md\)$", pages[f"{folder}/README"].text, re.M)
    titles = [pages[f"{folder}/{name}"].text.partition("\n")[0] for _, _, name in entries]
    assert titles == [f"# {n}. {title}" for n, title, _ in entries]
    assert [name for _, _, name in entries] == NAMES


def test_it_has_the_parts_of_a_lesson(lesson: Any) -> None:
    chinese = lesson.name.startswith("zh/")
    for heading in ("先预测", "一张图看懂", "推导", "练习") if chinese else (
        "Predict", "The idea in one picture", "The derivation", "Exercises",
    ):  # fmt: skip
        assert re.search(rf"^## {heading}", lesson.text, re.M), heading
    assert f"images/lessons/{Path(lesson.name).name}.png)" in lesson.text
    assert any(re.search(r"^>>> ", block.text, re.M) for block in lesson.blocks)


def test_it_has_two_exercises_one_of_the_coursework(lesson: Any) -> None:
    exercises = re.findall(rf"^\*\*{number(lesson)}\.(\d)\*\*", lesson.text, re.M)
    assert exercises == ["1", "2"]
    tasks = tomllib.loads((ROOT / "minigrad" / "coursework" / "tasks.toml").read_text("utf-8"))
    numbers = {str(task["number"]) for task in tasks["task"]}
    named = re.findall(r"coursework check hw --task (\d+)", lesson.text)
    assert named
    assert set(named) <= numbers


def test_it_leads_to_the_next_and_to_the_other_language(lesson: Any) -> None:
    name = Path(lesson.name).name
    there = "../../lessons" if lesson.name.startswith("zh/") else "../zh/lessons"
    assert f"]({there}/{name}.md)" in lesson.text
    for neighbour in (number(lesson) - 1, number(lesson) + 1):
        if 1 <= neighbour <= len(NAMES):
            assert f"]({NAMES[neighbour - 1]}.md)" in lesson.text


def unshown(text: str) -> list[str]:
    """Bold text that Markdown leaves with its stars: punctuation inside, a letter outside.

    Chinese is written without spaces, so a full stop before the closing stars does this.
    """
    parts = re.sub(r"`[^`]*`", "`", text).split("**")
    outside, bold = parts[::2], parts[1::2]
    return [
        inside
        for before, inside, after in zip(outside, bold, outside[1:], strict=False)
        if (re.search(r"[^\w\s]$", inside) and re.match(r"\w", after))
        or (re.match(r"[^\w\s]", inside) and re.search(r"\w$", before))
    ]


def test_bold_text_is_bold(lesson: Any) -> None:
    assert len(lesson.prose.split("**")) % 2 == 1, "stars without their twins"
    assert unshown(lesson.prose) == []


def test_stars_that_stay_are_found() -> None:
    assert unshown("它不是**原因。**这里") == ["原因。"]
    assert unshown("它不是**原因**。这里 **b.** c, (**d**)") == []

"""What coursework tells a student to read is there, and no page solves a task for him."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEP = re.compile(r"\b(?:sig|lin|ce|bn|conv)-\d+\b")


def test_steps_that_are_named_are_anchors_of_the_pages() -> None:
    pages = [p.read_text(encoding="utf-8") for p in (ROOT / "docs/derivations").glob("*.md")]
    anchors = {name for page in pages for name in re.findall(r'<a id="([a-z]+-\d+)">', page)}
    sources = (ROOT / "minigrad/coursework/questions").glob("*.py")
    named = {step for path in sources for step in STEP.findall(path.read_text(encoding="utf-8"))}
    assert {"sig-4", "lin-5", "lin-6", "ce-5", "conv-10"} <= named
    assert named <= anchors


def test_the_page_on_operations_does_not_show_the_operation_of_the_task() -> None:
    template = ROOT / "minigrad/coursework/templates/operation.py.txt"
    task = re.findall(r"^class (\w+)\(", template.read_text(encoding="utf-8"), re.M)
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert task
    assert not [name for name in task if name in page]

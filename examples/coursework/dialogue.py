"""A student derives BatchNorm's backward pass, gets it wrong four times, and is told what is wrong.

    python examples/coursework/dialogue.py

The attempts are ``attempt_1.py`` to ``attempt_5.py``. Each is judged as ``check`` judges it, and
what it answers is printed. Shown are a mistake that is recognised by name, two at the same time,
and one that has no name but is found by its terms.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from minigrad.coursework.judge import Verdict, judge_folder
from minigrad.coursework.tasks import load_tasks

HERE = Path(__file__).parent


def judged(attempt: Path) -> Verdict:
    """The verdict on the collapsed function of task 6."""
    course = load_tasks()
    points = {"batch_norm_backward": course.by_number(6).points["batch_norm_backward"]}
    task = replace(course.by_number(6), points=points)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(attempt, Path(folder) / task.file)
        (verdict,) = judge_folder(Path(folder), course, [task])
    return verdict


def main() -> None:
    """Print the whole dialogue."""
    for attempt in sorted(HERE.glob("attempt_*.py")):
        print(attempt.read_text(encoding="utf-8").splitlines()[0].strip('"'))
        verdict = judged(attempt)
        for line in verdict.lines():
            print(f"  - {line}")
        if verdict.passed:
            print(f"  passed, {verdict.earned:g} points")
        print()


if __name__ == "__main__":
    main()

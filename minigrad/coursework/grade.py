"""Grade a folder of submissions: each student in processes of their own, one after the other."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .form import Finding
from .judge import Outcome, Verdict, judge_folder
from .questions import QUESTIONS
from .tasks import Course, Task

FENCES = {
    "files": "files: a program can read the grader's answers and other submissions, and write",
    "memory": "memory: a program can use all that there is",
    "processes": "processes: a program can start others, send signals and use the network",
}
"""What it means where a fence does not stand."""


def find_submissions(folder: Path, course: Course) -> dict[str, Path]:
    """Student -> folder of files. ``folder`` may also be one submission.

    Raises:
        FileNotFoundError: there is none.
    """
    files = {task.file for task in course.tasks}

    def holds(place: Path) -> bool:
        return any((place / name).is_file() for name in files)

    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if holds(folder):
        return {folder.resolve().name: folder}
    found = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()):
        inner = [place, *sorted(p for p in place.iterdir() if p.is_dir() and not p.is_symlink())]
        # A student without a single file is graded all the same: with zero points, not left out.
        found[place.name] = next((p for p in inner if holds(p)), place)
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no submissions: expected a folder for each student, with files such "
            f"as {min(files)} in it"
        )
    return found


def grade(
    submissions: dict[str, Path],
    course: Course,
    tasks: Sequence[Task],
    seed: int,
    seen: Callable[[str, Verdict], None] = lambda student, verdict: None,
) -> dict[str, list[Verdict]]:
    """The verdicts of every student. What goes wrong with one costs no other."""
    graded: dict[str, list[Verdict]] = {}
    for student, folder in submissions.items():
        graded[student] = []

        def note(verdict: Verdict, student: str = student) -> None:
            graded[student].append(verdict)
            seen(student, verdict)

        try:
            judge_folder(folder, course, tasks, seed, isolate=True, seen=note)
        except OSError as error:  # a submission that cannot be read; not the others' fault
            for task in tasks[len(graded[student]) :]:
                note(unjudged(task, f"could not be judged: {error}"))
    return graded


def unjudged(task: Task, why: str) -> Verdict:
    """No points, and the reason."""
    finding = Finding("form", (), why)
    return Verdict(task, [Outcome(QUESTIONS[n], p, [finding]) for n, p in task.points.items()])


def missing_fences(graded: dict[str, list[Verdict]]) -> list[str]:
    """What the system did not offer, in words; empty if every fence stood."""
    stood = [set(v.fences) for verdicts in graded.values() for v in verdicts if v.fences]
    if not stood:
        return []
    return [text for fence, text in FENCES.items() if not all(fence in s for s in stood)]


def hidden_seed() -> int:
    """A seed that nobody can know beforehand."""
    return time.time_ns() % 10**9

"""Grade a folder of submissions: each student in processes of their own, several at a time."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .files import code_in, files_in, folders_in
from .form import Finding
from .judge import Judge, Outcome, Verdict
from .questions import QUESTIONS
from .tasks import Course, Task

FENCES = {
    "files": "files: a program can read the grader's answers and other submissions, and write",
    "memory": "memory: a program can use all that there is",
    "processes": "processes: a program can start others, send signals and use the network",
}
"""What it means where a fence does not stand."""


def find_submissions(folder: Path, course: Course, one: bool = False) -> dict[str, Path]:
    """Student -> folder with the files.

    ``folder`` holds a folder for each student, or it is one submission itself. With ``one``, it is
    one submission in any case; its files may lie one folder further down. A submission without a
    single file of the course is graded all the same: with zero points, and a text that says why.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
        ValueError: with ``one``, the files lie in several folders.
    """
    files = {task.file for task in course.tasks}

    def holds(place: Path) -> bool:
        return bool(files & files_in(place))

    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    places = folders_in(folder)
    if holds(folder):
        return {folder.resolve().name: folder}
    if one:
        places = [p for p in places if holds(p)]
        if len(places) > 1:
            raise ValueError(
                f"files of the course lie in several folders: {', '.join(p.name for p in places)}; "
                f"expected the folder of one student"
            )
        return {folder.resolve().name: next(iter(places), folder)}
    if any(code_in(folder, depth=0)) or (not places and files_in(folder)):
        return {folder.resolve().name: folder}
    if not places:
        raise FileNotFoundError(
            f"{folder} holds no submissions: expected a folder for each student, with files such "
            f"as {min(files)} in it"
        )

    def place_of_files(place: Path) -> Path:
        try:
            return next(filter(holds, [place, *folders_in(place)]), place)
        except OSError:  # it cannot be read: the student's verdicts will say so
            return place

    return {p.name: place_of_files(p) for p in places}


def grade(
    submissions: dict[str, Path],
    course: Course,
    tasks: Sequence[Task],
    seed: int,
    seen: Callable[[str, Verdict], None] = lambda student, verdict: None,
    jobs: int = 1,
) -> dict[str, list[Verdict]]:
    """The verdicts of every student, in the order of ``submissions``.

    What goes wrong with one student costs no other. ``jobs`` students are judged at the same time,
    each in processes of their own. ``seen`` is called in several threads.
    """
    graded: dict[str, list[Verdict]] = {student: [] for student in submissions}
    judges = {s: Judge(folder, course, seed, isolate=True) for s, folder in submissions.items()}

    def grade_one(student: str) -> None:
        def note(verdict: Verdict) -> None:
            graded[student].append(verdict)
            seen(student, verdict)

        with judges[student] as judge:
            try:
                for task in tasks:
                    note(judge.judge(task))
            except OSError as error:  # a submission that cannot be read; not the others' fault
                for task in tasks[len(graded[student]) :]:
                    note(unjudged(task, f"could not be judged: {error}"))

    # Threads are enough: most of the time is spent in the students' processes.
    pool = ThreadPoolExecutor(jobs)
    try:
        for waiting in [pool.submit(grade_one, student) for student in submissions]:
            waiting.result()
    except BaseException:  # Ctrl-C, most of all: let no student's process run on
        pool.shutdown(wait=False, cancel_futures=True)
        for judge in judges.values():
            judge.stop()
        raise
    finally:
        pool.shutdown()
    return graded


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

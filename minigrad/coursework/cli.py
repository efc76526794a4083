"""The commands ``new``, ``check`` and ``grade``."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..terminal import replace_missing_letters
from . import grade as grading
from . import report
from .handout import write_folder
from .judge import Verdict, judge_folder
from .tasks import Course, Task, load_tasks


def console(to: Any = None) -> Any:
    """rich's console, or None where rich is not installed: then the output is plain text."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=to or sys.stdout, soft_wrap=False)


def chosen(course: Course, numbers: Sequence[int] | None, file: str | None) -> list[Task]:
    """The tasks to judge: those of ``numbers`` or ``file``, and the tasks that they need.

    Raises:
        ValueError: there is no such task.
    """
    if numbers:
        tasks = [course.by_number(n) for n in numbers]
    elif file:
        tasks = [t for t in course.tasks if t.file == file]
        if not tasks:
            known = ", ".join(t.file for t in course.tasks)
            raise ValueError(f"no task is written in {file}; the files are {known}")
    else:
        tasks = list(course.tasks)
    return course.with_needs(tasks)


def new(options: argparse.Namespace, course: Course) -> int:
    """Write the folder of a student."""
    written = write_folder(options.folder, course)
    print(f"{options.folder}: {', '.join(written)}")
    print(
        f"Read {options.folder / 'README.md'}, then: "
        f"python -m minigrad.coursework check {options.folder}"
    )
    return 0


def check(options: argparse.Namespace, course: Course) -> int:
    """Judge a student's own folder, once or (``--watch``) after every change."""
    path: Path = options.path
    folder, file = (path.parent, path.name) if path.suffix == ".py" else (path, None)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; python -m minigrad.coursework new {folder}")
    tasks = chosen(course, options.task, file)
    if not options.watch:
        return check_once(folder, course, tasks, options.seed)
    try:
        while True:
            before = snapshot(folder)
            check_once(folder, course, tasks, options.seed)
            print("\nWaiting for a change; Ctrl-C ends.")
            while snapshot(folder) == before:
                time.sleep(0.3)
    except KeyboardInterrupt:
        return 0


def snapshot(folder: Path) -> dict[str, int]:
    """When each file of the folder was last written."""
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.py") if p.is_file()}


def check_once(folder: Path, course: Course, tasks: Sequence[Task], seed: int) -> int:
    """One round of ``check``: 0 if all pass, else 1."""
    screen = console()
    if screen is not None and screen.is_terminal:
        with screen.status("") as status:
            names = iter([*(t.title for t in tasks), ""])
            status.update(next(names))
            verdicts = judge_folder(
                folder, course, tasks, seed, seen=lambda verdict: status.update(next(names))
            )
    else:
        verdicts = judge_folder(folder, course, tasks, seed)
    report.show(verdicts, screen)
    show_printed(verdicts)
    text = report.finale_text(verdicts)
    if text:
        print(text)
        if report.finale_figure(verdicts, folder / "finale.png"):
            print(f"The picture of it is in {folder / 'finale.png'}")
    return 0 if all(v.passed for v in verdicts) else 1


def show_printed(verdicts: Sequence[Verdict]) -> None:
    """What the student's files printed: a print is the first tool of debugging."""
    texts = dict.fromkeys(v.printed for v in verdicts if v.printed.strip())
    longest = [t for t in texts if not any(t != o and o.startswith(t) for o in texts)]
    for text in longest:
        lines = report.clean(text).splitlines()
        print("\nYour files printed:", *lines[:40], sep="\n  ")
        if len(lines) > 40:
            print(f"  ... and {len(lines) - 40} more lines")


def grade(options: argparse.Namespace, course: Course) -> int:
    """Grade submissions and write the result files that the options name."""
    tasks = chosen(course, options.task, None)
    if options.jobs < 1:
        raise ValueError(f"--jobs is {options.jobs}; expected 1 or more submissions at a time")
    try:
        submissions = grading.find_submissions(
            options.submissions, course, one=options.gradescope is not None
        )
    except ValueError as error:
        # Gradescope shows a student nothing but this file.
        unjudged = [grading.unjudged(task, str(error)) for task in tasks]
        report.write(options.gradescope, report.as_gradescope(unjudged))
        raise
    seed = grading.hidden_seed() if options.hidden_seed is None else options.hidden_seed
    graded = with_progress(submissions, course, tasks, seed, options.jobs)
    if options.out:
        report.write(options.out, report.as_csv(graded))
    if options.gradescope:
        (verdicts,) = graded.values()
        report.write(options.gradescope, report.as_gradescope(verdicts))
    if options.junit:
        report.write(options.junit, report.as_junit(graded))
    for student, verdicts in graded.items():
        print(f"{report.clean(student):<30} {report.total(verdicts):>9}")
    print(f"seed {seed} (the same probes again: --hidden-seed {seed})")
    for text in grading.missing_fences(graded):
        print(
            f"not fenced off on this system: {text}; see docs/coursework-teachers.md",
            file=sys.stderr,
        )
    return 0


def with_progress(
    submissions: dict[str, Path], course: Course, tasks: Sequence[Task], seed: int, jobs: int
) -> dict[str, list[Verdict]]:
    """Grade with a progress bar on the terminal, if there is one."""
    screen = console(sys.stderr)
    if screen is None or not screen.is_terminal:
        return grading.grade(submissions, course, tasks, seed, jobs=jobs)
    from rich.progress import Progress

    with Progress(console=screen, transient=True) as progress:
        bar = progress.add_task("", total=len(submissions) * len(tasks))

        def seen(student: str, verdict: Verdict) -> None:
            progress.update(bar, advance=1, description=report.clean(student))

        return grading.grade(submissions, course, tasks, seed, seen, jobs)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m minigrad.coursework",
        description="Judges backward passes that students wrote, and says which term is wrong.",
    )
    commands = top.add_subparsers(required=True, metavar="new | check | grade")

    one = commands.add_parser("new", help="write a folder with the tasks")
    one.set_defaults(run=new)
    one.add_argument("folder", type=Path)

    two = commands.add_parser("check", help="judge a folder, or one of its files")
    two.set_defaults(run=check)
    two.add_argument("path", type=Path, nargs="?", default=Path(), help="the folder, or one file")
    two.add_argument("--watch", action="store_true", help="judge again after every change")
    two.add_argument("--seed", type=int, default=0, help="of the random inputs (default 0)")

    three = commands.add_parser("grade", help="judge a folder of submissions")
    three.set_defaults(run=grade)
    three.add_argument("submissions", type=Path, help="a folder per student, or one submission")
    three.add_argument("--out", type=Path, help="grades as CSV, one row per student and task")
    three.add_argument("--gradescope", type=Path, help="results.json, of one submission")
    three.add_argument("--junit", type=Path, help="results as JUnit's XML")
    three.add_argument(
        "--hidden-seed", type=int, help="of the random inputs (default: another one every time)"
    )
    three.add_argument(
        "--jobs",
        type=int,
        default=grading.cores(),
        metavar="N",
        help="how many submissions are judged at the same time (default: one per core)",
    )
    for command in (two, three):
        command.add_argument(
            "--task", type=int, action="append", metavar="N", help="only this task (repeatable)"
        )
    for command in (one, two, three):
        command.add_argument("--tasks", type=Path, help="another tasks.toml")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    replace_missing_letters()
    options = parser().parse_args(arguments)
    try:
        result: int = options.run(options, load_tasks(options.tasks))
    except (ValueError, OSError) as error:
        print(f"coursework: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return result

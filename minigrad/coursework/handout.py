"""Writes the folder that a student works in."""

from importlib.resources import files
from pathlib import Path

from .tasks import Course

COMMON = ("README.md", "test_coursework.py", "pytest.ini")


def template(name: str) -> str:
    """The text of a file that is handed out; packaged with ``.txt``, so that nobody imports it."""
    return (files(__package__) / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def write_folder(folder: Path, course: Course) -> list[str]:
    """Write the files that are not there yet, and return their names.

    Raises:
        FileExistsError: every file is there already, so that nothing could be written; or
            ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder or a new name")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in (*COMMON, *dict.fromkeys(task.file for task in course.tasks)):
        path = folder / name
        if not path.exists():
            path.write_text(filled(template(name), course), encoding="utf-8")
            written.append(name)
    if not written:
        raise FileExistsError(f"{folder} holds all of the files already; nothing was changed")
    return written


def filled(text: str, course: Course) -> str:
    """``text`` with the course's own tasks and markers."""
    rows = "\n".join(
        f"| {t.number} | {t.title} | `{t.file}` | {t.total:g} | {t.lesson} |" for t in course.tasks
    )
    markers = "\n".join(f"    task{t.number}: {t.title}" for t in course.tasks)
    return text.replace("{tasks}", rows).replace("{markers}", markers)

"""Where the files of a submission are, and what to say about a file that is missing."""

import os
from collections.abc import Iterator
from pathlib import Path

from .handout import COMMON

DEPTH = 3  # folders below the submission that are searched
SHOWN = 5  # file names in one message


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in ``folder``, without links and without those that programs make."""
    return sorted(
        p
        for p in folder.iterdir()
        if p.is_dir() and not p.is_symlink() and not p.name.startswith((".", "__"))
    )


def files_in(folder: Path) -> set[str]:
    """The names of the files directly in ``folder``, with the capital letters that they have."""
    return {entry.name for entry in os.scandir(folder) if entry.is_file()}


def code_in(folder: Path, depth: int = DEPTH) -> Iterator[str]:
    """The Python files and notebooks in ``folder`` and in its folders, as relative paths."""
    for name in sorted(files_in(folder)):
        if ".py" in name.lower() or name.lower().endswith(".ipynb"):
            yield name
    if depth:
        for inner in folders_in(folder):
            yield from (f"{inner.name}/{name}" for name in code_in(inner, depth - 1))


def name_of(path: str) -> str:
    """The last part of a relative path."""
    return path.rpartition("/")[2]


def missing(folder: Path, file: str, expected: set[str]) -> str:
    """That ``file`` is missing, and which file may be meant for it.

    ``expected``: the names of all files of the course. Files that have their right names are not
    listed.
    """
    known = expected | set(COMMON)
    others = [path for path in code_in(folder) if path not in known]
    stem = file.removesuffix(".py")
    same = [path for path in others if name_of(path).lower() == file.lower()]
    rest = [path for path in others if name_of(path) not in known]
    listed = same or [path for path in rest if stem in name_of(path).lower()] or rest
    if not listed:
        return f"{file} is missing"
    text = f"{file} is missing; found {', '.join(listed[:SHOWN])}"
    if len(listed) > SHOWN:
        text += f" and {len(listed) - SHOWN} more"
    text += f". Hand in a file with the name {file}, outside of any folder"
    if all(path.lower().endswith(".ipynb") for path in listed):
        text += ". A notebook cannot be judged: copy its code into that file"
    return text

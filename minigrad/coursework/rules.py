"""What a student's file may not contain: found by reading it, before it runs.

This is the first fence, and the one that explains itself: a file that imports minigrad where a
derivative is to be derived is refused with its line. It is no protection against somebody who
tries; that is what the process is fenced in for (``child/confine.py``).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from .sandbox import MAX_FILE

REFUSED_NAMES = {
    "__import__", "eval", "exec", "compile", "open", "input", "breakpoint", "globals", "vars",
    "__builtins__", "__loader__", "__spec__",
}  # fmt: skip
REFUSED_ATTRIBUTES = {
    "__globals__", "__subclasses__", "__builtins__", "__loader__", "f_back", "f_globals",
    "ctypeslib", "f2py", "memmap", "fromfile", "tofile", "loadtxt", "genfromtxt", "savetxt",
}  # fmt: skip


def complaint(folder: Path, file: str, allowed: tuple[str, ...]) -> str | None:
    """What is refused in ``file`` or in another file of the student that it imports."""
    waiting, seen = [file], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = folder / name
        if path.is_symlink():
            return f"{name} is a link; hand in the file itself"
        if path.stat().st_size > MAX_FILE:
            return f"{name} is larger than {MAX_FILE >> 20} MB"
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # running it will say so, with the line
        for module, line in imported(tree):
            top = module.partition(".")[0]
            if (folder / f"{top}.py").is_file():
                if f"{top}.py" not in seen:
                    waiting.append(f"{top}.py")
            elif top not in allowed:
                return f"{name}, line {line} imports {module}; allowed are {', '.join(allowed)}"
            elif module.startswith("minigrad.coursework"):
                return f"{name}, line {line} imports {module}, the grader itself"
        for refused, line in used(tree):
            return f"{name}, line {line} uses {refused}, which no task needs"
    return None


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The modules that a file imports, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if base == "minigrad":
                yield from ((f"minigrad.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield base.lstrip("."), node.lineno


def used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The refused names and attributes that a file uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in REFUSED_NAMES:
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in REFUSED_ATTRIBUTES:
            yield f".{node.attr}", node.lineno

"""Which tasks there are: read from ``tasks.toml``, or from a teacher's own version of it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .questions import QUESTIONS
from .sandbox import Limits

BUILT_IN = Path(__file__).with_name("tasks.toml")


@dataclass(frozen=True)
class Task:
    """One file that a student writes."""

    number: int
    title: str
    file: str
    points: dict[str, float]
    """Points by question; see ``questions``."""
    lesson: str
    needs: tuple[int, ...] = ()
    engine: bool = False
    """Whether the student's file uses minigrad."""
    finale: bool = False
    """Whether it takes seconds to judge."""

    @property
    def total(self) -> float:
        return sum(self.points.values())


@dataclass(frozen=True)
class Course:
    """All tasks, and what student's processes may do."""

    tasks: tuple[Task, ...]
    limits: Limits
    imports: dict[str, tuple[str, ...]]

    def allowed_imports(self, task: Task) -> tuple[str, ...]:
        """The modules that a file of ``task`` may import, beside other files of the student."""
        engine = self.imports.get("engine", ()) if task.engine else ()
        return (*self.imports.get("arrays", ("numpy",)), *engine)

    def by_number(self, number: int) -> Task:
        """Raises ValueError, with the numbers there are."""
        for task in self.tasks:
            if task.number == number:
                return task
        known = ", ".join(str(t.number) for t in self.tasks)
        raise ValueError(f"there is no task {number}; there are {known}")

    def with_needs(self, chosen: list[Task]) -> list[Task]:
        """``chosen`` and the tasks that they need, in the order of the course."""
        numbers = {t.number for t in chosen}
        waiting = list(chosen)
        while waiting:
            for number in waiting.pop().needs:
                if number not in numbers and any(t.number == number for t in self.tasks):
                    numbers.add(number)
                    waiting.append(self.by_number(number))
        return [t for t in self.tasks if t.number in numbers]


def load_tasks(path: Path | None = None) -> Course:
    """Read a tasks file.

    Raises:
        ValueError: it is no TOML, something is missing in it, or it asks for what does not exist.
    """
    path = path or BUILT_IN
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        tasks = tuple(read_task(entry) for entry in content["task"])
        limits = Limits(**content.get("limits", {}))
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing in a task") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    numbers = [t.number for t in tasks]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{path}: two tasks have the same number")
    imports = {kind: tuple(names) for kind, names in content.get("imports", {}).items()}
    return Course(tasks, limits, imports)


def read_task(entry: dict[str, Any]) -> Task:
    """One [[task]]."""
    unknown = set(entry["points"]) - set(QUESTIONS)
    if unknown:
        raise ValueError(
            f"task {entry['number']} asks for {', '.join(sorted(unknown))}; there are "
            f"{', '.join(QUESTIONS)}"
        )
    if not all(isinstance(p, int | float) and p >= 0 for p in entry["points"].values()):
        raise ValueError(f"task {entry['number']}: points are numbers, and not negative")
    needs = tuple(entry.get("needs", ()))
    return Task(**{**entry, "needs": needs})

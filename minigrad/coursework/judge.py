"""From a folder of a student's files to verdicts: one per task, with points and findings."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .child.wire import Reply
from .diagnose import diagnose
from .files import files_in, missing
from .form import Finding
from .prepared import Prepared
from .questions import QUESTIONS, finale
from .questions.base import Question
from .rules import complaint
from .sandbox import Child, kill
from .tasks import Course, Task


@dataclass
class Outcome:
    """The result of one function of a task."""

    question: Question
    points: float
    findings: list[Finding]
    note: str = ""
    measured: Any = None
    """Of a training run: the numbers for table and figure."""

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def earned(self) -> float:
        """All points or none. For a derivation in steps: the share of right steps."""
        if self.passed:
            return self.points
        if not self.question.steps:
            return 0.0
        wrong = {name for f in self.findings for name in f.results}
        names = self.question.results
        return round(self.points * (1 - len(wrong.intersection(names)) / len(names)), 2)


@dataclass
class Verdict:
    """The result of one task."""

    task: Task
    outcomes: list[Outcome]
    printed: str = ""
    fences: list[str] = field(default_factory=list)
    """Which fences stood around the process; empty if none was started."""

    @property
    def passed(self) -> bool:
        return all(o.passed for o in self.outcomes)

    @property
    def earned(self) -> float:
        return sum(o.earned for o in self.outcomes)

    @property
    def missing(self) -> bool:
        """The file is not there, or no function in it has been written yet."""
        return all(
            o.findings and all(f.stage == "missing" for f in o.findings) for o in self.outcomes
        )

    @property
    def gap(self) -> str:
        """What is missing, in words."""
        findings = [f for o in self.outcomes for f in o.findings]
        return next((f.text for f in findings if not f.results), "not implemented yet")

    @property
    def keys(self) -> list[str]:
        """The names of the mistakes that were recognised."""
        return list(dict.fromkeys(k for o in self.outcomes for f in o.findings for k in f.keys))

    def lines(self) -> list[str]:
        """The diagnosis, one line per finding."""
        if self.missing:
            return [f'Task {self.task.number}, "{self.task.title}": {self.gap}.']
        found = []
        for outcome in self.outcomes:
            for f in outcome.findings:
                start = outcome.question.name
                if f.results and set(f.results) < set(outcome.question.results):
                    start += f", {', '.join(f.results)}"
                see = f" [{f.see}]" if f.see else ""
                text = f.text if f.text.endswith((".", ")", "?")) else f"{f.text}."
                found.append(f"{start}: {text}{see}")
            if outcome.note and any(f.stage != "named" for f in outcome.findings):
                found.append(f"{outcome.question.name}, gradcheck says: {outcome.note}")
        return found


DIAGNOSING = threading.Lock()
"""Questions remember what their mistakes give; so one thread at a time diagnoses."""


class Stopped(Exception):
    """Judging was stopped from another thread."""


@cache
def prepared(name: str, seed: int) -> Prepared:
    """The probes and answers of a question, made once and used for every student."""
    return Prepared(QUESTIONS[name], seed)


class Judge:
    """Judges tasks of one folder; processes are started as they are needed.

    ``isolate``: a process for each task. Otherwise tasks share one as long as it lives.
    """

    def __init__(self, folder: Path, course: Course, seed: int, isolate: bool = False) -> None:
        self.folder, self.course, self.seed, self.isolate = folder, course, seed, isolate
        self.children: dict[bool, Child] = {}
        self.stopped = False

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for child in self.children.values():
            child.close()
        self.children.clear()

    def stop(self) -> None:
        """End the judging, from another thread: ``judge`` raises ``Stopped``."""
        self.stopped = True
        for child in list(self.children.values()):
            kill(child.process)

    def judge(self, task: Task) -> Verdict:
        """The verdict on one task.

        Raises:
            Stopped: ``stop`` was called.
        """
        refused = self.refused(task)
        if refused is not None:
            return Verdict(
                task, [Outcome(QUESTIONS[n], p, [refused]) for n, p in task.points.items()]
            )
        if self.isolate:
            self.close()
        outcomes = [self.ask(task, name, points) for name, points in task.points.items()]
        child = self.child(task.engine)
        verdict = Verdict(task, outcomes, child.printed.decode("utf-8", "replace"), child.fences)
        if self.isolate:
            self.close()
        return verdict

    def refused(self, task: Task) -> Finding | None:
        """Why the file is not run, or None."""
        if task.file not in files_in(self.folder):
            files = {t.file for t in self.course.tasks}
            return Finding("missing", (), missing(self.folder, task.file, files))
        found = complaint(self.folder, task.file, self.course.allowed_imports(task))
        return None if found is None else Finding("form", (), found)

    def child(self, engine: bool) -> Child:
        """The process; a new one if it has ended."""
        known = self.children.get(engine)
        if known is None or known.dead is not None:
            if known is not None:
                known.close()
            if self.stopped:
                raise Stopped
            self.children[engine] = Child(self.folder, self.course.limits, engine)
        return self.children[engine]

    def ask(self, task: Task, name: str, points: float) -> Outcome:
        """One question of a task."""
        question = QUESTIONS[name]
        with DIAGNOSING:
            ready = prepared(name, self.seed)
        targets = [
            (file or task.file, function)
            for file, _, function in (
                t.rpartition(":") for t in (question.target or question.name).split()
            )
        ]
        once = question.driver == "train"
        replies: list[Reply] = []
        child = self.child(task.engine)
        for inputs in ready.probes if once else ready.calls:
            replies.append(child.call(targets, question.driver, inputs, question.seconds))
            if child.dead is not None or unfinished(replies[-1]):
                break
        replies += [Reply(failure=replies[-1].failure)] * (len(ready.calls) - len(replies) - once)
        if self.stopped:
            raise Stopped
        with DIAGNOSING:
            findings = diagnose(ready, replies)
        outcome = Outcome(question, points, findings, replies[0].note)
        if once and isinstance(replies[0].value, dict):
            measured = finale.measured(ready.probes[0], replies[0].value.get("training"))
            outcome.measured = measured if isinstance(measured, dict) else None
        return outcome


def unfinished(reply: Reply) -> bool:
    """Whether the function is not written yet, so that other inputs are of no use."""
    return reply.failure is not None and reply.failure.kind == "NotImplementedError"


def judge_folder(
    folder: Path,
    course: Course,
    tasks: Sequence[Task],
    seed: int = 0,
    seen: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """The verdicts on ``tasks``, in their order; ``seen`` is called with each as it is found."""
    verdicts = []
    with Judge(folder, course, seed) as judge:
        for task in tasks:
            verdicts.append(judge.judge(task))
            seen(verdicts[-1])
    return verdicts

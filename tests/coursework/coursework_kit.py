"""What the tests of the coursework share: student's functions made from text, and judged.

Most of them are judged in this process, by the drivers that the student's process uses: there are
many, and starting a process for each would take minutes. ``test_sandbox.py`` is about the process.
"""

import copy
import importlib
import signal
import sys
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.coursework.child import drivers, engine
from minigrad.coursework.child.wire import Failure, Reply
from minigrad.coursework.diagnose import Finding, Prepared, diagnose
from minigrad.coursework.questions import QUESTIONS
from minigrad.coursework.tasks import load_tasks

HERE = Path(__file__).parent
DRIVERS = drivers.DRIVERS | engine.DRIVERS
STYLES = {"A": HERE / "solution", "B": HERE / "plain"}
FILES = {q: task.file for task in load_tasks().tasks for q in task.points}


class Endless(BaseException):
    """A student's function did not come back."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """A mutated loop may never end."""

    stopped = False

    def stop(_: int, frame: types.FrameType | None) -> None:
        # What is raised in a callback of the garbage collector (hypothesis has one) is lost, with
        # a warning. The alarm comes again a moment later.
        nonlocal stopped
        if not stopped and (frame is None or frame.f_code.co_name != "gc_callback"):
            stopped = True
            raise Endless

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def prepared(name: str, seed: int = 0) -> Prepared:
    return Prepared(QUESTIONS[name], seed)


def load(sources: dict[str, str], file: str) -> types.ModuleType:
    """The module ``file``, which finds the others of ``sources`` when it imports them."""
    loaded: dict[str, types.ModuleType] = {}

    def module(stem: str) -> types.ModuleType:
        if stem not in loaded:
            made = types.ModuleType(stem)
            made.__dict__["__builtins__"] = {**vars(__builtins_module__), "__import__": find}
            loaded[stem] = made
            exec(compile(sources[f"{stem}.py"], f"{stem}.py", "exec"), made.__dict__)
        return loaded[stem]

    def find(name: str, *rest: Any) -> Any:
        return module(name) if f"{name}.py" in sources else __import__(name, *rest)

    return module(file.removesuffix(".py"))


__builtins_module__ = importlib.import_module("builtins")


def ask(function: Any, name: str, seed: int = 0, seconds: float = 5.0) -> list[Reply]:
    """What ``function`` answers to the question ``name``."""
    question, replies = QUESTIONS[name], []
    for inputs in prepared(name, seed).calls:
        given = copy.deepcopy(inputs)
        limit = sys.getrecursionlimit()
        try:
            with at_most(seconds), np.errstate(all="ignore"):
                value = DRIVERS[question.driver](function, given)
            if isinstance(value, dict):
                value.pop("note", None)
            replies.append(Reply(value, given))
        except Exception as error:
            where = [
                f"{f.filename}, line {f.lineno}" for f in traceback.extract_tb(error.__traceback__)
            ]
            kind, message = type(error).__name__, str(error)
            replies.append(Reply(failure=Failure(kind, message, tuple(where[-1:]))))
        except Endless:
            replies.append(Reply(failure=Failure("Timeout", "no result")))
        finally:
            sys.setrecursionlimit(limit)
    return replies


def judge(function: Any, name: str, seed: int = 0) -> list[Finding]:
    """What is wrong with ``function`` as an answer to the question ``name``."""
    return diagnose(prepared(name, seed), ask(function, name, seed))


def sources(style: str) -> dict[str, str]:
    """The files of a solution: style "A" (whole arrays) or "B" (loops and sums)."""
    return {path.name: path.read_text(encoding="utf-8") for path in STYLES[style].glob("*.py")}


def function_of(name: str, texts: dict[str, str]) -> Any:
    """The student's function for the question ``name``."""
    question = QUESTIONS[name]
    target = (question.target or question.name).split()[0]
    return getattr(load(texts, FILES[name]), target)

"""The student's process: reads calls from one pipe, makes them, writes results to another.

Started by ``sandbox.py`` with ``BOOT``. Before any file of the student is loaded, the two pipes are
taken away from standard input and output (what a student prints goes to the error stream, which the
grader reads and cuts off), and the fences go up.
"""

import importlib
import importlib.util
import linecache
import os
import sys
import traceback
from typing import Any, BinaryIO

import numpy as np

from . import confine, drivers
from .wire import LENGTH, lengths, pack, unpack

FOREIGN = ("minigrad", "torch", "jax", "tensorflow", "autograd", "cupy", "scipy", "sympy")
"""Not to be imported where a derivative is to be derived."""


class Student:
    """The files of one student, loaded when they are first asked for."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.modules: dict[str, Any] = {}

    def find(self, file: str, name: str) -> Any:
        """The function or class ``name`` in ``file``; raises what loading the file raises."""
        if file not in self.modules:
            stem = file.removesuffix(".py")
            spec = importlib.util.spec_from_file_location(stem, os.path.join(self.folder, file))
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[stem] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[stem]
                raise
            self.modules[file] = module
        try:
            return getattr(self.modules[file], name)
        except AttributeError:
            raise AttributeError(f"{file} has no {name}; was it renamed?") from None


def answer(student: Student, request: dict[str, Any]) -> dict[str, Any]:
    """Make one call: its value, the inputs after it, or how it failed."""
    inputs = request["inputs"]
    try:
        found = [student.find(file, name) for file, name in request["targets"]]
        driver = drivers.DRIVERS.get(request["driver"])
        if driver is None:
            driver = importlib.import_module(".engine", __package__).DRIVERS[request["driver"]]
        with np.errstate(all="ignore"):
            value = driver(found[0] if len(found) == 1 else tuple(found), inputs)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
        return {"failure": describe(error, student.folder)}
    note = value.pop("note", "") if isinstance(value, dict) else ""
    after = {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    return {"value": value, "after": after, "note": str(note)[:2000]}


def describe(error: BaseException, folder: str) -> list[Any]:
    """The type and message of an exception, and the student's own lines that it came through."""
    lines = []
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        text = (error.text or "").strip()
        lines.append(f"{os.path.basename(error.filename)}, line {error.lineno}: {text}")
    for frame in frames:
        if os.path.dirname(frame.filename) == folder:
            text = linecache.getline(frame.filename, frame.lineno or 0).strip()
            lines.append(f"{os.path.basename(frame.filename)}, line {frame.lineno}: {text}")
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # a __str__ of the student's own
        message = ""
    return [type(error).__name__[:100], message[:500], [line[:300] for line in lines[-6:]]]


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer one request after the other until the grader closes the pipe."""
    setup = receive(requests)
    assert setup is not None
    sys.path.insert(0, setup["folder"])
    os.chdir(setup["folder"])
    if setup["engine"]:
        sys.path.append(setup["engine"])
        importlib.import_module(".engine", __package__)
    else:
        sys.modules.update(dict.fromkeys(FOREIGN))  # type: ignore[arg-type]  # None: cannot be imported
    student = Student(setup["folder"])
    fences = confine.confine(**setup["limits"])
    send(replies, {"fences": fences})
    while (request := receive(requests)) is not None:
        reply = answer(student, request)
        try:
            send(replies, reply)
        except MemoryError as error:
            del reply
            send(replies, {"failure": describe(error, student.folder)})


def receive(stream: BinaryIO) -> Any:
    """One message, or None at the end of the stream."""
    start = stream.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header, body = lengths(start)
    return unpack(stream.read(header), stream.read(body))


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message, at once."""
    data = pack(message)  # whole, before the first byte is written
    stream.write(data)
    stream.flush()


def main() -> None:
    """Take the pipes away from standard input and output, and serve."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    importlib.import_module("numpy.random")  # while the libraries that it needs can be read
    importlib.import_module("numpy.linalg")
    serve(requests, replies)

"""The grader's end of the pipe: start a student's process, send inputs, receive results.

The process starts with an empty environment in a temporary folder that holds a copy of the
student's files. It gets inputs, and sends back whatever it likes; the answers, and the judgement,
stay here. Its time is measured here, and when it is over the process is killed.
"""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from .child.wire import LENGTH, Failure, Reply, WireError, lengths, pack, unpack

HERE = Path(__file__).parent
PACKAGE = HERE.parent

# The folder ``child`` is made a package of its own, so that the process does not import this one.
BOOT = (
    "import sys, types; p = types.ModuleType('child'); p.__path__ = [sys.argv.pop()]; "
    "sys.modules['child'] = p; import child.main; child.main.main()"
)
PRINTED = 20_000  # bytes of a student's prints that are kept
START_SECONDS = 30.0
MAX_FILE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a student's process may use."""

    memory_mb: int = 2048
    cpu_seconds: int = 60
    file_mb: int = 1


def copy_sources(folder: Path, target: Path) -> None:
    """The Python files of a student: no links, which could point to somebody else's."""
    for path in sorted(folder.glob("*.py")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE:
            shutil.copyfile(path, target / path.name)


def readable(folder: str, engine: bool) -> tuple[list[str], list[str]]:
    """What the process may read, and the folders that it may list on the way there."""
    library, site = sysconfig.get_path("stdlib"), Path(np.__file__).parents[1]
    paths = [folder, os.devnull]
    paths += [str(p) for p in Path(library).iterdir() if not p.name.endswith("-packages")]
    paths += [str(p) for p in site.glob("numpy*")]
    if engine:
        paths += [str(p) for p in PACKAGE.iterdir() if p != HERE]
    return paths, [library, str(site), str(PACKAGE.parent)]


class Child:
    """One process with one student's files."""

    def __init__(self, folder: Path, limits: Limits | None = None, engine: bool = False) -> None:
        self.copy = tempfile.TemporaryDirectory(prefix="coursework-")
        self.folder = os.path.realpath(self.copy.name)
        copy_sources(folder, Path(self.folder))
        self.printed = b""
        self.dead: Failure | None = None
        self.fences: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-u", "-X", "utf8", "-c", BOOT, str(HERE / "child")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=environment(),
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self.replies: queue.Queue[Any] = queue.Queue()
        self.threads = [
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._drain, args=(self.process.stderr,), daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        limits = limits or Limits()
        files, folders = readable(self.folder, engine)
        setup = {
            "folder": self.folder,
            "engine": str(PACKAGE.parent) if engine else "",
            "limits": {
                "memory_mb": limits.memory_mb,
                "cpu_seconds": limits.cpu_seconds,
                "file_mb": limits.file_mb,
                "readable": files,
                "listable": folders,
            },
        }
        answer = self._exchange(setup, START_SECONDS)
        if isinstance(answer, dict) and isinstance(answer.get("fences"), list):
            self.fences = [str(f) for f in answer["fences"]]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, targets: list[tuple[str, str]], driver: str, inputs: dict[str, Any], seconds: float
    ) -> Reply:
        """Call the functions (file, name) in ``targets``; mostly it is one."""
        if self.dead is None:
            request = {"targets": targets, "driver": driver, "inputs": inputs}
            answer = self._exchange(request, seconds)
            if self.dead is None:
                return as_reply(answer)
        return Reply(failure=self.dead)

    def _exchange(self, message: Any, seconds: float) -> Any:
        """Send one message and wait for one; on anything else the process is dead."""
        writer = threading.Thread(target=self._write, args=(pack(message),), daemon=True)
        writer.start()
        try:
            answer = self.replies.get(timeout=seconds)
        except queue.Empty:
            self._end(
                Failure(
                    "Timeout", f"no result after {seconds:g} seconds; is there an endless loop?"
                )
            )
            return None
        if isinstance(answer, WireError):
            self._end(Failure("Unreadable", str(answer)))
        elif answer is None:
            self._end(None)
        return answer

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # the process is gone
            self.stdin.write(data)
            self.stdin.flush()

    def _read(self, stream: BinaryIO) -> None:
        """Put each message into the queue; None at the end."""
        try:
            while len(start := stream.read(LENGTH.size)) == LENGTH.size:
                header, body = lengths(start)
                self.replies.put(unpack(stream.read(header), stream.read(body)))
        except WireError as error:
            self.replies.put(error)
        except (OSError, ValueError):
            pass
        self.replies.put(None)

    def _drain(self, stream: BinaryIO) -> None:
        """Keep the beginning of what is printed, and let the rest pass."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stream.fileno(), 65536):
                self.printed += chunk[: max(0, PRINTED - len(self.printed))]

    def _end(self, failure: Failure | None) -> None:
        """Kill the process, with whatever it may have started; ``None``: it ended by itself."""
        if failure is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        kill(self.process)
        self.process.wait()
        self.dead = failure or Failure("Crash", ending(self.process.returncode))

    def close(self) -> None:
        """End the process and remove its folder."""
        kill(self.process)
        self.process.wait()
        for thread in self.threads:
            thread.join(2)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self.copy.cleanup()


def environment() -> dict[str, str]:
    """Nothing of the grader's own; one thread, because no more may be started."""
    single = (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    keep = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if os.name == "nt" else {}
    return dict.fromkeys(single, "1") | {"PYTHONHASHSEED": "0"} | keep


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        reason = {"SIGXCPU": " (its processor time is used up)"}.get(name, "")
        return f"the program was ended by {name}{reason}"
    return f"the program ended itself with exit code {code}, before giving a result"


def as_reply(answer: Any) -> Reply:
    """What the process sent, checked: it may have sent anything."""
    if not isinstance(answer, dict):
        return Reply(failure=Failure("Unreadable", "the results do not arrive as expected"))
    if "failure" in answer:
        match answer["failure"]:
            case [str(kind), str(message), [*where]] if all(isinstance(w, str) for w in where):
                return Reply(failure=Failure(kind, message, tuple(where)))
        return Reply(failure=Failure("Unreadable", "the results do not arrive as expected"))
    after, note = answer.get("after"), answer.get("note")
    return Reply(
        answer.get("value"),
        after if isinstance(after, dict) else {},
        None,
        note if isinstance(note, str) else "",
    )

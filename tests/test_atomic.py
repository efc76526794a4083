"""Each promise of ``save`` about files is tested: kills, power cuts, threads, a full disk."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import minigrad as mg
from minigrad import atomic
from minigrad.atomic import write_whole
from minigrad.serialization import load, save

posix = pytest.mark.skipif(os.name != "posix", reason="asks for what POSIX promises")


def writing(content: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(content)

    return write


def test_the_order_of_what_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First all bytes, then the name, then the folder that holds the name. In any other order a
    power cut could leave a name without its bytes, or the old name."""
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append(f"fsync {kind} of {os.fstat(descriptor).st_size if kind == 'file' else ''}")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        calls.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_whole(tmp_path / "x", writing(b"12345"))
    assert calls == ["fsync file of 5", "replace", "fsync folder of "]


@posix
@pytest.mark.parametrize("moment", ["write", "fsync", "chmod", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if moment != "write":
        monkeypatch.setattr(os, moment, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, fail if moment == "write" else writing(b"new"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@posix
def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own, stands for the disk."""
    path = tmp_path / "x.npz"
    save({"old": mg.ones(3)}, path)
    code = f"""
import resource, signal, minigrad as mg
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    mg.save({{"new": mg.randn(100, 100)}}, {str(path)!r})
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("OSError 27")  # EFBIG
    assert load(path)["old"].tolist() == [1, 1, 1]
    assert os.listdir(tmp_path) == ["x.npz"]


@posix
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_permissions_stay_and_new_files_follow_the_umask(ending: str, tmp_path: Path) -> None:
    if ending == ".safetensors":
        pytest.importorskip("safetensors", reason="the extra io is not installed")
    path = tmp_path / f"x{ending}"
    before = os.umask(0o027)
    try:
        save({"a": mg.ones(2)}, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o664, 0o444):
            path.chmod(mode)
            save({"a": mg.zeros(2)}, path)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


@posix
def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody guesses the next name, and puts a link there to a file of the user's."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    names = iter([b"\1" * 8, b"\2" * 8])
    monkeypatch.setattr(os, "urandom", lambda n: next(names))
    planted = tmp_path / f".x.{'01' * 8}.partial"
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x", writing(b"new"))
    assert victim.read_bytes() == b"precious"
    assert planted.is_symlink()


def test_names_cannot_be_guessed_from_the_process(tmp_path: Path) -> None:
    seen = set()

    def write(file: BinaryIO) -> None:
        (name,) = [p.name for p in tmp_path.iterdir() if p.suffix == ".partial"]
        assert str(os.getpid()) not in name.split(".")
        seen.add(name)

    for _ in range(3):
        write_whole(tmp_path / "x", write)
    assert len(seen) == 3


@posix
def test_what_a_killed_writer_left_goes_with_the_next_save(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = f"""
import os, signal
from minigrad.atomic import write_whole
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole({str(path)!r}, write)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [p.suffix for p in tmp_path.iterdir()] == [".partial"]
    (tmp_path / ".another.0123.partial").write_bytes(b"of another name")
    write_whole(path, writing(b"new"))
    assert sorted(os.listdir(tmp_path)) == [".another.0123.partial", "x"]


@posix
def test_a_writer_that_lives_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def slow(file: BinaryIO) -> None:
        file.write(b"outer")
        write_whole(path, writing(b"inner"))  # another save to the same path meanwhile
        assert path.read_bytes() == b"inner"

    write_whole(path, slow)
    assert path.read_bytes() == b"outer"
    assert os.listdir(tmp_path) == ["x"]


def test_without_locks_a_day_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "fcntl", None)
    young, old = tmp_path / ".x.01.partial", tmp_path / ".x.02.partial"
    for file in (young, old):
        file.write_bytes(b"?")
    long_ago = time.time() - 2 * atomic.DAY
    os.utime(old, (long_ago, long_ago))
    write_whole(tmp_path / "x", writing(b"new"))
    assert sorted(os.listdir(tmp_path)) == [".x.01.partial", "x"]


def test_threads_that_save_to_one_path(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    save({"number": 0, "weight": mg.zeros(500)}, path)
    done, faults = threading.Event(), []

    def write(number: int) -> None:
        for _ in range(8):
            save({"number": number, "weight": mg.full((500,), number)}, path)

    def read() -> None:
        while not done.is_set():
            state = load(path)
            if set(state["weight"].tolist()) != {state["number"]}:
                faults.append(state)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(1, 5)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not faults
    assert os.listdir(tmp_path) == ["x.npz"]


KILLED = """
import sys, minigrad as mg
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    mg.save({"number": number, "weight": mg.full((20_000,), number)}, sys.argv[1])
    number += 2
"""


@posix
@pytest.mark.parametrize(
    ("processes", "kills"), [(2, 2), pytest.param(3, 40, marks=pytest.mark.slow)]
)
def test_processes_that_are_killed_while_they_save(
    processes: int, kills: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    rng = np.random.default_rng(0)
    for _ in range(kills):
        running = [
            subprocess.Popen(
                [sys.executable, "-c", KILLED, str(path), str(n)], stdout=subprocess.PIPE
            )
            for n in range(processes)
        ]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(rng.uniform(0.02, 0.15))
        for process in running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        if path.exists():
            state = load(path)
            assert set(state["weight"].tolist()) == {state["number"]}
    save({"number": -1}, path)
    assert os.listdir(tmp_path) == ["x.npz"]

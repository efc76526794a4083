"""Writing a file so that the old one or the new one is there, whole, whatever happens meanwhile.

The new file is written beside the old one, brought to the disk, and renamed: the operating system
does that at one moment. POSIX, rename(): "if the link named by the new argument exists, it shall be
removed and old renamed to new"; a reader sees either. What was renamed is safe from a power cut
only when the folder has been brought to the disk as well.
"""

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DAY = 24 * 60 * 60


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Have ``write`` fill a new file, and put it in the place of ``path``.

    Through a link, the file that it names is replaced. A file that is there keeps its permissions;
    a new one has those that the umask gives.

    Raises:
        OSError: the file cannot be written. The old one is as it was then, and nothing is left.
    """
    target = Path(os.path.realpath(path))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    remove_stale(target)
    partial, file = _create(target, 0o666 if mode is None else mode)
    try:
        with file:
            if mode is not None:
                os.chmod(partial, mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked: nobody takes it for stale
                os.replace(partial, target)
        if fcntl is None:  # Windows renames no file that is open
            os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _create(target: Path, mode: int) -> tuple[Path, BinaryIO]:
    """A new file beside ``target`` under a name that nobody can guess, locked while it is open.

    It is created exclusively: a link that somebody has put there is not followed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        partial = target.with_name(f".{target.name}.{os.urandom(8).hex()}.partial")
        file = os.fdopen(os.open(partial, flags, mode), "w+b")
        if fcntl is None:
            return partial, file
        fcntl.flock(file, fcntl.LOCK_EX)
        # Before it was locked, another save may have taken it for one that nobody writes.
        if partial.exists():
            return partial, file
        file.close()


def remove_stale(target: Path) -> None:
    """Remove what writers of ``target`` have left that were killed.

    A writer locks its file while it is alive, and the system unlocks it when it is not: so one that
    can be locked is stale. Where there are no locks, one is stale that is a day old.
    """
    for partial in target.parent.glob(f".{target.name}.*.partial"):
        with suppress(OSError):
            if fcntl is None:
                if time.time() - partial.lstat().st_mtime > DAY:
                    partial.unlink()
                continue
            descriptor = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                partial.unlink()
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk. (Windows has no such call.)"""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

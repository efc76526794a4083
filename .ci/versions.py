"""For ``make oldest`` and ``make newest``: constraints for pip, and a newer Python."""

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def oldest(path: str) -> str:
    """The lower bounds of what people and tests use, as ``name==version`` lines."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(path, encoding="utf-8")
    lines = config["options"]["install_requires"].splitlines()
    for extra in ("plots", "data", "io", "examples", "coursework", "dev"):
        lines += config["options.extras_require"][extra].splitlines()
    bounds = dict(m.groups() for line in lines if (m := re.match(r"([\w-]+)>=([\w.]+)", line)))
    return "\n".join(f"{name}=={version}" for name, version in sorted(bounds.items()))


def newest() -> str:
    """The path of the newest Python that works and is newer than this one; "" if there is none."""
    found = []
    for path in candidates():
        code = "import ensurepip, sys; print(*sys.version_info[:3])"
        try:
            done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):  # a name with nothing behind it
            continue
        found.append((tuple(map(int, done.stdout.split())), str(path)))
    version, path = max(found, default=((), ""))
    return path if version > sys.version_info[:3] else ""


def candidates() -> Iterator[Path]:
    """What is called python3.N on the path, and in the folders where pyenv keeps versions."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))]
    folders += [version / "bin" for root in roots for version in root.glob("versions/3.*")]
    for folder in folders:
        yield from folder.glob("python3.1[2-9]")


if __name__ == "__main__":
    print(oldest(sys.argv[2]) if sys.argv[1] == "oldest" else newest())

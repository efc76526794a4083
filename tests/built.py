"""Building minigrad as pip does it, and asking a Python that has only what was built."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def build(hook: str, source: Path, target: Path) -> Path:
    """What the build backend makes of ``source`` in ``target``, called as pip calls it."""
    code = f"import sys, backend; print(backend.{hook}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, target],
        cwd=source, env={**os.environ, "PYTHONPATH": str(source / ".ci")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return target / done.stdout.splitlines()[-1]


def answers(code: str, *search_path: Path, start: str = "") -> list[str]:
    """What ``code`` prints in a Python that knows of no installed minigrad, but of NumPy."""
    places = [*map(str, search_path), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = f"import sys; sys.path += {places!r}\n{start}\n{code}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", command],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()

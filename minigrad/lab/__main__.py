"""Serves the benches: ``python -m minigrad.lab``."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

BENCHES = Path(__file__).parent / "benches"


def complain_without_marimo() -> bool:
    """Whether marimo is missing, which is then said."""
    if find_spec("marimo") is not None:
        return False
    print(
        "minigrad.lab: the benches are marimo notebooks, and marimo is not installed. In a "
        "clone: make lab, or pip install -e '.[lab]'; else: pip install marimo",
        file=sys.stderr,
    )
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run marimo on the benches until Ctrl-C; returns its exit status, or 2 without marimo."""
    parser = argparse.ArgumentParser(prog="python -m minigrad.lab", description=__doc__)
    parser.add_argument("--port", type=int, default=2718, help="where to serve (default 2718)")
    parser.add_argument("--headless", action="store_true", help="do not open a browser")
    options = parser.parse_args(arguments)
    if complain_without_marimo():
        return 2
    command = [sys.executable, "-m", "marimo", "run", str(BENCHES), "--port", str(options.port)]
    command += ["--headless"] * options.headless
    # The networks are small: a second thread of the BLAS library costs more than it brings.
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ}
    # Whoever ends this process means the server; without this it would go on alone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())

"""All studies, one after the other or two at a time: `make papers`.

    python examples/papers                      # --quick: less than two minutes
    python examples/papers --data-root folder   # with MNIST's four IDX files

Each script runs in a process of its own, so that one that fails takes no other with it. What is
not known here goes to each script: `--seed`, `--out`, `--data-root`.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = {"__main__", "study", "page"}


def scripts() -> list[Path]:
    """The studies, by name."""
    return sorted(path for path in HERE.glob("*.py") if path.stem not in HELPERS)


def run(script: Path, options: list[str]) -> bool:
    """Run one study and print what it wrote in one piece. Returns whether it came to its end."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(script), *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        env={"COLUMNS": "110", "OPENBLAS_NUM_THREADS": "1", **os.environ,
             "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    print(done.stdout, flush=True)
    print(f"{script.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return done.returncode == 0


def main(argv: list[str] | None = None) -> int:
    """Run all studies. Returns how many failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="at a time")
    settings, options = parser.parse_known_args(argv)
    start = time.perf_counter()
    with ThreadPoolExecutor(max(1, settings.workers)) as pool:
        ended = list(pool.map(lambda script: run(script, options), scripts()))
    failed = [path.name for path, good in zip(scripts(), ended, strict=True) if not good]
    print(f"{len(ended)} studies in {time.perf_counter() - start:.0f} s")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

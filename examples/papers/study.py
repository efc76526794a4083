"""What the scripts of this folder share: options, data, a table, a figure, a file of numbers.

A script measures what one paper claims. It gives three functions to `main`:

- ``measure(settings, bar)`` returns every number of the run, ready for JSON;
- ``claims(results)`` holds them against what the paper says;
- ``draw(results)`` makes a figure like the paper's.

`measure` does all of the work. The other two only read what it returned, so that a table and a
figure can be made again from a stored run.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
    from rich.text import Text

    import minigrad as mg
    from minigrad.data import load_digits, load_mnist, train_test_split
    from minigrad.diagnostics.stats import jsonable
    from minigrad.terminal import replace_missing_letters
except ModuleNotFoundError as error:  # rich, matplotlib
    sys.exit(f"This example needs {error.name}: pip install -e '.[examples]'")

Results = dict[str, Any]
Advance = Callable[[str], None]
"""Call it once for each part that is done, with a word for what comes next."""


@dataclass(frozen=True)
class Paper:
    """Which paper a script is about."""

    key: str
    """The name of the script and of its files: "ioffe2015"."""
    title: str
    """Authors, year, title."""
    link: str
    parts: Callable[["Settings"], int]
    """How often ``measure`` calls ``bar``: the length of the progress bar."""


@dataclass(frozen=True)
class Settings:
    """What can be chosen on the command line."""

    quick: bool = False
    seed: int = 0
    data_root: str | None = None
    out: str = "out/papers"


@dataclass(frozen=True)
class Claim:
    """One row of the table: what a paper says beside what was measured."""

    where: str
    """The section, figure or table of the paper."""
    says: str
    measured: str
    within: str
    """How near the measurement has to be to agree: "1.467 ± 3 %", "higher"."""
    agrees: bool
    direction: bool
    """Whether the effect goes the way that the paper says, be it smaller or larger. This holds in
    a short run, too."""


@dataclass(frozen=True)
class Samples:
    """Images as rows, with labels, to train with and to test with."""

    name: str
    x: mg.Tensor
    y: mg.Tensor
    x_test: mg.Tensor
    y_test: mg.Tensor


@functools.cache
def samples(data_root: str | None, seed: int = 0) -> Samples:
    """MNIST from the folder ``data_root``, or from where earlier downloads went. Where it is
    missing: the digits that come with minigrad. ``name`` says which it is.

    Raises:
        OSError, ValueError: ``data_root`` was named, and MNIST cannot be read there.
    """
    try:
        (x, y), (x_test, y_test) = (
            load_mnist(data_root, part, flatten=True) for part in ("train", "test")
        )
        name = "MNIST"
    except FileNotFoundError:
        if data_root is not None:
            raise
        images, labels = load_digits(flatten=True)
        x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, seed=seed)
        name = "the digits (MNIST is missing)"
    return Samples(name, *(mg.tensor(part) for part in (x, y, x_test, y_test)))


def batches(data: Samples, size: int, seed: int) -> Iterator[tuple[mg.Tensor, mg.Tensor]]:
    """Mini-batches without end, shuffled anew in each epoch; what does not fill one is left out."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(data.y))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            yield data.x[rows], data.y[rows]


def figure(width: float = 9.0, height: float = 3.8) -> Figure:
    """An empty figure that belongs to nobody else."""
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def main(
    paper: Paper,
    measure: Callable[[Settings, Advance], Results],
    claims: Callable[[Results], list[Claim]],
    draw: Callable[[Results], Figure],
    argv: list[str] | None = None,
) -> int:
    """Run one study: a progress bar, the table, the figure, the numbers.

    Returns 0, also where a claim was not reproduced: that is a result. 2 if the data cannot be
    read or nothing can be written.
    """
    replace_missing_letters()
    settings, console = parse(argv, paper), Console(highlight=False)
    folder = Path(settings.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if settings.data_root is not None:
            samples(settings.data_root)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    start = time.perf_counter()
    mg.manual_seed(settings.seed)
    with _progress(console, paper.parts(settings)) as bar:
        results = measure(settings, bar)
    found = claims(results)
    console.print(table(paper, found))
    draw(results).savefig(folder / f"{paper.key}.png", pil_kwargs={"optimize": True})
    stored = {
        "paper": {"key": paper.key, "title": paper.title, "link": paper.link},
        "settings": {"quick": settings.quick, "seed": settings.seed},
        "seconds": round(time.perf_counter() - start, 1),
        "results": results,
        "claims": [asdict(claim) for claim in found],
    }
    text = json.dumps(jsonable(stored), indent=1) + "\n"
    (folder / f"{paper.key}.json").write_text(text, encoding="utf-8")
    console.print(f"written: {folder / paper.key}.png, .json ({stored['seconds']} s)")
    return 0


def parse(argv: list[str] | None, paper: Paper) -> Settings:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=f"{paper.title} ({paper.link}): what it claims, measured.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a small run, for a first look")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of weights and batches")
    parser.add_argument("--data-root", help="folder of MNIST's four IDX files")
    parser.add_argument("--out", default=Settings.out, help="folder for the figure and the numbers")
    return Settings(**vars(parser.parse_args(argv)))


def table(paper: Paper, found: list[Claim]) -> Table:
    """What the paper says, what was measured, and how near the two are."""
    rows = Table(title=f"{paper.title}\n{paper.link}", show_lines=True)
    for heading in ("where", "the paper says", "measured", "agrees within", "agrees"):
        rows.add_column(heading)
    for claim in found:
        answer = "yes" if claim.agrees else "in direction only" if claim.direction else "no"
        cells = (claim.where, claim.says, claim.measured, claim.within, answer)
        rows.add_row(*(Text(cell) for cell in cells))  # no markup: E[x] is what it says
    return rows


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda word: bar.update(task, advance=1, description=word)

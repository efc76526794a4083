"""``python -m minigrad.diagnose script.py:build_model --data digits``: the doctor for a file.

The function is called without arguments and returns the model, or the model and its optimiser. The
report goes to the terminal, and as ``diagnosis.json`` and ``diagnosis.png`` into a folder. The exit
status is 0 if nothing was found, 1 if something was, 2 if it could not be looked at.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .backend import manual_seed
from .data import load_digits, load_mnist
from .diagnostics import KINDS, Report, diagnose
from .nn import Module
from .optim import SGD, Adam, AdamW, Optimizer
from .tensor import Tensor, tensor
from .terminal import replace_missing_letters

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(
        prog="python -m minigrad.diagnose",
        description="Why does this network not learn?",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("model", help="file and function that makes it: script.py:build_model")
    p.add_argument(
        "--data", default="digits",
        help="digits, mnist, or a function that returns inputs and labels: script.py:load",
    )  # fmt: skip
    p.add_argument("--data-root", help="folder of the MNIST files (else downloaded)")
    p.add_argument("--images", action="store_true", help="digits and MNIST as (N, 1, H, W)")
    p.add_argument("--batch-size", type=int, default=128, help="how many samples to look at")
    p.add_argument("--optimizer", choices=[*OPTIMIZERS, "none"], default="sgd",
                   help="what trains it, if the function returns none")  # fmt: skip
    p.add_argument(
        "--lr",
        type=float,
        default=argparse.SUPPRESS,
        help="its learning rate (without it 0.1 for sgd, else 0.001)",
    )
    p.add_argument("--steps", type=int, default=30, help="training steps to look at")
    p.add_argument("--try-remedies", action="store_true", help="apply them to copies, and train")
    p.add_argument("--seed", type=int, default=0, help="of the weights and of the batch")
    p.add_argument("--out", default="out", help="folder for diagnosis.json and diagnosis.png")
    return p


def function_in(where: str) -> Callable[..., Any]:
    """The function ``script.py:name``.

    Raises:
        ValueError: there is no such file, or no such function in it.
    """
    path, _, name = where.rpartition(":")
    file = Path(path)
    if not path or not file.is_file():
        raise ValueError(f"{where}: expected an existing file and a function, script.py:function")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # as an import would, for what looks itself up there
    sys.path.insert(0, str(file.parent.resolve()))  # so that it finds its neighbours
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{where}: there is no function {name} in {path}")
    return function


def batch(options: argparse.Namespace) -> tuple[Tensor, Any]:
    """So many samples of the data that were asked for, drawn at random."""
    flat = not options.images
    if options.data == "digits":
        x, labels = load_digits(flatten=flat)
    elif options.data == "mnist":
        root = options.data_root
        x, labels = load_mnist(root, "train", root is None, flatten=flat)
    else:
        x, labels = function_in(options.data)()
    rows = np.random.default_rng(options.seed).permutation(len(x))[: options.batch_size]
    return _rows(x, rows), _rows(labels, rows)


def _rows(values: Any, rows: Any) -> Tensor:
    return values[rows] if isinstance(values, Tensor) else tensor(np.asarray(values)[rows])


def patient(options: argparse.Namespace) -> tuple[Module, Optimizer | None]:
    """The model of the user's file, and what trains it."""
    made = function_in(options.model)()
    model, optimizer = made if isinstance(made, tuple) else (made, None)
    if not isinstance(model, Module):
        raise ValueError(f"{options.model} returned a {type(model).__name__}, expected a Module")
    if optimizer is None and options.optimizer != "none":
        usual = 0.1 if options.optimizer == "sgd" else 1e-3
        rate = getattr(options, "lr", usual)
        optimizer = OPTIMIZERS[options.optimizer](model.parameters(), lr=rate)
    return model, optimizer


def show(report: Report) -> None:
    """The report in the terminal; with colours where rich is installed."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        print(report)
        return
    console = Console(highlight=False)
    text = Text(report.text(min(console.width, 100)))
    text.highlight_regex(rf"(?m)^\d+\. ({'|'.join(KINDS)}):", "bold red")
    text.highlight_regex(r"(?m)^   (where|evidence|cause|remedy|see|tried):", "bold")
    text.highlight_regex(r"(?m)^Nothing found\.", "bold green")
    console.print(text)


def write(report: Report, folder: Path) -> list[Path]:
    """Leave the report as JSON, and as a figure where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "diagnosis.json"]
    report.to_json(written[0])
    try:
        figure = report.plot()
    except ModuleNotFoundError:
        return written
    written.append(folder / "diagnosis.png")
    figure.savefig(written[1])
    return written


def main(argv: Sequence[str] | None = None) -> int:
    """Examine, say, write."""
    replace_missing_letters()
    options = parser().parse_args(argv)
    manual_seed(options.seed)
    try:
        model, optimizer = patient(options)
        x, labels = batch(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    report = diagnose(
        model, x, labels, optimizer=optimizer,
        steps=options.steps, try_remedies=options.try_remedies,
    )  # fmt: skip
    show(report)
    print(f"\nWritten: {', '.join(map(str, write(report, Path(options.out))))}")
    return 1 if report else 0


if __name__ == "__main__":
    sys.exit(main())

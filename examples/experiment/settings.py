"""What can be chosen for ``vanishing_gradient.py``, and the data that it then works on."""

import argparse
import functools
import math
from dataclasses import dataclass

import numpy as np

import minigrad as mg
from minigrad.data import load_digits, load_mnist, train_test_split


@dataclass(frozen=True)
class Settings:
    """What can be chosen on the command line, with the values that the README speaks of."""

    depth: int = 20
    width: int = 64
    data: str = "digits"
    data_root: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    seeds: int = 5
    steps: int = 600
    lr: float = 0.1
    batch_size: int = 64
    out: str = "out"
    capture: bool = False

    def are_promised(self) -> bool:
        """Whether the claims are made for these settings: another place to compute, another number
        of seeds or another folder changes nothing about them."""
        other = {"seeds": self.seeds, "device": self.device, "out": self.out,
                 "capture": self.capture}  # fmt: skip
        return Settings(**other) == self


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def _batch_size(text: str) -> int:
    if _positive_int(text) == 1:
        raise argparse.ArgumentTypeError("got 1, expected 2 or more: BatchNorm needs a spread")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above 0")
    return rate


def parse(
    argv: list[str] | None, description: str, quick: dict[str, int] | None = None
) -> Settings:
    """The command line as ``Settings``. Where there are defaults for a ``quick`` run, it has an
    option for them."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    positive = _positive_int
    parser.add_argument("--depth", type=positive, default=default.depth, help="hidden layers")
    parser.add_argument("--width", type=positive, default=default.width, help="units per layer")
    parser.add_argument("--data", choices=("digits", "mnist"), default=default.data,
                        help="digits come with minigrad")  # fmt: skip
    parser.add_argument("--data-root", help="folder of the MNIST files (else downloaded)")
    parser.add_argument("--device", default=default.device, help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--dtype", choices=("float32", "float64"), default=default.dtype)
    parser.add_argument("--seeds", type=positive, default=default.seeds, help="how many runs")
    parser.add_argument("--steps", type=positive, default=default.steps, help="training steps")
    parser.add_argument("--lr", type=_rate, default=default.lr, help="learning rate at the start")
    parser.add_argument("--batch-size", type=_batch_size, default=default.batch_size, help="from 2")
    parser.add_argument("--out", default=default.out, help="folder for figures and results.json")
    parser.add_argument("--capture", action="store_true",
                        help="replay a captured step: faster, with the same results")  # fmt: skip
    if quick is not None:
        as_options = " ".join(f"--{name} {value}" for name, value in quick.items())
        parser.add_argument("--quick", action="store_true", help=f"the same as {as_options}")
        if parser.parse_args(argv).quick:
            parser.set_defaults(**quick)
    given = vars(parser.parse_args(argv))
    given.pop("quick", None)
    settings = Settings(**given)
    if settings.depth < 3:
        parser.error("--depth: at least 3, so that there is a factor per layer to speak of")
    if settings.data_root is not None and settings.data != "mnist":
        parser.error("--data-root: is for --data mnist; the digits come with minigrad")
    return settings


@dataclass(frozen=True)
class Data:
    """Training and test samples as tensors, on the device and in the type of the run."""

    x_train: mg.Tensor
    y_train: mg.Tensor
    x_test: mg.Tensor
    y_test: mg.Tensor

    @property
    def inputs(self) -> int:
        return self.x_train.shape[1]

    @property
    def classes(self) -> int:
        return 10


@functools.cache
def mnist(root: str | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """The training and the test samples; downloaded where no folder is named."""
    return [load_mnist(root, part, root is None, flatten=True) for part in ("train", "test")]


def load(settings: Settings, seed: int) -> Data:
    """The data set, split anew for each seed (MNIST comes with a split of its own)."""
    if settings.data == "digits":
        x, y = load_digits(flatten=True)
        x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, seed=seed)
    else:
        (x_train, y_train), (x_test, y_test) = mnist(settings.data_root)
    kind = np.dtype(settings.dtype)
    return Data(
        mg.tensor(x_train, kind, settings.device),
        mg.tensor(y_train, device=settings.device),
        mg.tensor(x_test, kind, settings.device),
        mg.tensor(y_test, device=settings.device),
    )


def check_batch_size(settings: Settings, data: Data) -> None:
    """Raise a ValueError if the training samples do not fill one batch."""
    samples = len(data.y_train)
    if settings.batch_size > samples:
        raise ValueError(
            f"--batch-size: got {settings.batch_size}, expected at most {samples}, the number of "
            f"training samples"
        )

"""Labelled pictures to learn from: digits that come with minigrad, MNIST and Fashion-MNIST.

Each function returns ``(images, labels)``, two NumPy arrays with one row per picture. Nothing is
downloaded unless it is asked for, and what was downloaded is used only if its checksum is right.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .idx import read_idx

Examples = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


def load_digits(*, flatten: bool = False, scale: bool = True) -> Examples:
    """1797 handwritten digits of 8 x 8 pixels, about 180 of each; packaged, so always there.

    Args:
        flatten: return each picture as a row of 64 numbers instead of as 8 rows of 8.
        scale: return the pixels as float32 from 0 (paper) to 1 (ink); otherwise as they are
            stored, as uint8 from 0 to 16.

    Returns:
        images (1797, 8, 8), or (1797, 64) if ``flatten``; labels (1797,), int64 from 0 to 9.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49; its test part. Licence: CC BY 4.0.
    """
    with np.load(Path(__file__).with_name("files") / "digits.npz") as stored:
        return _examples(stored["images"], stored["labels"], 16, flatten, scale)


def load_mnist(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    download: bool = False,
    *,
    flatten: bool = False,
    scale: bool = True,
) -> Examples:
    """MNIST: handwritten digits of 28 x 28 pixels, 60,000 to learn from and 10,000 to test with.

    Args:
        root: the folder of the four IDX files under their original names, with or without
            ``.gz``. ``None``: the folder where earlier downloads of minigrad went.
        split: ``"train"`` or ``"test"``.
        download: fetch what is missing or damaged (needs the extra ``data``). A file replaces
            another only after its checksum was found right.
        flatten: return each picture as a row of 784 numbers instead of as 28 rows of 28.
        scale: return the pixels as float32 from 0 to 1; otherwise as uint8 from 0 to 255.

    Returns:
        images (N, 28, 28), or (N, 784) if ``flatten``; labels (N,), int64 from 0 to 9.

    Raises:
        FileNotFoundError: a file is missing and ``download`` is off.
        ValueError: a file is damaged, or images and labels do not belong together.
        OSError: the download failed, or what arrived has the wrong checksum.
        ModuleNotFoundError: pooch is needed and not installed.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits.
    """
    return _load(MNIST, root, split, download, flatten, scale)


def load_fashion_mnist(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    download: bool = False,
    *,
    flatten: bool = False,
    scale: bool = True,
) -> Examples:
    """Fashion-MNIST: pieces of clothing, in the format and the numbers of MNIST, but harder.

    The labels 0 to 9 stand for T-shirt, trousers, pullover, dress, coat, sandal, shirt, trainer,
    bag and ankle boot. Arguments, results and errors are those of ``load_mnist``. The two use the
    same file names: keep them in different folders.

    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for
    Benchmarking Machine Learning Algorithms, https://arxiv.org/abs/1708.07747. Licence: MIT.
    """
    return _load(FASHION_MNIST, root, split, download, flatten, scale)


FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


@dataclass(frozen=True)
class Source:
    """Where a data set is published, and the checksum of each of its files."""

    name: str
    url: str
    checksums: dict[str, str]


# PyTorch's copy of the files that LeCun published, whose own server often refuses downloads.
MNIST = Source(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
)

# The sums are those in the README of the authors' repository, which has no others than MD5.
FASHION_MNIST = Source(
    "fashion_mnist",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def _load(
    source: Source,
    root: str | os.PathLike[str] | None,
    split: str,
    download: bool,
    flatten: bool,
    scale: bool,
) -> Examples:
    caller = f"load_{source.name}"
    if split not in FILES:
        raise ValueError(f"{caller}: split is {split!r}, expected 'train' or 'test'")
    folder = Path(_pooch(caller).os_cache("minigrad"), source.name) if root is None else Path(root)
    images, labels = (_read(source, folder, name, download) for name in FILES[split])
    pictures = images.dtype == np.uint8 and images.ndim == 3 and images.shape[1:] == (28, 28)
    if not pictures or len(images) == 0 or labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(
            f"{caller}: {folder} holds images of shape {images.shape} and type {images.dtype} with "
            f"labels of shape {labels.shape} and type {labels.dtype}, expected (N, 28, 28) and "
            f"(N,), both uint8, N from 1. Are the names of the files mixed up?"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{caller}: {folder} holds {len(images)} images but {len(labels)} labels for "
            f"{split!r}, expected one label per image. Take both files from the same source."
        )
    if (labels > 9).any():
        row = int(np.argmax(labels > 9))
        raise ValueError(
            f"{caller}: the label in row {row} of {FILES[split][1]} is {labels[row]}, expected 0 "
            f"to 9. The file is damaged, or belongs to another data set."
        )
    return _examples(images, labels, 255, flatten, scale)


def _read(source: Source, folder: Path, name: str, download: bool) -> npt.NDArray[Any]:
    """One file of a data set: found in ``folder``, or fetched into it where that is allowed."""
    plain = name.removesuffix(".gz")
    for known_as in (name, plain, plain.replace("-idx", ".idx")):
        if (folder / known_as).is_file():
            try:
                return read_idx(folder / known_as)
            except ValueError:
                if not download:
                    raise
    if not download:
        raise FileNotFoundError(
            f"load_{source.name}: there is no {name} in {folder}, with or without .gz. Name the "
            f"folder that holds it (root=...), or fetch it with download=True."
        )
    return read_idx(_fetch(source, folder, name))


def _fetch(source: Source, folder: Path, name: str) -> str:
    """Download one file. pooch writes beside the target and moves only what has the right sum."""
    caller, url = f"load_{source.name}", source.url + name
    pooch = _pooch(caller)
    try:
        return str(pooch.retrieve(url, source.checksums[name], fname=name, path=folder))
    except (OSError, ValueError) as error:
        raise OSError(
            f"{caller}: {url} could not be downloaded ({error}). Nothing in {folder} was changed. "
            f"Try again later, or put the file there yourself."
        ) from error


def _pooch(caller: str) -> Any:
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{caller}: finding or filling the folder for downloads needs pooch, which is not "
            f"installed. Name a folder that has the files (root=...), or: "
            f"pip install pooch"
        ) from error
    return pooch


def _examples(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    brightest: int,
    flatten: bool,
    scale: bool,
) -> Examples:
    pixels: npt.NDArray[Any] = images
    if scale:
        pixels = images.astype(np.float32)
        pixels /= brightest
    return pixels.reshape(len(images), -1) if flatten else pixels, labels.astype(np.int64)

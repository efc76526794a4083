"""Data that is looked at before anything is learnt from it.

A missing value, or two arrays of different lengths, would not stop a training loop: it would make
it learn something else. So they are refused here, once, with the number of the row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import array_module
from ..tensor import Tensor, tensor


class TensorDataset:
    """Samples that lie side by side in the rows of several arrays, such as images and labels.

    ``dataset[i]`` is the tuple of the i-th rows, as tensors; ``dataset[3:7]`` and
    ``dataset[[4, 0, 2]]`` hold the rows so chosen, in that order. What is returned is a copy, so
    changing a batch in place leaves the data alone. Types stay what they were (integer labels
    remain integers), and arrays stay on their device.

    Args:
        *arrays: whatever ``tensor`` makes a tensor of (arrays and lists are copied), or tensors
            (they are kept as they are). The first axis of each counts the same N samples.

    Raises:
        TypeError: an array holds something other than real numbers (``None``, text, objects), or a
            tensor requires grad.
        ValueError: there is no array or no sample, the lengths differ, a nested list is ragged, or
            a number is NaN, infinite or masked.

    >>> dataset = TensorDataset([[0.5, 1.5], [2.5, 3.5]], [7, 8])
    >>> len(dataset), dataset[1][0].shape, dataset[1][1].item()
    (2, (2,), 8)
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *arrays: Any) -> None:
        self.tensors = tuple(
            _checked(f"TensorDataset: array {i}", array) for i, array in enumerate(arrays)
        )
        self._rows = np.arange(common_length("TensorDataset", self.tensors))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        # Choosing from the row numbers first checks the index on the host: a GPU would not.
        chosen = self._rows[index]
        return tuple(take(x, chosen) for x in self.tensors)

    def __add__(self, other: Any) -> "ConcatDataset":
        return ConcatDataset([self, other])

    def __repr__(self) -> str:
        columns = ", ".join(f"{x.dtype} {x.shape}" for x in self.tensors)
        return f"TensorDataset({columns})"


class ConcatDataset:
    """Several datasets one after the other: ``a + b``, or ``ConcatDataset([a, b, c])``.

    Args:
        datasets: objects with a length and numbered samples.

    Raises:
        ValueError: there is none.
        TypeError: one of them has no length or no samples.

    >>> both = TensorDataset([1.5, 2.5]) + TensorDataset([3.5])
    >>> len(both), both[2][0].item(), both[-3][0].item()
    (3, 3.5, 1.5)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: got no datasets, expected at least one")
        for i, dataset in enumerate(self.datasets):
            if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
                raise TypeError(
                    f"ConcatDataset: dataset {i} is a {type(dataset).__name__}, expected an object "
                    f"with a length and numbered samples"
                )
        self._ends = np.cumsum([len(dataset) for dataset in self.datasets])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Any:
        number = range(len(self))[index]  # counted from the front, or an IndexError
        which = int(np.searchsorted(self._ends, number, side="right"))
        start = int(self._ends[which]) - len(self.datasets[which])
        return self.datasets[which][number - start]

    def __add__(self, other: Any) -> "ConcatDataset":
        return ConcatDataset([*self.datasets, other])


def take(x: Tensor, rows: Any) -> Tensor:
    """The given rows (int64, on the host) of a tensor on any device, as a copy."""
    xp = array_module(x.data)
    return Tensor.from_array(xp.take(x.data, xp.asarray(rows), axis=0))


def common_length(caller: str, arrays: Sequence[Any]) -> int:
    """The number of rows N >= 1 that all arrays have, or a ValueError that says which differ."""
    if not arrays:
        raise ValueError(f"{caller}: got no arrays, expected at least one")
    for i, array in enumerate(arrays):
        if not array.shape:
            raise ValueError(f"{caller}: array {i} is a single number, expected one row per sample")
    lengths = [array.shape[0] for array in arrays]
    for i, length in enumerate(lengths):
        if length != lengths[0]:
            raise ValueError(
                f"{caller}: array {i} has {length} rows but array 0 has {lengths[0]}, expected one "
                f"row per sample in each. Were some dropped from one and not from the other?"
            )
    if lengths[0] == 0:
        raise ValueError(
            f"{caller}: the arrays have no rows, expected at least one. Was all of it filtered out?"
        )
    return int(lengths[0])


def _checked(name: str, values: Any) -> Tensor:
    """``values`` as a tensor of finite real numbers that requires no grad."""
    if isinstance(values, Tensor):
        column = values
    elif np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries, expected numbers. Drop or fill those rows.")
    else:
        try:
            column = tensor(values)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}. Drop or fill what is missing.") from error
    if column.requires_grad:
        raise TypeError(
            f"{name} requires grad, expected data. Pass x.detach() to learn from its values."
        )
    array = column.data
    xp = array_module(array)
    if array.dtype.kind == "f" and not bool(xp.isfinite(array).all()):
        nans, infinities = int(xp.isnan(array).sum()), int(xp.isinf(array).sum())
        finite = xp.atleast_1d(xp.isfinite(array))
        bad = ~finite.reshape(len(finite), -1).all(axis=1)
        raise ValueError(
            f"{name} {column.shape} holds {nans} NaN and {infinities} infinite values, in "
            f"{int(bad.sum())} rows of which row {int(bad.argmax())} is the first; expected finite "
            f"numbers. Drop or fill those rows."
        )
    return column

"""Hold some samples back, to measure what was learnt on samples that were not learnt from."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..backend import array_module, is_array
from ..tensor import Tensor
from .dataset import common_length, take

Rows = npt.NDArray[np.int64]


def train_test_split(
    *arrays: Any,
    test_size: float = 0.2,
    seed: int | np.random.Generator = 0,
    stratify: Any = None,
) -> list[Any]:
    """Share the rows of each array out to a training and a test part, in random order.

    Every sample lands in exactly one of the two, and the arrays stay in step with each other. The
    same seed always gives the same split.

    Args:
        *arrays: arrays, tensors or lists with the same number of rows N.
        test_size: the share of the rows to hold back, above 0 and below 1 and rounded up to whole
            rows; or their number, an int.
        seed: what to draw the rows with.
        stratify: N labels. Each label then has the same share in both parts as in the whole, to
            the nearest row, and at least one row in either.

    Returns:
        ``[train, test]`` of the first array, then of the second, and so on:
        ``x_train, x_test, y_train, y_test = train_test_split(x, y)``. Tensors give tensors,
        everything else NumPy (or CuPy) arrays. All are copies.

    Raises:
        ValueError: the lengths differ, a part would be empty, or ``stratify`` asks for more rows
            per label than there are.

    >>> x_train, x_test = train_test_split(np.arange(10.0), test_size=0.3)
    >>> len(x_train), len(x_test), sorted([*x_train, *x_test]) == list(range(10))
    (7, 3, True)
    """
    columns = [x if isinstance(x, Tensor) or is_array(x) else np.asarray(x) for x in arrays]
    total = common_length("train_test_split", columns)
    held_back = _test_rows(test_size, total)
    order = np.random.default_rng(seed).permutation(total)
    if stratify is None:
        in_test = np.arange(total) < held_back
    else:
        in_test = _stratified(stratify, order, held_back)
    train, test = order[~in_test], order[in_test]
    return [part for column in columns for part in (_choose(column, train), _choose(column, test))]


def _choose(column: Any, rows: Rows) -> Any:
    if isinstance(column, Tensor):
        return take(column, rows)
    return column[array_module(column).asarray(rows)]


def _test_rows(test_size: float, total: int) -> int:
    if isinstance(test_size, int | np.integer) and not isinstance(test_size, bool):
        rows = int(test_size)
    elif isinstance(test_size, float | np.floating) and 0 < test_size < 1:
        # Rounded first: 0.07 * 100 is 7.000000000000001, and means 7.
        rows = math.ceil(round(float(test_size) * total, 6))
    else:
        raise ValueError(
            f"train_test_split: test_size is {test_size!r}, expected a share above 0 and below 1 "
            f"(a float) or a number of rows (an int)"
        )
    if not 0 < rows < total:
        raise ValueError(
            f"train_test_split: test_size={test_size!r} would put {rows} of {total} rows into the "
            f"test part, expected 1 to {total - 1}, so that neither part is empty"
        )
    return rows


def _stratified(stratify: Any, order: Rows, held_back: int) -> npt.NDArray[np.bool_]:
    """Which entries of ``order`` go to the test part, with each label in proportion.

    Proportion gives a label count * held_back / total rows, which is hardly ever whole. Each first
    gets the whole part of it (but at least one row, and not all of them); the rows still missing
    go, one each, to the labels that are furthest below their due.
    """
    labels = np.asarray(stratify.cpu().numpy() if isinstance(stratify, Tensor) else stratify)
    if labels.shape != order.shape:
        raise ValueError(
            f"train_test_split: stratify has the shape {labels.shape}, expected one label per row: "
            f"{order.shape}"
        )
    names, label_of, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"train_test_split: stratify has one row only with the label {names[counts.argmin()]}, "
            f"expected at least 2 of each, one for either part. Merge or drop rare labels."
        )
    if not len(names) <= held_back <= len(order) - len(names):
        raise ValueError(
            f"train_test_split: {held_back} of {len(order)} rows cannot hold one row of each of "
            f"the {len(names)} labels in both parts, expected {len(names)} to "
            f"{len(order) - len(names)}. Change test_size."
        )
    due = counts * held_back / len(order)
    quota = np.clip(np.floor(due).astype(np.int64), 1, counts - 1)
    while (missing := held_back - int(quota.sum())) != 0:
        if missing > 0:
            quota[np.where(quota < counts - 1, due - quota, -np.inf).argmax()] += 1
        else:
            quota[np.where(quota > 1, due - quota, np.inf).argmin()] -= 1
    in_test = np.zeros(len(order), dtype=bool)
    for label, rows in enumerate(quota):
        in_test[np.flatnonzero(label_of[order] == label)[:rows]] = True
    return in_test

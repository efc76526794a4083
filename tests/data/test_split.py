"""train_test_split: every sample exactly once, in step, repeatable, in proportion."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.data import train_test_split


@given(total=st.integers(2, 60), share=st.floats(0.01, 0.99), seed=st.integers(0, 2**32))
def test_every_sample_lands_in_one_part(total: int, share: float, seed: int) -> None:
    x = np.arange(total)
    if not 0 < np.ceil(share * total) < total:
        return
    train, test = train_test_split(x, test_size=share, seed=seed)
    assert sorted([*train, *test]) == x.tolist()
    assert len(test) == np.ceil(round(share * total, 6))


def test_the_arrays_stay_in_step(rng: np.random.Generator) -> None:
    x = rng.normal(size=(30, 2, 3))
    y = x.sum(axis=(1, 2))
    parts = train_test_split(x, y, list(y), seed=5)
    assert len(parts) == 6
    x_train, x_test, y_train, y_test, z_train, z_test = parts
    np.testing.assert_array_equal(x_train.sum(axis=(1, 2)), y_train)
    np.testing.assert_array_equal(x_test.sum(axis=(1, 2)), y_test)
    np.testing.assert_array_equal(z_train, y_train)
    np.testing.assert_array_equal(z_test, y_test)


def test_the_seed_decides() -> None:
    x = np.arange(40)
    splits = [train_test_split(x, seed=seed)[0].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]
    assert splits[0] == train_test_split(x)[0].tolist()
    generator = np.random.default_rng(1)
    assert train_test_split(x, seed=generator)[0].tolist() == splits[2]
    assert train_test_split(x, seed=generator)[0].tolist() != splits[2]


def test_the_order_is_random_in_both_parts() -> None:
    train, test = train_test_split(np.arange(100), test_size=0.5)
    for part in (train, test):
        assert part.tolist() != sorted(part.tolist())


@pytest.mark.parametrize(
    ("size", "total", "rows"),
    [(0.2, 1797, 360), (0.07, 100, 7), (0.5, 3, 2), (1, 10, 1), (9, 10, 9)],
)
def test_how_many_rows_are_held_back(size: float, total: int, rows: int) -> None:
    train, test = train_test_split(np.arange(total), test_size=size)
    assert (len(train), len(test)) == (total - rows, rows)


def test_tensors_give_tensors() -> None:
    x = mg.tensor(np.arange(10.0, dtype=np.float32).reshape(5, 2))
    labels = np.arange(5)
    train, test, y_train, _ = train_test_split(x, labels, seed=2)
    assert isinstance(train, mg.Tensor)
    assert isinstance(test, mg.Tensor)
    assert train.data.dtype == np.float32
    np.testing.assert_array_equal(train.numpy(), x.numpy()[y_train])


def test_the_parts_are_copies() -> None:
    x = np.arange(6.0)
    train, _ = train_test_split(x)
    train += 100
    assert x.max() == 5


@given(
    counts=st.lists(st.integers(2, 25), min_size=1, max_size=6),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_stratified_parts_are_in_proportion(counts: list[int], share: float, seed: int) -> None:
    total = sum(counts)
    held_back = int(np.ceil(round(share * total, 6)))
    if not len(counts) <= held_back <= total - len(counts):
        return
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, test = train_test_split(np.arange(total), test_size=share, seed=seed, stratify=y)
    assert sorted([*train, *test]) == list(range(total))
    assert len(test) == held_back
    in_test = Counter(y[test].tolist())
    for label, count in enumerate(counts):
        assert 1 <= in_test[label] <= count - 1
        due = count * held_back / total
        # Away from the limits of one row per part, each label is within a row of its due, unless
        # rows had to be taken from it to keep another label's limit.
        slack = sum(max(0.0, 1 - c * share, 1 - c * (1 - share)) for c in counts)
        assert abs(in_test[label] - due) < 1 + slack + 1e-9


def test_the_digits_in_proportion() -> None:
    y = np.repeat(np.arange(10), 50)
    _, test = train_test_split(y, test_size=0.2, stratify=y)
    assert Counter(test.tolist()) == dict.fromkeys(range(10), 10)


def test_rare_labels_are_in_both_parts_at_the_cost_of_the_common() -> None:
    # 5% of 100 rows are 5; in proportion the rare labels would have 0.1 rows each.
    y = np.repeat([0, 1, 2, 3], [2, 2, 2, 94])
    _, test = train_test_split(y, test_size=0.05, stratify=y)
    assert np.bincount(test).tolist() == [1, 1, 1, 2]
    train, _ = train_test_split(y, test_size=0.95, stratify=y)
    assert np.bincount(train).tolist() == [1, 1, 1, 2]


def test_labels_of_any_kind() -> None:
    names = ["cat", "dog", "cat", "dog", "cat", "cat", "dog", "dog"]
    train, test = train_test_split(names, test_size=0.5, stratify=names)
    assert Counter(train.tolist()) == Counter(test.tolist()) == {"cat": 2, "dog": 2}
    as_tensor = mg.tensor([0, 1] * 4)
    _, test = train_test_split(as_tensor, test_size=4, stratify=as_tensor)
    assert sorted(test.numpy().tolist()) == [0, 0, 1, 1]


X = np.arange(10)


@pytest.mark.parametrize(
    ("arrays", "options", "says"),
    [
        ((), {}, "got no arrays"),
        ((X, X[:9]), {}, "array 1 has 9 rows but array 0 has 10"),
        ((X[:0],), {}, "no rows"),
        ((X[:1],), {}, "1 of 1 rows into the test part"),
        ((X,), {"test_size": 0}, "0 of 10 rows"),
        ((X,), {"test_size": 10}, "10 of 10 rows into the test part, expected 1 to 9"),
        ((X,), {"test_size": -2}, "-2 of 10 rows"),
        ((X,), {"test_size": 0.95}, "10 of 10 rows"),
        ((X,), {"test_size": 1.0}, "test_size is 1.0, expected a share above 0 and below 1"),
        ((X,), {"test_size": float("nan")}, "test_size is nan"),
        ((X,), {"test_size": True}, "test_size is True"),
        ((X,), {"test_size": "20%"}, "test_size is '20%'"),
        ((X,), {"stratify": X[:9]}, r"stratify has the shape \(9,\), expected one label per row"),
        ((X,), {"stratify": X.reshape(10, 1)}, r"shape \(10, 1\)"),
        ((X,), {"stratify": [0] * 4 + [1] * 5 + [7]}, "one row only with the label 7"),
        ((X,), {"stratify": X // 2}, "2 of 10 rows cannot hold one row of each of the 5 labels"),
        ((X,), {"stratify": X // 2, "test_size": 6}, "expected 5 to 5"),
    ],
)
def test_what_cannot_be_split(arrays: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"^train_test_split: .*{says}"):
        train_test_split(*arrays, **options)


@pytest.mark.parametrize("size", [np.int64(3), np.uint8(3), np.float64(0.3), np.float32(0.3)])
def test_the_test_size_may_be_a_numpy_number(size: object) -> None:
    train, test = train_test_split(np.arange(10), test_size=size)
    assert (len(train), len(test)) == (7, 3)

"""TensorDataset keeps rows together, leaves types alone and refuses what would mislead."""

import re
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import ConcatDataset, DataLoader, Dataset, TensorDataset


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(7, 3)).astype(np.float32)


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(2, 9, size=7)


def test_one_sample(x: np.ndarray, y: np.ndarray) -> None:
    dataset = TensorDataset(x, y)
    assert len(dataset) == 7
    sample, label = dataset[4]
    np.testing.assert_array_equal(sample.numpy(), x[4])
    assert sample.shape == (3,)
    assert label.item() == y[4]
    assert label.shape == ()


@pytest.mark.parametrize(
    "index",
    [
        slice(2, 5),
        slice(None, None, -2),
        [4, 0, 4],
        np.array([-1, 1]),
        np.array([True, False, True, False, False, False, True]),
        -3,
        np.int32(2),
    ],
)
def test_several_samples(x: np.ndarray, y: np.ndarray, index: Any) -> None:
    samples, labels = TensorDataset(x, y)[index]
    np.testing.assert_array_equal(samples.numpy(), x[index])
    np.testing.assert_array_equal(labels.numpy(), y[index])


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int64", "int32", "uint8", "bool"]
)
def test_types_are_kept(dtype: str) -> None:
    column = np.array([2, 3, 5]).astype(dtype)
    dataset = TensorDataset(column)
    assert dataset.tensors[0].data.dtype == dtype
    for index in (1, [0, 2]):
        assert dataset[index][0].data.dtype == dtype


def test_lists_become_what_tensor_makes_of_them() -> None:
    dataset = TensorDataset([[0.25, 1.5], [3.0, 4.0]], [3, 1])
    x, y = dataset.tensors
    assert (x.data.dtype, y.data.dtype) == (np.float32, np.int64)


def test_arrays_may_change_afterwards(x: np.ndarray) -> None:
    before = x.copy()
    dataset = TensorDataset(x)
    x += 100
    np.testing.assert_array_equal(dataset[:][0].numpy(), before)


@pytest.mark.parametrize("index", [2, slice(0, 3), slice(None), [0, 1]])
def test_samples_may_change_afterwards(x: np.ndarray, index: Any) -> None:
    dataset = TensorDataset(x)
    sample = dataset[index][0]
    sample += 100
    np.testing.assert_array_equal(dataset[:][0].numpy(), x)


def test_a_masked_array_without_a_missing_entry_is_an_array() -> None:
    (x,) = TensorDataset(np.ma.masked_greater(GOOD, 99))[:]
    np.testing.assert_array_equal(x.numpy(), GOOD)


def test_tensors_go_in_too(x: np.ndarray, y: np.ndarray) -> None:
    dataset = TensorDataset(mg.tensor(x), mg.tensor(y))
    np.testing.assert_array_equal(dataset[[1, 0]][0].numpy(), x[[1, 0]])


def test_iteration_ends(x: np.ndarray) -> None:
    assert len([sample for (sample,) in TensorDataset(x)]) == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize("index", [7, -8, [0, 9], np.array([True, False])])
def test_a_row_that_is_not_there(x: np.ndarray, index: Any) -> None:
    with pytest.raises(IndexError):
        TensorDataset(x)[index]


def test_repr_tells_the_columns(x: np.ndarray, y: np.ndarray) -> None:
    assert repr(TensorDataset(x, y)) == "TensorDataset(float32 (7, 3), int64 (7,))"


def with_entries(array: np.ndarray, *entries: tuple[tuple[int, int], float]) -> np.ndarray:
    for place, value in entries:
        array[place] = value
    return array


GOOD = np.array([[1.5, 2.5], [3.5, 4.5], [5.5, 6.5], [7.5, 8.5]])


@pytest.mark.parametrize(
    ("arrays", "error", "says"),
    [
        ((), ValueError, ["got no arrays"]),
        ((2.5,), ValueError, ["array 0 is a single number"]),
        ((GOOD, GOOD[:3]), ValueError, ["array 1 has 3 rows but array 0 has 4"]),
        ((GOOD[:0],), ValueError, ["no rows", "filtered out"]),
        ((GOOD, [1, 2, None, 4]), TypeError, ["array 1", "index (2,)", "is None", "fill"]),
        ((None,), TypeError, ["array 0", "is None"]),
        (([{"a": 1}],), TypeError, ["array 0", "is {'a': 1}"]),
        ((["cat", "dog"],), TypeError, ["array 0", "<U3"]),
        ((GOOD * 1j,), TypeError, ["array 0", "complex128"]),
        (([[1, 2], [3]],), ValueError, ["array 0", "unequal lengths"]),
        (
            (
                GOOD,
                with_entries(GOOD.copy(), ((3, 0), np.nan), ((2, 0), np.nan), ((2, 1), -np.inf)),
            ),
            ValueError,
            ["array 1 (4, 2)", "2 NaN and 1 infinite", "in 2 rows", "row 2 is the first"],
        ),
        (([[0.5], [np.inf]],), ValueError, ["0 NaN and 1 infinite", "row 1"]),
        ((float("nan"),), ValueError, ["1 NaN"]),
        ((np.ma.masked_greater(GOOD, 8),), ValueError, ["array 0 has masked entries"]),
    ],
)
def test_bad_data_is_refused(arrays: tuple[Any, ...], error: type, says: list[str]) -> None:
    with pytest.raises(error, match=r"^TensorDataset: ") as caught:
        TensorDataset(*arrays)
    for part in says:
        assert part in str(caught.value)


def test_nan_inside_a_tensor_is_found_too() -> None:
    with pytest.raises(ValueError, match="1 NaN and 0 infinite"):
        TensorDataset(mg.tensor([[1.0, 2.0], [float("nan"), 4.0]]))


def test_images_with_nan_name_their_row() -> None:
    images = np.ones((5, 2, 3, 3), np.float32)
    images[3, 1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=re.escape("(5, 2, 3, 3) holds 1 NaN")) as caught:
        TensorDataset(images)
    assert "row 3" in str(caught.value)


def test_what_requires_grad_is_no_data() -> None:
    weights = mg.tensor([[0.5, 1.5]], requires_grad=True)
    with pytest.raises(TypeError, match=r"array 0 requires grad.*detach\(\)"):
        TensorDataset(weights)
    TensorDataset(weights.detach())


def test_datasets_one_after_the_other():
    a = TensorDataset([1.5, 2.5], [7, 8])
    b = TensorDataset([3.5], [9])
    both = a + b + a
    assert isinstance(both, ConcatDataset)
    assert len(both) == 5
    assert [both[i][1].item() for i in range(5)] == [7, 8, 9, 7, 8]
    assert both[-5][0].item() == 1.5
    for index in (5, -6):
        with pytest.raises(IndexError):
            both[index]
    batches = [y.tolist() for _, y in DataLoader(both, batch_size=2)]
    assert batches == [[7, 8], [9, 7], [8]]


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ValueError, match="got no datasets"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="dataset 1 is a int, expected an object with a length"):
        ConcatDataset([[1.5], 3])


def test_a_dataset_may_say_what_its_samples_are():
    class Numbers(Dataset[float]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int, /) -> float:
            return 0.5 + range(3)[index]

    assert [x.tolist() for (x,) in DataLoader(Numbers(), batch_size=2)] == [[0.5, 1.5], [2.5]]

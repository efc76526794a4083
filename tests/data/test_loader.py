"""DataLoader: every sample once per epoch, in an order that a seed repeats and a state takes up."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.data import DataLoader, TensorDataset


def columns(samples: int) -> TensorDataset:
    """Labels 0, 1, 2, ... beside rows that tell them."""
    numbers = np.arange(samples)
    return TensorDataset(np.stack([numbers * 0.5, numbers + 3.0], axis=1), numbers)


def epoch(loader: DataLoader) -> list[list[int]]:
    """The labels of one epoch, batch by batch."""
    return [y.numpy().tolist() for _, y in loader]


@given(samples=st.integers(1, 40), size=st.integers(1, 50), shuffle=st.booleans())
def test_every_sample_comes_once(samples: int, size: int, shuffle: bool) -> None:
    loader = DataLoader(columns(samples), size, shuffle)
    batches = epoch(loader)
    assert sorted(label for batch in batches for label in batch) == list(range(samples))
    assert len(batches) == len(loader)
    assert all(len(batch) == size for batch in batches[:-1])


@given(samples=st.integers(1, 40), size=st.integers(1, 40))
def test_drop_last_leaves_whole_batches(samples: int, size: int) -> None:
    if size > samples:
        return
    loader = DataLoader(columns(samples), size, drop_last=True)
    batches = epoch(loader)
    assert len(batches) == len(loader) == samples // size
    assert all(len(batch) == size for batch in batches)


def test_batches_are_tensors_and_rows_stay_together() -> None:
    for x, y in DataLoader(columns(11), batch_size=4, shuffle=True, seed=1):
        assert isinstance(x, mg.Tensor)
        assert isinstance(y, mg.Tensor)
        assert y.data.dtype == np.int64
        np.testing.assert_array_equal(x.numpy()[:, 0], y.numpy() * 0.5)
        np.testing.assert_array_equal(x.numpy()[:, 1], y.numpy() + 3.0)


def test_without_shuffle_the_order_is_that_of_the_data() -> None:
    loader = DataLoader(columns(7), batch_size=3)
    assert epoch(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert epoch(loader) == [[0, 1, 2], [3, 4, 5], [6]]


def test_changing_a_batch_leaves_the_data_alone() -> None:
    dataset = columns(6)
    before = dataset.tensors[0].numpy().copy()
    for x, _ in DataLoader(dataset, batch_size=6):
        x.data[...] = 77
    np.testing.assert_array_equal(dataset.tensors[0].numpy(), before)


# ----------------------------------------------------------------------------------- the order


def epochs(loader: DataLoader, count: int = 3) -> list[list[list[int]]]:
    return [epoch(loader) for _ in range(count)]


def seeded(seed: int = 4, **options: Any) -> DataLoader:
    return DataLoader(columns(25), batch_size=4, shuffle=True, seed=seed, **options)


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    first = epochs(seeded())
    assert first[0] != first[1] != first[2] != first[0]
    assert epochs(seeded()) == first
    assert epochs(seeded(seed=5)) != first


def test_a_generator_serves_as_a_seed_does() -> None:
    given_generator = DataLoader(columns(25), 4, True, generator=np.random.default_rng(4))
    assert epochs(given_generator) == epochs(seeded())


def test_manual_seed_decides_where_nothing_else_does() -> None:
    loader = DataLoader(columns(25), batch_size=4, shuffle=True)
    mg.manual_seed(8)
    first = epochs(loader)
    mg.manual_seed(8)
    assert epochs(loader) == first
    assert epochs(loader) != first


def test_a_seeded_loader_leaves_the_common_generator_alone() -> None:
    mg.manual_seed(8)
    expected = mg.backend.default_generator().random()
    mg.manual_seed(8)
    epochs(seeded())
    assert mg.backend.default_generator().random() == expected


def test_the_order_has_no_favourites() -> None:
    """Each sample comes first about equally often (chi-square, 24 degrees of freedom)."""
    loader = seeded()
    count = np.bincount([next(iter(loader))[1].numpy()[0] for _ in range(1000)], minlength=25)
    assert ((count - 40) ** 2 / 40).sum() < 51.2  # exceeded with probability 0.001


# ----------------------------------------------------------------------------------- the state


@pytest.mark.parametrize("make", [seeded, lambda: DataLoader(columns(25), batch_size=4)])
@pytest.mark.parametrize("done", [0, 1, 4, 7])
def test_a_state_is_taken_up_where_it_was_left(make: Callable[[], DataLoader], done: int) -> None:
    whole = epochs(make(), 4)

    interrupted = make()
    epoch(interrupted)
    batches = iter(interrupted)
    for _ in range(done):
        next(batches)
    state = json.loads(json.dumps(interrupted.state_dict()))

    resumed = make()
    epoch(resumed)  # whatever it did before counts for nothing
    epoch(resumed)
    resumed.load_state_dict(state)
    if done:
        assert epoch(resumed) == whole[1][done:]
        assert epochs(resumed, 2) == whole[2:]
    else:
        # Nothing of the second epoch was handed out, and a loop that is not begun is no epoch.
        assert len(epoch(resumed)) == len(whole[1])


def test_a_state_between_epochs() -> None:
    whole = epochs(seeded(), 3)
    first = seeded()
    epoch(first)
    resumed = seeded(seed=99)
    resumed.load_state_dict(first.state_dict())
    assert epochs(resumed, 2) == whole[1:]


def test_taking_the_state_changes_nothing() -> None:
    loader = seeded()
    seen = []
    for _, y in loader:
        loader.state_dict()
        seen.append(y.numpy().tolist())
    assert [seen, epoch(loader)] == epochs(seeded(), 2)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda: DataLoader(columns(24), 4, True, seed=4), "samples=25, but here samples=24"),
        (lambda: DataLoader(columns(25), 5, True, seed=4), "batch_size=4, but here batch_size=5"),
        (lambda: DataLoader(columns(25), 4, False, seed=4), "shuffle=True, but here shuffle=False"),
        (lambda: seeded(drop_last=True), "drop_last=False, but here drop_last=True"),
        (lambda: DataLoader(columns(25), 4, True), "a generator of their own, or neither"),
        (
            lambda: DataLoader(
                columns(25), 4, True, generator=np.random.Generator(np.random.MT19937(1))
            ),
            "MT19937",
        ),
    ],
)
def test_the_state_of_another_loader(other: Callable[[], DataLoader], says: str) -> None:
    source = seeded()
    next(iter(source))
    loader = other()
    before = json.dumps(loader.state_dict(), default=str)
    with pytest.raises(ValueError, match=says):
        loader.load_state_dict(source.state_dict())
    assert json.dumps(loader.state_dict(), default=str) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("next_batch", value) for value in (10**9, -3, 2.5, float("nan"), True, None, "2", 8)),
        *(("epoch_seed", value) for value in (None, -1, 2**63, 2.5, "1")),
        *(("generator", value) for value in (3, {}, {"bit_generator": "PCG64"})),
        ("generator", np.random.MT19937(0).state),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_changes(name: str, value: object) -> None:
    loader, other = seeded(), seeded()
    for _ in range(3):
        list(other)  # the other's generator has gone on, so that taking it over would be seen
    next(iter(other))
    before = loader.state_dict()
    with pytest.raises(ValueError, match=name):
        loader.load_state_dict({**other.state_dict(), name: value})
    assert loader.state_dict() == before


def test_a_state_with_a_missing_key() -> None:
    state = seeded().state_dict()
    del state["next_batch"]
    with pytest.raises(ValueError, match=r"the state has the keys .* expected .*next_batch"):
        seeded().load_state_dict(state)


# ------------------------------------------------------------------------- data sets of one's own


class Squares:
    """Ten samples, each made when it is asked for."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return np.full((2, 2), index * 0.5, np.float32), index * index, mg.tensor([float(index)])


def test_samples_of_a_data_set_of_ones_own_are_stacked() -> None:
    batches = list(DataLoader(Squares(), batch_size=4))
    assert [x.shape for x, _, _ in batches] == [(4, 2, 2), (4, 2, 2), (2, 2, 2)]
    x, y, z = batches[1]
    assert x.data.dtype == np.float32
    np.testing.assert_array_equal(x.numpy()[:, 1, 0], [2.0, 2.5, 3.0, 3.5])
    assert y.numpy().tolist() == [16, 25, 36, 49]
    assert z.shape == (4, 1)


def test_a_list_of_numbers_is_a_data_set() -> None:
    batches = [x for (x,) in DataLoader([5, 3, 8], batch_size=2)]
    assert [x.tolist() for x in batches] == [[5, 3], [8]]
    (x,) = next(iter(DataLoader([0.5, 1.5], batch_size=2)))
    assert x.dtype == np.float32  # as tensor([0.5, 1.5])


def test_a_sample_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="None, expected a number"):
        list(DataLoader([3, None]))


def test_samples_that_do_not_fit_together() -> None:
    ragged = [np.ones(3), np.ones(3), np.ones(4)]
    with pytest.raises(ValueError, match=r"sample 2 .*\[\(4,\)\].* sample 0 .*\[\(3,\)\]"):
        list(DataLoader(ragged, batch_size=3))


# ---------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"batch_size": 0}, ValueError, "batch_size is 0, expected an int from 1"),
        ({"batch_size": -4}, ValueError, "batch_size is -4"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
        ({"batch_size": 6, "drop_last": True}, ValueError, "5 samples, which makes no batch of 6"),
        ({"seed": 1, "generator": np.random.default_rng()}, TypeError, "both seed and generator"),
        ({"num_workers": 2}, TypeError, "num_workers"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        DataLoader(columns(5), **options)


def test_an_empty_data_set() -> None:
    with pytest.raises(ValueError, match="0 samples"):
        DataLoader([])


def test_a_batch_size_may_be_a_numpy_integer() -> None:
    loader = DataLoader(TensorDataset([1.5, 2.5, 3.5]), np.int64(2))
    assert [len(x) for (x,) in loader] == [2, 1]
    assert type(loader.state_dict()["batch_size"]) is int


@pytest.mark.parametrize("generator", [7, "seed", np.random.RandomState(0)])
def test_a_generator_is_one_of_numpys(generator: object) -> None:
    with pytest.raises(TypeError, match=r"DataLoader: generator is a \w+, expected a NumPy"):
        DataLoader(TensorDataset([1.5, 2.5]), generator=generator)


@pytest.mark.parametrize("dataset", [None, 3, iter([1, 2]), {1, 2}])
def test_what_is_no_data_set_is_refused(dataset: object) -> None:
    with pytest.raises(TypeError, match=r"DataLoader: the data set is a \w+, expected one with"):
        DataLoader(dataset)

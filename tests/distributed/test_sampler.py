"""Shares of a data set: each sample is in one of them, and they are equally long."""

import numpy as np
import pytest

from minigrad import data
from minigrad import distributed as dist


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> object:
    """A function that makes this process one of three."""
    monkeypatch.setenv("PMI_SIZE", "3")
    return lambda rank: monkeypatch.setenv("PMI_RANK", str(rank))


def shares(as_rank: object, samples: int, epoch: int = 0, **options: object) -> list[list[int]]:
    found = []
    for rank in range(3):
        as_rank(rank)
        sampler = dist.DistributedSampler(range(samples), **options)
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler)
    return found


def test_shares_are_padded_with_the_first(as_rank: object) -> None:
    assert shares(as_rank, 7, shuffle=False) == [[0, 3, 6], [1, 4, 0], [2, 5, 1]]
    assert shares(as_rank, 1, shuffle=False) == [[0], [0], [0]]


def test_or_what_is_left_is_dropped(as_rank: object) -> None:
    assert shares(as_rank, 7, shuffle=False, drop_last=True) == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(ValueError, match="has 2 samples, expected at least 3"):
        shares(as_rank, 2, drop_last=True)


def test_the_order_depends_on_seed_and_epoch(as_rank: object) -> None:
    first = shares(as_rank, 30, seed=4)
    assert sorted(index for share in first for index in share) == list(range(30))
    assert first == shares(as_rank, 30, seed=4)
    assert first != shares(as_rank, 30, seed=4, epoch=1)
    assert first != shares(as_rank, 30, seed=5)


def test_a_loader_takes_its_order(as_rank: object) -> None:
    as_rank(1)
    values = np.arange(7.0) * 10
    sampler = dist.DistributedSampler(values, shuffle=False)
    loader = data.DataLoader(data.TensorDataset(values), batch_size=2, sampler=sampler)
    assert len(loader) == 2
    assert [x.tolist() for (x,) in loader] == [[10.0, 40.0], [0.0]]
    with pytest.raises(TypeError, match="both shuffle and sampler"):
        data.DataLoader(data.TensorDataset(values), shuffle=True, sampler=sampler)

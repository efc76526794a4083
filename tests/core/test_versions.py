"""Whether memory was written in place after a given next_order."""

import gc

import numpy as np
import pytest

import minigrad as mg
from minigrad.core import versions
from minigrad.core.graph import next_order
from minigrad.core.versions import mark_written, written_since


def test_a_write_counts_for_operations_before_it_and_not_for_those_after():
    array = np.arange(3.0)
    before = next_order()
    mark_written(array)
    after = next_order()
    assert written_since(array, before)
    assert not written_since(array, after)


def test_a_write_through_a_view_counts_for_the_whole_memory_and_every_view_of_it():
    array = np.arange(12.0).reshape(3, 4)
    order = next_order()
    mark_written(array[1].reshape(2, 2))
    assert written_since(array, order)
    assert written_since(array.T, order)
    assert written_since(array[2:], order)


def test_another_array_is_not_affected():
    first, second = np.zeros(3), np.zeros(3)
    order = next_order()
    mark_written(first)
    assert not written_since(second, order)


def test_the_latest_write_counts():
    array = np.zeros(3)
    mark_written(array)
    order = next_order()
    mark_written(array)
    assert written_since(array, order)


def test_an_entry_goes_with_its_array():
    gc.collect()
    before = len(versions._written)
    arrays = [np.zeros(3) for _ in range(50)]
    for array in arrays:
        mark_written(array)
    assert len(versions._written) == before + 50
    del arrays, array
    gc.collect()
    assert len(versions._written) <= before


# ------------------------------------------------------------------------------- who wrote it


def test_an_error_names_who_changed_the_values():
    """The writer is often one that a user does not see: an eval pass, a training pass, backward."""
    norm = mg.nn.BatchNorm1d(3)
    x = mg.randn(5, 3, requires_grad=True)
    y = norm.eval()(x).sum()
    norm.train()(x)
    with pytest.raises(
        RuntimeError, match=r"changed in place by a BatchNorm's running stat.*call backward before"
    ):
        y.backward()

    layer = mg.nn.Linear(3, 2)
    optimizer = mg.optim.SGD(layer.parameters(), lr=0.1)
    layer(x).sum().backward()
    y = layer(x).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"changed in place by SGD\.step after"):
        y.backward()

    y = layer(x).sum()
    layer.load_state_dict(mg.nn.Linear(3, 2).state_dict())
    with pytest.raises(RuntimeError, match="changed in place by load_state_dict after"):
        y.backward()

    b = mg.tensor([2.0, 3.0])
    y = (mg.tensor([1.5, 2.5], requires_grad=True) * b).sum()
    b.add_(1)
    with pytest.raises(RuntimeError, match=r"changed in place after .* make a new tensor instead"):
        y.backward()

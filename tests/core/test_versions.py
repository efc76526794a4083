"""Whether memory was written in place after a given next_order."""

import gc

import numpy as np

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

"""What data becomes a Tensor, in which type, and what is refused."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.arrays import as_array, as_dtype, check_range


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"),
        ([1.5, 2], "float32"),
        ([[1, 2], [3, 4]], "int64"),
        (True, "bool"),
        ([True, False], "bool"),
        ([], "float32"),
        (np.float64(1.5), "float64"),
        (np.float16(1.5), "float16"),
        ([np.float64(1.5), np.float64(2)], "float64"),
        (np.arange(3.0), "float64"),
        (np.arange(3, dtype=np.int16), "int16"),
        ([np.arange(3.0), np.arange(3.0)], "float64"),
        (np.arange(3, dtype=">f4"), "float32"),
    ],
)
def test_types(data, dtype):
    tensor = mg.tensor(data)
    assert tensor.dtype == dtype
    assert tensor.dtype.isnative
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(data))


def test_data_are_copied():
    array = np.arange(3.0)
    tensor = mg.tensor(array)
    array[0] = 99
    assert tensor[0].item() == 0
    again = mg.tensor(tensor)
    assert again.data is not tensor.data


def test_a_given_type_wins():
    assert mg.tensor([1, 2], dtype=mg.float16).dtype == mg.float16
    assert mg.tensor([1.7], dtype=mg.int64).item() == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "None"),
        ([1.0, None], r"index \(1,\) is None"),
        ([[1, 2], [3, "x"]], "dtype"),
        ("text", "dtype"),
        (1 + 2j, "complex128"),
        (np.array([1, None]), r"index \(1,\)|object"),
        (np.longdouble(1), "float128|longdouble|float"),
        ([object()], "object"),
        ([2**70], "64 bits"),
    ],
)
def test_what_is_no_real_number_is_refused(data, message):
    with pytest.raises(TypeError, match=message):
        mg.tensor(data)


def test_subclasses_of_ndarray_become_plain():
    masked = np.ma.masked_greater(np.array([1.0, 9.0]), 50)

    class Named(np.ndarray):
        pass

    for array in (masked, np.arange(3.0).view(Named)):
        assert type(mg.tensor(array).data) is np.ndarray
        assert type(mg.from_numpy(array).data) is np.ndarray
    with pytest.raises(TypeError, match="masked"):
        mg.tensor(np.ma.masked_greater(np.array([1.0, 9.0]), 5))


def test_ragged_lists():
    with pytest.raises(ValueError, match="unequal lengths"):
        mg.tensor([[1, 2], [3]])


def test_as_dtype_refuses_what_is_no_type():
    with pytest.raises(TypeError, match="expected a NumPy type"):
        as_dtype("no such type")


def test_as_array_leaves_no_view():
    base = np.arange(6.0)
    assert not np.shares_memory(as_array(base[::2]), base)


def test_check_range_names_the_first_culprit_and_where_it_stands():
    check_range(np.array([0, 4]), 5, "gather", "an index")
    with pytest.raises(IndexError, match=r"gather: an index is 5 \(at position \(1, 0\)\)"):
        check_range(np.array([[0, 1], [5, 7]]), 5, "gather", "an index")
    with pytest.raises(IndexError, match="is -1"):
        check_range(np.array(-1), 5, "gather", "an index")


@pytest.mark.parametrize(
    ("data", "place"),
    [([[1], [1, 2]], (1,)), ([1, [2]], (1,)), ([[[1], [2]], [[3], []]], (1, 1))],
)
def test_ragged_lists_say_where(data, place):
    message = re.escape(f"tensor: nested lists of unequal lengths: at index {place} the shape is")
    with pytest.raises(ValueError, match=message):
        mg.tensor(data)


def test_lists_of_tensors_take_the_largest_floating_type():
    """NumPy makes float64 of int64 and float32; PyTorch and this engine do not."""
    n, half, single = mg.tensor([1, 2]), mg.tensor([1.5, 2.5]).half(), mg.tensor([1.5, 2.5])
    assert mg.tensor([n, single]).dtype == np.float32
    assert mg.tensor([[n, half], [n, n]]).dtype == np.float16
    assert mg.tensor([half, single, n]).dtype == np.float32
    assert mg.tensor([single, single.double()]).dtype == np.float64
    assert mg.tensor([n, n]).dtype == np.int64
    assert mg.tensor([np.int64(1), 2.5]).dtype == np.float32
    assert mg.tensor((single, n)).tolist() == [[1.5, 2.5], [1, 2]]


def test_lists_of_tensors_that_require_gradients():
    w = mg.tensor([1.5, 2.5], requires_grad=True)
    for data in ([w, w], [1.0, w[0]], [[w], [w * 2]]):
        with pytest.raises(RuntimeError, match=r"tensor: a list holds Tensors .* use mg.stack"):
            mg.tensor(data)


def test_a_copy_that_leaves_the_graph_is_warned_of():
    w = mg.tensor([1.5, 2.5], requires_grad=True)
    for source in (w, w * 2):
        with pytest.warns(UserWarning, match=r"write t.clone\(\) to stay in it"):
            copy = mg.tensor(source)
        assert not copy.requires_grad
    mg.tensor((w * 2).detach())  # says so, and is not warned of


def test_integers_that_would_wrap_are_refused():
    for values, dtype, message in (
        ([300], mg.uint8, "300 does not fit into uint8, which goes from 0 to 255"),
        ([-1, 5], mg.uint8, "-1 does not fit into uint8"),
        (np.array([2**40]), mg.int32, "does not fit into int32"),
    ):
        with pytest.raises(ValueError, match=message):
            mg.tensor(values, dtype=dtype)
    assert mg.tensor([255, 0], dtype=mg.uint8).tolist() == [255, 0]
    with pytest.raises(ValueError, match="randint: integers from 0 to 999 do not fit into uint8"):
        mg.randint(0, 1000, (5,), dtype=mg.uint8)


def test_masked_entries_inside_of_lists_are_refused():
    masked = np.ma.array([1.5, 2.5], mask=[False, True])
    for data in ([masked], [[2.0, 3.0], masked], ([masked],)):
        with pytest.raises(TypeError, match="masked entries"):
            mg.tensor(data)
    assert mg.tensor([np.ma.array([1.5, 2.5])]).tolist() == [[1.5, 2.5]]

"""New tensors, compared with NumPy's and with what their names promise."""

from fractions import Fraction

import numpy as np
import pytest

import minigrad as mg


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_zeros_and_ones_in_both_spellings_of_a_shape(shape):
    for make, value in ((mg.zeros, 0), (mg.ones, 1)):
        for tensor in (make(shape), make(*shape)):
            assert tensor.shape == shape
            assert tensor.dtype == mg.float32
            assert (tensor.numpy() == value).all()


def test_like():
    x = mg.full((2, 3), 2.5, dtype=mg.float64)
    assert mg.zeros_like(x).dtype == mg.float64
    assert mg.ones_like(x, dtype=mg.int64).tolist() == [[1] * 3] * 2


@pytest.mark.parametrize(("value", "dtype"), [(2.5, "float32"), (2, "int64"), (True, "bool")])
def test_full_takes_the_type_of_its_value(value, dtype):
    tensor = mg.full((2,), value)
    assert tensor.dtype == dtype
    assert tensor.tolist() == [value] * 2


@pytest.mark.parametrize(
    ("arguments", "dtype"), [((5,), "int64"), ((2, 9, 3), "int64"), ((0.0, 1, 0.25), "float32")]
)
def test_arange(arguments, dtype):
    tensor = mg.arange(*arguments)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor.numpy(), np.arange(*arguments, dtype=dtype))


def test_linspace_and_eye():
    np.testing.assert_allclose(mg.linspace(-1, 1, 5).numpy(), [-1, -0.5, 0, 0.5, 1])
    assert mg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mg.eye(2).tolist() == [[1, 0], [0, 1]]


def test_randn_has_mean_0_and_standard_deviation_1():
    sample = mg.randn(200, 200).numpy()
    assert abs(sample.mean()) < 0.03
    assert abs(sample.std() - 1) < 0.03


@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
def test_rand_lies_in_the_half_open_interval(dtype):
    sample = mg.rand(100_000, dtype=dtype).numpy()
    assert sample.dtype == dtype
    assert sample.min() >= 0
    assert sample.max() < 1, "rounding to few digits must not reach 1"
    assert abs(sample.mean() - 0.5) < 0.02


def test_randint_and_randperm():
    numbers = mg.randint(3, 6, size=(1000,))
    assert set(numbers.tolist()) == {3, 4, 5}
    assert mg.randint(2, size=(50,)).numpy().max() == 1
    assert sorted(mg.randperm(20).tolist()) == list(range(20))


def test_requires_grad():
    assert mg.zeros(2, requires_grad=True).requires_grad
    assert mg.randn(2, requires_grad=True).is_leaf
    with pytest.raises(TypeError, match="int64"):
        mg.arange(3, requires_grad=True)


def test_from_numpy_shares_memory():
    array = np.arange(3.0)
    tensor = mg.from_numpy(array)
    array[0] = 5
    assert tensor[0].item() == 5
    with pytest.raises(TypeError, match="list"):
        mg.from_numpy([1.0])
    with pytest.raises(TypeError, match="complex"):
        mg.from_numpy(np.array([1j]))


def test_no_type_means_float32_and_is_no_type_elsewhere():
    for tensor in (
        mg.zeros(2, dtype=None),
        mg.ones(2, dtype=None),
        mg.randn(2, dtype=None),
        mg.rand(2, dtype=None),
        mg.eye(2, dtype=None),
        mg.linspace(0, 1, 3, dtype=None),
    ):
        assert tensor.dtype == mg.float32
    with pytest.raises(TypeError, match="expected a NumPy type"):
        mg.zeros(2).to(dtype="nonsense")


def test_a_step_of_nothing():
    with pytest.raises(ValueError, match="arange: step is 0"):
        mg.arange(0, 1, 0)


def test_integers_of_a_range_are_cut_first():
    assert mg.arange(3.1, dtype=mg.int64).tolist() == [0, 1, 2]
    assert mg.arange(0.9, 4.9, dtype=mg.int32).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="step is 0"):
        mg.arange(0, 3, 0.5, dtype=mg.int64)
    assert mg.arange(0, 3, 0.5, dtype=mg.float64).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]


@pytest.mark.parametrize("dtype", [mg.uint8, mg.int64])
def test_whole_numbers_at_equal_distances(dtype):
    for start, end, steps in ((0, 255, 52), (255, 0, 7), (3, 250, 20), (7, 7, 3), (9, 0, 1)):
        gaps = max(steps - 1, 1)
        exact = [int(Fraction(start * gaps + i * (end - start), gaps)) for i in range(steps)]
        assert mg.linspace(start, end, steps, dtype=dtype).tolist() == exact
    assert mg.linspace(-1, 2, 5, dtype=mg.int64).tolist() == [-1, 0, 0, 1, 2], "cut, not floored"
    assert mg.linspace(0.9, 3.9, 4, dtype=mg.int64).tolist() == [0, 1, 2, 3]


def test_a_single_random_number():
    for shape in ((), ((),)):
        for dtype in (mg.float16, mg.float32, mg.float64):
            sample = mg.rand(*shape, dtype=dtype)
            assert sample.shape == ()
            assert sample.dtype == dtype
            assert 0 <= sample.item() < 1


def test_foreign_byte_order():
    foreign = np.array([1.5, 2.5], np.dtype(np.float16).newbyteorder())
    with pytest.raises(TypeError, match=r"from_numpy: the array is .f2, expected the byte order"):
        mg.from_numpy(foreign)
    x = mg.tensor(foreign)
    assert x.dtype.isnative
    assert x.tolist() == [1.5, 2.5]
    with pytest.raises(TypeError, match=r"data: the array is .f2"):
        x.data = foreign
    for made in (
        x.to(foreign.dtype),
        mg.zeros(2, dtype=foreign.dtype),
        mg.full((2,), 1.5, dtype=foreign.dtype),
        mg.ones_like(x, dtype=foreign.dtype),
        mg.zeros_like(x, dtype=foreign.dtype),
        mg.zeros(2).copy_(foreign),
    ):
        assert made.dtype.isnative
    with pytest.raises(TypeError, match="dtype: got complex64, expected"):
        mg.zeros_like(x, dtype=np.complex64)
    assert x.tolist() == [1.5, 2.5]


def test_imaginary_parts_are_not_dropped() -> None:
    for make in (lambda: mg.linspace(0, 1j, 3), lambda: mg.arange(1 + 2j, dtype=mg.float32)):
        with pytest.raises(TypeError, match="expected a real number"):
            make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: mg.arange(300, dtype=mg.uint8), "arange: 299 does not fit into uint8"),
        (lambda: mg.full((2,), 300, mg.uint8), "full: 300 does not fit into uint8"),
        (lambda: mg.tensor([300.5], dtype=mg.uint8), "tensor: 300.5 does not fit into uint8"),
        (lambda: mg.tensor([np.nan], dtype=mg.int32), "tensor: nan does not fit into int32"),
        (lambda: mg.zeros(2, dtype=mg.int8).fill_(-200), "fill_: -200 does not fit into int8"),
    ],
)
def test_a_number_beyond_a_type_of_integers_is_refused(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: mg.arange("a"),
        lambda: mg.full((2,), np.ma.masked),
        lambda: mg.linspace(0, None, 3),
    ],
)
def test_what_is_no_number_is_refused(make) -> None:
    with pytest.raises(TypeError, match="expected a real number"):
        make()


def test_limits_may_be_tensors_and_numpys_numbers() -> None:
    assert mg.arange(mg.tensor(1), np.int64(4)).tolist() == [1, 2, 3]
    assert mg.full((2,), mg.tensor(2.5)).tolist() == [2.5, 2.5]
    assert mg.zeros_like(mg.ones(2), device="cpu").tolist() == [0.0, 0.0]
    assert mg.randint(3, (2, 4)).shape == (2, 4)

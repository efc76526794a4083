"""What a Tensor is: its attributes, conversions, repr, and the changes it allows."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def test_attributes():
    x = mg.tensor([[1.5, 2.5, 3.5]], requires_grad=True)
    assert (x.shape, x.ndim, x.dim(), x.numel(), len(x)) == ((1, 3), 2, 2, 3, 1)
    assert (x.size(), x.size(1)) == ((1, 3), 3)
    assert x.dtype is mg.float32
    assert x.is_leaf
    assert not (x * 2).is_leaf
    assert isinstance(x.data, np.ndarray)
    assert x.node is x
    assert (x * 2).node.name == "MulScalar"


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (mg.tensor([1.5, 2.0]), "tensor([1.5, 2. ], dtype=float32)"),
        (mg.tensor(3), "tensor(3, dtype=int64)"),
        (
            mg.tensor([1.5], requires_grad=True),
            "tensor([1.5], dtype=float32, requires_grad=True)",
        ),
        (
            mg.tensor([1.5], requires_grad=True) * 2,
            "tensor([3.], dtype=float32, grad_fn=<MulScalar>)",
        ),
        (mg.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]], dtype=int64)"),
    ],
)
def test_repr_shows_values_type_and_history(tensor, text):
    assert repr(tensor) == text


def test_formatting():
    assert f"{mg.tensor(2.34567):.2f}" == "2.35"
    assert f"{mg.tensor([1, 2])}" == "tensor([1, 2], dtype=int64)"


def test_to_python_numbers():
    assert float(mg.tensor([2.5])) == 2.5
    assert int(mg.tensor(7)) == 7
    assert bool(mg.tensor([True]))
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert mg.tensor([[1.5]]).item() == 1.5
    assert mg.tensor([[1, 2]]).tolist() == [[1, 2]]
    for convert in (bool, float, int, mg.Tensor.item):
        with pytest.raises(ValueError, match=r"\(2,\), expected one element"):
            convert(mg.tensor([1, 2]))
    with pytest.raises(TypeError, match="float32, expected integers"):
        [1, 2][mg.tensor(1.0)]


def test_numpy_shares_memory_and_refuses_what_requires_grad():
    x = mg.tensor([1.0, 2.0])
    x.numpy()[0] = 5
    assert x[0].item() == 5
    np.testing.assert_array_equal(np.asarray(x), [5, 2])
    assert np.array(x, dtype=np.float64).dtype == np.float64
    x.requires_grad = True
    with pytest.raises(RuntimeError, match=r"\.detach\(\)\.numpy\(\)"):
        x.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(x)


def test_ndarray_and_tensor_do_not_mix_in_silence():
    x, array = mg.tensor([1.0]), np.ones(1)
    for operation in (lambda: x + array, lambda: array + x, lambda: array * x, lambda: x * [2.0]):
        with pytest.raises(TypeError, match=r"mg\.tensor"):
            operation()
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "text"
    assert (x + np.float64(2)).dtype == mg.float32, "a NumPy scalar counts as a Python number"


# --------------------------------------------------------------------------- moves and types


def test_conversions():
    x = mg.tensor([1.5, 2.5])
    assert x.double().dtype == mg.float64
    assert x.half().dtype == mg.float16
    assert x.double().float().dtype == mg.float32
    assert x.long().tolist() == [1, 2]
    assert x.to(mg.float32) is x
    assert x.to("cpu") is x
    assert x.to(device="cpu", dtype=mg.float64).dtype == mg.float64
    assert x.to(mg.tensor([1.0], mg.float16)).dtype == mg.float16
    assert x.to("float64").dtype == mg.float64
    with pytest.raises(TypeError, match="unexpected arguments"):
        x.to(colour="red")
    with pytest.raises(TypeError, match="complex64"):
        x.to(np.complex64)


def test_a_change_of_type_is_recorded():
    x = mg.tensor([1.5, -2.5], requires_grad=True)
    y = x.double() ** 2
    y.backward(mg.tensor([0.3, 0.7], mg.float64))
    assert x.grad.dtype == mg.float32
    np.testing.assert_allclose(x.grad.numpy(), [0.9, -3.5], rtol=1e-6)
    assert not x.long().requires_grad


def test_detach_shares_and_clone_copies():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert x.detach().data is x.data
    assert not x.detach().requires_grad
    y = x.clone()
    assert y.data is not x.data
    y.backward(mg.tensor([0.3, 0.7]))
    np.testing.assert_array_equal(x.grad.numpy(), np.float32([0.3, 0.7]))


def test_contiguous():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.contiguous() is x
    assert x.T.contiguous().data.flags.c_contiguous


# ------------------------------------------------------------------------------- gradients


def test_integers_cannot_require_a_gradient():
    for make in (
        lambda: mg.tensor([1, 2], requires_grad=True),
        lambda: mg.tensor([1, 2]).requires_grad_(),
        lambda: mg.tensor([True]).requires_grad_(),
    ):
        with pytest.raises(TypeError, match="expected a floating type"):
            make()


def test_requires_grad_of_a_result_cannot_be_taken_back():
    y = mg.tensor([1.0], requires_grad=True) * 2
    y.requires_grad = True
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False


def test_grad_must_fit_its_tensor():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.grad = mg.tensor([3.0, 4.0])
    assert x.grad.tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"\(3,\)"):
        x.grad = mg.zeros(3)
    with pytest.raises(ValueError, match="float64"):
        x.grad = mg.zeros(2, dtype=mg.float64)
    with pytest.raises(TypeError, match="ndarray"):
        x.grad = np.zeros(2)
    assert x.grad.tolist() == [3, 4]
    x.grad = None
    assert x.grad is None


def test_data_can_be_replaced_by_an_array_only():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.data = np.float32([5.0, 6.0])
    assert x.tolist() == [5, 6]
    x.data = mg.tensor([7.0, 8.0])
    assert x.tolist() == [7, 8]
    with pytest.raises(TypeError, match="list"):
        x.data = [1.0]
    with pytest.raises(TypeError, match="int64"):
        x.data = np.array([1, 2])


# --------------------------------------------------------------------------------- in place


def test_changes_in_place_return_the_tensor_itself():
    x = mg.tensor([1.0, 2.0])
    data = x.data
    assert x.add_(1).mul_(2).sub_(mg.tensor([1.0, 3.0])).div_(3) is x
    np.testing.assert_allclose(data, [1.0, 1.0])
    assert x.add_(1, alpha=10).tolist() == [11, 11]
    assert x.sub_(mg.tensor([1.0, 2.0]), alpha=2).tolist() == [9, 7]
    x += 1
    x -= 2
    x *= 3
    x /= 2
    assert x.data is data
    assert x.tolist() == [12, 9]


def test_copy_fill_zero_and_assignment():
    x = mg.zeros(2, 3)
    x.copy_([1, 2, 3])
    assert x.tolist() == [[1, 2, 3]] * 2
    x[0] = 9
    x[:, 1] = mg.tensor([5.0, 6.0])
    x[x > 8] = -1
    assert x.tolist() == [[-1, 5, -1], [1, 6, 3]]
    assert x.fill_(4).zero_().tolist() == [[0, 0, 0]] * 2
    with pytest.raises(ValueError, match=r"copy_: the source has shape \(2,\)"):
        x.copy_([1, 2])
    with pytest.raises(TypeError, match="list"):
        x[0] = [1, 2, 3]
    with pytest.raises(TypeError, match="ndarray"):
        x += np.ones(3)


def test_in_place_keeps_the_type():
    counts = mg.tensor([1, 2])
    with pytest.raises(TypeError, match="add_: a tensor of int64 cannot hold the result, which"):
        counts += 0.5
    with pytest.raises(TypeError, match=r"div_: .* which is floating"):
        counts /= 2
    with pytest.raises(TypeError, match=r"mul_: a tensor of bool cannot hold .* which is int64"):
        mg.tensor([True]).mul_(counts)
    with pytest.raises(TypeError, match="booleans are not numbers; use ~"):
        mg.tensor([True]).sub_(mg.tensor([True]))
    assert counts.tolist() == [1, 2]


def test_integers_of_another_size_go_in_in_place():
    """As in PyTorch: a result that is too large wraps around, as in the small type itself."""
    small = mg.tensor([100, 7], dtype=mg.uint8)
    small *= mg.tensor([3, 2])
    assert small.tolist() == [300 % 256, 14]
    small -= mg.tensor([50, 2], dtype=mg.int16)
    assert small.tolist() == [(44 - 50) % 256, 12]
    assert small.dtype == np.uint8
    assert small.fill_(mg.tensor(3)).tolist() == [3, 3]


# ------------------------------------------------------------------------- copies and files


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_leaves_can_be_copied_and_pickled(again):
    x = mg.tensor([1.5, 2.5], dtype=mg.float16, requires_grad=True)
    y = again(x)
    assert y.tolist() == x.tolist()
    assert (y.dtype, y.requires_grad, type(y)) == (x.dtype, True, mg.Tensor)
    assert y.data is not x.data
    parameter = nn.Parameter(mg.tensor([1.0]))
    assert type(again(parameter)) is nn.Parameter


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_keeps_the_gradient(again):
    x = mg.tensor([1.5, 2.5], requires_grad=True)
    (x * 3).backward(mg.tensor([0.5, 0.7]))
    y = again(x)
    np.testing.assert_array_equal(y.grad.numpy(), x.grad.numpy())
    assert y.grad.data is not x.grad.data


def test_a_result_cannot_be_copied_without_its_history():
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(mg.tensor([1.0], requires_grad=True) * 2)


def test_tensors_are_keys_by_identity():
    x, y = mg.tensor([1.0]), mg.tensor([1.0])
    assert len({x, y}) == 2
    assert (x == y).tolist() == [True]
    assert x != None  # noqa: E711  (an object of another kind is never equal)

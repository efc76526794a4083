"""Loading a state dict: everything that is wrong is named, and then nothing is loaded."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_all_faults_are_named_at_once_and_nothing_is_loaded() -> None:
    net, given = network(), network().state_dict()
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    del given["0.bias"], given["1.running_var"]
    given["fc.weight"] = mg.ones(1)
    given["0.weight"] = mg.ones(2, 4)
    given["1.num_batches_tracked"] = mg.tensor(2.5)
    given["1.weight"] = ["a", "b"]
    with pytest.raises(ValueError, match="nothing was loaded") as caught:
        net.load_state_dict(given)
    message = str(caught.value)
    assert message.startswith("Sequential: ")
    assert "missing: '0.bias', '1.running_var'" in message
    assert "unexpected: 'fc.weight'" in message
    assert "'0.weight' has shape (2, 4), expected (2, 3)" in message
    assert "'1.num_batches_tracked' is float32, expected int64" in message
    assert "'1.weight' is <U1, expected float32" in message
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_not_strict_loads_what_is_there_and_says_what_is_not() -> None:
    net = network()
    bias = net[0].bias.detach().numpy().copy()
    answer = net.load_state_dict({"0.weight": np.full((2, 3), 7.0), "odd": 1}, strict=False)
    assert answer.unexpected_keys == ["odd"]
    assert "0.bias" in answer.missing_keys
    assert "0.weight" not in answer.missing_keys
    assert repr(answer).startswith("IncompatibleKeys(missing_keys=['0.bias'")
    np.testing.assert_array_equal(net[0].weight.detach().numpy(), np.full((2, 3), 7.0))
    np.testing.assert_array_equal(net[0].bias.detach().numpy(), bias)


def test_not_strict_does_not_forgive_a_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"has shape \(2,\), expected \(2, 3\)"):
        network().load_state_dict({"0.weight": np.zeros(2)}, strict=False)


def test_values_may_be_arrays_lists_and_numbers() -> None:
    layer = nn.BatchNorm1d(2)
    layer.load_state_dict(
        {
            "weight": [1.5, 2.5],
            "bias": np.array([3, 4]),
            "running_mean": (0.5, -0.5),
            "running_var": mg.tensor([1.0, 2.0], requires_grad=True),
            "num_batches_tracked": 12,
        }
    )
    assert layer.weight.detach().numpy().tolist() == [1.5, 2.5]
    assert layer.bias.dtype == mg.float32
    assert int(layer.num_batches_tracked) == 12
    assert layer.weight.requires_grad
    assert not layer.running_var.requires_grad


def test_the_state_is_a_mapping() -> None:
    with pytest.raises(TypeError, match="Sequential: the state is a Sequential, expected a dict"):
        network().load_state_dict(network())


def test_a_graph_that_kept_the_old_weights_notices() -> None:
    net = nn.Linear(3, 2)
    x = mg.tensor([[0.3, -0.7, 1.1]], requires_grad=True)
    y = net(x).sum()
    net.load_state_dict(nn.Linear(3, 2).state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parity
def test_a_state_moves_to_pytorch_and_back(torch) -> None:
    ours = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    x = np.random.default_rng(5).normal(size=(6, 3)).astype(np.float32)
    theirs(torch.from_numpy(x))  # so that the running statistics are not the initial ones
    ours.load_state_dict(theirs.state_dict())
    assert int(ours[1].num_batches_tracked) == 1
    theirs.eval(), ours.eval()
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    with mg.no_grad():
        np.testing.assert_allclose(ours(mg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    fresh = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).eval()
    state = {name: torch.from_numpy(t.numpy()) for name, t in ours.state_dict().items()}
    fresh.load_state_dict(state)
    np.testing.assert_array_equal(fresh(torch.from_numpy(x)).detach().numpy(), expected)


@pytest.mark.parity
def test_a_pytorch_tensor_that_numpy_cannot_read_is_named(torch) -> None:
    state = torch.nn.Linear(3, 2).bfloat16().state_dict()
    with pytest.raises(ValueError, match=r"'weight' .*BFloat16"):
        nn.Linear(3, 2).load_state_dict(state)

"""BatchNorm: exact identities, running statistics, modes, accuracy and errors.

Names as in the derivation: v is a channel's variance (divided by m), s = sqrt(v + eps), x_hat the
standardised input, dy the random gradient that comes in, m the number of values per channel.
"""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn

KINDS = [
    (nn.BatchNorm1d, (6, 3)),
    (nn.BatchNorm1d, (4, 3, 5)),
    (nn.BatchNorm2d, (2, 3, 4, 5)),
    (nn.BatchNorm3d, (2, 3, 2, 4, 3)),
]
kinds = pytest.mark.parametrize(
    ("kind", "shape"), KINDS, ids=["N,C", "N,C,L", "N,C,H,W", "N,C,D,H,W"]
)


def axes_of(x: np.ndarray) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def along(vector: np.ndarray, x: np.ndarray) -> np.ndarray:
    return vector.reshape(1, -1, *(1,) * (x.ndim - 2))


def with_random_affine(layer: nn.Module, rng: np.random.Generator) -> tuple:
    """Random gamma and beta, away from 0 and 1, in the layer and as arrays."""
    gamma = rng.uniform(0.5, 2.5, layer.num_features) * rng.choice([-1, 1], layer.num_features)
    beta = rng.normal(size=layer.num_features) + 3
    layer.load_state_dict({"weight": gamma, "bias": beta}, strict=False)
    return gamma, beta


def run(layer: nn.Module, x: np.ndarray, dy: np.ndarray) -> tuple:
    """y, dx, dgamma, dbeta."""
    inputs = mg.tensor(x, requires_grad=True)
    layer.zero_grad()
    y = layer(inputs)
    y.backward(mg.tensor(dy))
    return (
        y.detach().numpy(),
        inputs.grad.numpy(),
        layer.weight.grad.numpy(),
        layer.bias.grad.numpy(),
    )


def buffers(layer: nn.Module) -> dict:
    return {name: buffer.numpy().copy() for name, buffer in layer.named_buffers()}


# ------------------------------------------------------------------------------- in training


@kinds
def test_training_values_and_gradients(kind, shape, rng) -> None:
    layer = kind(3, dtype=mg.float64)
    gamma, beta = with_random_affine(layer, rng)
    x = rng.normal(size=shape) * along(np.array([0.3, 2.0, 9.0]), np.empty(shape)) + 5
    dy = rng.normal(size=shape)
    y, dx, dgamma, dbeta = run(layer, x, dy)
    axes = axes_of(x)
    s = np.sqrt(x.var(axes, keepdims=True) + layer.eps)
    x_hat = (x - x.mean(axes, keepdims=True)) / s
    np.testing.assert_allclose(y, along(gamma, x) * x_hat + along(beta, x), rtol=1e-10)
    np.testing.assert_allclose(dgamma, (dy * x_hat).sum(axes), rtol=1e-10)
    np.testing.assert_allclose(dbeta, dy.sum(axes), rtol=1e-10)
    # The projection, rather than the rule's own formula: dy loses its part along 1, and the share
    # v / (v + eps) of its part along x_hat.
    ones = np.ones_like(x_hat)
    m = x.size // 3
    along_ones = (dy * ones).sum(axes, keepdims=True) / m
    c = (dy * x_hat).sum(axes, keepdims=True) / m
    expected = along(gamma, x) / s * (dy - along_ones - c * x_hat)
    np.testing.assert_allclose(dx, expected, rtol=1e-9, atol=1e-13)


@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(2, 9),
    length=st.integers(1, 4),
    eps=st.sampled_from([1e-30, 1e-5, 0.3]),
    offset=st.sampled_from([0.0, -4.0, 50.0]),
)
def test_exact_identities(seed: int, batch: int, length: int, eps: float, offset: float) -> None:
    """What holds for any eps and any gradient that comes in, to rounding."""
    rng = np.random.default_rng(seed)
    layer = nn.BatchNorm1d(2, eps=eps, dtype=mg.float64)
    gamma, beta = with_random_affine(layer, rng)
    x, dy = rng.normal(size=(2, batch, 2, length)) + offset
    y, dx, dgamma, _ = run(layer, x, dy)
    m, axes = batch * length, (0, 2)
    v = x.var(axes)
    s = np.sqrt(v + eps)
    x_hat = (y - along(beta, x)) / along(gamma, x)
    # Rounding is measured against what the sums are made of.
    scale = np.abs(gamma) / s * np.abs(dy).max() * m * (1 + abs(offset))
    assert np.all(np.abs(x_hat.mean(axes)) < 1e-9 * (1 + abs(offset)))
    np.testing.assert_allclose((x_hat**2).mean(axes), v / (v + eps), rtol=1e-8)
    assert np.abs(x_hat).max() <= np.sqrt(m - 1) * (1 + 1e-9)
    # A shift of x changes nothing, so dx sums to 0.
    assert np.all(np.abs(dx.sum(axes)) < 1e-10 * scale)
    # A stretch of x changes only what eps makes of it.
    pull = gamma / s * eps / (v + eps) * (dy * x_hat).sum(axes)
    assert np.all(np.abs((dx * x_hat).sum(axes) - pull) < 1e-9 * scale)
    # Pythagoras: the squared length of what is left of dy.
    c = dgamma / m
    left = (dy**2).sum(axes) - m * dy.mean(axes) ** 2 - m * c**2 * (2 - v / (v + eps))
    assert np.all(np.abs((dx**2).sum(axes) - (gamma / s) ** 2 * left) < 1e-8 * scale**2)


def test_a_constant_gradient_is_taken_away_entirely(rng) -> None:
    layer = nn.BatchNorm1d(3, dtype=mg.float64)
    with_random_affine(layer, rng)
    _, dx, _, _ = run(layer, rng.normal(size=(8, 3)), np.full((8, 3), 1.7))
    assert np.abs(dx).max() < 1e-14


def test_gamma_and_beta_can_undo_the_normalisation(rng) -> None:
    x = rng.normal(size=(64, 3)) * [0.1, 1.0, 20.0] + [5.0, -2.0, 0.3]
    layer = nn.BatchNorm1d(3, dtype=mg.float64)
    layer.load_state_dict(
        {"weight": np.sqrt(x.var(0) + layer.eps), "bias": x.mean(0)}, strict=False
    )
    np.testing.assert_allclose(layer(mg.tensor(x)).detach().numpy(), x, rtol=0, atol=1e-12)


def test_a_bias_before_it_gets_no_gradient_and_weights_one_at_right_angles(rng) -> None:
    """Linear -> BatchNorm: a shift is taken away again, and so, but for eps, is a stretch."""
    linear, norm = nn.Linear(5, 3, dtype=mg.float64), nn.BatchNorm1d(3, dtype=mg.float64)
    gamma, _ = with_random_affine(norm, rng)
    x, dy = rng.normal(size=(16, 5)), rng.normal(size=(16, 3))
    y = norm(linear(mg.tensor(x)))
    y.backward(mg.tensor(dy))
    w, dw = linear.weight.detach().numpy(), linear.weight.grad.numpy()
    z = x @ w.T
    v = z.var(0)
    s = np.sqrt(v + norm.eps)
    assert np.abs(linear.bias.grad.numpy()).max() < 1e-12
    x_hat = (z - z.mean(0)) / s
    expected = gamma * norm.eps / (v + norm.eps) * (dy * x_hat).sum(0)
    np.testing.assert_allclose((w * dw).sum(1), expected, atol=1e-11)
    assert np.abs(expected).max() > 1e-8, "or the line above would compare zeros"


def test_larger_weights_before_it_learn_more_slowly(rng) -> None:
    """L(aW) = L(W), and so dL/dW at aW is 1/a of that at W (exactly so for eps = 0)."""
    x, dy = rng.normal(size=(16, 5)), rng.normal(size=(16, 3))
    linear, norm = nn.Linear(5, 3, dtype=mg.float64), nn.BatchNorm1d(3, 1e-30, dtype=mg.float64)
    outcomes = []
    for a in (1.0, 7.0):
        with mg.no_grad():
            linear.weight.mul_(a)
        linear.zero_grad()
        y = norm(linear(mg.tensor(x)))
        y.backward(mg.tensor(dy))
        outcomes.append((y.detach().numpy(), linear.weight.grad.numpy()))
    np.testing.assert_allclose(outcomes[1][0], outcomes[0][0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(outcomes[1][1] * 7, outcomes[0][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1e4, -1e4])
def test_it_is_accurate_far_from_zero(rng, mean: float) -> None:
    """float32 data with a mean of 10,000 standard deviations: three decimals fewer than usual,
    and yet the answer for these data is found to 1e-5."""
    x = (rng.normal(size=(256, 8)) + mean).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    y = nn.BatchNorm1d(8)(mg.tensor(x)).detach().numpy()
    assert y.dtype == np.float32
    assert np.abs(y - exact).max() < 1e-5


def test_a_constant_channel_gives_zeros_not_nan() -> None:
    x = mg.full((8, 2), 1234.5, requires_grad=True)
    y = nn.BatchNorm1d(2)(x)
    y.sum().backward()
    assert np.all(y.detach().numpy() == 0)
    assert np.all(np.isfinite(x.grad.numpy()))


def test_half_precision_statistics_are_taken_in_single(rng) -> None:
    # The squares of these values do not fit into float16, whose largest number is 65504.
    x = (rng.normal(size=(64, 2)) * 400).astype(np.float16)
    layer = nn.BatchNorm1d(2).half()
    y = layer(mg.tensor(x)).detach().numpy()
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(0)) / exact.std(0)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, exact, atol=5e-3)


# ------------------------------------------------------------------------ running statistics


@kinds
def test_running_statistics_are_unbiased_and_move_by_momentum(kind, shape, rng) -> None:
    layer = kind(3, momentum=0.3, dtype=mg.float64)
    mean, var = np.zeros(3), np.ones(3)
    for k in range(1, 4):
        x = rng.normal(size=shape) * 2 + 5
        layer(mg.tensor(x))
        mean = 0.7 * mean + 0.3 * x.mean(axes_of(x))
        var = 0.7 * var + 0.3 * x.var(axes_of(x), ddof=1)
        np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
        assert int(layer.num_batches_tracked) == k
    assert layer.num_batches_tracked.dtype == mg.int64
    assert layer.num_batches_tracked.shape == ()


def test_without_momentum_they_are_the_average_over_all_batches(rng) -> None:
    layer = nn.BatchNorm1d(3, momentum=None, dtype=mg.float64)
    batches = rng.normal(size=(5, 8, 3)) + 4
    for x in batches:
        layer(mg.tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean(1).mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        layer.running_var.numpy(), batches.var(1, ddof=1).mean(0), rtol=1e-12
    )


def test_reset_forgets(rng) -> None:
    layer = nn.BatchNorm1d(3)
    fresh = copy.deepcopy(layer).state_dict()
    with_random_affine(layer, rng)
    layer(mg.tensor(rng.normal(size=(8, 3)).astype(np.float32)))
    gamma = layer.weight.detach().numpy().copy()
    layer.reset_running_stats()
    assert layer.running_mean.numpy().tolist() == [0, 0, 0]
    assert layer.running_var.numpy().tolist() == [1, 1, 1]
    assert int(layer.num_batches_tracked) == 0
    np.testing.assert_array_equal(layer.weight.detach().numpy(), gamma)
    layer.reset_parameters()
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), fresh[name].numpy())


def test_an_update_between_forward_and_backward_is_no_fault(rng) -> None:
    """In training the gradient does not read the running statistics, so two forward passes may
    come before the backward pass."""
    layer = nn.BatchNorm1d(3)
    x = mg.tensor(rng.normal(size=(8, 3)).astype(np.float32), requires_grad=True)
    first, second = layer(x), layer(x * 2)
    (first * second).sum().backward()
    assert np.all(np.isfinite(x.grad.numpy()))


def test_an_update_that_a_gradient_in_evaluation_would_have_missed_is_noticed(rng) -> None:
    layer = nn.BatchNorm1d(3).eval()
    x = mg.tensor(rng.normal(size=(8, 3)).astype(np.float32), requires_grad=True)
    y = layer(x)
    layer.train()(x)
    with pytest.raises(RuntimeError, match=r"BatchNormEval: .* changed in place"):
        y.sum().backward()


# ----------------------------------------------------------------------------- in evaluation


@kinds
def test_evaluation_is_affine(kind, shape, rng) -> None:
    layer = kind(3, dtype=mg.float64)
    gamma, beta = with_random_affine(layer, rng)
    mean, var = rng.normal(size=3), rng.uniform(0.5, 3, size=3)
    layer.load_state_dict({"running_mean": mean, "running_var": var}, strict=False)
    before = buffers(layer)
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    y, dx, dgamma, dbeta = run(layer.eval(), x, dy)
    s = np.sqrt(along(var, x) + layer.eps)
    x_hat = (x - along(mean, x)) / s
    np.testing.assert_allclose(y, along(gamma, x) * x_hat + along(beta, x), rtol=1e-12)
    np.testing.assert_allclose(dx, dy * along(gamma, x) / s, rtol=1e-12)
    np.testing.assert_allclose(dgamma, (dy * x_hat).sum(axes_of(x)), rtol=1e-12)
    np.testing.assert_allclose(dbeta, dy.sum(axes_of(x)), rtol=1e-12)
    for name, value in buffers(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_evaluation_treats_each_sample_alone(rng) -> None:
    layer = nn.BatchNorm1d(3)
    x = rng.normal(size=(8, 3)).astype(np.float32)
    layer(mg.tensor(x))
    layer.eval()
    with mg.no_grad():
        together = layer(mg.tensor(x)).numpy()
        alone = layer(mg.tensor(x[5:6])).numpy()
        nothing = layer(mg.zeros(0, 3))
    np.testing.assert_array_equal(together[5:6], alone)
    assert nothing.shape == (0, 3)


def test_training_without_recording_still_counts(rng) -> None:
    layer = nn.BatchNorm1d(3)
    with mg.no_grad():
        layer(mg.tensor(rng.normal(size=(8, 3)).astype(np.float32)))
    assert int(layer.num_batches_tracked) == 1
    assert np.all(layer.running_mean.numpy() != 0)


# ------------------------------------------------------------------------------------ options


def test_without_running_statistics_the_batch_decides_in_evaluation_too(rng) -> None:
    layer = nn.BatchNorm1d(3, track_running_stats=False, dtype=mg.float64)
    assert list(layer.state_dict()) == ["weight", "bias"]
    x = rng.normal(size=(8, 3)) + 7
    in_training = layer(mg.tensor(x)).detach().numpy()
    layer.reset_running_stats()
    in_evaluation = layer.eval()(mg.tensor(x)).detach().numpy()
    np.testing.assert_array_equal(in_training, in_evaluation)
    np.testing.assert_allclose(in_training.mean(0), 0, atol=1e-12)
    with pytest.raises(ValueError, match="one value per channel"):
        layer(mg.tensor(x[:1]))


def test_tracking_switched_off_later_leaves_the_statistics_alone(rng) -> None:
    layer = nn.BatchNorm1d(3)
    layer.track_running_stats = False
    before = buffers(layer)
    layer(mg.tensor(rng.normal(size=(8, 3)).astype(np.float32)))
    for name, value in buffers(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "names"), [({"affine": False}, []), ({"bias": False}, ["weight"])]
)
def test_without_gamma_and_beta(rng, options: dict, names: list) -> None:
    layer = nn.BatchNorm1d(3, dtype=mg.float64, **options)
    assert [name for name, _ in layer.named_parameters()] == names
    x = rng.normal(size=(8, 3)) * 3 + 1
    y = layer(mg.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-9)
    y = layer.eval()(mg.tensor(x)).detach().numpy()
    mean, var = layer.running_mean.numpy(), layer.running_var.numpy()
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-9)


def test_repr_and_types() -> None:
    assert repr(nn.BatchNorm2d(4, eps=0.1, momentum=None, affine=False)) == (
        "BatchNorm2d(4, eps=0.1, momentum=None, affine=False, bias=False, track_running_stats=True)"
    )
    layer = nn.BatchNorm1d(2, dtype=mg.float64)
    assert layer.running_var.dtype == layer.weight.dtype == mg.float64


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (nn.BatchNorm1d, (3,), r"BatchNorm1d: input has shape \(3,\), expected \(N, C\) or"),
        (nn.BatchNorm1d, (2, 3, 4, 4), r"expected \(N, C\) or \(N, C, L\)"),
        (nn.BatchNorm2d, (4, 3), r"BatchNorm2d: input has shape \(4, 3\), expected \(N, C, H, W\)"),
        (nn.BatchNorm3d, (2, 3, 4, 4), r"BatchNorm3d: .*, expected \(N, C, D, H, W\)"),
        (nn.BatchNorm1d, (4, 5), "BatchNorm1d: input has 5 channels in axis 1, expected 3"),
        (nn.BatchNorm2d, (4, 5, 2, 2), "input has 5 channels in axis 1, expected 3"),
        (nn.BatchNorm1d, (1, 3), r"BatchNorm1d: .*\(1, 3\) has one value per channel.*drop_last"),
        (nn.BatchNorm1d, (1, 3, 1), "one value per channel"),
        (nn.BatchNorm2d, (1, 3, 1, 1), "one value per channel"),
        (nn.BatchNorm1d, (0, 3), "no value per channel"),
    ],
)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_an_input_that_is_refused_leaves_no_trace(kind, shape, message, momentum) -> None:
    layer = kind(3, momentum=momentum)
    before = buffers(layer)
    with pytest.raises(ValueError, match=message):
        layer(mg.ones(*shape))
    for name, value in buffers(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize("wrong", [np.ones((4, 3), np.float32), mg.ones(4, 3).double()])
def test_a_wrong_type_leaves_no_trace(wrong: object) -> None:
    layer = nn.BatchNorm1d(3)
    before = buffers(layer)
    with pytest.raises(TypeError, match=r"BatchNorm1d: the input is a ndarray|float64"):
        layer(wrong)
    for name, value in buffers(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


# ------------------------------------------------------------------------------------- parity


@pytest.mark.parity
@kinds
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": None},
        {"momentum": 0.7, "eps": 0.1},
        {"affine": False},
        {"track_running_stats": False},
    ],
    ids=str,
)
def test_training_and_evaluation_are_pytorchs(torch, rng, kind, shape, options: dict) -> None:
    ours = kind(3, dtype=mg.float64, **options)
    theirs = getattr(torch.nn, kind.__name__)(3, dtype=torch.float64, **options)
    start = {name: rng.uniform(0.5, 2, size=3) for name, _ in ours.named_parameters()}
    ours.load_state_dict(start, strict=False)
    theirs.load_state_dict({n: torch.tensor(v) for n, v in start.items()}, strict=False)
    for step in range(5):
        if step == 3:
            ours.eval(), theirs.eval()
        x, dy = rng.normal(size=shape) * 3 + 2, rng.normal(size=shape)
        a, b = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        ours.zero_grad(), theirs.zero_grad()
        y, t = ours(a), theirs(b)
        y.backward(mg.tensor(dy))
        t.backward(torch.tensor(dy))
        close = {"rtol": 1e-9, "atol": 1e-12}
        np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), **close)
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **close)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), **close)
        state = theirs.state_dict()
        assert list(ours.state_dict()) == list(state)
        for name, value in ours.state_dict().items():
            np.testing.assert_allclose(value.numpy(), state[name].numpy(), **close, err_msg=name)


@kinds
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eps": 0}, ValueError, "eps is 0, expected a number above 0"),
        ({"eps": -1e-5}, ValueError, "eps is -1e-05, expected"),
        ({"eps": float("nan")}, ValueError, "eps is nan, expected"),
        ({"eps": float("inf")}, ValueError, "eps is inf, expected"),
        ({"eps": "small"}, TypeError, "eps is 'small', expected a number"),
        ({"eps": None}, TypeError, "eps is None, expected a number"),
        ({"momentum": -0.1}, ValueError, "momentum is -0.1, expected a share from 0 to 1, or None"),
        ({"momentum": 1.5}, ValueError, "momentum is 1.5, expected"),
        ({"momentum": float("nan")}, ValueError, "momentum is nan, expected"),
        ({"momentum": "0.1"}, TypeError, "momentum is '0.1', expected a number"),
        ({"momentum": True}, TypeError, "momentum is True, expected a number"),
    ],
)
def test_options_out_of_range_are_refused(kind, shape, options, error, message) -> None:
    with pytest.raises(error, match=f"{kind.__name__}: {message}"):
        kind(3, **options)


def test_options_may_be_numpy_numbers_and_on_the_border() -> None:
    layer = nn.BatchNorm1d(3, eps=np.float64(1e-3), momentum=np.float32(1))
    assert repr(layer) == repr(nn.BatchNorm1d(3, eps=0.001, momentum=1.0))
    assert nn.BatchNorm1d(3, momentum=0).momentum == 0


# ------------------------------------------------------------------- a batch that is not finite


def poisoned(value: float) -> mg.Tensor:
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    x[2, 1] = value
    return mg.tensor(x)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "rules"])
def test_one_bad_batch_does_not_stay_in_the_running_statistics(value, kernels):
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Sigmoid()))
    norm = model[1][0]
    with mg.use_kernels(kernels):
        model(mg.randn(6, 3))
        before = norm.running_mean.numpy().copy(), norm.running_var.numpy().copy()
        with pytest.warns(RuntimeWarning, match=r"^1\.0\.BatchNorm1d: the statistics of a batch"):
            model(poisoned(value))
        np.testing.assert_array_equal(norm.running_mean.numpy(), before[0])
        np.testing.assert_array_equal(norm.running_var.numpy(), before[1])
        model.eval()
        assert np.isfinite(model(mg.randn(2, 3)).data).all()


def test_a_layer_is_named_once():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            model(poisoned(np.inf))
    assert sorted(str(w.message).partition(":")[0] for w in caught) == [
        "0.BatchNorm1d",
        "1.BatchNorm1d",
    ]


def test_without_a_counter_the_statistics_still_move(rng):
    """PyTorch's layers may lack ``num_batches_tracked``, which old checkpoints did not have."""
    norm = nn.BatchNorm1d(3)
    norm.num_batches_tracked = None
    x = rng.normal(2.0, 1.0, (8, 3)).astype(np.float32)
    norm(mg.tensor(x))
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * x.mean(0), rtol=1e-5)

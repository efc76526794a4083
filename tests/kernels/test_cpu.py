"""Every kernel against the rule it stands for, and both against float64."""

import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.core import execute
from minigrad.kernels import cpu
from minigrad.kernels import cpu_batchnorm as cpu_norm

LABELS = "labels"

# An operation, and the shapes of its inputs for a batch of n and a width of d.
CASES = {
    "linear": (lambda: ops.Linear(), lambda n, d: [(n, d), (d + 1, d), (d + 1,)]),
    "linear_sigmoid": (
        lambda: ops.LinearActivation(ops.Sigmoid()),
        lambda n, d: [(n, d), (d + 1, d), (d + 1,)],
    ),
    "sigmoid": (lambda: ops.Sigmoid(), lambda n, d: [(n, d)]),
    "batch_norm": (lambda: ops.BatchNorm(1e-5), lambda n, d: [(n, d), (d,), (d,)]),
    "batch_norm_sigmoid": (
        lambda: ops.BatchNormSigmoid(1e-5),
        lambda n, d: [(n, d), (d,), (d,)],
    ),
    "layer": (
        lambda: ops.LinearBatchNormSigmoid(1e-5),
        lambda n, d: [(n, d), (d + 1, d), (d + 1,), (d + 1,), (d + 1,)],
    ),
    "cross_entropy": (
        lambda: ops.SoftmaxCrossEntropy("mean", -100),
        lambda n, d: [(n, d), LABELS],
    ),
}
TABLE = {
    "linear": ops.Linear,
    "linear_sigmoid": ops.LinearActivation,
    "sigmoid": ops.Sigmoid,
    "batch_norm": ops.BatchNorm,
    "batch_norm_sigmoid": ops.BatchNormSigmoid,
    "layer": ops.LinearBatchNormSigmoid,
    "cross_entropy": ops.SoftmaxCrossEntropy,
}
SIZES = [(2, 1), (3, 5), (64, 32), (257, 33)]


def inputs(rng, name, n, d, dtype, layout="plain"):
    arrays = []
    for shape in CASES[name][1](n, d):
        if shape is LABELS:
            arrays.append(rng.integers(0, d, n))
            continue
        array = (rng.standard_normal(shape) * 1.7 + 0.3).astype(dtype)
        if layout == "strided" and array.ndim == 2:
            wide = np.zeros((shape[0], 2 * shape[1]), dtype)
            wide[:, ::2] = array
            array = wide[:, ::2]
        elif layout == "transposed" and array.ndim == 2:
            array = np.asfortranarray(array)
        elif layout == "offset" and array.ndim == 2:
            array = array + dtype(1e4)
        arrays.append(array)
    return arrays


def by_rule(op, arrays, seed):
    """What ops/ says."""
    y = op.forward(*arrays)
    op.parents = (op,) * len(arrays)  # every input wants its gradient
    return y, op.backward(seed.astype(y.dtype), y, *arrays)


def by_kernel(op, arrays, seed):
    """What the kernels say; None where they leave the case to the rule."""
    y = execute.numpy_forward[type(op)](op, *arrays)
    if y is None:
        return None
    op.parents = (op,) * len(arrays)
    return y, execute.numpy_backward[type(op)](op, seed.astype(np.asarray(y).dtype), y, *arrays)


def results(outcome):
    y, shares = outcome
    shares = shares if isinstance(shares, tuple) else (shares,)
    return [np.asarray(y), *(np.asarray(s) for s in shares if s is not None)]


def test_every_kernel_is_in_this_table():
    """Convolution's is in test_cpu_convolution.py."""
    known = {*TABLE.values(), ops.Convolution}
    assert set(execute.numpy_forward) == set(execute.numpy_backward) == known


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", ["plain", "strided", "transposed"])
def test_a_kernel_equals_its_rule_in_float64(rng, name, size, layout):
    arrays = inputs(rng, name, *size, np.float64, layout)
    seed = rng.standard_normal(CASES[name][0]().forward(*arrays).shape)
    expected = results(by_rule(CASES[name][0](), arrays, seed))
    found = results(by_kernel(CASES[name][0](), arrays, seed))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(64, 32), (257, 33)])
@pytest.mark.parametrize("layout", ["plain", "strided", "offset"])
def test_in_float32_a_kernel_is_as_near_to_float64_as_its_rule(rng, name, size, layout):
    arrays = inputs(rng, name, *size, np.float32, layout)
    exact = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    seed = rng.standard_normal(CASES[name][0]().forward(*exact).shape).astype(np.float32)
    truth = results(by_rule(CASES[name][0](), exact, seed))
    rule = results(by_rule(CASES[name][0](), arrays, seed))
    kernel = results(by_kernel(CASES[name][0](), arrays, seed))
    for right, theirs, ours in zip(truth, rule, kernel, strict=True):
        assert ours.dtype == np.float32
        scale = np.abs(right).max()
        allowed = 4 * np.abs(theirs - right).max() + 2e-6 * scale
        assert np.abs(ours - right).max() <= allowed


def test_batch_norm_of_a_large_offset_is_exact_to_five_digits(rng):
    # Mean 10^4 and standard deviation 1 in float32: a mean of its rounding errors is taken out.
    x = (rng.standard_normal((512, 16)) + 1e4).astype(np.float32)
    gamma, beta = np.float32(rng.uniform(0.5, 1.5, (2, 16)))
    op = ops.BatchNorm(1e-5)
    y = cpu_norm.batch_norm_forward(op, x, gamma, beta)
    wide = x.astype(np.float64)
    exact = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5) * gamma + beta
    assert np.abs(y - exact).max() < 1e-5
    np.testing.assert_allclose(op.batch_mean, wide.mean(0), rtol=1e-7)
    np.testing.assert_allclose(op.batch_var, wide.var(0), rtol=1e-5)


def test_batch_norm_whose_first_sample_is_far_from_the_others(rng):
    x = rng.standard_normal((512, 8)).astype(np.float32)
    x[0] = 1e6
    y = cpu_norm.batch_norm_forward(ops.BatchNorm(1e-5), x, np.ones(8, "f4"), np.zeros(8, "f4"))
    wide = x.astype(np.float64)
    exact = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=3e-6)


@pytest.mark.parametrize("value", [5.0, 1.09e8, 354812000.0, 5.9e10])
@pytest.mark.parametrize("n", [10, 20, 50, 64, 100])
def test_a_constant_column_has_no_variance_however_large_it_is(value, n):
    x = np.full((n, 3), value, np.float32)
    op, rule = ops.BatchNorm(1e-5), ops.BatchNorm(1e-5)
    y = cpu_norm.batch_norm_forward(op, x, np.ones(3, np.float32), np.zeros(3, np.float32))
    assert (op.batch_var >= 0).all()
    assert np.abs(y - rule.forward(x)).max() <= 1


@pytest.mark.parametrize("n", [30_000, 100_000])
def test_batch_norm_of_many_rows_keeps_its_digits(rng, n):
    x = (rng.standard_normal((n, 2)) + 1e4).astype(np.float32)
    y = cpu_norm.batch_norm_forward(
        ops.BatchNorm(1e-5), x, np.ones(2, np.float32), np.zeros(2, "f4")
    )
    wide = x.astype(np.float64)
    exact = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    assert np.abs(y - exact).max() < 1e-5


def test_a_constant_feature_stays_finite():
    x = np.full((8, 3), 5.0, np.float32)
    op = ops.BatchNorm(1e-5)
    y = cpu_norm.batch_norm_forward(op, x, np.float32([1, 2, 3]), np.float32([4, 5, 6]))
    np.testing.assert_array_equal(y, np.float32([[4, 5, 6]] * 8))
    assert (op.batch_var >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_at_its_ends(dtype):
    x = np.array([-1000, -100, -60, -20, 0, 20, 60, 1000], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = cpu.sigmoid_forward(ops.Sigmoid(), x)
    assert y[0] == 0
    assert y[-1] == 1
    np.testing.assert_allclose(y[2], np.exp(dtype(-60)), rtol=1e-5)
    tiny = np.finfo(dtype).tiny  # what is smaller has fewer digits, and need not be kept
    np.testing.assert_allclose(y, ops.Sigmoid().forward(x), rtol=1e-6, atol=tiny)
    assert np.isnan(cpu.sigmoid_forward(ops.Sigmoid(), np.array([np.nan], dtype)))


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("linear", [np.ones((2, 3, 4), np.float32), np.ones((5, 4), np.float32)]),
        ("linear", [np.ones((2, 4), np.float16), np.ones((5, 4), np.float16)]),
        ("sigmoid", [np.ones((2, 4), np.float16)]),
        ("sigmoid", [np.array(0.5)]),
        ("batch_norm", [np.ones((2, 3, 4)), np.ones(3), np.ones(3)]),
        ("batch_norm", [np.ones((2, 3))]),
        ("batch_norm_sigmoid", [np.ones((2, 3))]),
        ("batch_norm", [np.ones((2, 3)), np.ones(3)]),
        ("batch_norm", [np.ones((0, 3)), np.ones(3), np.ones(3)]),
        ("cross_entropy", [np.ones((2, 3)), np.array([0, -100])]),
    ],
)
def test_what_a_kernel_was_not_written_for_it_leaves_to_the_rule(name, arrays):
    assert execute.numpy_forward[TABLE[name]](CASES[name][0](), *arrays) is None


def test_a_sum_is_left_to_the_rule():
    op = ops.SoftmaxCrossEntropy("sum", -100)
    assert cpu.cross_entropy_forward(op, np.ones((2, 3)), np.array([0, 1])) is None


@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_sigmoid", "layer", "cross_entropy"])
def test_backward_after_a_forward_by_rule_is_left_to_the_rule(rng, name):
    arrays = inputs(rng, name, 5, 4, np.float64)
    op = CASES[name][0]()
    y = op.forward(*arrays)
    assert execute.numpy_backward[type(op)](op, np.ones_like(y), y, *arrays) is None


@pytest.mark.parametrize("size", [(6, 4), (2, 1), (1, 3), (1, 1)])
@pytest.mark.parametrize("name", CASES)
def test_inputs_and_gradients_are_not_changed(rng, name, size):
    arrays = inputs(rng, name, *size, np.float64)
    copies = [a.copy() for a in arrays]
    seed = rng.standard_normal(CASES[name][0]().forward(*arrays).shape)
    seed_copy = seed.copy()
    by_kernel(CASES[name][0](), arrays, seed)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(seed, seed_copy)


def network_gradients(seed):
    """Loss and gradients of a small network, computed through the engine."""
    rng = np.random.default_rng(seed)
    x = mg.tensor(rng.standard_normal((9, 4)), requires_grad=True)
    w = mg.tensor(rng.standard_normal((5, 4)), requires_grad=True)
    b, gamma, beta = (mg.tensor(rng.standard_normal(5), requires_grad=True) for _ in range(3))
    z = mg.functional.linear(x, w, b)
    z = mg.functional.batch_norm(z, None, None, gamma, beta, training=True)
    loss = mg.functional.cross_entropy(z.sigmoid(), mg.tensor(rng.integers(0, 5, 9)))
    return [loss.item(), *(g.numpy() for g in mg.grad(loss, [x, w, b, gamma, beta]))]


def test_with_and_without_kernels_the_engine_gives_the_same():
    fast = network_gradients(3)
    with mg.use_kernels(False):
        plain = network_gradients(3)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_a_backward_pass_can_be_repeated_and_differentiated_after_a_kernel(rng):
    x = mg.tensor(rng.standard_normal((6, 3)), requires_grad=True)
    gamma = mg.tensor(rng.standard_normal(3), requires_grad=True)
    beta = mg.tensor(rng.standard_normal(3), requires_grad=True)
    y = mg.functional.batch_norm(x, None, None, gamma, beta, training=True)
    seed = mg.tensor(rng.standard_normal((6, 3)))
    first = [g.numpy() for g in mg.grad(y, [x, gamma, beta], seed, retain_graph=True)]
    again = [g.numpy() for g in mg.grad(y, [x, gamma, beta], seed, retain_graph=True)]
    recorded = mg.grad(y, [x, gamma, beta], seed, create_graph=True)
    for a, b, c in zip(first, again, recorded, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c.detach().numpy(), atol=1e-12)


def test_under_threads():
    expected = {seed: network_gradients(seed) for seed in range(4)}
    failures = []

    def work(seed):
        for _ in range(20):
            for a, b in zip(network_gradients(seed), expected[seed], strict=True):
                if not np.array_equal(a, b):
                    failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


FAULTS = """
import resource, sys
import numpy as np
import minigrad
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
x = np.ones(1 << 17)  # 1 MiB: 256 pages
def layers():
    return [x + x for _ in range(16)]
for _ in range(5): layers()
before = faults()
for _ in range(5): layers()
print(faults() - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="how memory is kept is a matter of glibc"
)
def test_large_temporaries_are_not_faulted_in_again_and_again():
    def faults(keep):
        environment = {**os.environ, "MINIGRAD_KEEP_PAGES": keep}
        for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
            environment.pop(name, None)
        command = [sys.executable, "-c", FAULTS]
        return int(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    assert faults("1") < 256, "less than one array in 80 is faulted in"
    assert faults("0") > 4096, "the switch leaves the allocator alone"


def test_a_subclass_of_ndarray_has_no_kernels():
    class Named(np.ndarray):
        pass

    x = np.linspace(-2, 2, 6).reshape(2, 3)
    y = execute.forward(ops.Sigmoid(), [x.view(Named)])
    assert type(y) is Named
    np.testing.assert_array_equal(y, ops.Sigmoid().forward(x))


@pytest.mark.parametrize("n", [1000, 1025, 4096, 5000, 20_000])
def test_sums_of_many_rows_keep_their_digits(n, rng):
    x = (rng.standard_normal((n, 16)) + 3).astype(np.float32)
    exact = x.astype(np.float64).sum(0)
    found = cpu.column_sums(n, "f")(x)
    assert found.dtype == np.float32
    assert np.abs(found / exact - 1).max() < 6e-7
    np.testing.assert_allclose(cpu.column_sums(n, "f", 1 / n)(x), exact / n, rtol=8e-7)

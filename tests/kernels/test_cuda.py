"""The CUDA kernels, run on the CPU with the code that launches them, against the rules in float64.

The sanitizers go over the same launches: what reads past an array's end, or forgets a barrier,
fails here even where its numbers come out right.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import ops
from minigrad.kernels import cuda as kernels
from minigrad.kernels import cuda_steps, launch
from tests.cuda.raw_module import AddressSanitised, DryRawModule, RawModule, ThreadSanitised
from tests.devices import use_kernels
from tests.strict_cupy.stand_in import counted
from tests.strict_cupy.stand_in import module as cupy

DIGITS = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-13}
SHAPES = [(37, 45), (130, 33), (9, 1), (65, 7)]


@pytest.fixture(autouse=True)
def _emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(monkeypatch, RawModule)
    monkeypatch.setattr(launch, "ENOUGH_BLOCKS", 6)  # several chunks for matrices of a test's size


def put(array: Any) -> Any:
    return None if array is None else cupy.asarray(array)


def got(array: Any) -> np.ndarray[Any, Any]:
    return np.asarray(array.get(), np.float64)


def close(actual: Any, expected: Any, dtype: str, scale: float = 1.0) -> None:
    """Equal to a few roundings of the largest element."""
    expected = np.asarray(expected, np.float64)
    size = np.abs(expected).max() + 1e-30
    assert actual.shape == expected.shape
    np.testing.assert_allclose(got(actual), expected, rtol=0, atol=DIGITS[dtype] * size * scale)


def total_type(dtype: str) -> Any:
    return launch.TYPES[np.dtype(dtype).char][2]


# ------------------------------------------------------------------------------------ batch norm


@pytest.mark.parametrize("sigmoid", [False, True], ids=["alone", "sigmoid"])
@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm(
    shape: tuple[int, int], dtype: str, sigmoid: bool, rng: np.random.Generator
) -> None:
    x = rng.normal(1.5, 2.0, shape).astype(dtype)
    gamma, beta = rng.normal(size=(2, shape[1])).astype(total_type(dtype))
    grad = rng.normal(size=shape).astype(dtype)
    rule, op = ops.BatchNorm(1e-3), ops.BatchNorm(1e-3)
    wide = [a.astype(np.float64) for a in (x, gamma, beta)]
    y = rule.forward(*wide)
    if sigmoid:
        y = ops.Sigmoid().forward(y)
    da = grad.astype(np.float64) * (y * (1 - y) if sigmoid else 1)
    expected = rule.backward(da, y, *wide)

    there = kernels.normalise(op, put(x), put(gamma), put(beta), sigmoid)
    left = op.workspace
    gradients = kernels.normalise_backward(left, put(grad), there, put(x), put(gamma), sigmoid)
    assert [a.dtype for a in (there, *gradients)] == [dtype, dtype, *[gamma.dtype] * 2]
    close(there, y, dtype, 4)
    for actual, wanted in zip(gradients, expected, strict=True):
        close(actual, wanted, dtype, 30)  # a sum over the rows
    close(op.batch_mean, wide[0].mean(axis=0), str(gamma.dtype), 10)
    close(op.batch_var, wide[0].var(axis=0), str(gamma.dtype), 10)


@pytest.mark.parametrize("kind", [ops.BatchNorm, ops.BatchNormSigmoid])
@pytest.mark.parametrize("vectors", [0, 1, 2])
def test_batch_norm_with_and_without_gamma_and_beta(
    vectors: int, kind: type[ops.BatchNorm], rng: np.random.Generator
) -> None:
    x, grad = rng.normal(size=(2, 37, 5))
    given = list(rng.normal(size=(vectors, 5)))
    rule, op = kind(1e-5), kind(1e-5)
    y = rule.forward(x, *given)
    expected = rule.backward(grad, y, x, *given)
    there = kernels.FORWARD[kind](op, put(x), *map(put, given))
    gradients = kernels.BACKWARD[kind](op, put(grad), there, put(x), *map(put, given))
    assert len(gradients) == 1 + vectors
    for actual, wanted in zip((there, *gradients), (y, *expected), strict=True):
        close(actual, wanted, "float64", 30)


def test_a_mean_far_from_zero_costs_no_digits(rng: np.random.Generator) -> None:
    x = (1e4 + rng.normal(size=(512, 8))).astype(np.float32)
    op = ops.BatchNorm(1e-5)
    y = kernels.batch_norm_forward(op, put(x))
    wide = x.astype(np.float64)
    x_hat = (wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-5)
    close(y, x_hat, "float32", 2)
    close(op.batch_var, wide.var(axis=0), "float32", 4)


def test_a_first_row_far_from_the_others(rng: np.random.Generator) -> None:
    x = rng.normal(size=(512, 8)).astype(np.float32)
    x[0] = 1e6
    y = kernels.batch_norm_forward(ops.BatchNorm(1e-5), put(x))
    wide = x.astype(np.float64)
    close(y, (wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-5), "float32", 2)


def test_a_constant_channel_has_no_variance() -> None:
    x = np.full((40, 3), 7.3, np.float32)
    op = ops.BatchNorm(1e-5)
    assert (got(kernels.batch_norm_forward(op, put(x))) == 0).all()
    assert (got(op.batch_var) == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_statistics(dtype: str, rng: np.random.Generator) -> None:
    x = rng.normal(2, 3, (37, 5)).astype(dtype)
    before = rng.uniform(1, 2, (2, 5)).astype(dtype)
    mean, var = put(before[0]), put(before[1])
    op = ops.BatchNorm(1e-5)
    kernels.batch_norm_forward(op, put(x))
    assert kernels.update_running(mean, var, op, 0.3, 37)
    wide = x.astype(np.float64)
    close(mean, 0.7 * before[0] + 0.3 * wide.mean(axis=0), dtype)
    close(var, 0.7 * before[1] + 0.3 * wide.var(axis=0, ddof=1), dtype, 4)
    assert not kernels.update_running(put(before[0].astype("float16")), var, op, 0.3, 37)


# ---------------------------------------------------------------- sums, biases, activations


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_column_sums(shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=shape).astype(dtype)
    close(kernels.column_sums(put(x)), x.astype(np.float64).sum(axis=0), dtype, 4)


ACTIVATIONS: dict[int, Callable[[Any], Any]] = {
    kernels.IDENTITY: lambda a: a,
    kernels.SIGMOID: lambda a: 1 / (1 + np.exp(-a)),
    kernels.RELU: lambda a: np.maximum(a, 0),
    kernels.TANH: np.tanh,
}


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bias_and_activation(activation: int, dtype: str, rng: np.random.Generator) -> None:
    x, bias = rng.normal(size=(37, 45)).astype(dtype), rng.normal(size=45).astype(dtype)
    y = put(x)
    assert kernels.add_bias(y, put(bias), activation)
    close(y, ACTIVATIONS[activation](x.astype(np.float64) + bias), dtype)


LINEAR: dict[str, Callable[[], ops.Linear]] = {
    "alone": ops.Linear,
    **{
        kind.__name__: lambda kind=kind: ops.LinearActivation(kind())
        for kind in (ops.Sigmoid, ops.Tanh, ops.ReLU)
    },
}


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
@pytest.mark.parametrize("dtype", DIGITS)
def test_linear(dtype: str, make: Callable[[], ops.Linear], rng: np.random.Generator) -> None:
    x, w, b, grad = (rng.normal(size=s).astype(dtype) for s in [(37, 6), (33, 6), (33,), (37, 33)])
    rule, op = make(), make()
    rule.parents = op.parents = (object(),) * 3  # each input requires its gradient
    wide = [a.astype(np.float64) for a in (x, w, b)]
    y = rule.forward(*wide)
    there = kernels.FORWARD[type(op)](op, put(x), put(w), put(b))
    gradients = kernels.BACKWARD[type(op)](op, put(grad), there, put(x), put(w), put(b))
    for actual, wanted in zip(
        (there, *gradients), (y, *rule.backward(grad.astype(np.float64), y, *wide)), strict=True
    ):
        close(actual, wanted, dtype, 4)


def test_batches_are_counted() -> None:
    count = put(np.int64(2**40))
    with counted() as launches:
        assert kernels.count_one(count)
    assert launches == {"count_one": 1}
    assert count.get() == 2**40 + 1
    assert not kernels.count_one(put(np.int32(3)))


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("transposed", [False, True])
def test_products_without_bias(dtype: str, transposed: bool, rng: np.random.Generator) -> None:
    x, w, grad = (rng.normal(size=s).astype(dtype) for s in [(7, 6), (5, 6), (7, 5)])
    second = put(w).T if transposed else put(np.ascontiguousarray(w.T))
    wide = [a.astype(np.float64) for a in (x, w)]
    exact = wide[0] @ wide[1].T, grad @ wide[1], grad.astype(np.float64).T @ wide[0]
    for op, given in ((ops.Linear(), put(w)), (ops.MatMul(), second)):
        op.parents = (object(),) * 2  # each input requires its gradient
        y = kernels.FORWARD[type(op)](op, put(x), given)
        dx, dw = kernels.BACKWARD[type(op)](op, put(grad), y, put(x), given)
        dw = dw if isinstance(op, ops.Linear) else dw.T
        for actual, wanted in zip((y, dx, dw), exact, strict=True):
            close(actual, wanted, dtype, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_whole_layer(dtype: str, rng: np.random.Generator) -> None:
    shapes = [(37, 6), (33, 6), (33,), (33,), (33,)]
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    grad = rng.normal(size=(37, 33)).astype(dtype)
    rule, op = ops.LinearBatchNormSigmoid(1e-3), ops.LinearBatchNormSigmoid(1e-3)
    rule.parents = op.parents = (object(),) * 5
    wide = [a.astype(np.float64) for a in arrays]
    y = rule.forward(*wide)
    there = kernels.linear_batch_norm_sigmoid_forward(op, *map(put, arrays))
    gradients = kernels.linear_batch_norm_sigmoid_backward(op, put(grad), there, *map(put, arrays))
    expected = rule.backward(grad.astype(np.float64), y, *wide)
    for actual, wanted in zip((there, *gradients), (y, *expected), strict=True):
        close(actual, wanted, dtype, 60)
    close(op.batch_mean, rule.batch_mean, dtype, 10)
    close(op.batch_var, rule.batch_var, dtype, 10)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("shape", [(3, 5, 7), (1000,), ()], ids=str)
def test_sigmoid(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> None:
    x, grad = rng.normal(0, 4, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    y = kernels.sigmoid_forward(ops.Sigmoid(), put(x))
    expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    close(y, expected, dtype)
    close(
        kernels.sigmoid_backward(ops.Sigmoid(), put(grad), y, put(x)),
        grad * expected * (1 - expected),
        dtype,
    )


def test_sigmoid_of_large_numbers() -> None:
    x = np.array([-np.inf, -1e4, -60, 0, 60, 1e4, np.inf, np.nan], np.float32)
    y = kernels.sigmoid_forward(ops.Sigmoid(), put(x))
    expected = [0, 0, np.exp(-60.0), 0.5, 1, 1, 1, np.nan]
    np.testing.assert_allclose(got(y), expected, rtol=1e-6)


# --------------------------------------------------------------------------------- cross-entropy


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("shape", [(37, 10), (5, 70), (300, 1)], ids=str)
def test_cross_entropy(
    shape: tuple[int, int], dtype: str, reduction: str, rng: np.random.Generator
) -> None:
    z = rng.normal(0, 3, shape).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0])
    labels[::4] = -100
    rule, op = (ops.SoftmaxCrossEntropy(reduction, -100) for _ in range(2))
    wide = z.astype(np.float64)
    loss = rule.forward(wide, labels)
    grad = np.asarray(rng.normal(size=np.shape(loss)), dtype)
    there = kernels.cross_entropy_forward(op, put(z), put(labels))
    assert there.dtype == dtype
    close(there, loss, dtype, 4)
    dz, nothing = kernels.cross_entropy_backward(op, put(grad), there, put(z), put(labels))
    assert nothing is None
    close(dz, rule.backward(grad.astype(np.float64), loss, wide, labels)[0], dtype, 4)


def test_cross_entropy_of_large_logits() -> None:
    z = np.array([[1e4, -1e4, 0], [3e38, 0, -3e38]], np.float32)
    op = ops.SoftmaxCrossEntropy("none", -100)
    loss = kernels.cross_entropy_forward(op, put(z), put(np.array([1, 0])))
    np.testing.assert_allclose(got(loss), [2e4, 0])


def test_the_mean_over_no_labels_is_not_a_number() -> None:
    op = ops.SoftmaxCrossEntropy("mean", -100)
    loss = kernels.cross_entropy_forward(op, put(np.ones((2, 3), "f4")), put(np.array([-100] * 2)))
    assert np.isnan(got(loss))


# ------------------------------------------------------------------------------------ optimisers

SGD: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
    "nesterov": {"momentum": 0.8, "nesterov": True, "maximize": True},
}


SIZES = [(3, 40), (300,), (1,), (0, 4), (7, 11, 5), (256,)]  # of the parameters of a group


class Guarded:
    """Parameters in the middle of larger arrays, so that a write beside one is seen."""

    def __init__(self, dtype: str, rng: np.random.Generator) -> None:
        self.around, self.inside = [], []
        for shape in SIZES:
            n = int(np.prod(shape))
            around = put(rng.normal(size=n + 20).astype(dtype))
            self.around.append(around)
            self.inside.append(around[10 : n + 10].reshape(shape))
        self.before = [got(a).copy() for a in self.around]

    def flat(self) -> np.ndarray:
        """Their values in float64, end to end."""
        return np.concatenate([got(a).reshape(-1) for a in self.inside]).astype(np.float64)

    def check(self) -> None:
        for around, before in zip(self.around, self.before, strict=True):
            np.testing.assert_array_equal(got(around)[:10], before[:10])
            np.testing.assert_array_equal(got(around)[-10:], before[-10:])


def draw_gradients(dtype: str, rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """One for each parameter, and all of them end to end."""
    drawn = [rng.normal(size=shape).astype(dtype) for shape in SIZES]
    return [put(g) for g in drawn], np.concatenate([g.reshape(-1) for g in drawn]).astype(float)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("options", SGD.values(), ids=SGD)
def test_sgd(options: dict[str, Any], dtype: str, rng: np.random.Generator) -> None:
    defaults = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": 0, "maximize": 0}
    group = {"lr": 0.1, **defaults, **options}
    there, state, v = Guarded(dtype, rng), {}, None
    expected = there.flat()
    for _ in range(3):
        gradients, g = draw_gradients(dtype, rng)
        assert cuda_steps.STEP["SGD"](there.inside, gradients, state, group, {})
        step = (-1 if group["maximize"] else 1) * g + group["weight_decay"] * expected
        if group["momentum"]:
            keep = 1 - group["dampening"]
            v = step if v is None else group["momentum"] * v + keep * step
            step = step + group["momentum"] * v if group["nesterov"] else v
        expected = expected - 0.1 * step
    close(put(there.flat().astype(dtype)), expected, dtype, 3)
    there.check()
    assert set(state) == ({"momentum_buffer"} if group["momentum"] else set())


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam(name: str, dtype: str, rng: np.random.Generator) -> None:
    group = {
        "lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": False
    }  # fmt: skip
    there, state = Guarded(dtype, rng), {}
    expected = there.flat()
    m = v = np.zeros_like(expected)
    for t in (1, 2, 3):
        gradients, slope = draw_gradients(dtype, rng)
        assert cuda_steps.STEP[name](there.inside, gradients, state, group, {})
        if name == "AdamW":
            expected = expected * (1 - 0.05 * 0.1)
        else:
            slope = slope + 0.1 * expected
        m, v = 0.8 * m + 0.2 * slope, 0.95 * v + 0.05 * slope**2
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.95**t)
        expected = expected - 0.05 * m_hat / (np.sqrt(v_hat) + 1e-3)
    close(put(there.flat().astype(dtype)), expected, dtype, 10)
    there.check()
    assert state["step"] == 3


def test_a_step_is_one_launch_and_sends_its_table_once(rng: np.random.Generator) -> None:
    there, group = Guarded("float32", rng), {"lr": 0.1, "momentum": 0.9, "dampening": 0}
    group |= {"weight_decay": 0, "nesterov": False, "maximize": False}
    gradients, state, sent = draw_gradients("float32", rng)[0], {}, {}
    cuda_steps.sgd_step(there.inside, gradients, state, group, sent)
    [table] = sent.values()
    with counted() as launches:
        cuda_steps.sgd_step(there.inside, gradients, state, group, sent)
    assert dict(launches) == {"sgd_step": 1}
    assert sent == {next(iter(sent)): table}
    for _ in range(20):
        moved = draw_gradients("float32", rng)[0]
        cuda_steps.sgd_step(there.inside, moved, state, group, sent)
    assert len(sent) <= 8


# --------------------------------------------------------------------- what is not the kernels'


def matrices(*shape: int) -> Any:
    return put(np.ones(shape, np.float32))


REFUSED: dict[str, Callable[[], Any]] = {
    "strided": lambda: kernels.batch_norm_forward(ops.BatchNorm(1e-5), matrices(4, 6).T),
    "images": lambda: kernels.batch_norm_forward(ops.BatchNorm(1e-5), matrices(4, 6, 2)),
    "empty": lambda: kernels.batch_norm_forward(ops.BatchNorm(1e-5), matrices(4, 0)),
    "gamma of another type": lambda: kernels.batch_norm_forward(
        ops.BatchNorm(1e-5), matrices(4, 6), matrices(6).astype(np.float64)
    ),
    "backward without forward": lambda: kernels.batch_norm_backward(
        ops.BatchNorm(1e-5), matrices(4, 6), matrices(4, 6), matrices(4, 6)
    ),
    "sigmoid after it, backward without forward": lambda: kernels.batch_norm_sigmoid_backward(
        ops.BatchNormSigmoid(1e-5), matrices(4, 6), matrices(4, 6), matrices(4, 6)
    ),
    "integers": lambda: kernels.sigmoid_forward(ops.Sigmoid(), put(np.ones(3, np.int64))),
    "sigmoid, strided": lambda: kernels.sigmoid_forward(ops.Sigmoid(), matrices(4, 6)[:, ::2]),
    "sigmoid's gradient, strided": lambda: kernels.sigmoid_backward(
        ops.Sigmoid(), matrices(4, 6).T, matrices(6, 4), matrices(6, 4)
    ),
    "linear, stacked": lambda: kernels.linear_forward(
        ops.Linear(), matrices(2, 4, 6), matrices(3, 6), matrices(3)
    ),
    "a stack of products": lambda: kernels.matmul_forward(
        ops.MatMul(), matrices(2, 4, 6), matrices(6, 3)
    ),
    "a product of vectors, backward": lambda: kernels.matmul_backward(
        ops.MatMul(), matrices(), matrices(), matrices(6), matrices(6)
    ),
    "a product of integers": lambda: kernels.matmul_forward(
        ops.MatMul(), put(np.ones((2, 3), np.int64)), put(np.ones((3, 2), np.int64))
    ),
    "labels of 32 bits": lambda: kernels.cross_entropy_forward(
        ops.SoftmaxCrossEntropy("mean", -100), matrices(4, 6), put(np.ones(4, np.int32))
    ),
    "loss, backward without forward": lambda: kernels.cross_entropy_backward(
        ops.SoftmaxCrossEntropy("mean", -100), matrices(), matrices(), matrices(4, 6), None
    ),
    "sgd, strided": lambda: (
        cuda_steps.sgd_step([matrices(4, 6).T], [matrices(6, 4)], {}, {"momentum": 0}, {}) or None
    ),
    "sgd, nothing to update": lambda: (
        cuda_steps.sgd_step([matrices(0, 6)], [matrices(0, 6)], {}, {"momentum": 0}, {}) or None
    ),
    "adam, a gradient of another type": lambda: (
        cuda_steps.adam_step([matrices(4)], [matrices(4).astype(np.float64)], {}, {}, {}) or None
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_kernel_does_not_take_is_left_to_the_rule(case: str) -> None:
    with counted() as launches:
        assert REFUSED[case]() is None
    assert not set(launches) & set(RawModule(code=launch.source()).module.signatures)


def test_a_strided_gradient_is_made_contiguous(rng: np.random.Generator) -> None:
    x, grad = rng.normal(size=(6, 4)), rng.normal(size=(4, 6))
    rule, op = ops.BatchNorm(1e-5), ops.BatchNorm(1e-5)
    y = rule.forward(x)
    there = kernels.batch_norm_forward(op, put(x))
    (dx,) = kernels.batch_norm_backward(op, put(grad).T, there, put(x))
    close(dx, rule.backward(grad.T, y, x)[0], "float64", 30)


# ------------------------------------------------------------------------------------ sanitizers


@pytest.mark.slow
@pytest.mark.parametrize("raw_module", [AddressSanitised, ThreadSanitised])
def test_no_sanitizer_complains(
    raw_module: type[RawModule], monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    use_kernels(monkeypatch, raw_module)
    for shape in [(37, 45), (9, 1)]:
        test_batch_norm(shape, "float32", True, rng)
        test_column_sums(shape, "float32", rng)
    test_running_statistics("float32", rng)
    test_bias_and_activation(kernels.SIGMOID, "float32", rng)
    test_sigmoid((3, 5, 7), "float32", rng)
    test_cross_entropy((37, 10), "float32", "mean", rng)
    test_cross_entropy((5, 70), "float32", "none", rng)
    # The steps of optimisers are given addresses, which mean nothing in a program of its own; what
    # is beside their arrays is guarded in their tests instead.


# ------------------------------------------------------------------------------------- launches


@pytest.mark.parametrize(
    "shape", [(1, 1), (31, 33), (256, 256), (8192, 2048), (4096, 1024), (70000, 3), (3, 70000)]
)
def test_grids_cover_the_matrix_and_keep_to_the_limits(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    use_kernels(monkeypatch, DryRawModule)  # refuses a grid that is too large
    rows, columns = shape
    chunks, size = launch.split_rows(rows, columns)
    assert (chunks - 1) * size < rows <= chunks * size
    across, down = launch.tiles(rows, columns)
    assert (across - 1) * 32 < columns <= across * 32
    assert 1 <= down <= 65535
    if rows * columns >= 2**22:
        assert across * down >= 500  # enough to keep any GPU busy

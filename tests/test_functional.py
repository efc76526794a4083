"""The functions: their arguments, their options and their errors. The mathematics behind them is
tested in ``tests/ops``, their values also against PyTorch in ``test_parity.py``."""

import inspect
import math
import pickle
import statistics

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.functional import fused
from minigrad.testing import gradcheck, gradgradcheck

X = [[1.5, -2.5, 0.5], [3.5, 0.25, -1.5]]


def check(fn, *arrays):
    inputs = tuple(mg.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays)
    gradcheck(fn, inputs)
    gradgradcheck(fn, inputs)


# --------------------------------------------------------------------------- methods as functions

# fmt: off
METHODS = [
    "add", "sub", "mul", "div", "pow", "neg", "abs", "exp", "log", "sqrt", "rsqrt",
    "reciprocal", "square", "sin", "cos", "tanh", "sigmoid", "clamp", "maximum", "minimum",
    "sum", "mean", "var", "std", "amax", "amin", "argmax", "argmin", "logsumexp", "softmax",
    "log_softmax", "cumsum", "matmul", "mm", "bmm", "dot", "outer", "reshape", "flatten",
    "expm1", "log1p", "sign", "floor", "ceil", "round", "masked_fill", "max", "min", "norm",
    "isnan", "isinf", "isfinite", "any", "all", "equal", "allclose",
    "transpose", "permute", "squeeze", "unsqueeze", "split", "chunk", "gather", "relu",
]
ELEMENTWISE_LOSSES = [
    "mse_loss", "huber_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits",
]
OTHERS = [
    "expand", "where", "cat", "stack", "leaky_relu", "elu", "gelu", "silu", "softplus",
    "linear", "batch_norm", "layer_norm", "group_norm", "rms_norm",
    "embedding", "dropout", "one_hot",
    "cross_entropy", "nll_loss", "mse_loss", "huber_loss", "binary_cross_entropy_with_logits",
]
# fmt: on


@pytest.mark.parametrize("name", METHODS)
def test_a_function_is_its_method(name):
    function = getattr(F, name)
    assert function.__doc__ == getattr(mg.Tensor, name).__doc__
    assert getattr(mg, name) is function
    with pytest.raises(
        TypeError, match=rf"{name}: got a list, expected a Tensor; wrap it: mg\.ten"
    ):
        function([1.0, 2.0])
    with pytest.raises(TypeError, match=rf"{name}: got a float, expected a Tensor"):
        function(2.5)


@pytest.mark.parametrize("name", [*METHODS, "expand"])
def test_a_function_of_a_method_introduces_itself_as_a_function(name):
    """To ``help``, to editors, and to pickle, which finds a function by its module and name."""
    function = getattr(F, name)
    first, *others = inspect.signature(function).parameters.values()
    assert first.name == "input"
    assert others == list(inspect.signature(getattr(mg.Tensor, name)).parameters.values())[1:]
    assert function.__module__ == "minigrad.functional.elementary"
    assert pickle.loads(pickle.dumps(function)) is function


def test_input_can_be_named():
    x = mg.tensor(X)
    assert F.softmax(dim=1, input=x).tolist() == F.softmax(x, 1).tolist()


@pytest.mark.parametrize("name", [*METHODS, *OTHERS])
def test_options_that_do_not_exist(name):
    """Not ignored: whoever passes one expects it to do something."""
    with pytest.raises(TypeError):
        getattr(F, name)(mg.ones(2, 2), some_option=1)


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda x: F.sum(input=x, dim=0), lambda x: x.sum(0)),
        (lambda x: F.add(input=x, other=2.0), lambda x: x + 2.0),
        (lambda x: F.clamp(input=x, min=0.5), lambda x: x.clamp(0.5)),
        (lambda x: F.softmax(x, dim=1), lambda x: x.softmax(1)),
        (lambda x: F.relu(input=x), lambda x: x.relu()),
    ],
)
def test_arguments_by_pytorchs_names(call, method):
    x = mg.tensor(X)
    np.testing.assert_array_equal(call(x).numpy(), method(x).numpy())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("leaky_relu", "input negative_slope"),
        ("elu", "input alpha"),
        ("gelu", "input approximate"),
        ("softplus", "input beta threshold"),
        ("linear", "input weight bias"),
        ("batch_norm", "input running_mean running_var weight bias training momentum eps"),
        ("layer_norm", "input normalized_shape weight bias eps"),
        ("group_norm", "input num_groups weight bias eps"),
        ("rms_norm", "input normalized_shape weight eps"),
        ("embedding", "input weight padding_idx"),
        ("dropout", "input p training"),
        ("cross_entropy", "input target weight ignore_index reduction label_smoothing"),
        ("nll_loss", "input target weight ignore_index reduction"),
        ("mse_loss", "input target reduction"),
        ("huber_loss", "input target reduction delta"),
        ("l1_loss", "input target reduction"),
        ("smooth_l1_loss", "input target reduction beta"),
        ("binary_cross_entropy_with_logits", "input target weight reduction pos_weight"),
    ],
)
def test_the_names_of_arguments_are_pytorchs(name, arguments):
    assert list(inspect.signature(getattr(F, name)).parameters) == arguments.split()


def test_expand_and_where_and_joins_are_exported():
    x = mg.tensor(X)
    assert mg.expand(x, 4, 2, 3).shape == (4, 2, 3)
    assert mg.where(x > 0, x, 0.0).tolist() == [[1.5, 0, 0.5], [3.5, 0.25, 0]]
    assert mg.where(x > 0, 0.0, x).tolist() == [[0, -2.5, 0], [0, 0, -1.5]]
    assert mg.cat([x, x], -1).shape == (2, 6)
    assert mg.cat(t for t in (x, x)).shape == (4, 3)
    assert mg.stack([x, x]).shape == (2, 2, 3)


# ---------------------------------------------------------------------------------------- errors


def integers(*shape):
    return mg.zeros(*shape, dtype=np.int64)


ERRORS = [
    (lambda: mg.cat([]), ValueError, "cat: got no tensors, expected at least one"),
    (lambda: mg.cat([mg.ones(2), mg.ones(2, 1)]), ValueError, r"cat: shapes .*\(2,\), \(2, 1\)"),
    (lambda: mg.cat([mg.ones(2, 3), mg.ones(2, 2)]), ValueError, "cat: shapes .* but for axis 0"),
    (lambda: mg.cat([mg.tensor(1.0)]), ValueError, "cat: shapes"),
    (lambda: mg.cat([mg.ones(2)], 1), IndexError, "cat: dim 1"),
    (lambda: mg.cat([mg.ones(2), mg.ones(2).double()]), TypeError, "Cat: inputs are float32 and"),
    (lambda: mg.cat([mg.ones(2), 1]), TypeError, "cat"),
    (lambda: mg.stack([]), ValueError, "stack"),
    (lambda: mg.stack([mg.ones(2), mg.ones(3)]), ValueError, r"stack: shapes \[\(2,\), \(3,\)\]"),
    (lambda: mg.stack([1, 2]), TypeError, "stack"),
    (lambda: mg.expand([1.0], 2), TypeError, "expand"),
    (lambda: F.relu("x"), TypeError, "relu: got a str, expected a Tensor"),
    (lambda: F.silu([1.0]), TypeError, "silu: the input is a list, expected a Tensor"),
    (
        lambda: F.gelu(mg.ones(2), "fast"),
        ValueError,
        "gelu: approximate is 'fast', expected 'none'",
    ),
    (lambda: F.softplus(integers(2)), TypeError, "softplus: the input is int64, expected a float"),
    # linear
    (
        lambda: F.linear(mg.ones(2, 7), mg.ones(3, 8)),
        ValueError,
        r"linear: input has 7 features in its last axis, expected 8 \(weight is \(3, 8\)\)",
    ),
    (lambda: F.linear(mg.tensor(1.0), mg.ones(3, 8)), ValueError, "linear: input has no axes"),
    (lambda: F.linear(mg.ones(2, 8), mg.ones(8)), ValueError, r"linear: weight has shape \(8,\)"),
    (
        lambda: F.linear(mg.ones(2, 8), mg.ones(3, 8), mg.ones(8)),
        ValueError,
        r"linear: bias has shape \(8,\), expected \(3,\)",
    ),
    (lambda: F.linear(integers(2, 8), mg.ones(3, 8)), TypeError, "linear: the input is int64"),
    (lambda: F.linear(mg.ones(2, 8), np.ones((3, 8))), TypeError, "ndarray, expected"),
    (lambda: F.linear(mg.ones(2, 2), [[1.0, 2.0]]), TypeError, "linear"),
    (
        lambda: F.linear(mg.ones(2, 8), mg.ones(3, 8).double()),
        TypeError,
        "Linear: inputs are float",
    ),
    # normalisation
    (
        lambda: F.batch_norm(mg.ones(3), None, None, training=True),
        ValueError,
        r"batch_norm: input has shape \(3,\), expected \(N, C, \.\.\.\)",
    ),
    (
        lambda: F.batch_norm(mg.ones(4, 3), None, None),
        ValueError,
        "running_mean and running_var are",
    ),
    (
        lambda: F.batch_norm(mg.ones(4, 3), mg.zeros(3), None),
        ValueError,
        "running_var is None and the other is not",
    ),
    (
        lambda: F.batch_norm(mg.ones(4, 3), mg.zeros(4), mg.ones(3)),
        ValueError,
        r"batch_norm: running_mean has shape \(4,\), expected \(3,\).*3 channels in axis 1",
    ),
    (
        lambda: F.batch_norm(mg.ones(4, 3), None, None, mg.ones(1), training=True),
        ValueError,
        r"batch_norm: weight has shape \(1,\), expected \(3,\)",
    ),
    (
        lambda: F.batch_norm(mg.ones(1, 3), None, None, training=True),
        ValueError,
        r"batch_norm: input of shape \(1, 3\) has one value per channel.*at least two",
    ),
    (
        lambda: F.batch_norm(integers(4, 3), None, None, training=True),
        TypeError,
        "batch_norm: the in",
    ),
    (lambda: F.batch_norm(mg.ones(4, 3), np.zeros(3), np.ones(3)), TypeError, "batch_norm"),
    (
        lambda: F.layer_norm(mg.ones(4, 3), (4,)),
        ValueError,
        r"layer_norm: input has shape \(4, 3\), expected \(\.\.\., \*\(4,\)\)",
    ),
    (lambda: F.layer_norm(mg.ones(4, 3), ()), ValueError, "layer_norm: input"),
    (
        lambda: F.layer_norm(mg.ones(4, 3), (3,), mg.ones(4)),
        ValueError,
        r"layer_norm: weight has shape \(4,\), expected \(3,\)",
    ),
    (lambda: F.layer_norm(integers(4, 3), (3,)), TypeError, "layer_norm: the input is int64"),
    (lambda: F.rms_norm(mg.ones(4, 3), 4), ValueError, "rms_norm: input has shape"),
    (lambda: F.rms_norm(mg.ones(4, 3), 3, mg.ones(4)), ValueError, "rms_norm: weight has shape"),
    (lambda: F.rms_norm(mg.ones(4, 3), 3, eps=-1.0), ValueError, "rms_norm: eps is -1"),
    (lambda: F.group_norm(mg.ones(4), 1), ValueError, r"group_norm: .*expected \(N, C, \.\.\.\)"),
    (lambda: F.group_norm(mg.ones(4, 3), 2), ValueError, "expected a divisor of the 3 channels"),
    (lambda: F.group_norm(mg.ones(4, 3), 0), ValueError, "group_norm: num_groups is 0"),
    (lambda: F.group_norm(mg.ones(4, 3), 1.0), TypeError, "num_groups is a float, expected an int"),
    (
        lambda: F.group_norm(mg.ones(4, 3), 3, mg.ones(4)),
        ValueError,
        "group_norm: weight has shape",
    ),
    # embedding, dropout, one-hot
    (
        lambda: F.embedding(mg.ones(2), mg.ones(4, 3)),
        TypeError,
        "embedding: the input is float32, ex",
    ),
    (
        lambda: F.embedding(mg.tensor([4]), mg.ones(4, 3)),
        IndexError,
        r"embedding: an index is 4 \(at position \(0,\)\), expected 0 to 3",
    ),
    (lambda: F.embedding(mg.tensor([-1]), mg.ones(4, 3)), IndexError, "embedding: an index is -1"),
    (lambda: F.embedding(mg.tensor([0]), mg.ones(4, 3), 4), IndexError, "padding_idx.* 4"),
    (lambda: F.embedding(mg.tensor([0]), mg.ones(4)), ValueError, r"embedding: .*\(4,\)"),
    (lambda: F.embedding([0], mg.ones(4, 3)), TypeError, "embedding"),
    (lambda: F.dropout(mg.ones(2), 1.5), ValueError, "dropout: p is 1.5, expected a probability"),
    (lambda: F.dropout(mg.ones(2), -0.1), ValueError, "dropout: p is -0.1"),
    (lambda: F.dropout(integers(2)), TypeError, "dropout: the input is int64"),
    (lambda: F.one_hot(mg.tensor([3]), 3), IndexError, "one_hot: a label is 3 .*expected 0 to 2"),
    (lambda: F.one_hot(mg.ones(2), 3), TypeError, "one_hot: labels are float32, expected integers"),
    (lambda: F.one_hot([1], 3), TypeError, "one_hot"),
    # losses
    (
        lambda: F.mse_loss(mg.ones(3), mg.ones(3, 1)),
        ValueError,
        r"mse_loss: target has shape \(3, 1\), expected \(3,\)",
    ),
    (lambda: F.mse_loss(mg.ones(3), 1.0), TypeError, "mse_loss"),
    (
        lambda: F.mse_loss(mg.ones(3), mg.ones(3), "max"),
        ValueError,
        "mse_loss: reduction is 'max', expected 'none', 'mean' or 'sum'",
    ),
    (lambda: F.mse_loss(integers(3), integers(3)), TypeError, "mse_loss: the input is int64"),
    (lambda: F.huber_loss(mg.ones(3), mg.ones(3), delta=0.0), ValueError, "huber_loss: delta is 0"),
    (
        lambda: F.huber_loss(mg.ones(3), mg.ones(2)),
        ValueError,
        r"huber_loss: target has shape \(2,\)",
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(mg.ones(3), mg.ones(2)),
        ValueError,
        r"shape \(2,\)",
    ),
    (
        lambda: F.cross_entropy(mg.ones(2, 3), mg.tensor([0, 1]), label_smoothing=1.5),
        ValueError,
        "cross_entropy: label_smoothing is 1.5, expected 0 to 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    ("scores", "arguments", "error", "message"),
    [
        (
            mg.ones(2, 3),
            ([0, 3],),
            IndexError,
            r"a label is 3 \(at position \(1,\)\), expected 0 to 2",
        ),
        (mg.ones(2, 3), ([0, -1],), IndexError, "a label is -1"),
        (mg.ones(2, 3), ([0.0, 1.0],), TypeError, "labels are float32, expected integers"),
        (mg.ones(2, 3), ([0],), ValueError, r"labels have shape \(1,\), expected \(2,\)"),
        (mg.tensor(1.0), (0,), ValueError, "the input has no axes"),
        (integers(2, 3), ([0, 1],), TypeError, "the input is int64"),
        (
            mg.ones(2, 3),
            ([0, 1], [1.0, 1.0]),
            ValueError,
            r"weight has shape \(2,\), expected \(3,\)",
        ),
    ],
)
def test_labels_that_do_not_fit(name, scores, arguments, error, message):
    with pytest.raises(error, match=rf"{name}: {message}"):
        getattr(F, name)(scores, *map(mg.tensor, arguments))


@pytest.mark.parametrize("labels", [[0, 1], np.array([0, 1])])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_labels_must_be_a_tensor(name, labels):
    with pytest.raises(TypeError, match=name):
        getattr(F, name)(mg.ones(2, 3), labels)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_reductions_that_do_not_exist(name):
    with pytest.raises(ValueError, match=f"{name}: reduction is 'avg', expected 'none'"):
        getattr(F, name)(mg.ones(2, 3), mg.tensor([0, 1]), reduction="avg")


# ---------------------------------------------------------------------------- running statistics


def test_running_statistics(rng):
    """(1 - momentum) old + momentum new; the variance divided by m - 1, as PyTorch does."""
    x = rng.standard_normal((3, 2, 2)) * [[1.5], [0.5]] + [[2.0], [-1.0]]
    mean, var = mg.tensor([0.3, 0.6], dtype=np.float64), mg.tensor([1.5, 0.8], dtype=np.float64)
    F.batch_norm(mg.tensor(x), mean, var, training=True, momentum=0.3)
    for c, (old_mean, old_var) in enumerate(((0.3, 1.5), (0.6, 0.8))):
        values = x[:, c].ravel().tolist()
        expected = 0.7 * old_mean + 0.3 * statistics.fmean(values)
        assert mean[c].item() == pytest.approx(expected, rel=1e-12)
        expected = 0.7 * old_var + 0.3 * statistics.variance(values)
        assert var[c].item() == pytest.approx(expected, rel=1e-12)


def test_running_statistics_are_no_part_of_the_graph(rng):
    x = mg.tensor(rng.standard_normal((4, 2)), requires_grad=True)
    mean, var = mg.zeros(2, dtype=np.float64), mg.ones(2, dtype=np.float64)
    for _ in range(2):
        y = F.batch_norm(x, mean, var, training=True)
    assert not mean.requires_grad
    y.backward(mg.tensor(rng.standard_normal((4, 2))))
    assert x.grad is not None


def test_eval_leaves_the_running_statistics_alone(rng):
    mean, var = mg.tensor([0.5, 1.5]), mg.tensor([2.0, 3.0])
    F.batch_norm(mg.tensor(rng.standard_normal((4, 2)).astype(np.float32)), mean, var)
    assert (mean.tolist(), var.tolist()) == ([0.5, 1.5], [2.0, 3.0])


def test_a_refused_batch_leaves_the_running_statistics_alone():
    mean, var = mg.tensor([0.5, 1.5]), mg.tensor([2.0, 3.0])
    with pytest.raises(ValueError, match="one value per channel"):
        F.batch_norm(mg.ones(1, 2), mean, var, training=True)
    assert (mean.tolist(), var.tolist()) == ([0.5, 1.5], [2.0, 3.0])


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0)], ids=str)
def test_a_batch_of_nothing_ruins_no_statistics(shape):
    """Refused, or answered with nothing; the statistics must not become NaN."""
    mean, var = mg.zeros(3), mg.ones(3)
    try:
        y = F.batch_norm(mg.zeros(*shape), mean, var, training=True)
    except ValueError:
        pass
    else:
        assert y.shape == shape
    assert np.isfinite(mean.numpy()).all()
    assert np.isfinite(var.numpy()).all()
    assert F.batch_norm(mg.zeros(*shape), mean, var).shape == shape


@pytest.mark.parametrize("shape", [(64, 2), (16, 2, 4)], ids=str)
def test_normalising_half_precision(shape, rng):
    """Statistics in float32: 300 squared does not fit into float16."""
    x = (rng.standard_normal(shape) * 300).astype(np.float16)
    weight, bias = mg.tensor([1.5, -0.5]).half(), mg.tensor([0.5, 2.5]).half()
    exact = F.batch_norm(
        mg.tensor(x.astype(np.float64)), None, None, weight.double(), bias.double(), training=True
    ).numpy()
    y = F.batch_norm(mg.tensor(x), None, None, weight, bias, training=True)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.numpy().astype(float), exact, atol=4e-3)
    z = F.layer_norm(mg.tensor(x), shape[-1:])
    assert z.dtype == np.float16
    exact = F.layer_norm(mg.tensor(x.astype(np.float64)), shape[-1:]).numpy()
    np.testing.assert_allclose(z.numpy().astype(float), exact, atol=4e-3)


# --------------------------------------------------------------------------------------- dropout


def test_dropout():
    x = mg.full((200, 200), 3.0, requires_grad=True)
    y = F.dropout(x, 0.25)
    values = y.detach().numpy()
    assert set(np.unique(values)) == {0.0, 4.0}, "kept elements are divided by 1 - p"
    # 40000 draws: the share of zeros has a standard deviation of 0.0022
    assert abs((values == 0).mean() - 0.25) < 0.01
    (dx,) = mg.grad(y, x, mg.full(y.shape, 5.0))
    np.testing.assert_allclose(dx.numpy(), values / 3.0 * 5.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dropout_of_nothing_and_of_everything(dtype):
    x = mg.ones(3, 2, dtype=dtype)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.7, training=False) is x
    y = F.dropout(x, 1.0)
    assert y.dtype == dtype
    assert not y.numpy().any()
    assert F.dropout(x, 0.5).dtype == dtype


def test_dropout_follows_the_seed():
    x = mg.ones(50)
    first = F.dropout(mg.ones(50), 0.5).tolist()
    assert F.dropout(x, 0.5).tolist() != first
    mg.manual_seed(3)
    one = F.dropout(x, 0.5).tolist()
    mg.manual_seed(3)
    assert F.dropout(x, 0.5).tolist() == one


# ---------------------------------------------------------------------------------------- losses


def log_p(row):
    """log softmax of a list of numbers."""
    total = math.log(math.fsum(math.exp(v) for v in row))
    return [v - total for v in row]


LOGITS = np.array([[0.3, -1.2, 2.0], [1.1, 0.4, -0.7], [0.0, 0.9, 0.2], [-0.5, 0.6, 1.4]])
LABELS = [2, 0, 1, 1]
WEIGHT = [0.5, 2.0, 1.3]


@pytest.mark.parametrize("ignore_index", [-100, 0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_options(reduction, weighted, smoothing, ignore_index):
    """By the definition: -sum_c w_c q_c log p_c, with q the label smoothed over the classes."""
    weight = WEIGHT if weighted else [1.0, 1.0, 1.0]
    rows, total = [], 0.0
    for z, t in zip(LOGITS.tolist(), LABELS, strict=True):
        counts = t != ignore_index
        q = [(1 - smoothing) * (c == t) + smoothing / 3 for c in range(3)]
        terms = [-w * share * lp for w, share, lp in zip(weight, q, log_p(z), strict=True)]
        rows.append(math.fsum(terms) * counts)
        total += weight[t] * counts
    expected = {"mean": math.fsum(rows) / total, "sum": math.fsum(rows), "none": rows}[reduction]

    def loss(logits):
        return F.cross_entropy(
            logits,
            mg.tensor(LABELS),
            mg.tensor(WEIGHT, dtype=np.float64) if weighted else None,
            ignore_index,
            reduction,
            smoothing,
        )

    np.testing.assert_allclose(loss(mg.tensor(LOGITS)).numpy(), expected, rtol=1e-12)
    check(loss, LOGITS)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss(reduction, weighted):
    weight = WEIGHT if weighted else [1.0, 1.0, 1.0]
    labels = [2, 0, -7, 1]
    rows = [
        -weight[t] * z[t] if t >= 0 else 0.0 for z, t in zip(LOGITS.tolist(), labels, strict=True)
    ]
    total = sum(weight[t] for t in labels if t >= 0)
    expected = {"mean": math.fsum(rows) / total, "sum": math.fsum(rows), "none": rows}[reduction]

    def loss(scores):
        w = mg.tensor(WEIGHT, dtype=np.float64) if weighted else None
        return F.nll_loss(scores, mg.tensor(labels), w, -7, reduction)

    np.testing.assert_allclose(loss(mg.tensor(LOGITS)).numpy(), expected, rtol=1e-13)
    check(loss, LOGITS)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_with_probabilities(reduction, smoothing, rng):
    target = rng.dirichlet([1.0, 1.0, 1.0], 4)
    rows = [
        math.fsum(
            -w * ((1 - smoothing) * q + smoothing / 3) * lp
            for w, q, lp in zip(WEIGHT, t, log_p(z), strict=True)
        )
        for z, t in zip(LOGITS.tolist(), target.tolist(), strict=True)
    ]
    expected = {"mean": math.fsum(rows) / 4, "sum": math.fsum(rows), "none": rows}[reduction]

    def loss(logits, t):
        w = mg.tensor(WEIGHT, dtype=np.float64)
        return F.cross_entropy(logits, t, w, reduction=reduction, label_smoothing=smoothing)

    np.testing.assert_allclose(loss(mg.tensor(LOGITS), mg.tensor(target)).numpy(), expected)
    check(loss, LOGITS, target)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_classes_in_the_middle_and_alone(name, reduction, rng):
    """(N, C, d) is N * d rows; (C,) with one label is one row."""
    scores = rng.standard_normal((2, 3, 4))
    labels = rng.integers(0, 3, (2, 4))
    function = getattr(F, name)
    rows = np.array([scores[n, :, d] for n in range(2) for d in range(4)])
    expected = function(mg.tensor(rows), mg.tensor(labels.ravel()), reduction=reduction).numpy()
    y = function(mg.tensor(scores), mg.tensor(labels), reduction=reduction)
    assert y.shape == ((2, 4) if reduction == "none" else ())
    np.testing.assert_allclose(y.numpy().ravel(), expected.ravel(), rtol=1e-13)
    alone = function(mg.tensor(rows[0]), mg.tensor(labels[0, 0]), reduction=reduction)
    assert alone.shape == ()
    first = function(mg.tensor(rows[:1]), mg.tensor(labels[0, :1])).item()
    assert alone.item() == pytest.approx(first, rel=1e-13)
    check(lambda z: function(z, mg.tensor(labels), reduction=reduction), scores)


@pytest.mark.parametrize("name", ELEMENTWISE_LOSSES)
def test_reductions_of_elementwise_losses(name, rng):
    a, b = mg.tensor(rng.standard_normal((3, 2))), mg.tensor(rng.random((3, 2)))
    each = getattr(F, name)(a, b, reduction="none").numpy()
    assert each.shape == (3, 2)
    total = math.fsum(each.flat)
    assert getattr(F, name)(a, b, reduction="sum").item() == pytest.approx(total, rel=1e-13)
    assert getattr(F, name)(a, b).item() == pytest.approx(total / 6, rel=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_weights_of_binary_cross_entropy(positive, weighted, rng):
    x, t = rng.standard_normal((3, 2)) * 2, rng.random((3, 2))
    pos_weight = [2.5, 0.4] if positive else [1.0, 1.0]
    weight = [[0.5], [1.5], [2.0]] if weighted else [[1.0]] * 3

    def loss(logits, target):
        return F.binary_cross_entropy_with_logits(
            logits,
            target,
            mg.tensor(weight, dtype=np.float64) if weighted else None,
            "none",
            mg.tensor(pos_weight, dtype=np.float64) if positive else None,
        )

    y = loss(mg.tensor(x), mg.tensor(t)).numpy()
    for i, j in np.ndindex(3, 2):
        s = 1 / (1 + math.exp(-x[i, j]))
        expected = -pos_weight[j] * t[i, j] * math.log(s) - (1 - t[i, j]) * math.log(1 - s)
        assert y[i, j] == pytest.approx(weight[i][0] * expected, rel=1e-12)
    check(loss, x, t)


def test_a_weighted_binary_cross_entropy_of_large_logits():
    y = F.binary_cross_entropy_with_logits(
        mg.tensor([1000.0, -1000.0]),
        mg.tensor([0.0, 1.0]),
        reduction="none",
        pos_weight=mg.tensor([2.0, 3.0]),
    )
    assert y.tolist() == [1000, 3000]


@pytest.mark.parametrize("name", ELEMENTWISE_LOSSES)
def test_integer_targets_make_no_float64(name):
    """A float32 loss from float32 predictions; or the target is refused."""
    try:
        y = getattr(F, name)(mg.tensor([1.5, 2.5]), mg.tensor([1, 0]))
    except TypeError:
        return
    assert y.dtype == np.float32


def test_one_hot():
    y = F.one_hot(mg.tensor([[0, 2], [1, 1]]), 3)
    assert y.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert y.dtype == np.int64
    assert F.one_hot(mg.tensor(np.zeros((0,), int)), 3).shape == (0, 3)
    assert F.one_hot(mg.tensor([[0, 2], [1, 1]])).tolist() == y.tolist()
    with pytest.raises(ValueError, match="there are no labels to tell the number of classes"):
        F.one_hot(mg.tensor(np.zeros((0,), int)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: F.cross_entropy(x, None),
        lambda x, y: F.cross_entropy(None, y),
        lambda x, y: F.nll_loss(x, None),
        lambda x, y: F.mse_loss(x, None),
        lambda x, y: F.linear(x, None),
        lambda x, y: F.batch_norm(x, None, None, training=True, momentum=None),
        lambda x, y: mg.cat(x),
    ],
)
def test_none_and_other_kinds_are_named(call):
    with pytest.raises(TypeError, match="expected"):
        call(mg.ones(2, 3), mg.tensor([0, 1]))


def test_one_length_is_enough_for_layer_norm(rng):
    x = mg.tensor(rng.standard_normal((4, 3)))
    np.testing.assert_array_equal(F.layer_norm(x, 3).numpy(), F.layer_norm(x, (3,)).numpy())


def test_a_negative_eps_and_a_delta_that_is_no_number():
    with pytest.raises(ValueError, match="eps is -1"):
        F.batch_norm(mg.rand(4, 2), None, None, training=True, eps=-1.0)
    with pytest.raises(ValueError, match="delta is nan"):
        F.huber_loss(mg.rand(2), mg.rand(2), delta=float("nan"))


def test_every_function_is_also_found_in_minigrad_itself():
    for name in F.__all__:
        assert getattr(mg, name) is getattr(F, name)
        assert name in mg.__all__


def test_numbers_that_are_out_of_range():
    x, mean, var = mg.randn(4, 3), mg.zeros(3), mg.ones(3)
    for momentum in (-0.1, 5.0, float("nan")):
        with pytest.raises(ValueError, match=r"batch_norm: momentum is .*, expected a share"):
            F.batch_norm(x, mean, var, training=True, momentum=momentum)
        with pytest.raises(ValueError, match="momentum is"):
            fused.linear_batch_norm_sigmoid(
                x, mg.ones(3, 3), mean, mean, var, var, mean, training=True, momentum=momentum
            )
    assert mean.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="softplus: beta is 0"):
        F.softplus(x, beta=0)


# ----------------------------------------------------------------- labels that count for nothing

WEIGHTED = {"weight": True, "label_smoothing": 0.0}, {"weight": False, "label_smoothing": 0.1}


def entropy(logits, labels, weight, label_smoothing):
    factor = mg.tensor([1.0, 2.0, 3.0], logits.dtype) if weight else None
    return F.cross_entropy(logits, labels, factor, label_smoothing=label_smoothing)


@pytest.mark.parametrize("options", WEIGHTED, ids=str)
def test_an_ignored_row_does_not_count_whatever_is_in_it(options):
    rows = [[0.5, 1.0, 2.0], [-np.inf, 1.0, 2.0]]
    alone = mg.tensor(rows[:1], mg.float64, requires_grad=True)
    both = mg.tensor(rows, mg.float64, requires_grad=True)
    expected = entropy(alone, mg.tensor([1]), **options)
    found = entropy(both, mg.tensor([1, -100]), **options)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (expected * 0.7).backward()
    (found * 0.7).backward()
    np.testing.assert_allclose(both.grad.numpy()[0], alone.grad.numpy()[0], rtol=1e-12)
    assert both.grad.numpy()[1].tolist() == [0, 0, 0]


def test_an_ignored_row_of_nll_loss():
    log_p = mg.tensor([[-1.5, -0.5], [-np.inf, 0.0]], mg.float64, requires_grad=True)
    assert F.nll_loss(log_p, mg.tensor([0, -100])).item() == 1.5
    assert F.nll_loss(log_p, mg.tensor([0, -100]), reduction="none").tolist() == [1.5, 0]


@pytest.mark.parametrize("options", WEIGHTED, ids=str)
def test_a_batch_of_ignored_labels_has_no_mean_and_moves_nothing(options):
    logits = mg.tensor([[0.5, 1.0, 2.0], [1.5, 1.0, 2.0]], requires_grad=True)
    loss = entropy(logits, mg.tensor([-100, -100]), **options)
    assert math.isnan(loss.item())
    loss.backward(mg.tensor(0.7))
    assert logits.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_single_label_without_a_batch():
    x = mg.tensor([1.0, 2.0, 3.5])
    assert F.cross_entropy(x, mg.tensor(-100), reduction="sum").item() == 0
    with pytest.raises(IndexError, match="a label is 5"):
        F.cross_entropy(x, mg.tensor(5))
    few = F.cross_entropy(x, mg.tensor(1, dtype=mg.int32)).item()
    assert few == pytest.approx(math.log(np.exp([1, 2, 3.5]).sum()) - 2, rel=1e-6)

"""Every operation against PyTorch: values, gradients with random cotangents, second derivatives.

One line per case. Each runs in float64, float32 and (without second derivatives) float16, and with
transposed, strided and negatively strided inputs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: make parity")
TF = torch.nn.functional

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(2024)


def normal(*shape: int) -> np.ndarray:
    """Random numbers, none within 0.05 of 0 and no two within 0.01: no kinks, no ties."""
    n = int(np.prod(shape))
    steps = RNG.permutation(n) - n // 2
    x = (steps + (steps >= 0)) * (5.0 / (n + 2)) + RNG.uniform(-0.2, 0.2, n) / (n + 2)
    return np.asarray(x).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return np.asarray(np.abs(normal(*shape)) + 0.3)


class Case(NamedTuple):
    """An operation in both libraries, at ``inputs``; integer and boolean ones get no gradient."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    second: bool = True  # whether PyTorch has the second derivative


CASES: list[Case] = []


def case(name: str, function: Any, *inputs: np.ndarray, second: bool = True) -> None:
    """``function``: one that works in both, called with the library ``L``, ``F`` and Tensors."""
    CASES.append(
        Case(
            name,
            lambda *xs: function(mg, F, *xs),
            lambda *xs: function(torch, TF, *xs),
            inputs,
            second,
        )
    )


A, B, X = normal(3, 4), normal(4), normal(2, 3, 4)
BROADCASTS = [
    (A, normal(3, 4)),
    (A, B),
    (normal(2, 1, 3), normal(4, 1)),
    (normal(), normal(2)),
    (normal(3, 1), normal()),
    (normal(0, 3), normal(1)),
    (normal(2, 1), normal(0)),
]
MASK = A > 0
LABELS = np.array([0, 2, -100, 1, 4, 2])
CLASS_WEIGHT = positive(5)

# -------------------------------------------------------------------------------- elementwise
for name in ["add", "sub", "mul", "maximum", "minimum"]:
    for a, b in BROADCASTS:
        case(f"{name} {a.shape} {b.shape}", lambda L, F, a, b, n=name: getattr(L, n)(a, b), a, b)
for a, b in BROADCASTS:
    case(f"div {a.shape} {b.shape}", lambda L, F, a, b: a / b, a, np.sign(b) * (np.abs(b) + 0.3))
    case(f"pow {a.shape} {b.shape}", lambda L, F, a, b: a**b, np.abs(a) + 0.3, b)
for name in ["neg", "exp", "sin", "cos", "tanh", "sigmoid", "abs", "square", "relu"]:
    for x in (A, normal(), normal(0, 2)):
        case(f"{name} {x.shape}", lambda L, F, x, n=name: getattr(L, n)(x), x)
for name in ["log", "sqrt", "rsqrt", "reciprocal"]:
    for x in (positive(3, 4), positive()):
        case(f"{name} {x.shape}", lambda L, F, x, n=name: getattr(L, n)(x), x)
case("add alpha", lambda L, F, a, b: a.add(b, alpha=2.5), A, B)
case("sub alpha", lambda L, F, a, b: a.sub(b, alpha=2.5), A, B)
case("numbers", lambda L, F, x: (2 - x) * 3 / 1.7 + 4 - 5 / (x * x + 1), A)
for c in (3, 2, 1, 0):
    case(f"x ** {c}", lambda L, F, x, c=c: x**c, A)
case("x ** -1.5", lambda L, F, x: x**-1.5, positive(3))
case("2.5 ** x", lambda L, F, x: 2.5**x, A)
case("0 ** x", lambda L, F, x: 0**x, positive(3), second=False)  # PyTorch: NaN
case("clamp", lambda L, F, x: x.clamp(-0.52, 0.52), A)
case("clamp min", lambda L, F, x: x.clamp(min=0.1), A)
case("clamp max", lambda L, F, x: L.clamp(x, max=0.1), A)
case("clamp crossed", lambda L, F, x: x.clamp(0.5, -0.5), A)
case("where", lambda L, F, m, a, b: L.where(m, a, b), MASK, A, B)
case("where number", lambda L, F, m, a: L.where(m, a, 2.0), MASK, A)
for a, b in BROADCASTS:
    b = np.sign(b) * (np.abs(b) + 0.3)
    case(f"remainder {a.shape} {b.shape}", lambda L, F, a, b: L.remainder(a, b), a, b, second=False)
case("x % 0.4", lambda L, F, x: x % 0.4, A, second=False)  # PyTorch: not connected
case("where number first", lambda L, F, m, a: L.where(m, 2.0, a), MASK[0], A)

# --------------------------------------------------------------------------------- reductions
for name in ["sum", "mean", "var", "std", "amax", "amin", "logsumexp"]:
    for dim in (0, -1, (0, 2), (1,)):
        for keep in (False, True):
            case(
                f"{name} {dim} {keep}",
                lambda L, F, x, n=name, d=dim, k=keep: getattr(x, n)(dim=d, keepdim=k),
                X,
            )
    if name != "logsumexp":
        case(f"{name} all", lambda L, F, x, n=name: getattr(x, n)(), X)
for name in ("sum", "mean", "amax", "amin", "logsumexp"):
    case(f"{name} of one", lambda L, F, x, n=name: getattr(x, n)(dim=-1), normal())
for c in (0, 2):
    case(f"var correction {c}", lambda L, F, x, c=c: x.var(dim=1, correction=c), X)
    case(f"std correction {c}", lambda L, F, x, c=c: L.std(x, dim=1, correction=c), X)
for name in ("sum", "mean", "logsumexp"):
    case(f"{name} of nothing", lambda L, F, x, n=name: getattr(x, n)(dim=1), normal(2, 0))
    case(f"{name} of no rows", lambda L, F, x, n=name: getattr(x, n)(dim=1), normal(0, 2))
for name in ("softmax", "log_softmax", "cumsum"):
    for dim in (0, 1, -1):
        case(f"{name} {dim}", lambda L, F, x, n=name, d=dim: getattr(x, n)(d), A)
    case(f"{name} of one", lambda L, F, x, n=name: getattr(x, n)(0), normal())
    case(f"{name} of nothing", lambda L, F, x, n=name: getattr(x, n)(1), normal(2, 0))
    case(f"{name} of no rows", lambda L, F, x, n=name: getattr(x, n)(0), normal(0, 2))

# ------------------------------------------------------------------------------------ products
for s, t in [
    ((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)), ((5, 1, 3, 4), (2, 4, 6)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
    ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((0, 2, 3), (3, 2)),
]:  # fmt: skip
    case(f"matmul {s} {t}", lambda L, F, a, b: L.matmul(a, b), normal(*s), normal(*t))
case("mm", lambda L, F, a, b: L.mm(a, b), normal(3, 4), normal(4, 2))
case("bmm", lambda L, F, a, b: L.bmm(a, b), normal(2, 3, 4), normal(2, 4, 5))
case("dot", lambda L, F, a, b: L.dot(a, b), normal(3), normal(3))
case("outer", lambda L, F, a, b: L.outer(a, b), normal(3), normal(4))
for s in ((5, 3), (2, 5, 3), (3,), (0, 3), (2, 0, 3)):
    case(f"linear {s}", lambda L, F, x, w, b: F.linear(x, w, b), normal(*s), A[:, :3], normal(3))
    case(f"linear {s} no bias", lambda L, F, x, w: F.linear(x, w), normal(*s), normal(4, 3))
case("linear no features", lambda L, F, x, w: F.linear(x, w), normal(2, 3, 0), normal(4, 0))

# --------------------------------------------------------------------------------------- shape
case("permute", lambda L, F, x: x.permute(2, 0, 1), X)
case("T", lambda L, F, x: x.T, A)
case("mT", lambda L, F, x: x.mT, X)
case("transpose", lambda L, F, x: L.transpose(x, 0, -1), X)
case("reshape", lambda L, F, x: x.reshape(6, -1), X)
case("flatten", lambda L, F, x: x.flatten(), X)
case("flatten 1", lambda L, F, x: L.flatten(x, 1), X)
case("flatten one", lambda L, F, x: x.flatten(), normal())
case("squeeze", lambda L, F, x: x.squeeze(), normal(1, 3, 1))
case("squeeze 0", lambda L, F, x: x.squeeze(0), normal(1, 3, 1))
case("squeeze a long axis", lambda L, F, x: x.squeeze(1), normal(1, 3, 1))
case("squeeze two", lambda L, F, x: x.squeeze((0, 1)), normal(1, 3, 1))
case("squeeze none", lambda L, F, x: x.squeeze(()), normal(1, 3, 1))
case("unsqueeze", lambda L, F, x: x.unsqueeze(-1), X)
case("expand", lambda L, F, x: x.expand(2, -1, 5), normal(3, 1))
case("expand to nothing", lambda L, F, x: x.expand(0, 3, 1), normal(3, 1))
case("cat", lambda L, F, a, b: L.cat([a, b], 1), normal(2, 3), normal(2, 2))
case("cat -1", lambda L, F, a, b: L.cat((a, b, a), -1), normal(2, 3), normal(2, 0))
case("stack", lambda L, F, a, b: L.stack([a, b], -1), A, normal(3, 4))
case("split", lambda L, F, a: a.split(2, 1)[1], normal(2, 5))
case("split last", lambda L, F, a: a.split(2, 1)[-1], normal(2, 5))
case("split sizes", lambda L, F, a: L.split(a, [1, 4], 1)[1], normal(2, 5))
case("chunk", lambda L, F, a: L.chunk(a, 3, 1)[-1], normal(2, 5))

# ------------------------------------------------------------------------------------ indexing
INDICES = {
    "row": 0,
    "column": (slice(None), 1),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "new axis": (Ellipsis, None, 0),
    "twice": ([0, 2, 0],),
    "pairs": ([0, 2], [1, -1]),
    "columns": (slice(None), [0, 0, 3]),
    "nothing": slice(1, 1),
    "an element": (1, -2),
    "True": True,
    "False": (slice(None), False),
    "a row and columns": (1, [0, 3, 0]),
}
for name, index in INDICES.items():
    case(f"index {name}", lambda L, F, x, i=index: x[i], A)
case("index mask", lambda L, F, m, x: x[m], MASK, A)
case("index mask of rows", lambda L, F, m, x: x[m, 1:], np.array([True, False, True]), A)
case("index tensor", lambda L, F, i, x: x[:, i], np.array([[0, 3], [0, 1]]), A)
case("gather 0", lambda L, F, i, x: x.gather(0, i), RNG.integers(0, 3, (2, 4)), A)
case("gather 1", lambda L, F, i, x: L.gather(x, 1, i), RNG.integers(0, 4, (2, 7)), A)
case("gather one", lambda L, F, i, x: x.gather(0, i), np.array(0), normal())
EMBEDDED = np.array([[0, 2, 5], [2, 2, 1]])
case("embedding", lambda L, F, i, w: F.embedding(i, w), EMBEDDED, normal(6, 4))
case("embedding pad", lambda L, F, i, w: F.embedding(i, w, 2), EMBEDDED, normal(6, 4))
case("embedding pad -1", lambda L, F, i, w: F.embedding(i, w, -1), EMBEDDED, normal(6, 4))
case("embedding one", lambda L, F, i, w: F.embedding(i, w), np.array(3), normal(6, 4))

# --------------------------------------------------------------------------------- activations
for name in ["leaky_relu", "elu", "gelu", "silu", "softplus"]:
    for x in (2 * A, normal(), normal(0, 2)):
        case(f"{name} {x.shape}", lambda L, F, x, n=name: getattr(F, n)(x), x)
case("leaky_relu slope", lambda L, F, x: F.leaky_relu(x, negative_slope=0.3), A)
case("gelu tanh", lambda L, F, x: F.gelu(x, approximate="tanh"), A)
case("elu alpha", lambda L, F, x: F.elu(x, 0.7), A)
case("softplus beta", lambda L, F, x: F.softplus(x, 2.0, 3.0), 2 * A)

# ------------------------------------------------------------------------------- normalisation
for s in ((6, 3), (4, 3, 5), (2, 3, 2, 2)):
    stats = (np.array([0.3, -1.0, 0.6]), np.array([0.5, 1.5, 2.5]))
    affine = (normal(3), normal(3))
    x = normal(*s)
    case(
        f"batch_norm {s}",
        lambda L, F, x, g, b: F.batch_norm(x, None, None, g, b, training=True),
        x,
        *affine,
    )
    case(
        f"batch_norm {s} plain",
        lambda L, F, x: F.batch_norm(x, None, None, training=True, eps=0.1),
        x,
    )
    case(
        f"batch_norm {s} beta",
        lambda L, F, x, b: F.batch_norm(x, None, None, None, b, training=True),
        x,
        affine[1],
        second=False,  # PyTorch's own double backward raises without a weight
    )
    case(
        f"batch_norm {s} gamma",
        lambda L, F, x, g: F.batch_norm(x, None, None, g, training=True),
        x,
        affine[0],
    )
    case(
        f"batch_norm {s} eval",
        lambda L, F, x, g, b, stats=stats: F.batch_norm(
            x, *(L.tensor(v).to(x.dtype) for v in stats), g, b, eps=0.01
        ),
        x,
        *affine,
    )
case("group_norm", lambda L, F, x: F.group_norm(x, 3, eps=0.1), normal(2, 6, 3))
case(
    "group_norm affine",
    lambda L, F, x, g, b: F.group_norm(x, 2, g, b),
    normal(3, 4, 2, 2),
    normal(4),
    normal(4),
)
case("rms_norm", lambda L, F, x, g: F.rms_norm(x, (3, 4), g), X, A)
case("rms_norm plain", lambda L, F, x: F.rms_norm(x, (4,), eps=0.1), X)
case("layer_norm", lambda L, F, x, g, b: F.layer_norm(x, (3, 4), g, b), X, A, normal(3, 4))
case("layer_norm plain", lambda L, F, x: F.layer_norm(x, (4,), eps=0.1), X)
case(
    "layer_norm beta",
    lambda L, F, x, b: F.layer_norm(x, (4,), None, b),
    X,
    normal(4),
    second=False,  # as above
)
case("layer_norm one", lambda L, F, x, g, b: F.layer_norm(x, (4,), g, b), *(normal(4),) * 3)

# -------------------------------------------------------------------------------------- losses
for red in ("mean", "sum", "none"):
    for weighted in (False, True):
        for smooth in (0.0, 0.2):
            case(
                f"cross_entropy {red} {weighted} {smooth}",
                lambda L, F, t, z, r=red, w=weighted, s=smooth: F.cross_entropy(
                    z,
                    t,
                    weight=L.tensor(CLASS_WEIGHT).to(z.dtype) if w else None,
                    reduction=r,
                    label_smoothing=s,
                ),
                LABELS,
                normal(6, 5),
            )
        case(
            f"nll_loss {red} {weighted}",
            lambda L, F, t, z, r=red, w=weighted: F.nll_loss(
                z, t, L.tensor(CLASS_WEIGHT).to(z.dtype) if w else None, reduction=r
            ),
            LABELS,
            normal(6, 5),
        )
    for name in ["mse_loss", "huber_loss", "binary_cross_entropy_with_logits"]:
        case(
            f"{name} {red}",
            lambda L, F, a, b, n=name, r=red: getattr(F, n)(a, b, reduction=r),
            2 * A,
            positive(3, 4) / 3,
        )
    case(
        f"cross_entropy probabilities {red}",
        lambda L, F, z, q, r=red: F.cross_entropy(z, q, reduction=r, label_smoothing=0.1),
        normal(6, 5),
        positive(6, 5),
    )
    case(
        f"cross_entropy (N, C, d1, d2) {red}",
        lambda L, F, t, z, r=red: F.cross_entropy(z, t, ignore_index=1, reduction=r),
        RNG.integers(0, 5, (6, 2, 3)),
        normal(6, 5, 2, 3),
    )
case("cross_entropy one", lambda L, F, t, z: F.cross_entropy(z, t), np.array(2), normal(5))
case("huber delta", lambda L, F, a, b: F.huber_loss(a, b, delta=0.3), A, normal(3, 4))
case(
    "bce weights",
    lambda L, F, a, b: F.binary_cross_entropy_with_logits(
        a,
        b,
        weight=L.tensor([[0.5], [1.5], [2.0]]).to(a.dtype),
        pos_weight=L.tensor([2.0, 3.0, 0.5, 1.0]).to(a.dtype),
    ),
    A,
    positive(3, 4) / 3,
)


# --------------------------------------------------------------------------------------- layouts


def contiguous(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C")


def transposed(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="F")


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else np.array(array)


def negative(array: np.ndarray) -> np.ndarray:
    return array[..., ::-1].copy()[..., ::-1] if array.ndim else np.array(array)


TOLERANCE = {np.float64: 1e-9, np.float32: 3e-5, np.float16: 2e-2}


def same(ours: Any, theirs: Any, tolerance: float, what: str) -> None:
    a, b = ours.detach().numpy(), theirs.detach().numpy(force=True)
    assert a.shape == b.shape, what
    assert a.dtype == b.dtype, what
    np.testing.assert_allclose(
        a.astype(float), b.astype(float), rtol=tolerance, atol=tolerance, err_msg=what
    )


def compare(this: Case, dtype: Any, layout: Any, second: bool) -> None:
    """The value, the gradients, and the gradients of a random combination of the gradients."""
    tolerance = TOLERANCE[dtype]
    arrays = [layout(a.astype(dtype) if a.dtype.kind == "f" else a) for a in this.inputs]
    xs = [mg.from_numpy(a).requires_grad_(a.dtype.kind == "f") for a in arrays]
    ts = [torch.tensor(np.array(a), requires_grad=a.dtype.kind == "f") for a in arrays]
    y, t = this.ours(*xs), this.theirs(*ts)
    same(y, t, tolerance, "value")
    rng = np.random.default_rng(11)
    g = np.asarray(rng.standard_normal(y.shape)).astype(dtype)
    xs, ts = ([v for v in vs if v.requires_grad] for vs in (xs, ts))
    seeds = mg.from_numpy(layout(g)), torch.tensor(g)
    if not second:
        for i, (a, b) in enumerate(
            zip(mg.grad(y, xs, seeds[0]), torch.autograd.grad(t, ts, seeds[1]), strict=True)
        ):
            same(a, b, tolerance, f"gradient {i}")
        return
    gx = mg.grad(y, xs, seeds[0], create_graph=True)
    gt = torch.autograd.grad(t, ts, seeds[1], create_graph=True)
    for i, (a, b) in enumerate(zip(gx, gt, strict=True)):
        same(a, b, tolerance, f"gradient {i}")
    vs = [np.asarray(rng.standard_normal(a.shape)).astype(dtype) for a in gx]
    s = sum((a * mg.tensor(v)).sum() for a, v in zip(gx, vs, strict=True))
    u = sum((a * torch.tensor(v)).sum() for a, v in zip(gt, vs, strict=True))
    nothing = (None,) * len(xs)
    hx = mg.grad(s, xs, allow_unused=True) if s.requires_grad else nothing
    ht = torch.autograd.grad(u, ts, allow_unused=True) if u.requires_grad else nothing
    for i, (a, b, x, w) in enumerate(zip(hx, ht, xs, ts, strict=True)):  # None stands for zeros
        a = mg.zeros_like(x) if a is None else a
        b = torch.zeros_like(w) if b is None else b
        same(a, b, tolerance, f"second derivative {i}")


IDS = [this.name for this in CASES]


@pytest.mark.parametrize("this", CASES, ids=IDS)
def test_float64(this):
    compare(this, np.float64, contiguous, second=this.second)


@pytest.mark.parametrize("this", CASES, ids=IDS)
def test_float32(this):
    compare(this, np.float32, contiguous, second=this.second)


@pytest.mark.parametrize("this", CASES, ids=IDS)
def test_float16(this):
    compare(this, np.float16, contiguous, second=False)


@pytest.mark.parametrize("this", CASES, ids=IDS)
def test_layouts(this):
    for layout in (transposed, strided, negative):
        compare(this, np.float64, layout, second=False)


def test_names_are_unique():
    assert len(set(IDS)) == len(IDS)


# ------------------------------------------------------------------------- integers and booleans


def no_bool(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, but for booleans, which PyTorch refuses there."""
    return lambda L, x: x if x.dtype in (torch.bool, np.bool_) else function(L, x)


NUMBERS = {
    "bool": np.array([[True, False], [True, True]]),
    "uint8": np.array([[3, 200], [0, 7]], np.uint8),
    "int8": np.array([[3, -100], [0, 7]], np.int8),
    "int32": np.array([[3, -5], [0, 7]], np.int32),
    "int64": np.array([[3, -5], [0, 7]], np.int64),
    "float16": np.array([[1.5, -2.5], [0.5, 3.0]], np.float16),
    "float32": np.array([[1.5, -2.5], [0.5, 3.0]], np.float32),
}
OF_ONE: dict[str, Callable[..., Any]] = {
    "+ 2": lambda L, x: x + 2,
    "+ 0.5": lambda L, x: x + 0.5,
    "0.5 -": no_bool(lambda L, x: 0.5 - x),
    "* 2.5": lambda L, x: x * 2.5,
    "* True": lambda L, x: x * True,
    "/ 2": lambda L, x: x / 2,
    "** 2": no_bool(lambda L, x: x**2),
    "2.5 **": no_bool(lambda L, x: 2.5 ** x.clamp(0, 9)),
    "exp": no_bool(lambda L, x: L.exp(x.clamp(0, 5))),
    "sigmoid": lambda L, x: L.sigmoid(x),
    "tanh": lambda L, x: x.tanh(),
    "sin": lambda L, x: x.sin(),
    "square": lambda L, x: L.square(x),
    "sum": lambda L, x: x.sum(),
    "sum 0": lambda L, x: x.sum(0),
    "cumsum": lambda L, x: x.cumsum(1),
    "amax": lambda L, x: x.amax(0),
    "amin": lambda L, x: x.amin(),
    "argmax": no_bool(lambda L, x: x.argmax(1)),
    "clamp": no_bool(lambda L, x: x.clamp(1, 3)),
    "clamp 0.5": no_bool(lambda L, x: x.clamp(0.5)),
    "x > 1": lambda L, x: x > 1,
    "x == 0.5": lambda L, x: x == 0.5,
    "where": lambda L, x: L.where(x > 0, x, 2),
    "where 0.5": lambda L, x: L.where(x > 0, x, 0.5),
    "maximum": lambda L, x: L.maximum(x, x.T),
    "reshape": lambda L, x: x.reshape(-1),
    "cat": lambda L, x: L.cat([x, x]),
    "index": lambda L, x: x[:, 1],
    "relu": no_bool(lambda L, x: x.relu()),
    "sum in float64": lambda L, x: x.sum(0, dtype=L.float64),
    "sum in int32": lambda L, x: x.sum(dtype=L.int32),
    "mean in float32": lambda L, x: x.mean(1, dtype=L.float32),
    "cumsum in float16": lambda L, x: x.cumsum(0, dtype=L.float16),
    "softmax in float64": lambda L, x: L.softmax(x, 0, dtype=L.float64),
    "log_softmax in float32": lambda L, x: x.log_softmax(-1, dtype=L.float32),
    "// 3": no_bool(lambda L, x: x // 3),
    "% 3": no_bool(lambda L, x: x % 3),
    "% 0.75": no_bool(lambda L, x: x % 0.75),
    "7 //": no_bool(lambda L, x: 7 // (x * x + 1)),
    "where two numbers": lambda L, x: L.where(x > 0, 1, 2.5),
    "where two integers": lambda L, x: L.where(x > 0, 1, 2),
    "x > 0 & x < 5": lambda L, x: (x > 0) & (x < 5),
    "x > 0 | True": lambda L, x: (x > 0) | True,
    "x > 0 ^ 1": lambda L, x: (x > 0) ^ 1,
}
OF_TWO: dict[str, Callable[..., Any]] = {
    "+": lambda L, a, b: a + b,
    "*": lambda L, a, b: a * b,
    "/": lambda L, a, b: a / (b * b + 1),
    "maximum": lambda L, a, b: L.maximum(a, b),
    "where": lambda L, a, b: L.where(a > 0, a, b),
    "//": lambda L, a, b: L.floor_divide(a, b * b + 1),
    "%": lambda L, a, b: L.remainder(a, b * b + 1),
    "<": lambda L, a, b: a < b,
    "cat": lambda L, a, b: L.cat([a, b]),
    "stack": lambda L, a, b: L.stack([a, b]),
}


@pytest.mark.parametrize("name", OF_ONE)
@pytest.mark.parametrize("kind", NUMBERS)
def test_types_of_one(kind, name):
    x = NUMBERS[kind]
    same(OF_ONE[name](mg, mg.tensor(x)), OF_ONE[name](torch, torch.tensor(x)), 2e-3, name)


@pytest.mark.parametrize("name", OF_TWO)
@pytest.mark.parametrize("second", NUMBERS)
@pytest.mark.parametrize("first", NUMBERS)
def test_types_of_two(first, second, name):
    """The same result type; two floating types do not mix here, which is said in an error."""
    a, b = NUMBERS[first], NUMBERS[second]
    if {first, second} == {"float16", "float32"} and name != "<":
        with pytest.raises(TypeError, match="expected one floating type"):
            OF_TWO[name](mg, mg.tensor(a), mg.tensor(b))
        return
    expected = OF_TWO[name](torch, torch.tensor(a), torch.tensor(b))
    same(OF_TWO[name](mg, mg.tensor(a), mg.tensor(b)), expected, 2e-3, name)


# ------------------------------------------------------------------ integers, slices and arrays


def drawn_index(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A tuple of integers, slices, None, booleans, index lists of one length, and one mask."""
    n, parts, axis = int(rng.integers(1, 3)), [], 0
    while axis < len(shape):
        length, kind = shape[axis], int(rng.integers(0, 8))
        if kind <= 1:
            parts.append(int(rng.integers(-length, length)))
        elif kind <= 3:
            parts.append(rng.integers(-length, length, n).tolist())
        elif kind == 4:
            mask = np.zeros(length, bool)
            mask[rng.permutation(length)[:n]] = True
            parts.append(mask.tolist())
        elif kind == 5:
            parts.append(None if rng.integers(2) else True)
            continue
        else:
            parts.append(slice(int(rng.integers(0, length)), None, int(rng.integers(1, 3))))
        axis += 1
        if rng.integers(8) == 0:
            break
    return tuple(parts)


def test_indices_of_all_kinds_beside_each_other():
    """The same elements, in the same order of axes, to read and to write; and where one refuses
    an index, both do."""
    rng, read = np.random.default_rng(1), 0
    values = np.arange(3.0 * 4 * 5 * 2).reshape(3, 4, 5, 2)
    for _ in range(600):
        index = drawn_index(rng, values.shape)
        x, t = mg.tensor(values), torch.tensor(values)
        try:
            expected = t[index]
        except IndexError:
            with pytest.raises(IndexError):
                x[index]
            continue
        same(x[index], expected, 0, str(index))
        fresh = rng.standard_normal(expected.shape)
        x[index], t[index] = mg.tensor(fresh), torch.tensor(fresh)
        # Where an index names an element twice, either value may win.
        named = torch.arange(values.size).reshape(values.shape)[index].reshape(-1)
        if len(named.unique()) == len(named):
            same(x, t, 0, str(index))
        read += 1
    assert read > 300


# ------------------------------------------------------------------------------- kinks and limits

KINKS: dict[str, tuple[Callable[..., Any], list[float]]] = {
    "abs": (lambda L, F, x: x.abs(), [0.0, -1.0]),
    "relu": (lambda L, F, x: x.relu(), [0.0, -1.0, 2.0]),
    "leaky_relu": (lambda L, F, x: F.leaky_relu(x), [0.0, -1.0]),
    "elu": (lambda L, F, x: F.elu(x, 0.7), [0.0, -200.0, 200.0]),
    "silu": (lambda L, F, x: F.silu(x), [0.0, -1000.0, 1000.0]),
    "gelu": (lambda L, F, x: F.gelu(x), [0.0, -1000.0, 1000.0]),
    "softplus": (lambda L, F, x: F.softplus(x), [0.0, 20.0, -1000.0, 1000.0]),
    "sigmoid": (lambda L, F, x: x.sigmoid(), [-1000.0, 1000.0, -60.0]),
    "clamp": (lambda L, F, x: x.clamp(-1, 1), [-1.0, 1.0, 2.0]),
    "maximum": (lambda L, F, x: L.maximum(x, x * 1), [2.0, -1.0]),
    "minimum": (lambda L, F, x: L.minimum(x, x * 1), [2.0, -1.0]),
    "amax": (lambda L, F, x: x.amax(), [2.0, 2.0, 1.0, 2.0]),
    "amin": (lambda L, F, x: x.amin(0), [2.0, 1.0, 1.0]),
    "std": (lambda L, F, x: x.std(), [1.5, 1.5]),
    "x ** 0": (lambda L, F, x: x**0, [0.0, 2.0]),
    "x ** 1": (lambda L, F, x: x**1, [0.0, 2.0]),
    "x ** x": (lambda L, F, x: x ** (x * 1), [0.0, 2.0]),
    "0 ** x": (lambda L, F, x: 0**x, [0.0, 2.0, -1.5]),
    "amax of NaN": (lambda L, F, x: x.amax(), [2.0, np.nan, 1.0]),
    "cross_entropy of nothing": (
        lambda L, F, x: F.cross_entropy(x.reshape(1, -1), L.tensor([-100])),
        [2.0, 1.0, 1.0],
    ),
    "abs of NaN": (lambda L, F, x: x.abs(), [np.nan, -1.0]),
    "elu of NaN": (lambda L, F, x: F.elu(x), [np.nan, -1.0]),
    "std and its derivative": (
        lambda L, F, x: L.stack([x.std(), (x * 2).std(correction=0)]),
        [1.5, 1.5],
    ),
    "logsumexp": (lambda L, F, x: x.logsumexp(0), [-np.inf, 1e4, -1e4]),
    "softmax": (lambda L, F, x: x.softmax(0), [-np.inf, 1e4, -1e4]),
    "log_softmax": (lambda L, F, x: x.log_softmax(0)[1:], [-np.inf, 1e4, -1e4]),
    "huber": (lambda L, F, x: F.huber_loss(x, x * 0, reduction="none"), [1.0, -1.0, 0.0]),
    "cross_entropy": (lambda L, F, x: F.cross_entropy(x, L.tensor(1)), [1e4, 0.0, -1e4]),
    "bce": (
        lambda L, F, x: F.binary_cross_entropy_with_logits(x, x * 0 + 1, reduction="none"),
        [1000.0, -1000.0, 0.0],
    ),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_and_limits(name):
    """The conventions where a function has no derivative, and what large numbers give."""
    function, values = KINKS[name]
    x, t = mg.tensor(np.array(values), requires_grad=True), torch.tensor(values).double()
    t.requires_grad_()
    y, u = function(mg, F, x), function(torch, TF, t)
    same(y, u, 1e-12, "value")
    g = np.asarray(np.random.default_rng(3).standard_normal(y.shape))
    (dx,), (dt,) = mg.grad(y, x, mg.tensor(g)), torch.autograd.grad(u, t, torch.tensor(g))
    same(dx, dt, 1e-12, "gradient")


STRAIGHT = {
    "abs": lambda L, F, x: x.abs(),
    "relu": lambda L, F, x: x.relu(),
    "cross_entropy of nothing": lambda L, F, x: F.cross_entropy(
        L.stack([x, 2 * x]), L.tensor([-100, -100])
    ),
    "leaky_relu": lambda L, F, x: F.leaky_relu(x),
    "remainder": lambda L, F, x: L.remainder(x * 1, x + 3),
    "std of equals": lambda L, F, x: (x * 0).std(),
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_second_derivatives_that_are_zeros(name):
    """Zeros that are there: without ``allow_unused``."""
    values = np.array([-2.5, 0.0, 1.5])
    x, t = mg.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    function = STRAIGHT[name]
    (dx,) = mg.grad(function(mg, F, x).sum(), x, create_graph=True)
    (dt,) = torch.autograd.grad(function(torch, TF, t).sum(), t, create_graph=True)
    same(dx, dt, 1e-12, "gradient")
    weights = np.array([3.0, 5.0, 7.0])
    (ddx,) = mg.grad((dx * mg.tensor(weights)).sum(), x)
    (ddt,) = torch.autograd.grad((dt * torch.tensor(weights)).sum(), t)
    same(ddx, ddt, 1e-12, "second derivative")


@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics(momentum):
    x = normal(4, 3, 5)
    ours = [mg.zeros(3, dtype=np.float64), mg.ones(3, dtype=np.float64)]
    theirs = [torch.zeros(3).double(), torch.ones(3).double()]
    for factor in (1.0, 2.0, -0.5):
        F.batch_norm(mg.tensor(x * factor), *ours, training=True, momentum=momentum)
        TF.batch_norm(torch.tensor(x * factor), *theirs, training=True, momentum=momentum)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b, 1e-12, "running statistics")


def test_one_hot():
    labels = np.array([[0, 2], [1, 1]])
    same(F.one_hot(mg.tensor(labels)), TF.one_hot(torch.tensor(labels)), 0, "one_hot")
    same(F.one_hot(mg.tensor(labels), 3), TF.one_hot(torch.tensor(labels), 3), 0, "one_hot")

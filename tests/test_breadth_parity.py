"""PyTorch's values, types and gradients, for the operations that are made of others."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
TF = torch.nn.functional
DRAW = np.random.default_rng(5)


def drawn(*shape: int) -> Any:
    return DRAW.standard_normal(shape)


X = drawn(3, 4)
ZEROS = np.where(np.array([[1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 1]]), X, 0.0)
TIES = np.array([[1.0, 2, 2, 1], [3, 3, 3, 0.5], [0.5, -1, 5, 5]])
NAN = X.copy()
NAN[0, 2] = np.nan
ROWS, PICKS = np.array([2, 0, 2]), np.array([[0, 2, 1], [1, 1, 0]])
P = DRAW.random((3, 4))
DISTRIBUTION = P / P.sum(1, keepdims=True)
IMAGES = drawn(2, 3, 4, 5)
Q, K, V = drawn(2, 3, 4), drawn(2, 5, 4), drawn(2, 5, 6)

# One function for both: a method, or by the library ``t`` and its functional ``f``.
CASES: dict[str, tuple[Any, ...]] = {
    "prod": (lambda t, f, a: a.prod(), X),
    "prod with zeros": (lambda t, f, a: a.prod(1, keepdim=True), ZEROS),
    "prod of integers": (lambda t, f, a: a.prod(), np.array([2, 3])),
    "prod of booleans": (lambda t, f, a: a.prod(0), np.array([True, False])),
    "prod of nothing": (lambda t, f, a: a.prod(0), drawn(0, 3)),
    "prod, 0-d": (lambda t, f, a: a.prod(), np.array(2.5)),
    "cumprod": (lambda t, f, a: a.cumprod(0), X),
    "cumprod with zeros": (lambda t, f, a: a.cumprod(1), ZEROS),
    "cumprod, 0-d": (lambda t, f, a: a.cumprod(0), np.array(1.5)),
    "sort": (lambda t, f, a: tuple(a.sort(dim=1, stable=True)), TIES),
    "sort, descending": (lambda t, f, a: tuple(a.sort(dim=0, descending=True, stable=True)), TIES),
    "sort with NaN": (lambda t, f, a: tuple(a.detach().sort(1)), NAN),
    "argsort": (lambda t, f, a: t.argsort(a, dim=0, descending=True, stable=True), TIES),
    "topk": (lambda t, f, a: tuple(t.topk(a, 2, 1)), X),
    "topk, smallest": (lambda t, f, a: tuple(a.topk(2, 0, largest=False)), X),
    "flip": (lambda t, f, a: t.flip(a, [0, 1]), X),
    "roll": (lambda t, f, a: t.roll(a, (1, -2), (0, 1)), X),
    "roll, flat": (lambda t, f, a: a.roll(-5), X),
    "repeat": (lambda t, f, a: a.repeat(2, 1, 3), X),
    "repeat, none": (lambda t, f, a: a.repeat(0, 1), X),
    "tile": (lambda t, f, a: a.tile(2), X),
    "unbind": (lambda t, f, a: tuple(t.unbind(a, 1)), X),
    "tril": (lambda t, f, a: t.tril(a, -1), Q),
    "triu": (lambda t, f, a: t.triu(a, 6), Q),
    "diagonal": (lambda t, f, a: t.diagonal(a, 1, 2, 0), Q),
    "diag of a vector": (lambda t, f, a: t.diag(a, -2), X[0]),
    "diag of a matrix": (lambda t, f, a: t.diag(a, 1), X),
    "index_select": (lambda t, f, a, i: t.index_select(a, 1, i), X, ROWS),
    "index_add": (lambda t, f, a, i, s: a.index_add(0, i, s, alpha=2), X, ROWS, drawn(3, 4)),
    "scatter_add": (lambda t, f, a, i, s: t.scatter_add(a, 0, i, s), X, PICKS, drawn(2, 3)),
    "nonzero": (lambda t, f, a: t.nonzero(a), ZEROS),
    "nonzero, tuple": (lambda t, f, a: a.nonzero(as_tuple=True), ZEROS),
    "nonzero, 0-d": (lambda t, f, a: a.nonzero(), np.array(2.0)),
    "nonzero, 0-d tuple": (lambda t, f, a: a.nonzero(as_tuple=True), np.array(0.0)),
    "var_mean": (lambda t, f, a: tuple(t.var_mean(a, dim=1)), X),
    "var, biased": (lambda t, f, a: a.var(0, unbiased=False), X),
    "std, correction": (lambda t, f, a: a.std(1, correction=2), X),
    "log2": (lambda t, f, a: t.log2(abs(a) + 0.1), X),
    "log2 of integers": (lambda t, f, a: a.log2(), np.array([1, 8])),
    "erf": (lambda t, f, a: t.erf(a), X),
    "clamp": (lambda t, f, a, b, c: a.clamp(b, c), X, drawn(4) - 0.5, drawn(3, 1) + 0.8),
    "clamp, min": (lambda t, f, a, b: a.clamp(min=b), X, drawn(4)),
    "clamp, crossed": (lambda t, f, a: a.clamp(a.detach() * 0 + 1, a.detach() * 0 - 1), X),
    "normalize": (lambda t, f, a: f.normalize(a), X),
    "normalize, p = 1": (lambda t, f, a: f.normalize(a, 1.0, 0), X),
    "attention": (lambda t, f, *a: f.scaled_dot_product_attention(*a), Q, K, V),
    "attention, causal": (
        lambda t, f, *a: f.scaled_dot_product_attention(*a, is_causal=True, scale=0.3), Q, K, V
    ),
    "bce": (lambda t, f, a, b: f.binary_cross_entropy(a, b), P, DISTRIBUTION),
    "kl_div": (lambda t, f, a, b: f.kl_div(a.log(), b, reduction="batchmean"), DISTRIBUTION, P),
    "kl_div of logarithms": (
        lambda t, f, a, b: f.kl_div(a.log(), b, reduction="none", log_target=True), P, X
    ),
    "adaptive_avg_pool2d": (lambda t, f, a: f.adaptive_avg_pool2d(a, (3, None)), IMAGES),
    "adaptive_avg_pool2d, larger": (lambda t, f, a: f.adaptive_avg_pool2d(a, 7), IMAGES),
}  # fmt: skip
CASES |= {
    f"pad {pad} {mode}": (lambda t, f, a, p=pad, m=mode, v=value: f.pad(a, p, m, v), IMAGES)
    for pad, mode, value in [
        ((1, 2, 0, 3), "constant", 1.5),
        ((-1, 2), "constant", 0.5),
        ((1, 2, 2, 1), "reflect", None),
        ((2, 2, 1, 0), "replicate", None),
        ((3, 2, 1, 4), "circular", None),
    ]
}
CASES |= {
    f"einsum {equation}": (
        lambda t, f, *a, e=equation: t.einsum(e, *a),
        *(drawn(*shape) for shape in shapes),
    )
    for equation, *shapes in [
        ("ij,jk,kl", (2, 3), (3, 4), (4, 2)),
        ("ba", (2, 3)),
        ("iij->ji", (3, 3, 2)),
        ("...ij,...jk->...ik", (5, 2, 3), (3, 2)),
        ("b...,b...->b", (2, 3), (2, 3)),
        ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)),
    ]
}


def as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, rng: np.random.Generator) -> None:
    function, *arrays = CASES[name]
    ours = [mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    results = as_tuple(function(mg, F, *ours))
    expected = as_tuple(function(torch, TF, *theirs))
    for got, wanted in zip(results, expected, strict=True):
        assert str(got.dtype) == str(wanted.dtype).removeprefix("torch.")
        np.testing.assert_allclose(
            got.detach().numpy(), wanted.detach().numpy(), rtol=1e-10, atol=1e-12
        )
        assert got.shape == tuple(wanted.shape)
    outputs = [(g, w) for g, w in zip(results, expected, strict=True) if g.requires_grad]
    assert len(outputs) == sum(w.requires_grad for w in expected)
    if not outputs:
        return
    seeds = [np.asarray(rng.standard_normal(g.shape)) for g, _ in outputs]
    inputs = [t for t in ours if t.requires_grad], [t for t in theirs if t.requires_grad]
    got = mg.grad([g for g, _ in outputs], inputs[0], [mg.tensor(s, mg.float64) for s in seeds])
    wanted = torch.autograd.grad(
        [w for _, w in outputs], inputs[1], [torch.tensor(s) for s in seeds]
    )
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-8, atol=1e-10)

"""Each operation of the library can be captured on the CPU, forward and backward, and its replay
gives for other inputs what the step gives, to the last bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, ops
from minigrad.ops import Op, apply
from minigrad.ops.convolution import Window

N, C = 5, 4
MATRIX, VECTOR, IMAGE = (N, C), (C,), (2, 3, 6, 6)
LABELS, MASK = "labels", "mask"
WINDOW = Window((3, 3), (1, 1), (1, 1), (1, 1))
STEPPING = Window((2, 2), (2, 2), (0, 0), (1, 1))

CASES: dict[str, tuple[Callable[[], Op], tuple[Any, ...]]] = {
    **{
        name: (getattr(ops, name), (MATRIX,))
        for name in (
            *(
                "Abs",
                "Clone",
                "Cos",
                "Erf",
                "Exp",
                "Expm1",
                "GELU",
                "GELUTanh",
                "Log",
                "Log1p",
                "Log2",
                "Neg",
            ),
            *("NormalCDF", "ReLU", "Reciprocal", "Rsqrt", "SiLU", "Sigmoid", "Sign", "Sin"),
            *("Sqrt", "Square", "Tanh", "Zero"),
        )
    },
    **{
        name: (getattr(ops, name), (MATRIX, VECTOR))
        for name in (
            *("Add", "Div", "FloorDivide", "Maximum", "Minimum", "Mul", "Pow", "Remainder", "Sub"),
        )
    },
    **{
        name: (lambda name=name: getattr(ops, name)(1.7), (MATRIX,))  # type: ignore[misc]
        for name in (
            *("AddScalar", "DivScalar", "ELU", "LeakyReLU", "MulScalar", "PowScalar", "ScalarPow"),
            "ScalarSub",
        )
    },
    **{
        name: (lambda name=name: getattr(ops, name)((1,)), (MATRIX,))  # type: ignore[misc]
        for name in ("Amax", "Amin", "LogSumExp", "Mean", "Sum")
    },
    **{
        name: (lambda name=name: getattr(ops, name)((0,), True, 1), (MATRIX,))  # type: ignore[misc]
        for name in ("Std", "Var")
    },
    "BatchNorm": (lambda: ops.BatchNorm(1e-5), (MATRIX, VECTOR, VECTOR)),
    "BatchNorm of images": (lambda: ops.BatchNorm(1e-5), (IMAGE, (3,), (3,))),
    "BatchNormEval": (lambda: ops.BatchNormEval(1e-5), (MATRIX, *[VECTOR] * 4)),
    "BatchNormSigmoid": (lambda: ops.BatchNormSigmoid(1e-5), (MATRIX, VECTOR, VECTOR)),
    "BinaryCrossEntropy": (ops.BinaryCrossEntropy, (MATRIX, MATRIX)),
    "BinaryCrossEntropyWithLogits": (ops.BinaryCrossEntropyWithLogits, (MATRIX, MATRIX)),
    "BroadcastTo": (lambda: ops.BroadcastTo((3, N, C)), (MATRIX,)),
    "Cast": (lambda: ops.Cast(np.float32, np.float64), (MATRIX,)),
    "Cat": (lambda: ops.Cat(0), (MATRIX, MATRIX)),
    "Clamp": (lambda: ops.Clamp(0.6, 1.2), (MATRIX,)),
    "Convolution": (lambda: ops.Convolution(WINDOW, 1), (IMAGE, (4, 3, 3, 3), (4,))),
    "Convolution, groups": (lambda: ops.Convolution(STEPPING, 3), (IMAGE, (6, 1, 2, 2), (6,))),
    "CumProd": (lambda: ops.CumProd(0), (MATRIX,)),
    "CumSum": (lambda: ops.CumSum(0), (MATRIX,)),
    "Embedding": (lambda: ops.Embedding(1), (LABELS, MATRIX)),
    "Fold": (lambda: ops.Fold(WINDOW, (6, 6)), ((2, 27, 36),)),
    "GetItem": (lambda: ops.GetItem((slice(1, None), np.array([0, 2, 2]))), (MATRIX,)),
    "GetItem, a slice": (lambda: ops.GetItem((slice(1, 4, 2),)), (MATRIX,)),
    "GroupNorm": (lambda: ops.GroupNorm(2, 1e-5), (MATRIX, VECTOR, VECTOR)),
    "Huber": (lambda: ops.Huber(0.2), (MATRIX, MATRIX)),
    "LayerNorm": (lambda: ops.LayerNorm(1, 1e-5), (MATRIX, VECTOR, VECTOR)),
    "Linear": (ops.Linear, (MATRIX, (3, C), (3,))),
    "Linear, many rows": (ops.Linear, ((1100, 2), (3, 2), (3,))),
    "LinearActivation": (lambda: ops.LinearActivation(ops.Tanh()), (MATRIX, (3, C), (3,))),
    "LinearBatchNormSigmoid": (
        lambda: ops.LinearBatchNormSigmoid(1e-5),
        (MATRIX, (3, C), (3,), (3,), (3,)),
    ),
    "LogSoftmax": (lambda: ops.LogSoftmax(1), (MATRIX,)),
    "Masked": (ops.Masked, (MASK, MATRIX)),
    "MatMul": (ops.MatMul, ((2, N, C), (C, 3))),
    "MaxPool": (lambda: ops.MaxPool(WINDOW), (IMAGE,)),
    "OneHot": (lambda: ops.OneHot(C, np.dtype("float32")), (LABELS,)),
    "Permute": (lambda: ops.Permute((1, 0)), (MATRIX,)),
    "Prod": (lambda: ops.Prod(1), (MATRIX,)),
    "RMSNorm": (lambda: ops.RMSNorm(1, 1e-5), (MATRIX, VECTOR)),
    "Reshape": (lambda: ops.Reshape((C, N)), (MATRIX,)),
    "Round": (lambda: ops.Round("floor"), (MATRIX,)),
    "Scatter": (lambda: ops.Scatter((np.array([0, 2, 2, 1, 0]),), (3, C)), (MATRIX,)),
    "Scatter, a slice": (lambda: ops.Scatter((slice(1, 6),), (7, C)), (MATRIX,)),
    "Softmax": (lambda: ops.Softmax(1), (MATRIX,)),
    "SoftmaxCrossEntropy": (lambda: ops.SoftmaxCrossEntropy("mean", -100), (MATRIX, LABELS)),
    "Softplus": (lambda: ops.Softplus(1.3, 20.0), (MATRIX,)),
    "SquaredError": (ops.SquaredError, (MATRIX, MATRIX)),
    "Unfold": (lambda: ops.Unfold(WINDOW), (IMAGE,)),
    "Where": (ops.Where, (MASK, MATRIX, MATRIX)),
}


def drawn(rng: np.random.Generator, kinds: tuple[Any, ...], scale: float) -> list[mg.Tensor]:
    """An example of the inputs; those with numbers are positive, and not near ``scale``."""
    made = []
    for kind in kinds:
        if kind == LABELS:
            made.append(mg.tensor(rng.permutation(C)))
        elif kind == MASK:
            made.append(mg.tensor(rng.standard_normal(MATRIX) > 0))
        else:
            sign = rng.choice([0.5, 1.6], kind)
            numbers = scale * sign * rng.uniform(0.7, 1.3, kind)
            made.append(mg.tensor(numbers.astype("float32")))
    return made


def test_no_operation_is_left_out() -> None:
    there = {
        name
        for name in ops.__all__
        if isinstance(getattr(ops, name), type) and issubclass(getattr(ops, name), Op)
    }
    assert there - {"Op", "Move"} == {name.partition(",")[0].partition(" of")[0] for name in CASES}


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "rules"])
@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_replayed(name: str, kernels: bool, rng: np.random.Generator) -> None:
    make, kinds = CASES[name]
    if name == "SoftmaxCrossEntropy":
        kinds = ((C, C), LABELS)
    factors = [
        nn.Parameter(mg.tensor(rng.uniform(0.8, 1.2, kind).astype("float32")))
        for kind in kinds
        if kind not in (LABELS, MASK)
    ]
    model = Factors(factors) if factors else nn.Linear(1, 1)

    def step(cotangent: mg.Tensor, *inputs: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        left = iter(model.parameters())
        y = apply(make(), *(x if x.dtype.kind in "ib" else x * next(left) for x in inputs))
        if y.requires_grad:
            y.backward(cotangent)
        return y.detach()

    def inputs() -> list[mg.Tensor]:
        given = drawn(rng, kinds, 0.3 if name == "BinaryCrossEntropy" else 1.0)
        y = apply(make(), *given)
        cotangent = rng.standard_normal(y.shape) if y.ndim else rng.uniform(1.1, 1.9)
        return [mg.tensor(np.asarray(cotangent, y.dtype)), *given]

    with mg.use_kernels(kernels):
        captured = mg.capture(step, *inputs(), model=model)
        for _ in range(2):
            given = inputs()
            expected = step(*given), [p.grad for p in factors]
            found = captured(*given), [p.grad for p in factors]
            np.testing.assert_array_equal(found[0], expected[0])
            for ours, theirs in zip(found[1], expected[1], strict=True):
                np.testing.assert_array_equal(ours, theirs)


class Factors(nn.Module):
    """What each input is multiplied with, so that it has a gradient."""

    def __init__(self, factors: list[nn.Parameter]) -> None:
        super().__init__()
        for number, factor in enumerate(factors):
            setattr(self, f"factor{number}", factor)

"""The CUDA kernels of windows, run on the CPU by the emulator, against the rules in float64."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, ops, optim
from minigrad.kernels import cuda_windows as kernels
from minigrad.ops.convolution import Window
from tests.cuda.raw_module import AddressSanitised, RawModule
from tests.devices import emulated, use_kernels
from tests.kernels.test_cuda import DIGITS, close, got, put
from tests.ops.test_convolution import CASES, drawn
from tests.strict_cupy.stand_in import counted, no_sync

__all__ = ["emulated"]  # a fixture


@pytest.fixture(autouse=True)
def _emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(monkeypatch, RawModule)


def window_of(name: str) -> Window:
    _, kernel, _, stride, padding, dilation, _ = CASES[name]
    return Window(kernel, stride, padding, dilation)


def compare(
    make: Any, arrays: list[Any], dtype: str, rng: np.random.Generator, scale: float = 4
) -> None:
    """Forward and backward of the kernel in ``dtype``, and of the rule in float64."""
    given = [a.astype(dtype) for a in arrays]
    wide = [a.astype(np.float64) for a in given]
    rule, op = make(), make()
    rule.parents = op.parents = (rule,) * len(arrays)
    y = rule.forward(*wide)
    grad = rng.normal(0.3, 1.0, y.shape).astype(dtype)
    expected = rule.backward(grad.astype(np.float64), y, *wide)
    there = [put(a) for a in given]
    found = kernels.FORWARD[type(op)](op, *there)
    gradients = kernels.BACKWARD[type(op)](op, put(grad), found, *there)
    close(found, y, dtype, scale)
    several = isinstance(gradients, tuple)
    pairs = zip(gradients, expected, strict=True) if several else [(gradients, expected)]
    for a, b in pairs:
        assert a.dtype == dtype
        close(a, b, dtype, 4 * scale)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("name", CASES)
def test_windows_and_convolutions(name: str, dtype: str, rng: np.random.Generator) -> None:
    x, w, b, _ = drawn(name, rng)
    window, groups = window_of(name), CASES[name][-1]
    compare(lambda: ops.Unfold(window), [x], dtype, rng)
    columns = rng.normal(size=ops.Unfold(window).forward(x).shape)
    compare(lambda: ops.Fold(window, x.shape[2:]), [columns], dtype, rng)
    compare(lambda: ops.Convolution(window, groups), [x, w, b], dtype, rng, 8)
    compare(lambda: ops.Convolution(window, groups), [x, w], dtype, rng, 8)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((2, 2), (2, 2), (0, 0), (1, 1)),
        ((3, 3), (2, 2), (1, 1), (1, 1)),
        ((2, 3), (1, 2), (1, 1), (2, 2)),
    ],
)
def test_max_pool(
    kernel: Any, stride: Any, padding: Any, dilation: Any, dtype: str, rng: np.random.Generator
) -> None:
    x = rng.permutation(2 * 3 * 6 * 7).reshape(2, 3, 6, 7) / 64 - 2.1  # no two are equal
    window = Window(kernel, stride, padding, dilation)
    compare(lambda: ops.MaxPool(window), [x], dtype, rng, 1)


def test_ties_nan_and_padding_alone_are_as_in_the_rule() -> None:
    window = Window((2, 2), (1, 1), (1, 1), (2, 2))
    for image in (
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[1.0, np.nan, -1.0], [2.0, 2.0, np.nan], [-np.inf, -np.inf, 0.5]],
        [[1.5]],
    ):
        x = np.array([[image]])
        rule, op = ops.MaxPool(window), ops.MaxPool(window)
        y = rule.forward(x)
        there = kernels.max_pool_forward(op, put(x))
        np.testing.assert_array_equal(got(there), y)
        grad = np.arange(1.0, 1.0 + y.size).reshape(y.shape)
        expected = rule.backward(grad, y, x)
        found = kernels.max_pool_backward(op, put(grad), there, put(x))
        np.testing.assert_array_equal(got(found), expected)


def test_what_the_kernels_do_not_take_is_left_to_the_rules(rng: np.random.Generator) -> None:
    x = put(rng.normal(size=(2, 3, 4, 5)))
    window, strided = Window((2, 2), (1, 1), (0, 0), (1, 1)), x[:, :, ::2]
    for op in (ops.Unfold(window), ops.MaxPool(window)):
        assert kernels.FORWARD[type(op)](op, strided) is None
    op = ops.MaxPool(window)
    y = op.forward(x)
    assert kernels.max_pool_backward(op, y, y, x) is None, "forward was the rule's"


@pytest.mark.slow
def test_the_address_sanitizer_does_not_complain(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    use_kernels(monkeypatch, AddressSanitised)
    test_windows_and_convolutions("dilated", "float32", rng)
    test_max_pool((3, 3), (2, 2), (1, 1), (1, 1), "float32", rng)


def network() -> nn.Sequential:
    mg.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2, stride=2),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).double()


def test_a_convolutional_network_learns_as_on_the_cpu(emulated: str) -> None:
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(6, 1, 8, 8)), rng.integers(0, 3, 6)
    results = []
    for on in ("cpu", emulated):
        model = network().to(on)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        given, right = mg.tensor(x, device=on), mg.tensor(labels, device=on)
        for _ in range(2):
            with no_sync(), counted() as launches:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(given), right)
                loss.backward()
                optimizer.step()
        results.append([p.detach().cpu().numpy() for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    # U forwards of two convolutions and of the mean, and backwards again of the convolutions
    assert launches["unfold"] == 3 + 2
    assert launches["fold"] == 2, "of the second convolution, and of the mean"
    assert launches["max_pool"] == launches["max_pool_backward"] == 1

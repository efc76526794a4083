"""At its poles, and beyond its range, an operation gives what IEEE 754 says, without a warning.

(Warnings are errors in these tests.)
"""

import math
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.ieee import ieee

INF, NAN = math.inf, math.nan
RESULTS = {
    "log": (mg.log, [0.0, -1.0, INF], [-INF, NAN, INF]),
    "square": (mg.square, [1e30, -1e30, INF], [INF, INF, INF]),
    "sin": (mg.sin, [INF, -INF, 0.0], [NAN, NAN, 0]),
    "cos": (mg.cos, [INF, -INF, 0.0], [NAN, NAN, 1]),
    "half": (lambda x: x.half().float(), [1e6, -1e6, 2.0], [INF, -INF, 2]),
    "exp": (mg.exp, [1000.0, -1000.0, -INF], [INF, 0, 0]),
    "sqrt": (mg.sqrt, [-1.0, 0.0, INF], [NAN, 0, INF]),
    "rsqrt": (mg.rsqrt, [0.0, -1.0, INF], [INF, NAN, 0]),
    "reciprocal": (mg.reciprocal, [0.0, -0.0, INF], [INF, -INF, 0]),
    "1 / x": (lambda x: 1 / x, [0.0, -0.0, INF], [INF, -INF, 0]),
    "x / 0": (lambda x: x / 0, [1.5, -1.5, 0.0], [INF, -INF, NAN]),
    "x / zeros": (lambda x: x / mg.zeros(3), [1.5, -1.5, 0.0], [INF, -INF, NAN]),
    "x ** -1.5": (lambda x: x**-1.5, [0.0, -1.5, INF], [INF, NAN, 0]),
    "x ** 100": (lambda x: x ** mg.tensor(100.0), [2.0, -10.0, 0.5], [2.0**100, INF, 2.0**-100]),
    "10 ** x": (lambda x: 10.0**x, [100.0, -100.0, 0.0], [INF, 0, 1]),
    "x // 0": (lambda x: x // mg.zeros(3), [1.5, -1.5, 0.0], [INF, -INF, NAN]),
    "x % 0": (lambda x: x % 0.0, [1.5, -1.5, 0.0], [NAN, NAN, NAN]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_at_poles_and_beyond_the_range(name):
    function, values, expected = RESULTS[name]
    x = mg.tensor(values, requires_grad=True)
    y = function(x)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    y.backward(mg.ones(3))  # whatever it gives, it warns of nothing


def test_a_nan_beside_large_numbers():
    assert math.isnan(mg.tensor([NAN, 1000.0]).logsumexp(0).item())


def test_slopes_at_poles():
    x = mg.tensor([0.0, 0.0], requires_grad=True)
    assert mg.grad(mg.log(x).sum(), x)[0].tolist() == [INF, INF]
    assert mg.grad(mg.sqrt(x).sum(), x)[0].tolist() == [INF, INF]
    assert mg.grad(mg.reciprocal(x).sum(), x)[0].tolist() == [-INF, -INF]


def test_the_user_s_own_arithmetic_still_warns():
    mg.log(mg.zeros(2))
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.log(np.zeros(2))


def test_silence_inside_silence_and_in_threads():
    assert ieee().run(lambda: ieee().run(np.log, 0.0)) == -INF
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(mg.log(mg.zeros(1)).item())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [-INF] * 4

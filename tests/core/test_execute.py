"""Rule or kernel: the switch, and that a check sees a fault in either."""

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import ops
from minigrad.core import execute
from minigrad.ops import apply
from minigrad.ops.convolution import Window
from minigrad.testing import GradcheckError, gradcheck, gradgradcheck

EPS = 0.05

CASES: dict[type[ops.Op], tuple[Any, list[tuple[int, ...]]]] = {
    ops.Linear: (ops.Linear, [(4, 3), (2, 3), (2,)]),
    ops.LinearActivation: (
        lambda: ops.LinearActivation(ops.Sigmoid()),
        [(4, 3), (2, 3), (2,)],
    ),
    ops.Sigmoid: (ops.Sigmoid, [(4, 3)]),
    ops.BatchNorm: (lambda: ops.BatchNorm(EPS), [(5, 3), (3,), (3,)]),
    ops.BatchNormSigmoid: (lambda: ops.BatchNormSigmoid(EPS), [(5, 3), (3,), (3,)]),
    ops.LinearBatchNormSigmoid: (
        lambda: ops.LinearBatchNormSigmoid(EPS),
        [(5, 3), (2, 3), (2,), (2,), (2,)],
    ),
    ops.Convolution: (
        lambda: ops.Convolution(Window((2, 2), (1, 1), (1, 0), (1, 1)), 1),
        [(2, 2, 4, 5), (3, 2, 2, 2)],
    ),
    ops.SoftmaxCrossEntropy: (lambda: ops.SoftmaxCrossEntropy("mean", -100), [(4, 3)]),
}
LABELS = np.array([2, 0, 1, 2])


def problem(kind: type[ops.Op], rng: np.random.Generator) -> tuple[Any, tuple[mg.Tensor, ...]]:
    make, shapes = CASES[kind]
    inputs = tuple(mg.tensor(rng.normal(0.3, 1.1, s), requires_grad=True) for s in shapes)
    labels = (mg.tensor(LABELS),) if kind is ops.SoftmaxCrossEntropy else ()
    return lambda *xs: apply(make(), *xs, *labels), inputs


def slightly_wrong(function: Any) -> Any:
    def wrong(*arguments: Any) -> Any:
        result = function(*arguments)
        if isinstance(result, tuple):
            return tuple(None if r is None else r * 1.001 for r in result)
        return None if result is None else result * 1.001

    return wrong


def test_every_kernel_has_a_case_here() -> None:
    assert set(CASES) == set(execute.numpy_forward) == set(execute.numpy_backward)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_rule_and_kernel_pass(kind: Any, rng: np.random.Generator) -> None:
    function, inputs = problem(kind, rng)
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_broken_rule_is_seen(
    kind: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, inputs = problem(kind, rng)
    monkeypatch.setattr(kind, "backward", slightly_wrong(kind.backward))
    with pytest.raises(GradcheckError, match="this is the rule's: the kernel") as caught:
        gradcheck(function, inputs)
    assert caught.value.wrong == "rule"
    assert caught.value.input is not None


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_broken_kernel_is_seen(
    kind: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, inputs = problem(kind, rng)
    for table in (execute.numpy_forward, execute.numpy_backward):
        with monkeypatch.context() as patch:
            patch.setitem(table, kind, slightly_wrong(table[kind]))
            with pytest.raises(GradcheckError, match="this is the kernel's: the rule") as caught:
                gradcheck(function, inputs)
            assert caught.value.wrong == "kernel"


def test_a_mistake_outside_of_both_is_not_laid_on_one_of_them(rng: np.random.Generator) -> None:
    class Wrong(ops.Op):
        saves = ("x",)

        def forward(self, x: Any) -> Any:
            return x * x

        def backward(self, grad: Any, y: Any, x: Any) -> Any:
            return 3 * grad * x

    x = mg.tensor(rng.normal(1.5, 0.3, 4), requires_grad=True)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: apply(Wrong(), x).sigmoid(), x)
    assert caught.value.wrong == "both"
    assert "kernel" not in str(caught.value)


# ------------------------------------------------------------------------------------ the switch


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has run: "rule" or "kernel", of each sigmoid, forward and backward."""
    calls: list[str] = []

    def noted(what: str, function: Any) -> Any:
        def noting(*arguments: Any) -> Any:
            calls.append(what)
            return function(*arguments)

        return noting

    for name in ("forward", "backward"):
        monkeypatch.setattr(ops.Sigmoid, name, noted("rule", getattr(ops.Sigmoid, name)))
        table = getattr(execute, f"numpy_{name}")
        monkeypatch.setitem(table, ops.Sigmoid, noted("kernel", table[ops.Sigmoid]))
    return calls


def step() -> None:
    x = mg.tensor([[0.5, -1.5]], requires_grad=True)
    x.sigmoid().backward(mg.tensor([[2.0, 3.0]]))


def test_kernels_run_by_default_and_rules_within_the_switch(ran: list[str]) -> None:
    step()
    with mg.use_kernels(False):
        step()
        with mg.use_kernels(True):
            step()
        step()
    step()
    one, other = ["kernel"] * 2, ["rule"] * 2
    assert ran == [*one, *other, *one, *other, *one]


def test_the_switch_as_a_statement(ran: list[str]) -> None:
    switch = mg.use_kernels(False)
    try:
        step()
        with switch:
            step()
        step()
    finally:
        mg.use_kernels(True)
    step()
    assert ran == ["rule"] * 4 + ["kernel"] * 4


def fail_after_a_step() -> None:
    step()
    mg.tensor([1.0, 2.0]) + mg.tensor([1.0, 2.0, 3.0])


def test_one_switch_can_be_entered_again_and_ends_with_an_error(ran: list[str]) -> None:
    switch = mg.use_kernels(False)
    with switch:
        pass
    for _ in range(2):
        with pytest.raises(ValueError, match="shape"), switch:
            fail_after_a_step()
        step()
    assert ran == (["rule"] * 2 + ["kernel"] * 2) * 2


def test_each_thread_has_a_switch_of_its_own(ran: list[str]) -> None:
    with mg.use_kernels(False):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
        step()
    assert ran == ["kernel"] * 2 + ["rule"] * 2


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True), ("", False)])
def test_the_environment_starts_with_rules_alone(value: str, expected: bool) -> None:
    code = "from minigrad.core.execute import switch; print(switch.kernels)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MINIGRAD_KERNELS": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(expected)


def test_a_half_by_the_kernel_and_a_half_by_the_rule(rng: np.random.Generator) -> None:
    """The switch may change between the two halves of an operation."""
    x = rng.normal(size=(6, 3))
    seed = mg.tensor(rng.normal(size=(6, 3)))
    results = []
    for forward, backward in ((True, True), (True, False), (False, True), (False, False)):
        t = mg.tensor(x, requires_grad=True)
        gamma, beta = (
            mg.tensor([0.5, 1.5, -2.0], mg.float64),
            mg.tensor([0.1, 0.2, 0.3], mg.float64),
        )
        with mg.use_kernels(forward):
            y = F.batch_norm(t, None, None, gamma, beta, training=True)
        with mg.use_kernels(backward):
            y.backward(seed)
        assert t.grad is not None
        results.append(t.grad.numpy())
    for found in results[1:]:
        np.testing.assert_allclose(found, results[0], rtol=1e-10, atol=1e-13)

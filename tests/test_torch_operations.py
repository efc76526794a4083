"""PyTorch's own samples of its operations (OpInfo): none gives other numbers here, nor other first
and second derivatives, and nearly all are taken.

The samples come from PyTorch's tests, whose import takes seconds. They are drawn in float64.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F

pytestmark = [pytest.mark.parity, pytest.mark.slow]

REFUSALS = (TypeError, ValueError, IndexError, NotImplementedError)

OTHER_MEANING = {
    "unfold": "the method of PyTorch's tensors; minigrad's is F.unfold",
    "where": "its samples begin with the second argument",
    "to": "nearly all samples name a memory format, of which minigrad has one",
    "double": "likewise",
    "float": "likewise",
    "half": "likewise",
    "long": "likewise",
    "zero_": "its samples change a tensor that requires a gradient",
    "randn": "random",
    "randint": "random",
}


@pytest.fixture(scope="module")
def torch() -> Any:
    pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest: make parity")
    return pytest.importorskip("torch", reason="parity tests compare with PyTorch: make parity")


def function_of(info: Any) -> Callable[..., Any] | None:
    """minigrad's function for an entry of PyTorch's list; None where it has none."""
    if info.name == "einsum":  # its samples begin with the operands
        return lambda operands, equation: mg.einsum(equation, operands)
    if info.name.startswith("nn.functional."):
        return getattr(F, info.name.removeprefix("nn.functional."), None)
    if "." in info.name or info.name in OTHER_MEANING:
        return None
    found = getattr(mg, info.name, None) or getattr(mg.Tensor, info.name, None)
    return found if callable(found) and not isinstance(found, type) else None


def is_random(info: Any, sample: Any) -> bool:
    if info.name == "nn.functional.dropout":
        chosen = sample.kwargs.get("p", 0.5)
        return sample.kwargs.get("training", True) and 0 < chosen < 1
    return bool(sample.kwargs.get("dropout_p"))


def ours(torch: Any, value: Any) -> Any:
    """A value of PyTorch's as minigrad takes it."""
    if isinstance(value, torch.Tensor):
        return mg.tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(mg, str(value).removeprefix("torch."))
    if isinstance(value, tuple | list):
        return type(value)(ours(torch, item) for item in value)
    if isinstance(value, dict):
        return {name: ours(torch, item) for name, item in value.items()}
    return value


def tensors_in(torch: Any, value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor | mg.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in tensors_in(torch, item)]
    return []


def numbers(torch: Any, tensor: Any) -> Any:
    """The values; None, no gradient, is 0, and so is PyTorch's tensor without memory."""
    if tensor is None:
        return np.zeros(())
    detached = tensor.detach()
    return (detached + 0).numpy() if isinstance(tensor, torch.Tensor) else detached.numpy()


def agree(a: Any, b: Any, tolerance: float, what: str) -> None:
    assert a.shape == b.shape or () in (a.shape, b.shape), what
    a, b = np.broadcast_arrays(a, b)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


def differentiated(
    torch: Any, pairs: list[Any], inputs: tuple[Any, Any], graph: bool, rng: np.random.Generator
) -> list[Any]:
    """The gradients of both, for one random cotangent: compared, and returned in pairs."""
    pairs = [(x, y) for x, y in pairs if y is not None and y.requires_grad]
    pairs = [(x, y) for x, y in pairs if x is not None and x.requires_grad]
    if not pairs:
        return []
    seeds = [np.asarray(rng.standard_normal(tuple(y.shape))) for _, y in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = torch.autograd.grad(
            [y for _, y in pairs],
            inputs[1],
            [torch.tensor(s) for s in seeds],
            allow_unused=True,
            create_graph=graph,
        )
    found = mg.grad(
        [x for x, _ in pairs],
        inputs[0],
        [mg.tensor(s) for s in seeds],
        allow_unused=True,
        create_graph=graph,
    )
    return list(zip(found, wanted, strict=True))


def compare(torch: Any, info: Any, function: Any, sample: Any, rng: np.random.Generator) -> None:
    """Values, types, gradients and gradients of gradients.

    Raises one of REFUSALS if minigrad refuses the sample.
    """
    what = f"{info.name} {info.variant_test_name} {sample}"
    given = sample.input, tuple(sample.args), sample.kwargs
    arguments = ours(torch, given)
    got = function(arguments[0], *arguments[1], **arguments[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = info.op(given[0], *given[1], **given[2])
    results, wanted = tensors_in(torch, got), tensors_in(torch, expected)
    assert len(results) == len(wanted), what
    if not wanted:
        assert got == expected, what
    pairs = list(zip(results, wanted, strict=True))
    for x, y in pairs:
        assert str(x.dtype) == str(y.dtype).removeprefix("torch."), what
        assert x.requires_grad or not y.requires_grad, what
        agree(numbers(torch, x), numbers(torch, y), 1e-7, what)
    inputs = tuple(
        [t for t in tensors_in(torch, values) if t.requires_grad] for values in (arguments, given)
    )
    second = info.supports_gradgrad and "attention" not in info.name  # PyTorch's has none there
    first = differentiated(torch, pairs, inputs, second, rng)
    for x, y in first:
        agree(numbers(torch, x), numbers(torch, y), 1e-6, what)
    for x, y in differentiated(torch, first, inputs, False, rng) if second else ():
        agree(numbers(torch, x), numbers(torch, y), 1e-5, what)


def test_operations(torch: Any, rng: np.random.Generator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    taken: Counter[str] = Counter()
    refused = []
    for info in op_db:
        function = function_of(info)
        if function is None or torch.float64 not in info.dtypes:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(
                info.sample_inputs("cpu", torch.float64, requires_grad=info.supports_autograd)
            )
        for sample in samples[:: 1 + len(samples) // 100]:  # there are 1440 of max_pool2d
            if is_random(info, sample):
                continue
            try:
                compare(torch, info, function, sample, rng)
                taken[info.name] += 1
            except REFUSALS as error:
                refused.append(f"{info.name}: {error}")
    assert len(taken) >= 90, "PyTorch's list is there"
    assert taken.total() >= 0.97 * (taken.total() + len(refused)), "\n".join(refused)
    print(f"{taken.total()} samples of {len(taken)} operations taken, {len(refused)} refused")

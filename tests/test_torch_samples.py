"""PyTorch's own samples of its modules and optimisers (ModuleInfo, OptimizerInfo): none gives other
numbers here, and nearly all are taken.

What minigrad does not offer it has to refuse with an error. The samples come from PyTorch's tests,
whose import takes seconds.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

pytestmark = [pytest.mark.parity, pytest.mark.slow]

REFUSALS = (TypeError, ValueError, NotImplementedError)


@pytest.fixture(scope="module")
def torch() -> Any:
    pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest: make parity")
    return pytest.importorskip("torch", reason="parity tests compare with PyTorch: make parity")


@pytest.fixture(scope="module")
def modules(torch: Any) -> list[Any]:
    """The entries for those modules that minigrad has, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    return [info for info in module_db if class_of(info) is not None]


def class_of(info: Any) -> Any:
    return getattr(nn, info.name.removeprefix("nn."), None) if info.name.count(".") == 1 else None


def ours(torch: Any, value: Any) -> Any:
    """A value of PyTorch's as minigrad takes it."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        return mg.tensor(array, requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(mg, str(value).removeprefix("torch."))
    if isinstance(value, tuple | list):
        return type(value)(ours(torch, item) for item in value)
    if isinstance(value, dict):
        return {name: ours(torch, item) for name, item in value.items()}
    return value


def agree(a: Any, b: Any, what: str) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, what
    scale = np.abs(b[np.isfinite(b)]).max(initial=0) if b.size else 0
    np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * (scale + 1), err_msg=what)


def leaf(torch: Any, value: Any) -> Any:
    """A copy of a floating tensor that gets a gradient; everything else as it is."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().double().clone().requires_grad_(value.requires_grad)
    return value


def compare(torch: Any, info: Any, sample: Any, training: bool, rng: np.random.Generator) -> None:
    """Build both modules, run them forward and backward, and compare all that comes out.

    Raises one of REFUSALS if minigrad refuses the sample.
    """
    made, given = sample.constructor_input, sample.forward_input
    what = f"{info.name} {sample.desc} {made.args} {made.kwargs}, training {training}"
    theirs = info.module_cls(*copy.deepcopy(made.args), **copy.deepcopy(made.kwargs)).double()
    theirs.train(training)
    state = copy.deepcopy(theirs.state_dict())
    xs = [leaf(torch, value) for value in given.args]
    named = {name: leaf(torch, value) for name, value in given.kwargs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own
        expected = theirs(*xs, **named)

    module = class_of(info)(*ours(torch, made.args), **ours(torch, made.kwargs)).double()
    module.load_state_dict(state)
    module.train(training)
    mine = [ours(torch, x) for x in xs]
    mine_named = {name: ours(torch, x) for name, x in named.items()}
    y = module(*mine, **mine_named)
    if isinstance(y, tuple):  # with the places of the largest pixels
        (y, places), (expected, their_places) = y, expected
        agree(places.numpy(), their_places.numpy(), what)
    agree(y.detach().numpy(), expected.detach().numpy(), what)
    for name, value in theirs.state_dict().items():
        agree(module.state_dict()[name].numpy(), value.numpy(), f"{what}: {name} afterwards")
    if not expected.requires_grad:
        return
    seed = rng.normal(size=tuple(expected.shape))
    expected.backward(torch.tensor(seed))
    y.backward(mg.tensor(seed))
    pairs = zip((*mine, *mine_named.values()), (*xs, *named.values()), strict=True)
    for own, other in (*pairs, *zip(module.parameters(), theirs.parameters(), strict=True)):
        if isinstance(other, torch.Tensor) and other.grad is not None:
            agree(own.grad.numpy(), other.grad.numpy(), f"{what}: gradient {tuple(other.shape)}")


def test_modules(torch: Any, modules: list[Any], rng: np.random.Generator) -> None:
    taken: Counter[str] = Counter()
    refused: list[str] = []
    for info in modules:
        torch.manual_seed(1)
        for training in (True, False) if info.train_and_eval_differ else (True,):
            samples = info.module_inputs_func(
                info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
            )
            for sample in samples:
                try:
                    compare(torch, info, sample, training, rng)
                    taken[info.name] += 1
                except REFUSALS as error:
                    refused.append(f"{info.name} {sample.desc}: {error}")
    assert len(taken) >= 25, "PyTorch's list is there"
    assert taken.total() >= 0.97 * (taken.total() + len(refused)), "\n".join(refused)


# --------------------------------------------------------------------------------- optimisers


def after_steps(
    library: Any, cls: Any, options: dict[str, Any], tensor: Callable[[Any], Any]
) -> list[Any]:
    """Two parameters after 200 steps down a valley."""
    rng = np.random.default_rng(8)
    start, targets = [rng.normal(size=s) for s in ((3, 2), (4,))], [0.7, -1.3]
    parameters = [tensor(value) for value in start]
    for p in parameters:
        p.requires_grad = True
    stepper = cls(parameters, **options)
    for _ in range(200):
        stepper.zero_grad()
        loss = sum(
            ((p - target).tanh() * (p - target)).sum()
            for p, target in zip(parameters, targets, strict=True)
        )
        loss.backward()
        stepper.step()
    return [p.detach().numpy() for p in parameters]


def test_optimisers(torch: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_optimizers import optim_db
    taken, refused = 0, []
    for info in optim_db:
        cls = getattr(optim, info.optim_cls.__name__, None)
        if cls is None:
            continue
        for sample in info.optim_inputs_func(device="cpu"):
            what = f"{cls.__name__} {sample.kwargs}"
            options = dict(sample.kwargs)
            expected = after_steps(torch, info.optim_cls, options, torch.tensor)
            try:
                found = after_steps(mg, cls, ours(torch, options), mg.tensor)
            except REFUSALS as error:
                refused.append(f"{what}: {error}")
                continue
            for a, b in zip(found, expected, strict=True):
                agree(a, b, what)
            taken += 1
    assert taken >= 30, "PyTorch's list is there"
    assert taken >= 0.97 * (taken + len(refused)), "\n".join(refused)

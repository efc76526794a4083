"""GradScaler: gradients unscaled exactly, bad steps left out, the scale found by trying."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.devices import strict

__all__ = ["strict"]  # a fixture

INF, NAN = float("inf"), float("nan")


def problem(rng, device="cpu"):
    weight = mg.tensor(rng.standard_normal(4), dtype=mg.float32, device=device, requires_grad=True)
    factor = mg.tensor(rng.standard_normal(4), dtype=mg.float32, device=device)
    return weight, factor, optim.SGD([weight], lr=0.5, momentum=0.9)


def test_a_step_is_that_of_the_plain_optimiser(rng):
    weight, factor, optimizer = problem(rng)
    start = weight.detach().numpy().copy()
    scaler = optim.GradScaler(init_scale=1024.0)
    scaler.scale((weight * factor).sum()).backward()
    np.testing.assert_array_equal(weight.grad.numpy(), 1024 * factor.numpy())
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_array_equal(weight.grad.numpy(), factor.numpy())
    np.testing.assert_allclose(weight.detach().numpy(), start - 0.5 * factor.numpy(), rtol=1e-6)


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_a_step_with_a_bad_gradient_changes_nothing(rng, bad, strict):
    for device in ("cpu", strict):
        weight, factor, optimizer = problem(rng, device)
        scaler = optim.GradScaler(init_scale=8.0)
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        before = weight.detach().cpu().numpy().copy()
        momentum = optimizer.state_dict()["state"][0]["momentum_buffer"].cpu().numpy().copy()
        optimizer.zero_grad()
        factor[2] = bad
        scaler.scale((weight * factor).sum()).backward()
        assert scaler.step(optimizer) is None
        scaler.update()
        np.testing.assert_array_equal(weight.detach().cpu().numpy(), before)
        after = optimizer.state_dict()["state"][0]["momentum_buffer"].cpu().numpy()
        np.testing.assert_array_equal(after, momentum)
        assert scaler.get_scale() == 4.0


def test_clipping_reads_what_was_unscaled(rng):
    weight, factor, optimizer = problem(rng)
    scaler = optim.GradScaler(init_scale=2.0**20)
    scaler.scale((weight * factor).sum()).backward()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_([weight], 0.1)
    assert norm.item() == pytest.approx(np.linalg.norm(factor.numpy()), rel=1e-6)
    scaler.step(optimizer)
    scaler.update()
    assert np.linalg.norm(weight.grad.numpy()) == pytest.approx(0.1, rel=1e-5)


def test_two_optimisers_and_two_losses(rng):
    (a, factor, first), (b, _, second) = problem(rng), problem(rng)
    scaler = optim.GradScaler(init_scale=4.0)
    losses = scaler.scale({"a": (a * factor).sum(), "b": [(b * factor).sum()]})
    (losses["a"] + losses["b"][0]).backward()
    b.grad[1] = INF
    start = a.detach().numpy().copy(), b.detach().numpy().copy()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert not np.array_equal(a.detach().numpy(), start[0])
    np.testing.assert_array_equal(b.detach().numpy(), start[1])
    assert scaler.get_scale() == 2.0


def test_calls_in_a_wrong_order_are_refused(rng):
    weight, factor, optimizer = problem(rng)
    scaler = optim.GradScaler(init_scale=4.0)
    with pytest.raises(RuntimeError, match=r"there was no step\(\)"):
        scaler.update()
    scaler.scale((weight * factor).sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="have been unscaled since"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="comes before step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="has made its step"):
        scaler.step(optimizer)
    scaler.update()
    scaler.step(optimizer)


def test_float16_parameters_are_refused():
    weight = mg.tensor([0.3, 0.7], dtype=mg.float16, requires_grad=True)
    (weight * weight).sum().backward()
    with pytest.raises(ValueError, match=r"a gradient is float16.*model.half\(\)"):
        optim.GradScaler().unscale_(optim.SGD([weight], lr=0.1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"init_scale": 0.0}, "init_scale is 0.0, expected a positive"),
        ({"growth_factor": 1.0}, "growth_factor is 1.0, expected more than 1"),
        ({"backoff_factor": 1.5}, "backoff_factor is 1.5, expected between"),
        ({"growth_interval": 0}, "growth_interval is 0, expected 1 or more"),
    ],
)
def test_factors_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        optim.GradScaler(**options)
    with pytest.raises(TypeError, match="got a float, expected a Tensor"):
        optim.GradScaler().scale(3.0)


def test_disabled_it_passes_everything_on(rng):
    weight, factor, optimizer = problem(rng)
    scaler = optim.GradScaler(enabled=False)
    loss = (weight * factor).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    before = weight.detach().numpy().copy()
    scaler.step(optimizer)
    scaler.update()
    assert not np.array_equal(weight.detach().numpy(), before)
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}


def test_a_run_goes_on_from_its_state(rng):
    weight, _, optimizer = problem(rng)
    first = optim.GradScaler(init_scale=32.0, growth_interval=3)
    for _ in range(2):
        weight.grad = mg.full(4, 0.5)
        first.step(optimizer)
        first.update()
    second = optim.GradScaler()
    second.load_state_dict(first.state_dict())
    for scaler in (first, second):
        weight.grad = mg.full(4, 0.5)
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == 64.0
    with pytest.raises(ValueError, match="the state lacks"):
        second.load_state_dict({})


@pytest.mark.parity
def test_scales_are_pytorchs_over_200_steps(rng):
    torch = pytest.importorskip("torch")
    options = {"init_scale": 2.0**10, "growth_interval": 5}
    theirs, ours = torch.amp.GradScaler("cpu", **options), optim.GradScaler(**options)
    w = torch.zeros(3, requires_grad=True)
    v = mg.zeros(3, requires_grad=True)
    t, o = torch.optim.SGD([w], lr=0.1), optim.SGD([v], lr=0.1)
    for _ in range(200):
        gradient = rng.standard_normal(3).astype(np.float32)
        if rng.random() < 0.15:
            gradient[rng.integers(3)] = rng.choice([INF, NAN])
        theirs.scale((w * torch.tensor(gradient)).sum()).backward()
        ours.scale((v * mg.tensor(gradient)).sum()).backward()
        theirs.step(t), ours.step(o)
        theirs.update(), ours.update()
        assert ours.get_scale() == theirs.get_scale()
        t.zero_grad(), o.zero_grad()
    np.testing.assert_allclose(v.detach().numpy(), w.detach().numpy(), rtol=1e-5)
    assert {k: v for k, v in theirs.state_dict().items() if k != "scale"} == {
        k: v for k, v in ours.state_dict().items() if k != "scale"
    }

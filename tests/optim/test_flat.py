"""Parameters updated together get what each would get alone, whatever users do with them."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import flat

SHAPES = [(3, 4), (4,), (), (0, 2), (5, 3), (1,), (2, 3, 2)]

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.03, dampening=0.2),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True, maximize=True),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.03),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.4, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.2),
}


def parameters(dtype=np.float64, shapes=SHAPES):
    rng = np.random.default_rng(7)
    return [nn.Parameter(np.asarray(rng.standard_normal(s), dtype)) for s in shapes]


def give_gradients(params, seed):
    rng = np.random.default_rng(seed)
    for p in params:
        p.grad = mg.tensor(np.asarray(rng.standard_normal(p.shape), p.dtype))


class Twins:
    """The same parameters twice; the first are updated together, the second one by one."""

    def __init__(self, make, **options):
        self.params, self.others = parameters(**options), parameters(**options)
        self.optimizer, self.reference = make(self.params), make(self.others)
        self.reference.together = None

    def step(self, seed, leave_out=()):
        for params, optimizer in ((self.params, self.optimizer), (self.others, self.reference)):
            give_gradients(params, seed)
            for number in leave_out:
                params[number].grad = None
            optimizer.step()

    def check(self):
        for p, q in zip(self.params, self.others, strict=True):
            np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
            ours, theirs = self.optimizer.state.get(p, {}), self.reference.state.get(q, {})
            assert ours.keys() == theirs.keys()
            for name, value in theirs.items():
                np.testing.assert_array_equal(ours[name], value)

    @property
    def are_together(self):
        return bool(self.optimizer.end_to_end)


@pytest.fixture(params=OPTIMIZERS)
def make(request):
    return OPTIMIZERS[request.param]


@pytest.mark.parametrize("block", [32_768, 10, 1])
def test_together_is_as_alone(make, block, monkeypatch):
    monkeypatch.setattr(flat, "BLOCK", block)
    twins = Twins(make)
    for seed in range(4):
        twins.step(seed)
        twins.check()
    assert twins.are_together


def test_blocks_cover_every_element_once(monkeypatch):
    for block, sizes in itertools.product((1, 4, 7, 100), ([3, 3, 3], [20, 1, 1, 9], [0, 5, 0])):
        monkeypatch.setattr(flat, "BLOCK", block)
        group = flat.FlatParameters(parameters(shapes=[(n,) for n in sizes]), [{} for _ in sizes])
        ends = [0]
        for members, within, place, spots in group.blocks:
            assert [s.stop - s.start for s in spots] == sizes[members]
            assert spots[0].start == 0
            assert all(a.stop == b.start for a, b in itertools.pairwise(spots))
            assert place.start == ends[-1]
            assert place.stop - place.start == within.stop - within.start <= max(block, 1)
            assert members.stop - members.start == 1 or place.stop - place.start <= block
            ends.append(place.stop)
        assert ends[-1] == sum(sizes)


def test_parameters_stay_where_they_are(make):
    params = parameters()
    arrays, views = [p.data for p in params], [p.detach() for p in params]
    before = [a.copy() for a in arrays]
    optimizer = make(params)
    give_gradients(params, 0)
    optimizer.step()
    for p, array, view, old in zip(params, arrays, views, before, strict=True):
        assert p.data is array
        assert view.data is array
        assert not array.size or not np.array_equal(array, old)


def test_the_state_of_each_is_a_view_of_one_array():
    twins = Twins(OPTIMIZERS["momentum"])
    twins.step(0)
    buffers = [twins.optimizer.state[p]["momentum_buffer"] for p in twins.params]
    assert len({id(b.base if b.base is not None else b) for b in buffers if b.size}) == 1
    buffers[0] *= 0.5  # what a user writes into it counts
    twins.reference.state[twins.others[0]]["momentum_buffer"] *= 0.5
    twins.step(1)
    twins.check()


def test_parameters_without_a_gradient_now_and_then(make):
    twins = Twins(make)
    for seed, leave_out in enumerate([(), (1,), (1,), (0, 4), (), (2,)]):
        twins.step(seed, leave_out)
        twins.check()


def test_parameters_that_are_frozen_and_added_later(make):
    twins = Twins(make)
    twins.step(0)
    for params, optimizer in (
        (twins.params, twins.optimizer),
        (twins.others, twins.reference),
    ):
        params[0].requires_grad_(False)
        more = parameters(shapes=[(2, 2), (3,)])
        params += more
        optimizer.add_param_group({"params": more, "lr": 0.01})
    for seed in range(1, 4):
        twins.step(seed)
        twins.check()


def test_data_and_state_that_are_replaced(make):
    twins = Twins(make)
    twins.step(0)
    twins.step(1)
    for params, optimizer in ((twins.params, twins.optimizer), (twins.others, twins.reference)):
        params[0].data = params[0].data * 2
        for name, value in optimizer.state[params[4]].items():
            if isinstance(value, np.ndarray):
                optimizer.state[params[4]][name] = value * 0.5
    twins.step(2)
    twins.check()
    for params, optimizer in ((twins.params, twins.optimizer), (twins.others, twins.reference)):
        if "step" in optimizer.state[params[1]]:
            optimizer.state[params[1]]["step"] = 40
    twins.step(3)
    twins.check()
    for optimizer in (twins.optimizer, twins.reference):
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        optimizer.param_groups[0]["lr"] = 0.7
    twins.step(4)
    twins.check()


def test_two_optimisers_of_the_same_parameters(make):
    twins = Twins(make)
    first, second = OPTIMIZERS["Adam"](twins.params), OPTIMIZERS["Adam"](twins.others)
    second.together = None
    for seed in range(3):
        twins.step(seed)
        first.step()
        second.step()
        twins.check()


def test_a_parameter_that_moves_to_another_type(make):
    twins = Twins(make, dtype=np.float32)
    twins.step(0)
    for params, optimizer in ((twins.params, twins.optimizer), (twins.others, twins.reference)):
        for p in params:
            p.grad = None
            p.data = p.data.astype(np.float64)
        optimizer.state.clear()
    twins.step(1)
    twins.check()
    assert all(p.dtype == np.float64 for p in twins.params)


def test_what_is_not_alike_is_updated_alone(make):
    twins = Twins(make)
    for params in (twins.params, twins.others):
        params[0].data = params[0].data.astype(np.float32)
        params[4].data = np.asfortranarray(params[4].data)
    twins.step(0)
    twins.check()
    assert not twins.are_together


def test_two_parameters_around_one_array():
    shared = np.array([1.0, -2.0, 3.0])
    params = parameters(shapes=[(3,), (3,)])
    for p in params:
        p.data = shared
    give_gradients(params, 0)
    expected = shared - 0.1 * sum(p.grad.numpy() for p in params)
    optim.SGD(params, lr=0.1).step()
    np.testing.assert_allclose(shared, expected, rtol=1e-12)


def test_copies_have_memory_of_their_own(make):
    twins = Twins(make)
    twins.step(0)
    for duplicate in (copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        params, optimizer = duplicate((twins.params, twins.optimizer))
        before = [p.detach().numpy().copy() for p in twins.params]
        give_gradients(params, 1)
        optimizer.step()
        for p, old in zip(twins.params, before, strict=True):
            np.testing.assert_array_equal(p.detach().numpy(), old)
        saved = optimizer.state_dict()["state"]
        for number, p in enumerate(params):
            for name, value in optimizer.state[p].items():
                np.testing.assert_array_equal(np.asarray(value), np.asarray(saved[number][name]))
    twins.step(1)
    twins.check()


class Normalised(optim.SGD):
    """A rule that does not treat every element alike: a step of length lr for each parameter."""

    def update(self, w, g, state, group):
        w -= group["lr"] * g / np.sqrt((g * g).sum())


def test_a_rule_of_ones_own_is_run_for_each_parameter():
    params = parameters(shapes=[(3, 4), (4,)])
    before = [p.detach().numpy().copy() for p in params]
    give_gradients(params, 0)
    Normalised(params, lr=0.1).step()
    for p, old in zip(params, before, strict=True):
        assert np.linalg.norm(p.detach().numpy() - old) == pytest.approx(0.1)


def test_a_step_is_noticed_by_a_graph_that_needs_the_old_weights():
    params = parameters(shapes=[(3,), (3,)])
    optimizer = optim.SGD(params, lr=0.1)
    loss = (params[0] * params[1]).sum()
    give_gradients(params, 0)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"Mul: its input 1, of shape .*changed in place"):
        loss.backward()


def test_a_parameter_that_has_changed_its_shape_is_named_and_no_other_gets_its_momentum():
    a, b = mg.zeros(3, requires_grad=True), mg.zeros(5, requires_grad=True)
    optimizer = optim.SGD([b, a], lr=1.0, momentum=0.9)
    a.grad, b.grad = mg.tensor([1.0, 2.0, 3.0]), mg.full((5,), 2.0)
    optimizer.step()
    a.data = np.zeros(2, np.float32)
    a.grad = None
    a.grad = mg.tensor([0.5, 1.5])
    with pytest.raises(ValueError, match=r"momentum_buffer of a parameter has shape \(3,\), but"):
        optimizer.step()
    np.testing.assert_allclose(b.data, np.full(5, -5.8), rtol=1e-6)  # -2, then -(0.9 * 2 + 2)


# ------------------------------------------------------------------ parameters that share memory


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_parameters_over_one_memory_are_updated_one_after_the_other(shift):
    """``base[shift:]`` and ``base[: 4 - shift]`` overlap but for a few elements."""
    base = np.array([1.5, 2.5, 3.5, 4.5], np.float32)
    expected = base.astype(np.float64)
    parts = [base[shift:], base[: 4 - shift]]
    parameters = [mg.from_numpy(part).requires_grad_() for part in parts]
    gradients = [np.arange(4 - shift) + 0.5, np.arange(4 - shift) - 2.5]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = mg.tensor(g.astype(np.float32))
    optim.SGD(parameters, lr=0.25).step()
    expected[shift:] -= 0.25 * gradients[0]
    expected[: 4 - shift] -= 0.25 * gradients[1]
    np.testing.assert_allclose(base, expected, rtol=1e-6)


def test_weights_tied_through_data():
    a, b = mg.nn.Parameter([1.5, -2.5]), mg.nn.Parameter([0.0, 0.0])
    b.data = a.data
    a.grad, b.grad = mg.tensor([0.5, 1.0]), mg.tensor([0.25, -3.0])
    optim.SGD([a, b], lr=1.0).step()
    assert a.tolist() == b.tolist() == [0.75, -0.5]


# ------------------------------------------------------------------------------ half precision


@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW, lambda p: optim.SGD(p, 0.1, 0.9)])
@pytest.mark.parametrize("gradient", [0.0, 1e-3, -2e-4, 3.0])
def test_half_precision_is_computed_in_single(make, gradient):
    """In float16 eps and the squares of small gradients are 0, and a step would be infinite."""
    half = mg.nn.Parameter(np.array([1.5, -2.5], np.float16))
    single = mg.nn.Parameter(np.array([1.5, -2.5], np.float32))
    one, other = make([half]), make([single])
    for _ in range(3):
        for p, dtype in ((half, np.float16), (single, np.float32)):
            p.grad = mg.tensor(np.array([gradient, gradient], dtype))
        one.step()
        other.step()
    assert half.dtype == np.float16
    # Between steps the moments are rounded to float16, where squares below 6e-8 are 0.
    assert np.isfinite(half.data).all()
    if abs(gradient) in (0.0, 3.0):
        np.testing.assert_allclose(half.data, single.data, rtol=3e-3, atol=3e-3)

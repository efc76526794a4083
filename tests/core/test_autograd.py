"""The engine: recording, walking back, freeing, and refusing what would be wrong."""

import gc
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.autograd import apply
from minigrad.ops import Mul, Op


def leaf(*values, dtype=mg.float64):
    return mg.tensor(list(values), dtype=dtype, requires_grad=True)


# ------------------------------------------------------------------------------------ the basics


def test_the_same_operand_twice():
    x = leaf(3.0, -2.0)
    for y, slope in ((x * x, 2 * x), (x + x, 2.0), (x - x, 0.0), (x / x, 0.0)):
        (g,) = mg.grad(y, x, mg.tensor([0.7, -1.3], dtype=mg.float64))
        np.testing.assert_allclose(g.numpy(), [0.7, -1.3] * np.ones(2) * _value(slope), atol=1e-15)


def _value(slope):
    return slope.detach().numpy() if isinstance(slope, mg.Tensor) else slope


def test_a_shared_subgraph():
    # a = 2 x, y = (a + 1) + a a at x = 3: dy/dx = 2 (1 + 2 a) = 26.
    x = leaf(3.0)
    a = 2 * x
    ((a + 1) + a * a).backward()
    assert x.grad.item() == 26


def test_gradients_do_not_share_a_buffer():
    # y = (a + b) + a: with one buffer for both, adding a's second share would change b's.
    a, b = leaf(1.5), leaf(2.5)
    ((a + b) + a).backward()
    assert (a.grad.item(), b.grad.item()) == (2, 1)
    a.grad.mul_(10)
    assert b.grad.item() == 1


def test_grad_does_not_share_memory_with_the_seed_or_a_view_of_it():
    x, z = leaf(1.0, 2.0, 3.0, 4.0), leaf(1.0, 2.0, 3.0, 4.0)
    seed = mg.tensor([0.3, 0.5, 0.7, 0.9], dtype=mg.float64)
    ((x + z).reshape(2, 2)).backward(seed.reshape(2, 2))
    x.grad.zero_()
    assert seed.tolist() == [0.3, 0.5, 0.7, 0.9]
    assert z.grad.tolist() == [0.3, 0.5, 0.7, 0.9]


def test_backward_adds_to_grad_and_grad_function_does_not():
    x = leaf(3.0)
    (x * x).backward()
    (x * x * x).backward()
    assert x.grad.item() == 6 + 27
    (g,) = mg.grad(x * x, x)
    assert g.item() == 6
    assert x.grad.item() == 33


def test_grad_of_something_in_the_middle():
    x = leaf(3.0)
    h = x * x
    y = h * h * x
    dh, dx = mg.grad(y, [h, x])
    assert dh.item() == 2 * 9 * 3
    assert dx.item() == 5 * 3**4
    assert x.grad is None


def test_grad_computes_nothing_that_does_not_lead_to_an_input():
    x, w = leaf(2.0), leaf(3.0)
    seen = []
    w.register_hook(lambda grad: seen.append("w"))
    branch = w * w
    branch.register_hook(lambda grad: seen.append("branch"))
    (g,) = mg.grad(x * branch, x)
    assert g.item() == 9
    assert seen == []


def test_several_outputs_are_summed():
    x = leaf(2.0)
    (g,) = mg.grad([x * x, x * 3], x, [mg.tensor([0.5], mg.float64), mg.tensor([7.0], mg.float64)])
    assert g.item() == 0.5 * 4 + 7 * 3


def test_the_same_output_twice():
    x = leaf(2.0)
    y = x * x
    (g,) = mg.grad([y, y], x)
    assert g.item() == 8


def test_backward_on_a_leaf():
    x = leaf(2.0)
    x.backward(mg.tensor([0.3], mg.float64))
    assert x.grad.item() == 0.3


def test_float32_stays_float32_with_python_numbers_and_0d_results():
    x = mg.tensor([1.5, 2.5], requires_grad=True)
    y = ((x * 2.0 + 1) / 3 - 0.5) ** 2
    loss = y.mean() * 0.7
    loss.backward()
    assert y.dtype == loss.dtype == x.grad.dtype == mg.float32
    assert loss.data.shape == ()


# --------------------------------------------------------------------------------- higher orders


def test_the_fourth_derivative_of_x_to_the_fourth():
    x = leaf(3.0)
    y = x**4
    for expected in (4 * 27, 12 * 9, 24 * 3, 24):
        (y,) = mg.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_backward_with_create_graph_leaves_a_differentiable_grad():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    g, x.grad = x.grad, None
    (g * g).backward()
    # g = 3 x^2, d(g^2)/dx = 2 g 6 x
    assert x.grad.item() == 2 * 27 * 18


def test_a_gradient_penalty():
    # L = |d/dx sum(x^3 w)|^2 = sum((3 x^2 w)^2), dL/dw = 18 x^4 w
    x, w = leaf(1.5, -0.5), leaf(0.7, 1.9)
    (g,) = mg.grad((x**3 * w).sum(), x, create_graph=True)
    (g * g).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 18 * x.data**4 * w.data)


def test_the_first_pass_of_create_graph_gives_the_same_numbers(rng):
    x = mg.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    y = (x.sigmoid() @ mg.tensor(rng.standard_normal((3, 4)))).tanh()
    seed = mg.tensor(rng.standard_normal((5, 4)))
    (plain,) = mg.grad(y, x, seed, retain_graph=True)
    (recorded,) = mg.grad(y, x, seed, create_graph=True)
    np.testing.assert_array_equal(plain.numpy(), recorded.detach().numpy())
    assert recorded.requires_grad
    assert not plain.requires_grad


def test_create_graph_refuses_a_leaf_that_was_given_other_data():
    x = leaf(2.0)
    y = x * x
    x.data = np.array([5.0])
    with pytest.raises(RuntimeError, match="other data"):
        mg.grad(y, x, create_graph=True)


# ----------------------------------------------------------------------------- the graph's memory


def test_a_second_backward_is_an_error_that_says_what_to_do():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"Mul.*retain_graph=True"):
        y.backward()
    assert x.grad.item() == 4, "the failed pass changed nothing"


def test_a_part_that_another_pass_has_freed():
    x = leaf(2.0)
    h = x * x
    (h * 3).backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        (h * 5).backward()


def test_grad_through_a_part_that_was_freed_says_so():
    x = leaf(2.0)
    h = x * x
    mg.grad(h * 3, x)
    for allow_unused in (False, True):
        with pytest.raises(RuntimeError, match="retain_graph=True"):
            mg.grad(h * 5, x, allow_unused=allow_unused)


def test_retain_graph_allows_a_second_pass():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8


def test_memory_is_freed_as_the_walk_passes():
    """When a node runs, the arrays that later nodes kept are gone."""
    arrays = []

    class Watched(Op):
        saves = ("x",)

        def forward(self, x):
            arrays.append(weakref.ref(x))
            return x * 2

        def backward(self, grad, y, x):
            alive.append(sum(ref() is not None for ref in arrays))
            return grad * 2

    alive: list[int] = []
    y = leaf(*range(8))
    for _ in range(5):
        y = apply(Watched(), y)
    y.sum().backward()
    assert alive == [5, 4, 3, 2, 1]


def test_a_finished_step_leaves_nothing_to_the_garbage_collector():
    x = leaf(1.0, 2.0)
    gc.collect()
    gc.disable()
    try:
        h = x * x
        watched = weakref.ref(h), weakref.ref(h.grad_fn), weakref.ref(h.data)
        y = (h.sigmoid() * h).sum()
        h.retain_grad()
        h.register_hook(lambda grad: None)
        y.backward()
        del h, y
        assert [ref() for ref in watched] == [None, None, None]
    finally:
        gc.enable()


def test_a_dropped_graph_leaves_nothing_either():
    x = leaf(1.0, 2.0)
    gc.collect()
    gc.disable()
    try:
        h = (x * x).exp()
        watched = weakref.ref(h), weakref.ref(h.grad_fn)
        del h
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


def test_a_hundred_thousand_operations_deep():
    x = leaf(1.0)
    y = x
    for i in range(100_000):
        y = y + x if i % 2 else y * 1.0
    y.backward()
    assert x.grad.item() == 50_001
    z = x
    for _ in range(100_000):
        z = z * 1.0
    del z  # a chain that was never walked goes without recursion too


def test_values_that_a_rule_does_not_read_are_not_kept():
    x = leaf(1.0, 2.0)
    h = x * 3
    gone = weakref.ref(h.data)
    y = h + 1  # the rule of addition reads no values
    del h
    assert gone() is None
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_two_threads_with_a_shared_leaf_each_walk_their_own_graph():
    results = []

    def work(k):
        x = leaf(float(k))
        for _ in range(50):
            x.grad = None
            (x * x * x).backward()
        results.append((k, x.grad.item()))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(k, 3.0 * k * k) for k in range(2, 6)]


# ----------------------------------------------------------------------------- changes in place


def test_a_change_of_a_value_that_backward_needs_is_an_error_that_names_the_operation():
    x = leaf(2.0, 3.0)
    h = x * 1
    y = h * h
    with mg.no_grad():
        h.mul_(2)
    with pytest.raises(RuntimeError, match=r"Mul: its input 1, of shape \(2,\), was changed"):
        y.sum().backward()
    assert x.grad is None


def test_a_change_of_an_output_that_backward_needs():
    x = leaf(2.0, 3.0)
    y = x.sigmoid()
    with mg.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="Sigmoid: its output"):
        y.sum().backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(1),
        lambda x: x.copy_([7.0, 8.0]),
        lambda x: x.zero_(),
        lambda x: x.__setitem__(0, 9.0),
        lambda x: x.detach().fill_(3.0),
        lambda x: x.detach()[1:].sub_(1.0),
        lambda x: x.reshape(1, 2).T.div_(2.0),
        lambda x: exec("x.data *= 2", {"x": x}),
    ],
    ids=["add_", "copy_", "zero_", "setitem", "detach", "slice", "view", "data"],
)
def test_every_way_to_change_a_leaf_is_noticed(change):
    x = leaf(2.0, 3.0)
    y = (x * x).sum()
    with mg.no_grad():
        change(x)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_harmless_change_is_allowed():
    x = leaf(2.0, 3.0)
    h = x * 3
    y = (h + 1).sum()  # the rule of addition does not read h
    with mg.no_grad():
        h.zero_()
    y.backward()
    assert x.grad.tolist() == [3, 3]


def test_a_change_before_the_operation_is_harmless():
    x = leaf(2.0, 3.0)
    with mg.no_grad():
        x.mul_(2)
    (x * x).sum().backward()
    assert x.grad.tolist() == [8, 12]


def test_an_ordinary_training_step_is_not_taken_for_a_change():
    w = leaf(2.0, 3.0)
    for _ in range(3):
        w.grad = None
        (w * w).sum().backward()
        with mg.no_grad():
            w -= 0.1 * w.grad
    np.testing.assert_allclose(w.data, np.array([2.0, 3.0]) * 0.8**3)


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_"])
def test_in_place_on_what_requires_grad_needs_no_grad(name):
    x = leaf(2.0)
    with pytest.raises(RuntimeError, match=rf"{name}.*no_grad"):
        getattr(x, name)(1.0)
    h = x * 2
    with pytest.raises(RuntimeError, match="no_grad"):
        h[0] = 5.0
    plain = mg.tensor([1.0], mg.float64)
    with pytest.raises(RuntimeError, match="no_grad"):
        plain += x  # a gradient would have to flow from x into plain
    assert x.data.tolist() == [2.0]


# ---------------------------------------------------------------------------------- bad requests


def test_nothing_to_differentiate():
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        mg.tensor([1.0]).backward()
    with mg.no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_backward_from_more_than_one_number_needs_a_gradient():
    y = leaf(1.0, 2.0) * 3
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*\.sum\(\)"):
        y.backward()


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (mg.tensor([1.0, 2.0, 3.0], mg.float64), RuntimeError, r"\(3,\), expected \(2,\)"),
        (mg.tensor([1.0, 2.0]), TypeError, "float32"),
        ([1.0, 2.0], TypeError, "list"),
        (np.ones(2), TypeError, "ndarray"),
    ],
)
def test_a_gradient_that_does_not_fit(gradient, error, message):
    with pytest.raises(error, match=message):
        (leaf(1.0, 2.0) * 3).backward(gradient)


def test_grad_of_something_unconnected():
    x, z = leaf(1.0), leaf(2.0)
    y = x * 2
    with pytest.raises(RuntimeError, match="no output depends on input 1"):
        mg.grad(y, [x, z], retain_graph=True)
    dx, dz = mg.grad(y, [x, z], allow_unused=True)
    assert dx.item() == 2
    assert dz is None
    with pytest.raises(RuntimeError, match="input 0 does not require"):
        mg.grad(y, mg.tensor([1.0]))
    with pytest.raises(ValueError, match="1 outputs but 2"):
        mg.grad(y, x, [None, None])


def test_mixed_floating_types_are_an_error_that_names_both():
    with pytest.raises(TypeError, match=r"Mul: inputs are float32 and float64.*\.float\(\)"):
        mg.tensor([1.0]) * leaf(2.0)


def test_apply_on_something_else():
    with pytest.raises(TypeError, match="Mul: inputs are Tensor, list"):
        apply(Mul(), leaf(1.0), [2.0])


class TestRulesThatAreWrong:
    """The walk checks what a rule returns, and names the rule."""

    def run(self, backward):
        class Odd(Op):
            def forward(self, a, b):
                return a + b

        Odd.backward = lambda self, grad, y, a, b: backward(grad)
        return apply(Odd(), leaf(1.0, 2.0), leaf(3.0, 4.0)).backward(
            mg.tensor([0.3, 0.7], mg.float64)
        )

    def test_too_few(self):
        with pytest.raises(RuntimeError, match=r"Odd\.backward returned 1 gradients, expected 2"):
            self.run(lambda grad: grad)

    def test_wrong_shape(self):
        with pytest.raises(RuntimeError, match=r"shape \(1,\) for input 2, expected \(2,\)"):
            self.run(lambda grad: (grad, grad[:1]))

    def test_no_array(self):
        with pytest.raises(RuntimeError, match="returned a list for input 1"):
            self.run(lambda grad: ([1, 2], grad))

    def test_none_means_no_gradient(self):
        self.run(lambda grad: (None, grad))

    def test_forward_or_backward_missing(self):
        class Empty(Op):
            pass

        with pytest.raises(NotImplementedError, match=r"Empty\.forward"):
            apply(Empty(), leaf(1.0))

        class Half(Op):
            def forward(self, x):
                return x * 1

        with pytest.raises(NotImplementedError, match=r"Half\.backward"):
            apply(Half(), leaf(1.0)).backward()


def test_a_gradient_comes_in_the_type_of_its_leaf():
    class Wide(Op):
        def forward(self, x):
            return x * 1

        def backward(self, grad, y, x):
            return grad.astype(np.float64)

    x = leaf(1.5, dtype=mg.float32)
    apply(Wide(), x).backward()
    assert x.grad.dtype == mg.float32


class TestWhatWasNotKept:
    """A rule that reads more than it keeps is told so, in whatever way it reads."""

    @pytest.mark.parametrize(
        "rule",
        [
            lambda grad, x: grad * x,
            lambda grad, x: 3 * x**2,
            lambda grad, x: grad * (x > 0),
            lambda grad, x: grad + x,
            lambda grad, x: -x,
            lambda grad, x: x.sum(),
        ],
    )
    def test_is_refused(self, rule):
        class Careless(Op):
            def forward(self, x):
                return x * 1

            def backward(self, grad, y, x):
                return rule(grad, x)

        with pytest.raises((TypeError, AttributeError), match="name it in `saves`"):
            apply(Careless(), leaf(1.0, 2.0)).sum().backward()

    def test_a_subclass_may_keep_more(self):
        class Forgetful(Op):
            def forward(self, x):
                return x * x

            def backward(self, grad, y, x):
                return grad * (2 * x)

        class Careful(Forgetful):
            saves = ("x",)

        x = leaf(3.0)
        apply(Careful(), x).backward()
        assert x.grad.item() == 6


# ----------------------------------------------------------------------------------------- hooks


def test_hooks_see_and_may_replace_the_gradient():
    x = leaf(2.0)
    h = x * 3
    seen = []
    h.register_hook(lambda grad: seen.append(grad.item()))
    h.register_hook(lambda grad: grad * 10)
    handle = x.register_hook(lambda grad: seen.append(grad.item()))
    (h * 5).backward(retain_graph=True)
    assert seen == [5, 150]
    assert x.grad.item() == 150
    handle.remove()
    handle.remove()
    (h * 5).backward()
    first, second = x.register_hook(seen.append), x.register_hook(seen.append)
    first.remove()
    first.remove()
    assert x.hooks == [seen.append], "the other handle's hook stays"
    second.remove()
    assert seen == [5, 150, 5]


def test_what_a_hook_has_kept_does_not_change_with_grad():
    x = leaf(2.0)
    kept = []
    x.register_hook(kept.append)
    (x * 3).backward()
    x.grad.zero_()
    assert kept[0].item() == 3


def test_a_hook_on_a_tensor_that_is_gone_still_runs():
    x = leaf(2.0)
    seen = []

    def forward():
        h = x * 3
        h.register_hook(lambda grad: seen.append(grad.item()))
        return h * 5

    forward().backward()
    assert seen == [5]


def test_hooks_work_on_recorded_gradients_too():
    x = leaf(2.0)
    h = x * x
    handle = h.register_hook(lambda grad: grad * x)
    (g,) = mg.grad(h * h, x, create_graph=True)  # 2 x^2 * x * 2 x = 4 x^4
    handle.remove()
    assert g.item() == 4 * 16
    assert mg.grad(g, x)[0].item() == 16 * 8


@pytest.mark.parametrize("answer", [3.0, mg.tensor([1.0, 2.0, 3.0])])
def test_a_hook_that_answers_nonsense(answer):
    x = leaf(2.0)
    x.register_hook(lambda grad: answer)
    with pytest.raises(RuntimeError, match="hook returned"):
        (x * 2).backward()


def test_retain_grad_keeps_what_all_hooks_have_left():
    x = leaf(2.0, 3.0)
    h = x * 3
    h.retain_grad()
    h.register_hook(lambda grad: grad * 10)
    seed = mg.tensor([0.3, 0.7], mg.float64)
    (h * 5).backward(seed, retain_graph=True)
    np.testing.assert_allclose(h.grad.numpy(), [15, 35])
    (h * 5).backward(seed)
    np.testing.assert_allclose(h.grad.numpy(), [30, 70])


def test_a_backward_pass_that_fails_retains_nothing():
    x, w = leaf(2.0, 3.0), leaf(1.0, 1.5)
    h = x * w
    y = h.exp()
    y.retain_grad()
    loss = y.sum()
    with mg.no_grad():
        w.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None
    assert x.grad is None


def test_grad_names_what_is_no_tensor():
    x = leaf(2.0)
    with pytest.raises(TypeError, match="grad: input 0 is a int, expected a Tensor"):
        mg.grad(x * 2, [3])
    with pytest.raises(TypeError, match="grad: output 1 is a float, expected a Tensor"):
        mg.grad([x * 2, 1.5], [x])


def test_retain_grad_with_create_graph_keeps_a_differentiable_gradient():
    x = leaf(2.0)
    h = x * x
    h.retain_grad()
    (h * h).backward(create_graph=True)
    (g,) = mg.grad(h.grad, x)  # h.grad = 2 x^2
    assert g.item() == 8
    x.grad = None


def test_the_grad_of_a_non_leaf_that_was_not_asked_for_warns():
    h = leaf(2.0) * 3
    with pytest.warns(UserWarning, match="retain_grad"):
        assert h.grad is None


def test_hooks_and_retain_grad_need_a_gradient():
    with pytest.raises(RuntimeError, match="does not require"):
        mg.tensor([1.0]).register_hook(print)
    with pytest.raises(RuntimeError, match="does not require"):
        mg.tensor([1.0]).retain_grad()
    x = leaf(1.0)
    x.retain_grad()  # a leaf keeps its gradient anyway
    x.backward()
    assert x.grad.item() == 1


# ------------------------------------------------------- whose gradient is it, and in which memory


def test_gradients_with_create_graph_are_in_memory_of_their_own():
    a, b = leaf(3.0, 4.0), leaf(1.0, 2.0)
    seed = mg.tensor([0.3, -0.7], mg.float64)
    y = a + b
    y.retain_grad()
    y.backward(seed, create_graph=True)
    gradients = [a.grad, b.grad, y.grad, seed]
    with mg.no_grad():
        for factor, gradient in zip((2, 3, 5, 7), gradients, strict=True):
            gradient.mul_(factor)
    for factor, gradient in zip((2, 3, 5, 7), gradients, strict=True):
        np.testing.assert_allclose(gradient.detach().numpy(), [0.3 * factor, -0.7 * factor])
    a.grad = b.grad = y.grad = None


def test_a_leaf_that_was_frozen_since_gets_no_gradient():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = (x * w).sum()
    w.requires_grad = False
    y.backward()
    assert w.grad is None
    assert x.grad.tolist() == [3, 4]


def test_all_gradients_are_added_or_none():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a.grad = mg.tensor([5.0, 6.0], mg.float64)
    b.grad = mg.tensor([7.0, 8.0], mg.float64)
    for changed, kept in ((a, b), (b, a)):
        before = kept.grad.tolist()
        array = changed.data
        changed.data = array.astype(np.float32)
        kept.data, other = kept.data.astype(np.float32), kept.data
        kept.grad = mg.tensor(before, mg.float32)
        with pytest.raises(RuntimeError, match=r"set its \.grad to None"):
            (a * b).sum().backward()
        assert kept.grad.tolist() == before
        changed.data, kept.data = array, other
        kept.grad = mg.tensor(before, mg.float64)


def test_the_gradient_at_a_node_leaves_its_own_past_alone():
    x = leaf(1.5, 2.5)
    h = x * x
    (g,) = mg.grad((h * 3).sum(), h)
    assert g.tolist() == [3, 3]
    h.backward(g)
    assert x.grad.tolist() == [9, 15]  # 3 * 2 x


def test_retain_grad_does_not_add_gradients_of_two_shapes():
    x = mg.tensor([1.5, -2.0], requires_grad=True)
    h = x * 2
    h.retain_grad()
    y = h + 1.0
    h.data = h.data[:1].copy()
    h.grad = mg.tensor([3.0])
    with pytest.raises(RuntimeError, match=r"\.grad of a tensor is \(1,\).*gradient \(2,\)"):
        y.backward(mg.tensor([0.5, 0.25]))
    assert h.grad.tolist() == [3.0]
    assert x.grad is None

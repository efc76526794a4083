"""The four steps of the diagnosis, and that no result whatever makes the grader itself fail."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from minigrad.coursework.child.wire import Failure, Reply, Strange
from minigrad.coursework.diagnose import diagnose, numerical_slope
from minigrad.coursework.questions import QUESTIONS

# --------------------------------------------------------------------------------- step 1: the form


def bn(dy, x, gamma, eps):
    """A right answer to batch_norm_backward."""
    r = 1 / np.sqrt(x.var(0) + eps)
    h = (x - x.mean(0)) * r
    dx = gamma * r * (dy - dy.mean(0) - h * (dy * h).mean(0))
    return dx, (dy * h).sum(0), dy.sum(0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda dx, dg, db: None, "returned None (a return is missing?)"),
        (lambda dx, dg, db: dx, "returned one ndarray, expected 3 results: dx, dgamma, dbeta"),
        (lambda dx, dg, db: (dx, dg), "returned 2 results, expected 3"),
        (lambda dx, dg, db: (dx, None, db), "dgamma is None"),
        (lambda dx, dg, db: (dx.tolist(), dg, db), "dx is a list, expected a NumPy array"),
        (lambda dx, dg, db: (dx, dg, Strange("Tensor")), "dbeta is a Tensor"),
        (lambda dx, dg, db: (dx.astype(np.float16), dg, db), "dx is an array of float16"),
        (lambda dx, dg, db: (dx[:-1], dg, db), "dx has shape (7, 5), expected (8, 5)"),
        (lambda dx, dg, db: (dx / 0, dg, db), "dx[0, 0] is "),
    ],
)
def test_the_form_is_told(kit, change, said):
    with np.errstate(divide="ignore"):
        findings = kit.judge(lambda *inputs: change(*bn(*inputs)), "batch_norm_backward")
    assert [f.stage for f in findings] == ["form"]
    assert said in findings[0].text


def test_an_exception_is_told_with_its_line(kit):
    findings = kit.judge(lambda dy, x, w: dy @ x, "linear_backward")
    assert findings[0].stage == "form"
    assert findings[0].text.startswith("ValueError: matmul")


def test_a_mistake_is_named_beside_the_exception_that_it_causes(kit):
    """dy W^T runs for square weights only: those show which mistake it is."""
    findings = kit.judge(lambda dy, x, w: (dy @ w.T, dy.T @ x, dy.sum(0)), "linear_backward")
    assert findings[0].stage == "form"
    assert findings[1].keys == ("L2",)


def test_a_changed_input_is_told_although_the_result_is_right(kit):
    def backward(dy, y, x):
        dy *= y * (1 - y)
        return dy

    findings = kit.judge(backward, "sigmoid_backward")
    assert [f.stage for f in findings] == ["form"]
    assert "changes its input dy in place" in findings[0].text


def test_what_is_kept_between_calls_is_found(kit):
    kept = []

    def sigmoid(x):
        kept.append(1)
        return len(kept) / (1 + np.exp(-x))

    (finding,) = kit.judge(sigmoid, "sigmoid")
    assert finding.keys == ("A3",)


def test_what_is_not_written_yet_is_no_mistake(kit):
    def linear(x, weight, bias):
        raise NotImplementedError("Task 2")

    (finding,) = kit.judge(linear, "linear")
    assert finding.stage == "missing"


def test_steps_can_be_given_one_by_one(kit):
    findings = kit.judge(lambda dy, x, gamma, eps: {"dbeta": dy.sum(0)}, "batch_norm_steps")
    assert {f.results[0] for f in findings} == set(QUESTIONS["batch_norm_steps"].results) - {
        "dbeta"
    }
    assert {f.stage for f in findings} == {"missing"}


def test_a_step_is_not_blamed_for_the_one_before_it(kit):
    """dvar lacks its 1/2; dc and dx are computed rightly from it."""
    text = kit.sources("A")["batchnorm_backward.py"].replace("-0.5 * r**3", "-1.0 * r**3")
    function = kit.function_of(
        "batch_norm_steps", {**kit.sources("A"), "batchnorm_backward.py": text}
    )
    found = {f.results[0]: f for f in kit.judge(function, "batch_norm_steps")}
    assert found["dvar"].keys == ("T22",)
    assert found["dc"].stage == found["dx"].stage == "follows"


# -------------------------------------------------------------------------- step 2: several at once


def test_mistakes_in_different_results_are_told_apart(kit):
    def backward(dy, x, w):
        return dy @ w / len(x), x.T @ dy, dy.mean(0)

    found = {f.results: f.keys for f in kit.judge(backward, "linear_backward")}
    assert found == {("dx",): ("L16",), ("dweight",): ("L1",), ("dbias",): ("L4",)}


def test_two_mistakes_that_give_the_same_numbers_are_named_together(kit):
    def step(weight, grad, velocity, lr, momentum):
        return weight - lr * grad, velocity

    (finding,) = kit.judge(step, "sgd_step")
    assert set(finding.keys) == {"D04", "D11"}
    assert "One of these" in finding.text


PAIRS = [
    ("B03+B06", lambda g, r, dy, h: r * (dy - dy.mean(0))),
    ("B10+B16", lambda g, r, dy, h: g * r * (dy + dy.mean(0) - 2 * h * (dy * h).mean(0))),
    ("B07+B15", lambda g, r, dy, h: g * (dy - dy.mean(0) - h * (dy * h).sum(0) / (len(dy) - 1))),
    ("B04m+B11", lambda g, r, dy, h: g * r * (dy - dy.sum(0) + h * (dy * h).mean(0))),
    ("B08+B17", lambda g, r, dy, h: g * r**2 * (dy - dy.mean(0) - 0.5 * h * (dy * h).mean(0))),
    ("B27+B02", lambda g, r, dy, h: g**2 * r * (dy - h * (dy * h).mean(0))),
    ("B24v+B20", lambda g, r, dy, h: r * (g * dy - dy.mean(0) - g * h * (dy * h).mean())),
    ("B13a+B30", lambda g, r, dy, h: None),
]


@pytest.mark.parametrize(("key", "rule"), PAIRS, ids=[key for key, _ in PAIRS])
def test_two_mistakes_at_once_are_both_named(kit, key, rule):
    def backward(dy, x, gamma, eps):
        r = (x.var(0) + eps) ** -0.5
        h = (x - x.mean(0)) * r
        dx = rule(gamma, r, dy, h)
        if dx is None:
            dx = gamma * r * (len(x) * dy - dy.sum(0) - x * (dy * h).sum(0))
        return dx, (dy * h).sum(0), dy.sum(0)

    (finding,) = kit.judge(backward, "batch_norm_backward")
    assert finding.results == ("dx",)
    named = {frozenset(k.split("+")) for k in finding.keys}
    assert frozenset(key.split("+")) in named, finding


# ------------------------------------------------------------------------ step 3: terms, and step 4


def test_terms_are_told_with_their_factors(kit):
    def backward(dy, x, gamma, eps):
        dx, dgamma, dbeta = bn(dy, x, gamma, eps)
        r = 1 / np.sqrt(x.var(0) + eps)
        return dx + 0.3 * gamma * r * dy.mean(0), dgamma, dbeta

    (finding,) = kit.judge(backward, "batch_norm_backward")
    assert finding.stage == "terms"
    assert "the first (the direct term) with factor 1.00" in finding.text
    assert "the second (the term through the mean) with factor 0.70" in finding.text
    assert "the third (the term through the variance) with factor 1.00" in finding.text


def test_a_factor_that_is_n_or_gamma_is_recognised(kit):
    def backward(dy, x, gamma, eps):
        dx, dgamma, dbeta = bn(dy, x, gamma, eps)
        return dx * 3 / gamma, dgamma * len(x) * 2, dbeta

    dx, dgamma = kit.judge(backward, "batch_norm_backward")
    assert "with factor 3.00 times 1/gamma" in dx.text
    assert "with factor 2.00 times N" in dgamma.text


def test_a_term_too_many_is_told(kit):
    def backward(dloss, logits, labels):
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        hot = np.eye(p.shape[1])[labels]
        return dloss * (p - hot + 0.25 * p * hot) / len(labels)

    (finding,) = kit.judge(backward, "softmax_cross_entropy_backward")
    assert finding.stage == "terms"
    assert "besides, with factor 0.25, the softmax at the label only" in finding.text


def test_the_evidence_is_plain(kit):
    def backward(dy, x, gamma, eps):
        dx, dgamma, dbeta = bn(dy, x, gamma, eps)
        dx[1, 2] += 0.5
        return dx, dgamma, dbeta

    (finding,) = kit.judge(backward, "batch_norm_backward")
    assert finding.stage == "evidence"
    assert "dx[1, 2] is " in finding.text
    assert "the slope measured there is" in finding.text
    assert "Does not hold: dx sums to 0 over the batch" in finding.text


def test_the_measured_slope_is_the_expected_value(kit):
    """Two ways to the same number: the right rule, and differences of the forward pass."""
    for name, question in QUESTIONS.items():
        for result, argument in question.slopes.items():
            ready = kit.prepared(name)
            for inputs, right in zip(ready.probes[:2], ready.rights[:2], strict=True):
                index = (0,) * right[result].ndim
                slope = numerical_slope(question, argument, inputs, index)
                size = np.abs(right[result]).max()
                assert slope == pytest.approx(right[result][index], abs=1e-4 * size), name


# ------------------------------------------------------------------------------ whatever comes back

VALUES = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-5, 5),
    st.text(max_size=3),
    st.just(Strange("set")),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.complex128, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=8),
    ),
)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(data=st.data(), name=st.sampled_from(sorted(QUESTIONS)))
def test_the_grader_survives_whatever_comes_back(kit, data, name):
    question = QUESTIONS[name]
    if question.driver == "train":
        value = data.draw(st.dictionaries(st.sampled_from(["layers", "first", "losses"]), VALUES))
        assert question.judge(kit.prepared(name).probes[0], value) is not None
        return
    ready = kit.prepared(name)
    values = {result: data.draw(VALUES) for result in question.results}
    shaped = data.draw(st.booleans())
    if shaped:
        values = {
            k: data.draw(hnp.arrays(np.float64, ready.rights[0][k].shape)) for k in question.results
        }
    whole = values if question.driver != "call" else tuple(values.values())
    if question.driver == "call" and len(values) == 1:
        (whole,) = values.values()
    findings = diagnose(ready, [Reply(whole) for _ in ready.calls])
    assert findings
    assert all(isinstance(f.text, str) and f.text for f in findings)


def test_a_process_that_died_is_told(kit):
    ready = kit.prepared("linear")
    dead = Reply(failure=Failure("Crash", "the program ended itself with exit code 3"))
    (finding,) = diagnose(ready, [dead] * len(ready.calls))
    assert finding.stage == "form"
    assert "exit code 3" in finding.text


def test_the_name_of_a_result_keeps_its_small_letter(kit):
    """dbias is a variable's name, also at the beginning of a sentence."""
    (finding,) = kit.judge(lambda dy, x, w: (dy @ w, dy.T @ x, 3 * dy.sum(0)), "linear_backward")
    assert finding.text.startswith("dbias should be one term")


@pytest.mark.parametrize("seed", range(12))
def test_a_guarded_logarithm_is_named_with_every_seed(kit, seed):
    """It is right for ordinary logits: only a label whose probability is 0 shows it."""

    def loss(logits, labels):
        e = np.exp(logits - logits.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        return -np.log(p[np.arange(len(p)), labels] + 1e-9).mean()

    (finding,) = kit.judge(loss, "softmax_cross_entropy", seed)
    assert set(finding.keys) == {"C19"}
    assert "1e-09" in finding.text

"""The last task is judged by the weights that come back, and not by what is said about them."""

import copy

import numpy as np
import pytest

from minigrad.coursework.child import drivers
from minigrad.coursework.questions import QUESTIONS, finale
from minigrad.coursework.questions.sgd import descend


def run(inputs, steps=None, step=lambda w, g, v, lr, m: descend(w, g, v, lr, m, 0)):
    """What a right student's process sends back after ``steps`` steps."""
    given = copy.deepcopy(inputs)
    if steps is not None:
        given["batches"], given["lrs"] = given["batches"][:steps], given["lrs"][:steps]
    return drivers.train((finale.loss_and_gradients, step), given)["training"]


@pytest.fixture
def plain(kit):
    return kit.prepared("training_plain").probes[0]


@pytest.fixture
def normalised(kit):
    return kit.prepared("training_normalised").probes[0]


def complaint(name, inputs, value):
    found = QUESTIONS[name].judge(inputs, value)
    return None if found is None else found[0]


def test_a_network_without_batch_norm_vanishes(plain):
    value = run(plain)
    assert complaint("training_plain", plain, value) is None
    found = finale.measured(plain, value)
    assert found["gradients"][0] < 1e-9 * found["gradients"][19]
    assert found["moved"][0] < 1e-9
    assert found["accuracy"] < 0.2


def test_the_gradients_are_compared_with_the_right_ones(normalised):
    value = run(normalised, 1)
    value["first"][3] = value["first"][3] * 1.01
    assert complaint("training_normalised", normalised, value) == "N11"


def test_training_too_little_is_told(normalised):
    assert complaint("training_normalised", normalised, run(normalised, 3)) == "N14"


def test_layers_that_stand_still_are_told(normalised):
    value = run(normalised, 1)
    value["layers"][4] = normalised["layers"][4]
    assert complaint("training_normalised", normalised, value) == "N13"


def test_a_report_of_success_is_not_believed(normalised):
    value = run(normalised, 1)
    value["losses"] = np.zeros(3)
    value["accuracy"] = 1.0
    assert complaint("training_normalised", normalised, value) == "N14"


def test_weights_that_move_without_batch_norm_are_told(plain):
    value = run(plain, 1)
    value["layers"][0]["weight"] = value["layers"][0]["weight"] + 0.1
    assert complaint("training_plain", plain, value) == "N12"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("layers"),
        lambda v: v["layers"].pop(),
        lambda v: v["layers"][2].pop("bias"),
        lambda v: v["layers"][2].update(bias=np.ones(3)),
        lambda v: v["layers"][2].update(bias=v["layers"][2]["bias"] * np.nan),
        lambda v: v.update(first=None),
        lambda v: v.update(losses="none"),
    ],
)
def test_weights_in_another_form_are_told(plain, spoil):
    value = run(plain, 1)
    spoil(value)
    assert complaint("training_plain", plain, value) == "N10"


def test_the_reference_gradients_are_slopes(kit):
    """Each parameter of the small networks moves the loss as its gradient says."""
    for name in ("network_plain", "network_normalised"):
        inputs = kit.prepared(name).probes[0]
        x, labels, layers = inputs["x"], inputs["labels"], inputs["layers"]
        _, gradients = finale.loss_and_gradients(x, labels, layers)
        for k, layer in enumerate(layers):
            for part in layer:
                losses = []
                for h in (1e-6, -1e-6):
                    moved = copy.deepcopy(layers)
                    moved[k][part].flat[-1] += h
                    losses.append(finale.loss_and_gradients(x, labels, moved)[0])
                slope = (losses[0] - losses[1]) / 2e-6
                found = gradients[k][part].flat[-1]
                assert found == pytest.approx(slope, abs=1e-7), (name, k, part)

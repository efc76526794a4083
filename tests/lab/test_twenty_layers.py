"""The first bench's numbers are the engine's."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.lab.twenty_layers import ACTIVATIONS, NORMALIZATIONS, Bench, Settings


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_zones_and_gradients_are_those_of_a_pass_by_hand(activation, normalization):
    bench = Bench(
        Settings(3, 16, activation, scale=4.0, shift=1.5, normalization=normalization, seed=5)
    )
    layers, loss, accuracy = bench.measure()
    y, seen = bench.x, []
    for part in bench.model:
        if isinstance(part, (nn.Sigmoid, nn.Tanh, nn.ReLU)):
            y.retain_grad()
            seen.append(y)
        y = part(y)
    expected = F.cross_entropy(y, bench.labels)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert accuracy == (y.detach().argmax(1) == bench.labels).numpy().mean()
    assert len(layers) == len(seen) == 3
    for layer, z in zip(layers, seen, strict=True):
        values = z.detach().numpy()
        assert layer.gradient == pytest.approx(np.linalg.norm(z.grad.numpy()), rel=1e-5)
        assert sum(layer.zones) == pytest.approx(1)
        assert layer.zones[0] + layer.zones[-1] == pytest.approx((abs(values) > 5).mean())
        assert layer.zones[2] == pytest.approx((abs(values) <= 3).mean())


def test_the_theorys_line_meets_the_gradients():
    """Where weights are independent of what they meet: before the first step, without
    normalisation. Eight orders of magnitude in ten layers."""
    layers, _, _ = Bench(Settings(depth=12, width=128, scale=0.8)).measure()
    assert layers[0].gradient < 1e-6 * layers[-1].gradient
    for layer in layers:
        assert layer.theory == pytest.approx(layer.gradient, rel=0.25)


def test_measuring_and_the_doctor_change_nothing():
    bench = Bench(Settings(depth=3, width=16, normalization="BatchNorm"))
    before = {
        name: value.detach().numpy().copy() for name, value in bench.model.state_dict().items()
    }
    bench.measure()
    bench.verdict()
    for name, value in bench.model.state_dict().items():
        np.testing.assert_array_equal(value.detach().numpy(), before[name])
    assert all(p.grad is None for p in bench.model.parameters())


def test_training_goes_forth_and_back():
    bench = Bench(Settings(depth=2, width=32, normalization="BatchNorm"))
    start = bench.measure()
    bench.go_to(20)
    later = bench.measure()
    assert later[1] < start[1]
    bench.go_to(40)
    much_later = bench.measure()
    bench.go_to(20)
    assert bench.steps == 20
    assert bench.measure() == later
    bench.go_to(40)
    assert bench.measure() == much_later
    bench.go_to(0)
    assert bench.measure() == start


def test_training_pauses_and_goes_on_to_the_same_numbers():
    settings = Settings(depth=2, width=16, normalization="BatchNorm")
    whole, sliced = Bench(settings), Bench(settings)
    assert whole.go_to(12)
    seen = []
    while not sliced.go_to(12, seconds=0.0):
        seen.append(sliced.steps)
        sliced.measure()
    assert seen == list(range(1, 12))
    assert sliced.measure() == whole.measure()


def test_the_doctor_names_what_the_sliders_do():
    vanishing = Bench(Settings(depth=10)).verdict()
    assert vanishing.kinds == ["vanishing"]
    saturated = Bench(Settings(depth=10, shift=9.0)).verdict()
    assert saturated.kinds == ["vanishing-by-saturation"]
    assert not Bench(Settings(depth=10, normalization="BatchNorm")).verdict().findings


def test_the_networks_are_the_ones_of_the_settings():
    mg.manual_seed(1)
    model = Bench(Settings(2, 32, "tanh", scale=3.0, shift=0.7, normalization="LayerNorm")).model
    kinds = [type(part).__name__ for part in model]
    assert kinds == ["Linear", "LayerNorm", "Tanh"] * 2 + ["Linear"]
    bound = 3.0 * np.sqrt(6 / (32 + 32))
    weight = model[3].weight.detach().numpy()
    assert 0.9 * bound < abs(weight).max() <= bound
    np.testing.assert_allclose(model[4].bias.detach().numpy(), 0.7, rtol=1e-6)

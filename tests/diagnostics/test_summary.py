"""``summary``: what it counts, and that it changes nothing."""

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.diagnostics import SummaryRow, summary


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.Sigmoid(), nn.Linear(5, 3))


def test_each_layer_has_its_numbers() -> None:
    result = summary(network(), (4, 7))
    assert result.rows == [
        SummaryRow("0", "Linear", (4, 5), 7 * 5 + 5, 4 * 7 * 5),
        SummaryRow("1", "BatchNorm1d", (4, 5), 5 + 5, 0),
        SummaryRow("2", "Sigmoid", (4, 5), 0, 0),
        SummaryRow("3", "Linear", (4, 3), 5 * 3 + 3, 4 * 5 * 3),
    ]
    assert (result.parameters, result.trainable, result.multiply_adds) == (68, 68, 200)


def test_the_table_says_the_same() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    header, *lines, total, note = str(summary(model, (400, 7))).splitlines()
    assert header.split() == ["layer", "kind", "output", "parameters", "multiply-adds"]
    assert lines[0].split() == ["0", "Linear", "(400,", "5)", "40", "14,000"]
    assert total.split() == ["total", "68", "20,000"]
    assert note == "33 of the parameters are trained, the others are frozen."


def test_a_shared_layer_is_counted_once_and_multiplies_twice() -> None:
    shared = nn.Linear(4, 4, bias=False)
    result = summary(nn.Sequential(shared, nn.Tanh(), shared), (3, 4))
    assert [row.parameters for row in result.rows] == [16, 0, 0]
    assert [row.multiply_adds for row in result.rows] == [48, 0, 48]
    assert result.parameters == 16


def test_what_has_no_product_has_no_multiplications() -> None:
    result = summary(nn.Sequential(nn.Embedding(9, 5), nn.LayerNorm(5)), mg.tensor([1, 8]))
    assert [(row.parameters, row.multiply_adds) for row in result.rows] == [(45, 0), (10, 0)]


def test_nothing_of_the_model_changes() -> None:
    model = network().double()
    model[2].eval()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    summary(model, (1, 7))  # a single sample: in training, BatchNorm would refuse it
    with pytest.raises(ValueError, match="Linear: input has 6 features"):
        summary(model, (4, 6))
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    assert all((value.numpy() == before[name]).all() for name, value in model.state_dict().items())
    assert not [hook for module in model.modules() for hook in module._forward_hooks]


def test_parameters_beside_submodules_are_in_the_total() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter([1.5, 2.5])
            self.layer = nn.Linear(2, 2)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return self.layer(x) * self.factor

    result = summary(Scaled(), (3, 2))
    assert [row.name for row in result.rows] == ["layer"]
    assert result.parameters == 8


def test_the_model_must_be_one() -> None:
    with pytest.raises(TypeError, match="summary: got a function, expected a Module"):
        summary(network, (1, 7))  # type: ignore[arg-type]

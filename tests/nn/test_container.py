"""Sequential, ModuleList, ModuleDict: like a function chain, a list and a dict."""

from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class Add(nn.Module):
    """x + amount: its effect shows where in a row it stood."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.amount


class Double(nn.Module):
    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x * 2


def test_sequential_runs_its_modules_in_order() -> None:
    assert nn.Sequential(Add(3), Double())(mg.tensor([1.0])).item() == 8
    assert nn.Sequential(Double(), Add(3))(mg.tensor([1.0])).item() == 5
    x = mg.tensor([1.0])
    assert nn.Sequential()(x) is x


def test_sequential_takes_names() -> None:
    model = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2), act=nn.Sigmoid()))
    assert [name for name, _ in model.named_children()] == ["fc", "act"]
    assert model.fc is model[0]
    assert set(model.state_dict()) == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize("make", [lambda *m: nn.Sequential(*m), lambda *m: nn.ModuleList(m)])
def test_rows_are_indexed_like_lists(make) -> None:
    parts = [Add(1), Double(), Add(2)]
    row = make(*parts)
    assert len(row) == 3
    assert list(row) == parts
    assert row[0] is parts[0]
    assert row[-1] is parts[2]
    assert type(row[1:]) is type(row)
    assert list(row[1:]) == parts[1:]
    extra = Double()
    assert row.append(extra) is row
    assert row.extend([Add(4)]) is row
    assert row[3] is extra
    assert len(row) == 5
    row[1] = extra
    assert row[1] is extra
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"there is no module {index}, only 5"):
            row[index]
    with pytest.raises(IndexError):
        row[7] = extra


def test_a_slice_of_a_sequential_keeps_names_and_modules() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 1))
    head = model[1:]
    assert [name for name, _ in head.named_children()] == ["1", "2"]
    assert head[1] is model[2]
    x = mg.ones(2, 3)
    with mg.no_grad():
        np.testing.assert_array_equal(head(model[0](x)).numpy(), model(x).numpy())
    head.append(nn.Tanh())
    assert [name for name, _ in head.named_children()] == ["1", "2", "3"], "nothing is replaced"


def test_one_module_under_two_indices_runs_twice_and_is_counted_once() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)
    assert len(model) == 2
    assert len(list(model.parameters())) == 2
    with mg.no_grad():
        once = layer(layer(mg.ones(1, 2)))
        np.testing.assert_array_equal(model(mg.ones(1, 2)).numpy(), once.numpy())


def test_a_list_registers_and_does_not_run() -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])
    assert set(model.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    with pytest.raises(NotImplementedError, match="ModuleList: forward is not written"):
        model(mg.ones(1, 2))


@pytest.mark.parametrize("wrong", [mg.sigmoid, "relu", nn.Sigmoid])
def test_what_is_no_module_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="expected a Module"):
        nn.Sequential(nn.Linear(2, 2), wrong)
    with pytest.raises(TypeError, match="expected a Module"):
        nn.ModuleList([wrong])
    with pytest.raises(TypeError, match="expected a Module"):
        nn.ModuleDict({"a": wrong})


def test_a_dict_of_modules() -> None:
    a, b = nn.Linear(2, 1), nn.Sigmoid()
    modules = nn.ModuleDict({"a": a})
    modules["b"] = b
    assert len(modules) == 2
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert list(modules.values()) == [a, b]
    assert list(modules.items()) == [("a", a), ("b", b)]
    assert "a" in modules
    assert "z" not in modules
    assert modules["a"] is a
    assert set(modules.state_dict()) == {"a.weight", "a.bias"}
    del modules["a"]
    assert list(modules) == ["b"]
    with pytest.raises(KeyError, match="there is no 'a', only b"):
        modules["a"]
    with pytest.raises(KeyError, match="there is no 'a', only nothing"):
        nn.ModuleDict()["a"]
    with pytest.raises(KeyError, match="there is no 'training'"):
        del modules["training"]


rows = pytest.mark.parametrize("make", [lambda *m: nn.Sequential(*m), lambda *m: nn.ModuleList(m)])


@rows
def test_deleting_moves_the_others_up(make) -> None:
    parts = [Add(1), Double(), Add(2), Add(3), nn.Linear(1, 1)]
    row = make(*parts)
    del row[1]
    assert list(row) == [parts[0], *parts[2:]]
    assert [name for name, _ in row.named_children()] == ["0", "1", "2", "3"]
    assert set(row.state_dict()) == {"3.weight", "3.bias"}
    del row[-1]
    assert list(row) == [parts[0], parts[2], parts[3]]
    del row[1:]
    assert list(row) == [parts[0]]
    with pytest.raises(IndexError, match="there is no module 1, only 1"):
        del row[1]


def test_deleting_keeps_names_that_were_given() -> None:
    model = nn.Sequential({"fc": nn.Linear(2, 2), "act": nn.Sigmoid(), "out": nn.Linear(2, 1)})
    del model[1]
    assert [name for name, _ in model.named_children()] == ["fc", "out"]


@rows
@pytest.mark.parametrize("index", [0, 1, 2, 3, -1, -3])
def test_inserting_moves_the_others_back(make, index: int) -> None:
    parts, extra = [Add(1), Double(), Add(2)], Add(5)
    row = make(*parts)
    assert row.insert(index, extra) is row
    expected = list(parts)
    expected.insert(index, extra)
    assert list(row) == expected
    assert [name for name, _ in row.named_children()] == ["0", "1", "2", "3"]


def test_inserting_where_it_cannot_be_done_changes_nothing() -> None:
    parts = [Add(1), Double()]
    row = nn.Sequential(*parts)
    for index in (3, -3):
        with pytest.raises(IndexError, match=f"cannot insert at {index}, expected -2 to 2"):
            row.insert(index, Add(2))
    with pytest.raises(TypeError, match="expected a Module"):
        row.insert(0, "relu")
    assert list(row) == parts
    with pytest.raises(ValueError, match=r"cannot insert among modules with names \(fc, act\)"):
        nn.Sequential({"fc": Double(), "act": Double()}).insert(1, Add(2))


def test_a_parameter_list_registers_its_parameters(rng) -> None:
    first, second, third = (nn.Parameter(rng.normal(size=n)) for n in (2, 3, 4))
    row = nn.ParameterList([first])
    assert row.append(second) is row
    assert row.extend([third]) is row
    assert list(row.parameters()) == [first, second, third]
    assert list(row.state_dict()) == ["0", "1", "2"]
    assert (len(row), row[0], row[-1], row[1:]) == (3, first, third, [second, third])
    fourth = nn.Parameter([7.5])
    row[-1] = fourth
    assert list(row) == [first, second, fourth]
    assert repr(row) == (
        "ParameterList((0): float64 of shape (2,), (1): float64 of shape (3,), "
        "(2): float32 of shape (1,))"
    )
    with pytest.raises(IndexError):
        row[3] = fourth
    with pytest.raises(TypeError, match="parameter '3' is a Tensor, expected a Parameter"):
        row.append(first.detach())
    assert len(row) == 3


@pytest.mark.parity
def test_a_parameter_list_has_the_names_of_pytorchs(torch, rng) -> None:
    values = [rng.normal(size=n) for n in (2, 3)]
    ours = nn.ParameterList([nn.Parameter(v) for v in values])
    theirs = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(v)) for v in values])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})

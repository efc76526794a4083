"""The ward: two sick networks of each kind, half of the healthy ones; all of it is slow."""

from typing import Any

import pytest

import minigrad as mg
from minigrad.diagnostics import KINDS, diagnose
from tests.diagnostics.ward.healthy import HEALTHY
from tests.diagnostics.ward.sick import PAIRS, SICK

FEW = [(kind, name) for kind, cases in SICK.items() for name in list(cases)[:2]]


@pytest.mark.parametrize(("kind", "name"), FEW, ids=[name for _, name in FEW])
def test_a_sick_network_is_named_first_and_rightly(kind: str, name: str) -> None:
    mg.manual_seed(1)
    report = diagnose(**SICK[kind][name]().arguments())
    assert report.kinds[:1] == [kind]


@pytest.mark.parametrize("name", list(HEALTHY)[::2])
def test_a_healthy_network_is_not_accused(name: str) -> None:
    mg.manual_seed(1)
    report = diagnose(**HEALTHY[name]().arguments())
    assert report.kinds == []


@pytest.mark.parametrize("name", PAIRS)
def test_of_two_diseases_both_are_named(name: str) -> None:
    mg.manual_seed(1)
    both, build = PAIRS[name]
    assert set(diagnose(**build().arguments()).kinds) == set(both)


def test_the_ward_has_a_bed_for_each_kind() -> None:
    assert set(SICK) == set(KINDS)
    assert min(len(cases) for cases in SICK.values()) >= 3
    assert len(HEALTHY) >= 30


def where(name: str, kind: str) -> Any:
    mg.manual_seed(1)
    return diagnose(**SICK[kind][name]().arguments()).findings[0].where


def test_the_place_is_named() -> None:
    assert where("one layer with tiny weights", "bottleneck") == ("6",)
    assert where("gamma near zero", "bottleneck") == ("5",)
    assert where("a layer that divides by ten thousand", "bottleneck") == ("4",)
    assert where("one layer of three shifted", "vanishing-by-saturation") == ("3",)
    assert where("one layer of four dead", "dead-units") == ("5",)
    assert where("one norm in eval", "batchnorm-in-eval") == ("4",)
    assert where("a layer that is never called", "no-gradient") == ("spare.weight", "spare.bias")
    assert where("detached in the middle", "no-gradient")[0] == "0.weight"
    assert where("infinite weights", "non-finite") == ("2.weight",)
    assert where("a missing value in the data", "non-finite") == ("input",)
    assert where("the logarithm of relu", "non-finite") == ("2",)
    assert where("the root of a distance of zero", "non-finite") == ("2",)

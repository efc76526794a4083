"""What docs/diagnosis.md says of the kinds, the criteria and the ward is so."""

import json
import re
from types import ModuleType
from typing import Any

import pytest

from minigrad.diagnostics import KINDS
from minigrad.diagnostics.doctor import (
    examine,
    fit,
    normalization,
    numbers,
    signal,
    training,
    units,
)
from tests.diagnostics.ward import table
from tests.diagnostics.ward.healthy import HEALTHY
from tests.diagnostics.ward.sick import PAIRS, SICK

MODULES: list[ModuleType] = [examine, fit, normalization, numbers, signal, training, units]


@pytest.fixture
def text(pages: dict[str, Any]) -> str:
    return str(pages["diagnosis"].text)


@pytest.fixture
def stored() -> dict[str, Any]:
    return dict(json.loads(table.NUMBERS.read_text(encoding="utf-8")))


def test_each_kind_has_its_place_and_picture(text: str) -> None:
    for kind in KINDS:
        assert f'<a id="{kind}"></a>**{kind}**\n\n- *Picture:*' in text


def test_the_criteria_are_those_of_the_source(text: str) -> None:
    named = re.findall(r"`([A-Z_]+) = ([0-9.e-]+)`", text)
    constants = {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, float | int)
    }
    for name, value in named:
        assert float(value) == constants[name], name
    untold = set(constants) - {name for name, _ in named}
    assert untold == {"NOTHING", "PASSES", "SAMPLES"}  # how it counts, not where it draws the line


def test_the_dictionary_is_current(text: str) -> None:
    assert table.section(text, "kinds") == table.dictionary()


def test_the_table_of_the_ward_is_that_of_the_stored_counts(
    text: str, stored: dict[str, Any]
) -> None:
    assert table.section(text, "ward") == table.text(stored)
    assert table.section(text, "doses") == table.dose_table(stored)


def test_the_counts_are_of_the_networks_of_the_ward(stored: dict[str, Any]) -> None:
    assert {k: list(v) for k, v in stored["sick"].items()} == {k: list(v) for k, v in SICK.items()}
    assert list(stored["healthy"]) == list(HEALTHY)
    assert list(stored["pairs"]) == list(PAIRS)
    for kind, cases in stored["sick"].items():
        for counts in cases.values():
            assert sum(counts.values()) == stored["seeds"]["sick"], kind


def test_the_doctor_is_as_good_as_is_promised(stored: dict[str, Any]) -> None:
    """Each disease is named first in 95 of 100 examinations, at most 1 in 100 healthy networks is
    accused, and of two diseases at once both are named in 8 of 10."""
    for kind, cases in stored["sick"].items():
        counts = table.total(cases)
        assert counts[kind] >= 0.95 * sum(counts.values()), kind
    healthy = table.total(stored["healthy"])
    assert healthy[table.NOTHING] >= 0.99 * sum(healthy.values())
    for name, times in stored["pairs"].items():
        assert times >= 0.8 * stored["seeds"]["pairs"], name


@pytest.mark.slow
def test_the_counts_are_current(stored: dict[str, Any]) -> None:
    """The first seeds of each network: no more mistakes than were counted, and one at the limit."""
    beds = [(kind, name) for kind, cases in SICK.items() for name in cases]
    for kind, name in beds:
        counted = stored["sick"][kind][name]
        mistakes = sum(counted.values()) - counted.get(kind, 0)
        now = table.count(SICK[kind][name], 4)
        assert 4 - now.get(kind, 0) <= mistakes + 1, name
    for name, build in HEALTHY.items():
        counted = stored["healthy"][name]
        mistakes = sum(counted.values()) - counted.get(table.NOTHING, 0)
        assert 2 - table.count(build, 2).get(table.NOTHING, 0) <= mistakes + 1, name

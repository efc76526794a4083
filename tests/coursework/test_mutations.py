"""The grader's own test: small random changes to right solutions must all be caught.

A mutant that computes the same as the original cannot be; those are listed in ``equivalent.txt``,
each under the reason why.
"""

from pathlib import Path

import numpy as np
import pytest

LISTED = [
    line
    for line in Path(__file__).with_name("equivalent.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_every_mutant_is_caught_or_known_to_be_equal(table):
    survivors = [s for count in table.suite() for s in count.survivors]
    assert sum(count.mutants for count in table.suite()) > 1000
    assert sorted(survivors) == sorted(LISTED)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_called_equal_is_equal_on_other_inputs_too(table, seed):
    for count in table.suite():
        for label, texts in count.survivors.items():
            assert table.judged(count.question, texts, seed) == [], label


def test_half_of_the_wrong_numbers_are_explained(table):
    stages = sum((count.stages for count in table.suite()), table.Counter())
    explained = stages["named"] + stages["terms"]
    assert explained >= 0.5 * (explained + stages["evidence"])


def test_the_table_in_the_documentation_is_current(table):
    """To 3 in each cell: which of two steps explains a mutant may hang on the rounding of NumPy's
    version."""
    current, written = table.cells(table.markdown(table.suite())), table.cells(table.written())
    assert list(written) == list(current)
    for name, numbers in list(written.items())[:-1]:
        assert numbers[0] == current[name][0], name
        assert np.abs(np.subtract(numbers, current[name])).max() <= 3, name


def test_the_table_in_the_documentation_adds_up(table):
    *rows, total = table.cells(table.written()).values()
    for _, mutants, equal, caught, *stages in (*rows, total):
        assert caught == mutants - equal == sum(stages)
    assert np.sum(rows, axis=0).tolist() == total
    named, terms, _, evidence = total[-4:]
    judgeable = named + terms + evidence
    sentence = f"Of the {judgeable} wrong mutants that return numbers of the right form, "
    assert f"{sentence}{(named + terms) / judgeable:.0%} are explained" in table.written()

"""The grader's own test: small random changes to right solutions must all be caught.

A mutant that computes the same as the original cannot be; those are listed in ``equivalent.txt``,
each under the reason why.
"""

from pathlib import Path

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
    assert table.written() == table.markdown(table.suite())

"""Do the units of a layer do something, and not all the same?"""

from collections.abc import Iterator

from .examine import Examination
from .finding import Finding, listed

DEAD = 0.9
"""The share of dead units from which a layer is accused. Half of the units of a deep ReLU layer can
be 0 for a whole batch without harm, because the batch looks alike there; more than nine in ten
cannot."""


def find(seen: Examination) -> Iterator[Finding]:
    """The findings of this file."""
    same = tuple(row.name for row in seen.parameters if row.symmetric)
    if same:
        evidence = f"all rows of {listed(same)} are equal: the units compute the same."
        yield Finding("identical-units", same, evidence, {"parameters": len(same)})
    dead = [a for a in seen.activations if a.dead >= DEAD]
    whole = next((i for i, a in enumerate(dead) if a.dead == 1), len(dead))
    dead = dead[: whole + 1]  # above a layer that is dead as a whole, nothing changes any more
    if dead:
        most = max(a.dead for a in dead)
        where = tuple(dict.fromkeys(a.where for a in dead))
        evidence = (
            f"up to {most:.0%} of the units are 0 for all samples of the batch, in {listed(where)} "
            f"(dead: {DEAD:.0%} of a layer or more)."
        )
        yield Finding("dead-units", where, evidence, {"dead": most})

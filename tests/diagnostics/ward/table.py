"""The table of the ward in the documentation: how often the doctor is right.

    python -m tests.diagnostics.ward.table            # examines the whole ward, writes both files
    python -m tests.diagnostics.ward.table --text     # writes the text anew from the stored numbers

What was counted is stored in ``docs/diagnosis-ward.json``; the section between the two marks in
``docs/diagnosis.md`` is made of it.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import minigrad as mg
from minigrad.diagnostics import KINDS, diagnose
from tests.diagnostics.ward import doses
from tests.diagnostics.ward.healthy import HEALTHY
from tests.diagnostics.ward.parts import Builder
from tests.diagnostics.ward.sick import PAIRS, SICK

DOCS = Path(__file__).parents[3] / "docs"
NUMBERS, PAGE = DOCS / "diagnosis-ward.json", DOCS / "diagnosis.md"
MARK, END = "<!-- {}: written by a script -->", "<!-- {}: end -->"
SICK_SEEDS, HEALTHY_SEEDS, PAIR_SEEDS, DOSE_SEEDS = 34, 20, 20, 10
NOTHING = "nothing"


def kinds_of(build: Builder, seed: int) -> list[str]:
    """What the doctor names, in its order."""
    mg.manual_seed(seed)
    return diagnose(**build().arguments()).kinds


def count(build: Builder, seeds: int) -> dict[str, int]:
    """How often each kind is named first."""
    return dict(Counter((kinds_of(build, seed) or [NOTHING])[0] for seed in range(seeds)))


def examine_all() -> dict[str, Any]:
    """The whole ward; this takes some minutes."""
    sick = {
        kind: {name: count(build, SICK_SEEDS) for name, build in cases.items()}
        for kind, cases in SICK.items()
    }
    healthy = {name: count(build, HEALTHY_SEEDS) for name, build in HEALTHY.items()}
    pairs = {
        name: sum(set(both) <= set(kinds_of(build, seed)) for seed in range(PAIR_SEEDS))
        for name, (both, build) in PAIRS.items()
    }
    seeds = {
        "sick": SICK_SEEDS, "healthy": HEALTHY_SEEDS, "pairs": PAIR_SEEDS, "doses": DOSE_SEEDS,
    }  # fmt: skip
    found = {"seeds": seeds, "sick": sick, "healthy": healthy, "pairs": pairs}
    return {**found, "doses": doses.measure(DOSE_SEEDS)}


def total(cases: dict[str, dict[str, int]]) -> Counter[str]:
    """The counts of all networks of one kind."""
    counts: Counter[str] = Counter()
    for found in cases.values():
        counts.update(found)
    return counts


def text(numbers: dict[str, Any]) -> str:
    """The section of the page."""
    columns = [*KINDS, NOTHING]
    short = {kind: str(i) for i, kind in enumerate(KINDS, 1)} | {NOTHING: "–"}
    rows = {kind: total(numbers["sick"][kind]) for kind in KINDS}
    rows["healthy"] = total(numbers["healthy"])
    seeds, healthy = numbers["seeds"], rows["healthy"]
    lines = [
        f"Sick networks with {seeds['sick']} seeds each, healthy ones with {seeds['healthy']}. "
        "A row is what the network has, a column what was named first; – is nothing.",
        "",
        "| it has | networks | " + " | ".join(short[c] for c in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for kind, counts in rows.items():
        cases = numbers["sick"].get(kind, numbers["healthy"])
        label = f"{short[kind]} {kind}" if kind in short else kind
        cells = [str(counts[c]) if counts[c] else "" for c in columns]
        lines.append(f"| {label} | {len(cases)} | " + " | ".join(cells) + " |")
    right = sum(rows[kind][kind] for kind in KINDS)
    sick = sum(sum(rows[kind].values()) for kind in KINDS)
    accused, well = sum(healthy.values()) - healthy[NOTHING], sum(healthy.values())
    lines += [
        "",
        f"So {right} of {sick} examinations of sick networks named the disease first, and "
        f"{accused} of {well} of healthy ones found something.",
        "",
        f"Two diseases at once, {seeds['pairs']} seeds each: how often both were named.",
        "",
        "| network | it has | both named |",
        "|---|---|---|",
    ]
    for name, times in numbers["pairs"].items():
        both = PAIRS[name][0]
        lines.append(f"| {name} | {both[0]}, {both[1]} | {times} of {seeds['pairs']} |")
    return "\n".join(lines) + "\n"


def dose_table(numbers: dict[str, Any]) -> str:
    """More and more of a disease, as a table."""
    lines = ["| | how much | named | loss |", "|---|---|---|---|"]
    for what, rows in numbers["doses"].items():
        kind = doses.DOSES[what][0]
        for i, row in enumerate(rows):
            first = f"{kind}: {what}" if i == 0 else ""
            loss = "not finite" if row["loss"] is None else f"{row['loss']:.2f}"
            named = f"{row['named']} of {numbers['seeds']['doses']}"
            lines.append(f"| {first} | {row['dose']:g} | {named} | {loss} |")
    return "\n".join(lines) + "\n"


def dictionary() -> str:
    """The kinds, as a table."""
    rows = [
        f"| {number} | [{name}](#{name}) | {kind.means} |"
        for number, (name, kind) in enumerate(KINDS.items(), 1)
    ]
    return "\n".join(["| | kind | what it is |", "|---|---|---|", *rows]) + "\n"


def section(page: str, name: str) -> str:
    """What stands between two marks of a page."""
    return page.partition(MARK.format(name))[2].partition(END.format(name))[0].strip() + "\n"


def replaced(page: str, name: str, text: str) -> str:
    """The page with ``text`` between two marks."""
    begin, end = MARK.format(name), END.format(name)
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{text}\n{end}{rest.partition(end)[2]}"


def main(arguments: list[str]) -> None:
    """Examine, unless only the text is asked for, and write."""
    if "--text" not in arguments:
        NUMBERS.write_text(json.dumps(examine_all(), indent=1) + "\n", encoding="utf-8")
    numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))
    page = replaced(PAGE.read_text(encoding="utf-8"), "kinds", dictionary())
    page = replaced(replaced(page, "ward", text(numbers)), "doses", dose_table(numbers))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

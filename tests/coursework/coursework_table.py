"""The mutation suite: every mutant of both solutions is judged, and counted in a table.

``python tests/coursework/coursework_table.py`` writes the table into docs/coursework-teachers.md;
``test_mutations.py`` checks that it is current.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import coursework_kit as kit
import coursework_mutation as mutation

from minigrad.coursework.questions import QUESTIONS

PAGE = Path(__file__).parents[2] / "docs" / "coursework-teachers.md"
BEGIN, END = "<!-- mutation table -->\n", "<!-- end of the mutation table -->\n"

# Their functions are the same as those of other questions, or are judged by training.
LEFT_OUT = {"network_plain", "RMSNorm_twice", "training_plain", "training_normalised"}
HELPERS = {
    "sigmoid": {"one"},
    "softmax_cross_entropy": {"log_softmax"},
    "softmax_cross_entropy_backward": {"log_softmax", "probabilities"},
    "RMSNorm": {"scale", "forward", "backward"},
}
"""Functions in a solution's file that the asked one calls."""

COLUMNS = ("named", "terms", "form", "evidence")


@dataclass
class Count:
    """What became of the mutants of one question."""

    question: str
    mistakes: int
    mutants: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    survivors: dict[str, dict[str, str]] = field(default_factory=dict)


def stage(findings: list) -> str:
    """The step that explained most: a name, else terms, else the form, else evidence."""
    found = {f.stage for f in findings}
    return next((s for s in COLUMNS if s in found), "form")


@cache
def suite() -> list[Count]:
    """Judge all mutants."""
    counts = []
    for name, question in QUESTIONS.items():
        if name in LEFT_OUT:
            continue
        count = Count(name, len(question.names))
        for label, texts in mutants_of(name):
            count.mutants += 1
            findings = judged(name, texts)
            if findings is None:
                count.stages["form"] += 1
            elif findings:
                count.stages[stage(findings)] += 1
            else:
                count.survivors[label] = texts
        counts.append(count)
    return counts


def mutants_of(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(what was changed, the files) for every mutant of both solutions."""
    functions = {QUESTIONS[name].target or name, *HELPERS.get(name, ())}
    for style in "AB":
        texts, file = kit.sources(style), kit.FILES[name]
        for change, text in mutation.mutants(texts[file], functions):
            yield f"{name} | {style} | {change}", {**texts, file: text}


def judged(name: str, texts: dict[str, str], seed: int = 0) -> list | None:
    """The findings; None if the file cannot even be loaded."""
    try:
        with kit.at_most(1):
            function = kit.function_of(name, texts)
    except (Exception, kit.Endless):
        return None
    return kit.diagnose(kit.prepared(name, seed), kit.ask(function, name, seed, seconds=0.25))


def markdown(counts: list[Count]) -> str:
    """The table."""
    lines = [
        "| question | mistakes | mutants | equal | caught | named | terms | form | evidence |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for c in counts:
        lines.append(row(f"`{c.question}`", c.mistakes, c.mutants, len(c.survivors), c.stages))
    stages = sum((c.stages for c in counts), Counter())
    mistakes, mutants = sum(c.mistakes for c in counts), sum(c.mutants for c in counts)
    equal = sum(len(c.survivors) for c in counts)
    lines.append(row("all", mistakes, mutants, equal, stages))
    judgeable = stages["named"] + stages["terms"] + stages["evidence"]
    explained = (stages["named"] + stages["terms"]) / judgeable
    lines += [
        "",
        f"Of the {judgeable} wrong mutants that return numbers of the right form, {explained:.0%} "
        f"are explained by a name or by their terms.",
    ]
    return "\n".join(lines) + "\n"


def row(title: str, mistakes: int, mutants: int, equal: int, stages: Counter[str]) -> str:
    numbers = [mistakes, mutants, equal, stages.total(), *(stages[s] for s in COLUMNS)]
    return f"| {title} | " + " | ".join(map(str, numbers)) + " |"


def written() -> str:
    """The table as it stands in the documentation."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def cells(text: str) -> dict[str, list[int]]:
    """The numbers of each row of a table."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {name: [int(number) for number in numbers] for name, *numbers in rows[2:]}


def write() -> None:
    """Put the current table into the documentation."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + markdown(suite()) + END + after, encoding="utf-8")


if __name__ == "__main__":
    write()

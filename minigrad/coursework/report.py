"""Verdicts as a table for the terminal, as CSV, as Gradescope's JSON and as JUnit's XML."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .judge import Verdict
from .questions.finale import DEPTH

Graded = Mapping[str, Sequence[Verdict]]  # student -> verdicts


def number(points: float) -> str:
    """Points without zeros at the end: 5, not 5.0."""
    return f"{points:g}"


def state(verdict: Verdict) -> str:
    """The result of a task in one or two words."""
    if verdict.passed:
        return "passed"
    return "not yet" if verdict.missing else "failed"


def as_text(verdicts: Sequence[Verdict]) -> str:
    """The table and the diagnosis in plain text."""
    lines = []
    for v in verdicts:
        points = f"{number(v.earned)} / {number(v.task.total)}"
        lines.append(f"{v.task.number:>4}  {v.task.title:<34} {state(v):<8} {points:>9}")
    lines.append(f"      {'':<34} {'':<8} {total(verdicts):>9}")
    for v in verdicts:
        if v.missing:
            lines += ["", f"{heading(v, verdicts)}: {v.gap}"]
        elif not v.passed:
            lines += ["", heading(v, verdicts), *(f"  - {line}" for line in v.lines())]
    return "\n".join(lines)


def total(verdicts: Sequence[Verdict]) -> str:
    """The points of all tasks, and the largest possible number of points."""
    earned, whole = sum(v.earned for v in verdicts), sum(v.task.total for v in verdicts)
    return f"{number(earned)} / {number(whole)}"


def heading(verdict: Verdict, verdicts: Sequence[Verdict]) -> str:
    """The task, its file and lesson, and those of the tasks that it needs that do not pass."""
    task = verdict.task
    text = f"Task {task.number}, {task.title} ({task.file}; read {task.lesson})"
    below = [v.task.number for v in verdicts if v.task.number in task.needs and not v.passed]
    if below and not verdict.missing:
        numbers = " and ".join(map(str, below))
        text += f". It needs task {numbers}, which does not pass yet: begin there"
    return text


def show(verdicts: Sequence[Verdict], console: Any) -> None:
    """The table and the diagnosis; ``console`` is rich's, or None for plain text."""
    if console is None:
        print(as_text(verdicts))
        return
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    colours = {"passed": "green", "failed": "red", "not yet": "dim"}
    table = Table(show_footer=True)
    table.add_column("", justify="right")
    table.add_column("task", "all")
    table.add_column("")
    table.add_column("points", total(verdicts), justify="right")
    for v in verdicts:
        found = state(v)
        points = f"{number(v.earned)} / {number(v.task.total)}"
        cells = (str(v.task.number), v.task.title, f"[{colours[found]}]{found}[/]", points)
        table.add_row(*cells)
    console.print(table)
    for v in verdicts:
        if v.missing:
            text = f"{heading(v, verdicts)}: {v.gap}"
            console.print(escape(text), highlight=False)
        elif not v.passed:
            console.print()
            console.print(f"[bold]{escape(heading(v, verdicts))}[/]", highlight=False)
            for line in v.lines():
                console.print(Padding(escape(line), (0, 0, 0, 2)), highlight=False)


# --------------------------------------------------------------------------------------- the finale


def finale_rows(verdicts: Sequence[Verdict]) -> list[tuple[int, float, float]]:
    """(layer, |dW| without BatchNorm, |dW| with it), from the student's own network."""
    found = {
        o.question.name: o.measured["gradients"]
        for v in verdicts
        for o in v.outcomes
        if o.measured is not None
    }
    if len(found) < 2:
        return []
    plain, normalised = found["training_plain"], found["training_normalised"]
    return [(k + 1, plain[k], normalised[k]) for k in range(min(DEPTH, len(plain)))]


def finale_text(verdicts: Sequence[Verdict]) -> str:
    """The table of the last task; empty if it has not been run through."""
    rows = finale_rows(verdicts)
    if not rows:
        return ""
    lines = [
        "",
        "Your network of 20 layers, gradient of the weights at the first step:",
        "layer   without BatchNorm   with BatchNorm",
    ]
    lines += [f"{k:>5}   {plain:>17.1e}   {normalised:>14.1e}" for k, plain, normalised in rows]
    for v in verdicts:
        for o in v.outcomes:
            if o.measured is not None:
                kind = "with" if o.question.name.endswith("normalised") else "without"
                lines.append(
                    f"{kind} BatchNorm: loss {o.measured['losses'][0]:.2f} -> "
                    f"{o.measured['losses'][-1]:.2f}, {o.measured['accuracy']:.0%} of the test "
                    f"digits right, layer 1 moved by {o.measured['moved'][0]:.1e} of its size"
                )
    return "\n".join(lines)


def finale_figure(verdicts: Sequence[Verdict], path: Path) -> bool:
    """Draw the table as a picture; False if there is nothing to draw, or no matplotlib."""
    rows = finale_rows(verdicts)
    if not rows:
        return False
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    layers = [k for k, _, _ in rows]
    axes.semilogy(layers, [p for _, p, _ in rows], "o-", color="#d55e00", label="without BatchNorm")
    axes.semilogy(layers, [n for _, _, n in rows], "s-", color="#0072b2", label="with BatchNorm")
    axes.set_xlabel("layer")
    axes.set_ylabel("norm of dL/dW at the first step")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.legend()
    figure.savefig(path, dpi=120)
    return True


# ---------------------------------------------------------------------------------------- the files


def write(path: Path, text: str) -> None:
    """Write the whole file or nothing: half a file of grades would be worse than none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(name, path)


def clean(text: str) -> str:
    """Replace control characters, which XML and terminals cannot show, by "?"."""
    return "".join(c if c == "\n" or (c.isprintable() and ord(c) < 0xD800) else "?" for c in text)


def cell(text: str) -> str:
    """Put ' before a text that a spreadsheet would read as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_csv(graded: Graded) -> str:
    """One row per student and task."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["student", "task", "title", "points", "of", "state", "mistakes", "diagnosis"])
    for student, verdicts in graded.items():
        for v in verdicts:
            diagnosis = "" if v.passed else clean(" | ".join(v.lines()))
            rows.writerow(
                [
                    cell(student),
                    v.task.number,
                    v.task.title,
                    number(v.earned),
                    number(v.task.total),
                    state(v),
                    " ".join(v.keys),
                    cell(diagnosis),
                ]
            )
    return text.getvalue()


def as_gradescope(verdicts: Sequence[Verdict]) -> str:
    """Gradescope's results.json: one test per task, the diagnosis as its output."""
    tests = [
        {
            "name": v.task.title,
            "number": str(v.task.number),
            "score": v.earned,
            "max_score": v.task.total,
            "status": "passed" if v.passed else "failed",
            "output": clean("passed" if v.passed else "\n".join(v.lines())),
            "output_format": "text",
            "visibility": "visible",
        }
        for v in verdicts
    ]
    result = {
        "score": sum(v.earned for v in verdicts),
        "output_format": "text",
        "output": clean(finale_text(verdicts).strip()),
        "visibility": "visible",
        "tests": tests,
    }
    return json.dumps(result, indent=1)


def as_junit(graded: Graded) -> str:
    """JUnit's XML: a test suite per student, a test case per task."""
    root = ElementTree.Element("testsuites")
    for student, verdicts in graded.items():
        failures = sum(not v.passed for v in verdicts)
        suite = ElementTree.SubElement(
            root, "testsuite", name=clean(student), tests=str(len(verdicts)),
            failures=str(failures), errors="0", skipped="0",
        )  # fmt: skip
        for v in verdicts:
            name = f"task {v.task.number}: {v.task.title}"
            case = ElementTree.SubElement(
                suite, "testcase", name=name, classname=f"coursework.{v.task.file[:-3]}"
            )
            if not v.passed:
                failure = ElementTree.SubElement(
                    case, "failure", message=f"{number(v.earned)} of {number(v.task.total)} points"
                )
                failure.text = clean("\n".join(v.lines()))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"

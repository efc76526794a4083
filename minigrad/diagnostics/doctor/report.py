"""The report: findings in words, as JSON, as a figure."""

import html
import json
import math
import os
import textwrap
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import plots
from ..stats import jsonable
from .examine import Examination
from .finding import Finding, listed
from .kinds import KINDS
from .remedies import Trial
from .training import Course


@dataclass
class Report:
    """What ``diagnose`` says. ``print`` it; ``bool(report)`` is whether anything was found."""

    findings: list[Finding]
    """The gravest first; empty if nothing was found."""
    notes: list[str]
    """What is worth knowing and no disease."""
    looked_at: list[str]
    """What was examined."""
    layers: list[dict[str, Any]] = field(default_factory=list)
    """For each layer with a weight matrix: its name, |dL/dz|, the spread of z over the samples."""
    losses: list[float] = field(default_factory=list)
    """The loss over the training steps."""
    trials: list[Trial] = field(default_factory=list)
    """The remedies that were tried."""

    @classmethod
    def of(
        cls,
        findings: list[Finding],
        notes: list[str],
        looked_at: list[str],
        seen: Examination,
        course: Course | None,
    ) -> "Report":
        """A report of what was examined; it keeps numbers only."""
        layers = [
            {
                "name": layer.name,
                "gradient": math.nan if layer.grad is None else layer.grad,
                "spread": math.nan if layer.output is None else layer.output.spread,
            }
            for layer in seen.weighted
        ]
        return cls(findings, notes, looked_at, layers, [] if course is None else course.losses)

    def __bool__(self) -> bool:
        return bool(self.findings)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the findings, the gravest first."""
        return [finding.kind for finding in self.findings]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The report in words, in lines of at most ``width`` characters."""

        def wrapped(text: str, indent: int, start: str = "") -> str:
            rest = " " * indent
            return textwrap.fill(text, width, initial_indent=start, subsequent_indent=rest)

        paragraphs = []
        for number, finding in enumerate(self.findings, 1):
            head = f"{number}. {finding.kind}: {KINDS[finding.kind].means}"
            lines = {
                "where": listed(finding.where),
                "evidence": finding.evidence,
                "cause": finding.cause,
                "remedy": finding.remedy,
                "see": finding.see,
            }
            tried = [("tried", str(trial)) for trial in self.trials if trial.kind == finding.kind]
            body = [
                wrapped(f"{name + ':':10}{text}", 13, "   ")
                for name, text in [*lines.items(), *tried]
            ]
            paragraphs.append("\n".join([wrapped(head, 3), *body]))
        if not self.findings:
            paragraphs.append("Nothing found.")
        together = [str(trial) for trial in self.trials if not trial.kind]
        rest = {"Tried": together, "Remarks": self.notes, "Looked at": self.looked_at}
        for title, texts in rest.items():
            if texts:
                items = [wrapped(f"- {text}", 2) for text in texts]
                paragraphs.append("\n".join([f"{title}:", *items]))
        return "\n\n".join(paragraphs)

    def __repr__(self) -> str:
        return f"<Report: {', '.join(self.kinds) or 'nothing found'}>"

    def _repr_html_(self) -> str:
        """For notebooks: a table of the findings."""
        cells = ("kind", "where", "evidence", "cause", "remedy")
        rows = [
            (f.kind, listed(f.where), f.evidence, f.cause, f.remedy) for f in self.findings
        ]  # fmt: skip
        style = "text-align: left; vertical-align: top"
        head = "".join(f'<th style="{style}">{cell}</th>' for cell in cells)
        body = "".join(
            "<tr>" + "".join(f'<td style="{style}">{html.escape(c)}</td>' for c in row) + "</tr>"
            for row in rows
        )
        table = f"<table><tr>{head}</tr>{body}</table>" if rows else "<p><b>Nothing found.</b></p>"
        texts = [*map(str, self.trials), *self.notes, *self.looked_at]
        rest = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
        return f"{table}<ul>{rest}</ul>"

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries and lists that JSON can hold (NaN becomes "nan")."""
        plain: dict[str, Any] = jsonable(
            {
                "findings": [finding.to_dict() for finding in self.findings],
                "notes": self.notes,
                "looked_at": self.looked_at,
                "layers": self.layers,
                "losses": self.losses,
                "trials": [{**asdict(t), "helped": t.helped} for t in self.trials],
            }
        )
        return plain

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON, also written to ``path`` where one is given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def plot(self) -> Any:
        """A figure: gradient and spread of each layer, and the loss over the training steps.
        Needs matplotlib (extra ``plots``)."""
        return plots.examination(self.layers, self.losses, ", ".join(self.kinds) or "nothing found")

"""Docstrings, as they are read in the source, made ready for Sphinx.

A derivation is laid out by hand: numbered steps with formulas under each other. It is shown as it
stands. In the other paragraphs ``*``, ``|`` and ``_`` are a formula's and no markup.
"""

import re
from typing import Any

SECTION = re.compile(r"(Args|Raises|Returns|Yields|Attributes|Example|Examples):$")
CODE = re.compile(r"(``.*?``)", re.S)
FORMULA = re.compile(r"\s{2,}|^\s|^\d+\. |[=^]")


def paragraphs(lines: list[str]) -> list[list[str]]:
    """The lines in groups, between empty ones."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]


def escaped(line: str) -> str:
    """A line in which nothing but double backquotes is markup."""
    parts = CODE.split(line)
    return "".join(
        part if part.startswith("``") else re.sub(r"([*|`\\]|_\b)", r"\\\1", part) for part in parts
    )


def is_laid_out(group: list[str]) -> bool:
    """Is the paragraph a formula, steps, or anything else that was put in place by hand?"""
    return (
        group[0][0] == " "
        or any(re.match(r"\d+\. |\s|- ", line) for line in group)
        or (any(re.search(r"\S\s{3,}\S", line) for line in group))
    )


def ready(lines: list[str]) -> list[str]:
    """The docstring ``lines``, as reStructuredText that napoleon goes on with."""
    out: list[str] = []
    in_section = False
    for group in paragraphs(lines):
        if SECTION.match(group[0]):
            in_section = True
        elif not group[0].startswith(" "):
            in_section = False
        if in_section:
            out += [escaped(line) for line in group]
        elif group[0].lstrip().startswith(">>>"):
            out += group
        elif is_laid_out(group):
            out += [".. code-block:: none", "", *("   " + line for line in group)]
        else:
            out += [escaped(line) for line in group]
        out.append("")
    return out


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Called by autodoc for each docstring, before napoleon.

    That of a module is for who reads the file; the page in ``api`` has a sentence of its own.
    """
    lines[:] = [] if what == "module" else ready(lines)
    if what in {"attribute", "data"}:
        lines.insert(0, "")  # or napoleon takes what stands before a colon for a type


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", process, priority=100)

"""The pages of the documentation as the tests of this folder see them.

A test that takes ``page`` runs once for every page; ``pages`` gives them by name
("derivations/batchnorm").
"""

import contextlib
import doctest
import io
import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S
)


@dataclass
class Block:
    """A fenced block: what stands after its opening fence, its text, and where the text starts."""

    info: list[str]
    text: str
    line: int  # of the first line of the text, counted from 1

    @property
    def is_python(self) -> bool:
        return self.info[:1] == ["python"]

    @property
    def runs(self) -> bool:
        """Python is run, unless its fence says ```python no-run (what needs a GPU, say)."""
        return self.is_python and "no-run" not in self.info


class Page:
    """A Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(DOCS).with_suffix("").as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                match["info"].split(),
                textwrap.dedent(match["body"]),
                self.text.count("\n", 0, match.start("body")) + 1,
            )
            for match in FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The text without fenced blocks, as one line."""
        return " ".join(FENCE.sub(" ", self.text).split())

    def says(self, sentence: str) -> bool:
        """Whether the prose holds ``sentence``, wherever its lines are broken."""
        return " ".join(sentence.split()) in self.prose

    @cached_property
    def names(self) -> dict[str, Any]:
        """The names that the page's blocks leave behind: they share one namespace."""
        names: dict[str, Any] = {"__name__": self.name}
        for block in self.blocks:
            if block.runs:
                run(block, names, str(self.path))
        return names


def run(block: Block, names: dict[str, Any], file: str) -> None:
    """Run a block of Python. One that shows a prompt (``>>>``) is compared with its output."""
    if not re.search(r"^>>> ", block.text, re.M):
        source = "\n" * (block.line - 1) + block.text  # so that a traceback has the page's lines
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, file, "exec"), names)
        return
    example = doctest.DocTestParser().get_doctest(block.text, names, "block", file, block.line - 1)
    example.globs = names  # the parser made a copy, and the next block needs what this one defines
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(example, out=report.append, clear_globs=False)
    if report:
        raise AssertionError("".join(report))


PAGES = [Page(path) for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """The pages, by their names."""
    return {page.name: page for page in PAGES}

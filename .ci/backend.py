"""The build backend: setuptools', with what setup.cfg cannot say.

A wheel holds the pages of ``docs`` too, for ``minigrad.docs``. A source distribution holds the
whole repository, so that ``make test`` works in it.
"""

from pathlib import Path

from setuptools.build_meta import *  # noqa: F403  (the hooks, which pip looks for here)
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parents[1]
# What is no Python package, and so is not found by setuptools. LICENSE, README.md, setup.cfg and
# pyproject.toml are.
BESIDE_THE_PACKAGE = (
    ".ci", ".gitignore", "CHANGELOG.md", "Makefile", "README.zh-CN.md", "docs", "examples", "tests",
)  # fmt: skip
MADE = ("__pycache__", "_build", ".ipynb_checkpoints")


def pages():
    """The pages, from the top of the repository."""
    found = (path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md")))
    return [page for page in found if not page.parts[1].startswith("_")]


def beside_the_package():
    """The files of the repository that the package is not made of, from its top."""
    for name in BESIDE_THE_PACKAGE:
        top = ROOT / name
        for path in sorted(top.rglob("*") if top.is_dir() else [top]):
            if path.is_file() and not set(path.parts) & set(MADE):
                yield str(path.relative_to(ROOT))


class BuildWithPages(build_py):
    """Copies the pages into what is built. An editable package finds them where they are."""

    def run(self):
        """Build."""
        super().run()
        if not self.editable_mode:
            for page, copy in zip(pages(), self.copies(), strict=True):
                Path(copy).parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(page), copy)

    def copies(self):
        """Where the pages go."""
        target = Path(self.build_lib) / "minigrad" / "docs" / "pages"
        return [str(target / page.relative_to("docs")) for page in pages()]

    def get_outputs(self, include_bytecode=True):
        """All that is built."""
        pages_too = [] if self.editable_mode else self.copies()
        return super().get_outputs(include_bytecode) + pages_too

    def get_source_files(self):
        """What a source distribution holds."""
        return super().get_source_files() + list(beside_the_package())

"""What setup.cfg cannot say: a wheel holds the pages of ``docs`` too, for ``minigrad.docs``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def pages():
    """The pages, from the top of the repository."""
    found = (path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md")))
    return [page for page in found if not page.parts[1].startswith("_")]


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
        """All that it is built from: a source distribution holds the pages too."""
        return super().get_source_files() + [str(page) for page in pages()]


setup(cmdclass={"build_py": BuildWithPages})

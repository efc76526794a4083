"""Figures of the lessons, drawn by the code that stands on the page.

A lesson ends its figure with ``figure.savefig("07-name.png")`` and shows the file of that name in
``images/lessons``, which is in the repository for those who read on a code host. The site does not
trust that copy: it runs the page, and shows what was drawn now. A page that fails, fails the build.
"""

import doctest
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

DOCS = Path(__file__).parents[1]
DRAWN = DOCS / "_build" / "figures"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
SAVES = re.compile(r"savefig\(\"([\w.-]+)\"")


def program(text: str) -> str:
    """The code of a page as one program; of a block with prompts, what is typed."""
    parts = []
    for block in BLOCK.findall(text):
        if re.search(r"^>>> ", block, re.M):
            parts += [example.source for example in doctest.DocTestParser().get_examples(block)]
        else:
            parts.append(block)
    return "\n".join(parts)


def draw(page: Path) -> str:
    """Run a page where its figures are to lie; what went wrong, or nothing."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(DOCS.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program(page.read_text(encoding="utf-8"))],
        cwd=DRAWN, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return f"{page.name}: {done.stderr}" if done.returncode else ""


def draw_all(app: Any) -> None:
    """Draw the figures of all lessons. The Chinese lessons have the same code, and so the same."""
    if app.tags.has("zh"):
        return
    DRAWN.mkdir(parents=True, exist_ok=True)
    pages = sorted((DOCS / "lessons").glob("*.md"))
    pages = [page for page in pages if SAVES.search(page.read_text(encoding="utf-8"))]
    with ThreadPoolExecutor(2) as pool:
        faults = [fault for fault in pool.map(draw, pages) if fault]
    if faults:
        raise ExtensionError("figures could not be drawn\n" + "\n".join(faults))


class UseDrawn(SphinxTransform):
    """Show the figure that was drawn, in place of the copy in the repository."""

    default_priority = 400

    def apply(self, **options: Any) -> None:
        """Called by Sphinx, once for each page."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        for image in self.document.findall(nodes.image):
            drawn = DRAWN / Path(image["uri"]).name
            if "images/lessons/" in image["uri"] and drawn.is_file():
                image["uri"] = Path(os.path.relpath(drawn, here)).as_posix()


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", draw_all)
    app.add_transform(UseDrawn)

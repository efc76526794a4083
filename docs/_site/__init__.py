"""What the site does beyond Sphinx: one small file for each thing.

- ``links``: a link to another language or to a file of the source leads to a page of the site
- ``languages``: the switch between a page and its twin
- ``chinese``: the search finds Chinese words
- ``figures``: the figures of the lessons are drawn by the code on the page
- ``mathml``: formulas become MathML, which a browser draws by itself
- ``docstrings``: derivations in docstrings keep their lines
"""

from typing import Any

from . import chinese, docstrings, figures, languages, links, mathml


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    for part in (links, languages, chinese, figures, mathml, docstrings):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

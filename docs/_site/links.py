"""Links between the languages and to the source.

On a code host a page links to a file by its place: ``../minigrad/core/graph.py``, or from a Chinese
page ``../architecture.md``. Sphinx knows neither, and would offer the file for download. Here the
first leads to a page with the file's text, and the second to the page of the other language.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
ANCHOR = re.compile(r'<a id="([^"]+)">')
LINK = re.compile(r"\]\(([^)#\s]+)")


def linked_files() -> dict[str, Path]:
    """The files outside the documentation that some page links to, by their place in the clone."""
    found = {}
    for page in DOCS.rglob("*.md"):
        if "_build" in page.parts:
            continue
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            if path.is_file() and path.is_relative_to(ROOT) and is_source(path):
                found[path.relative_to(ROOT).as_posix()] = path
    return found


def is_source(path: Path) -> bool:
    """Is it shown as a page of source text? A picture is not, nor a page of the documentation."""
    if path.is_relative_to(DOCS):
        return path.suffix == ".json"
    return path.suffix not in {".png", ".svg"}


def address(path: Path) -> str:
    """Where in the site the file ``path`` is, from the site's top."""
    if path.suffix in {".md", ".rst"} and path.is_relative_to(DOCS):
        return path.relative_to(DOCS).with_suffix(".html").as_posix()
    return f"source/{path.relative_to(ROOT).as_posix()}.html"


class LinkFiles(SphinxTransform):
    """Each "download" of a file is made a link to the file's page, and so is each link to a page
    that is in the tree of the other language."""

    default_priority = 400

    def apply(self, **options: Any) -> None:
        """Called by Sphinx, once for each page."""
        here = Path(self.env.doc2path(self.env.docname))
        found = [
            (link, here.parent / link["reftarget"])
            for link in self.document.findall(addnodes.download_reference)
        ]
        found += [
            (link, Path(self.env.srcdir, f"{link['reftarget']}.md"))
            for link in self.document.findall(addnodes.pending_xref)
            if link.get("refdomain") == "doc" and link["reftarget"] not in self.env.found_docs
        ]
        for link, path in found:
            top = Path(address(here)).parent
            uri = os.path.relpath(address(path.resolve()), top).replace(os.sep, "/")
            if link.get("reftargetid"):
                uri += f"#{link['reftargetid']}"
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))


class KnowAnchors(SphinxTransform):
    """An anchor that a page writes as HTML, ``<a id="bn-3">``, can be linked to like a heading."""

    default_priority = 400

    def apply(self, **options: Any) -> None:
        """Called by Sphinx, once for each page."""
        for raw in self.document.findall(nodes.raw):
            for name in ANCHOR.findall(raw.astext()):
                self.document.myst_slugs[name] = (raw.line, name, "")


def source_pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each linked file. The English site has them, and the Chinese one links there."""
    if app.tags.has("zh"):
        return
    formatter = HtmlFormatter(cssclass="highlight", wrapcode=True)
    for name, path in linked_files().items():
        try:
            lexer = get_lexer_for_filename(name)
        except ClassNotFound:
            lexer = TextLexer()
        text = highlight(path.read_text(encoding="utf-8"), lexer, formatter)
        body = f"<section><h1>{name}</h1>{text}</section>"
        yield f"source/{name}", {"title": name, "body": body, "parents": []}, "page.html"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_transform(LinkFiles)
    app.add_transform(KnowAnchors)
    app.connect("html-collect-pages", source_pages)

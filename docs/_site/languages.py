"""The switch between the languages: to the page's twin, or where there is none, to the start."""

import os
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]


def add_switch(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    """Give the templates ``twin``: the address of this page in the other language."""
    chinese = app.tags.has("zh")
    here, there = ("zh/", "") if chinese else ("", "zh/")
    pages = [DOCS / f"{there}{pagename}{suffix}" for suffix in (".md", ".rst")]
    exists = pagename == "search" or any(page.is_file() for page in pages)
    twin = f"{there}{pagename if exists else 'index'}.html"
    context["twin"] = Path(os.path.relpath(twin, Path(here + pagename).parent)).as_posix()
    context["is_chinese"] = chinese
    context["english_top"] = Path(os.path.relpath(".", Path(here + pagename).parent)).as_posix()


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", add_switch)

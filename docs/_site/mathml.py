"""Formulas as MathML: a browser draws it by itself, so nothing has to be loaded or run for it.

To draw it well the browser needs a font for mathematics, and many systems have none. STIX Two Math
(SIL Open Font License) comes with the package ziamath, and the site serves it.

latex2mathml leaves a command that it does not know in the output as it is. Here that is a warning,
and so an error of the build.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

MISSING = {r"\arg": r"\operatorname{arg}"}  # commands of LaTeX that the library lacks

# The name of a function keeps a thin space from its argument, but not from an index or a power.
NAME = re.compile(
    r"(<m(?:sub|sup|subsup|under|over|underover|frac)>)?"
    r"(<mi>(?:log|ln|exp|tanh|sin|cos|det|max|min)</mi>)(?=<m(?:i|n|sub|sup|frac|over)>)"
)

logger = logging.getLogger(__name__)


def mathml(node: Any, display: str) -> str:
    """The formula of ``node``; ``display`` is "inline" or "block"."""
    latex = node.astext()
    for command, known in MISSING.items():
        latex = re.sub(re.escape(command) + r"(?![A-Za-z])", lambda _, text=known: text, latex)
    try:
        text = convert(latex, display=display)
    except Exception as error:  # the library has no class of errors of its own
        text, fault = "", f"{type(error).__name__}: {error}"
    else:
        unknown = re.search(r"\\[A-Za-z]+", text)
        fault = f"{unknown[0]} is not known" if unknown else ""
    if fault:
        logger.warning("formula %r: %s", latex, fault, location=node, type="mathml")
    return NAME.sub(
        lambda found: found[0] if found[1] else f'{found[2]}<mspace width="0.17em" />', text
    )


def visit_math(self: Any, node: Any) -> None:
    """Write a formula in a line of text."""
    self.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: Any) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math-block">{mathml(node, "block")}</div>\n')
    raise nodes.SkipNode


def serve_font(app: Any, config: Any) -> None:
    """Let the site serve the font."""
    package = find_spec("ziamath")
    assert package is not None, "the extra `docs` brings ziamath"
    assert package.origin is not None
    config.html_static_path.append(str(Path(package.origin).parent / "fonts"))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("config-inited", serve_font)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))

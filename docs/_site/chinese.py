"""Chinese text: a search that finds words, and lines that join without a gap.

A line of the source that ends between two Chinese characters would show a space there.

Chinese has no spaces between words, and a dictionary cuts 批归一化 now here and now there. So text
and question are both cut into pairs of characters that overlap: 批归, 归一, 一化. Whatever a reader
types is then found wherever it stands. Latin words stay whole, in small letters.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.search import SearchLanguage
from sphinx.transforms import SphinxTransform

RUN = re.compile(r"[a-z0-9_]+|[\u3400-\u9fff]+", re.I)


WIDE = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")  # Chinese characters and punctuation


class JoinLines(SphinxTransform):
    """Take away the line breaks between two Chinese characters."""

    default_priority = 500

    def apply(self, **options: Any) -> None:
        """Called by Sphinx, once for each page."""
        for text in list(self.document.findall(nodes.Text)):
            if "\n" in text and not isinstance(text.parent, nodes.FixedTextElement):
                joined = join(text, before(text), after(text))
                if joined != text:
                    text.parent.replace(text, nodes.Text(joined))


def join(text: str, before: str, after: str) -> str:
    """``text`` without the line breaks between two Chinese characters; the letters before it and
    after it count too."""
    lines = text.split("\n")
    out = lines[0]
    for number, line in enumerate(lines[1:], 2):
        left = out[-1:] or before
        right = line[:1] or (after if number == len(lines) else "")
        gap = "" if WIDE.match(left) and WIDE.match(right) else "\n"
        out += gap + line
    return out


def before(text: nodes.Text) -> str:
    """The letter before a text, if it stands in the same paragraph."""
    place = text.parent.index(text)
    return text.parent[place - 1].astext()[-1:] if place else ""


def after(text: nodes.Text) -> str:
    """The letter after a text, likewise."""
    place = text.parent.index(text) + 1
    return text.parent[place].astext()[:1] if place < len(text.parent) else ""


def pairs(text: str) -> list[str]:
    """The words of ``text``: Latin words, and each two Chinese characters that are neighbours."""
    words = []
    for run in RUN.findall(text):
        if run.isascii() or len(run) == 1:
            words.append(run.lower())
        else:
            words += [run[i : i + 2] for i in range(len(run) - 1)]
    return words


class SearchChinese(SearchLanguage):
    """What Sphinx asks for a language: how it is cut, here and in the browser."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = """
function splitQuery(query) {
  const words = [];
  for (const run of query.match(/[a-z0-9_]+|[\\u3400-\\u9fff]+/gi) || []) {
    if (/^[a-z0-9_]+$/i.test(run) || run.length === 1) words.push(run.toLowerCase());
    else for (let i = 0; i + 1 < run.length; i++) words.push(run.slice(i, i + 2));
  }
  return words;
}
"""

    def split(self, text: str) -> list[str]:
        """Cut a text into what is looked up."""
        return pairs(text)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_search_language(SearchChinese)
    app.add_transform(JoinLines)

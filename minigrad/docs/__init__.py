"""The documentation, wherever minigrad runs: ``python -m minigrad.docs batchnorm``.

The pages are those of the folder ``docs`` of the repository. A wheel has a copy of them in
``minigrad/docs/pages``, which ``.ci/backend.py`` puts there.
"""

import difflib
import re
from pathlib import Path

__all__ = [
    "folder",
    "names",
    "find",
    "section",
    "title",
]


def folder() -> Path:
    """Where the pages are.

    Raises:
        FileNotFoundError: they are neither beside the package, as in a clone, nor in it.
    """
    here = Path(__file__).parent
    for place in (here / "pages", here.parents[1] / "docs"):
        if (place / "README.md").is_file():
            return place
    raise FileNotFoundError(
        f"the pages are neither in {here / 'pages'} nor in a folder docs beside the package: "
        "install minigrad-batchnorm from a clone or from a wheel"
    )


def names() -> list[str]:
    """The pages, as they are asked for: "derivations/batchnorm"; Chinese ones begin with "zh/"."""
    root = folder()
    pages = (path.relative_to(root).with_suffix("") for path in root.rglob("*.md"))
    return sorted(page.as_posix() for page in pages if not page.parts[0].startswith("_"))


def find(name: str, chinese: bool = False) -> Path:
    """The file of a page. ``name`` is as messages write it ("docs/gpu.md"), or any part of it
    that fits one page alone ("batchnorm").

    Raises:
        ValueError: no page fits, or several do.
    """
    wanted = name.removeprefix("docs/").removesuffix(".md")
    pages = [page for page in names() if page.startswith("zh/") == chinese]
    if chinese:
        wanted = "zh/" + wanted.removeprefix("zh/")
    stem = wanted.removeprefix("zh/")
    fits = (
        [page for page in pages if page == wanted]
        or [page for page in pages if page.endswith(f"/{stem}")]
        or [page for page in pages if stem and stem.lower() in page.lower()]
    )
    if len(fits) == 1:
        return folder() / f"{fits[0]}.md"
    if fits:
        raise ValueError(f"several pages fit {name!r}: {', '.join(fits)}")
    close = difflib.get_close_matches(wanted, pages, n=3, cutoff=0.4)
    hint = f"; the closest are {', '.join(close)}" if close else ""
    language = "Chinese page" if chinese else "page"
    raise ValueError(f"there is no {language} {name!r}{hint}. Without a name, all are listed")


def title(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1] if found else ""


def slug(heading: str) -> str:
    """The anchor that a code host gives to a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def section(text: str, anchor: str) -> str:
    """The part of a page that ``#anchor`` leads to: to the next heading of the same rank, or from
    a named step (``<a id="bn-3">``) to the next one.

    Raises:
        ValueError: the page has no such anchor.
    """
    lines = text.splitlines()
    ranks = heading_ranks(lines)
    for start, line in enumerate(lines):
        named = f'<a id="{anchor}">' in line
        if named or (ranks[start] and slug(line.lstrip("# ")) == anchor):
            break
    else:
        raise ValueError(f"the page has no part #{anchor}")
    own = ranks[start] or 6
    end = start + 1
    while end < len(lines) and not (0 < ranks[end] <= own):
        if not ranks[start] and lines[end].startswith("<a id="):
            break
        end += 1
    return "\n".join(lines[start:end]).rstrip()


def heading_ranks(lines: list[str]) -> list[int]:
    """For each line 1 to 6 if it is a heading of this rank, else 0; in code nothing is one."""
    ranks, in_code = [], False
    for line in lines:
        in_code ^= line.lstrip().startswith("```")
        found = None if in_code else re.match(r"(#{1,6}) ", line)
        ranks.append(len(found[1]) if found else 0)
    return ranks

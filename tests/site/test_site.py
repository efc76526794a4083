"""The site that ``make docs`` makes: its links, and what a reader sees in a real browser.

The tests look at the site that is there, and are skipped where none was made.
"""

import functools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from tests.browser import page, served

__all__ = ["page"]

DOCS = Path(__file__).parents[2] / "docs"
SITE = DOCS / "_build" / "html"
NARROW = 360  # pixels, the width of a small telephone


def is_there() -> bool:
    """Was a site made, and of the pages as they are now?"""
    last = SITE / "zh" / "searchindex.js"
    pages = [p for p in DOCS.rglob("*.md") if not {"_build", "_site"} & set(p.parts)]
    return last.is_file() and all(p.stat().st_mtime < last.stat().st_mtime for p in pages)


pytestmark = pytest.mark.skipif(not is_there(), reason="there is no site of these pages: make docs")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site, served on this machine."""
    with served(SITE) as address:
        yield address


def html_pages() -> list[str]:
    """The pages that somebody wrote, and those of the reference; not the listings of source."""
    names = [path.relative_to(SITE).as_posix() for path in sorted(SITE.rglob("*.html"))]
    return [name for name in names if not name.startswith(("_modules/", "source/"))]


class Links(HTMLParser):
    """What a page loads, what it links to, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(values["id"] or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        elif tag == "link" and values.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loads.append(values["href"] or "")
        elif tag in {"script", "img", "iframe"} and values.get("src"):
            self.loads.append(values["src"] or "")


@functools.cache
def read(path: Path) -> Links:
    return Links(path.read_text(encoding="utf-8"))


def test_every_link_leads_to_a_file_and_an_anchor_that_are_there() -> None:
    wrong = []
    for name in html_pages():
        here = SITE / name
        for link in read(here).links:
            if re.match(r"[a-z]+:", link):
                continue
            target, anchor = urldefrag(link)
            there = (here.parent / unquote(target.partition("?")[0])).resolve() if target else here
            to_part = bool(anchor) and there.suffix == ".html"
            if not there.is_file() or (to_part and unquote(anchor) not in read(there).ids):
                wrong.append(f"{name}: {link}")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in SITE.rglob("*.html"):
        for source in read(path).loads:
            there = path.parent / unquote(source.partition("?")[0])
            assert there.is_file(), f"{path.name} loads {source}"
    for path in SITE.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_page_of_the_folder_is_a_page_of_the_site() -> None:
    written = [p for p in DOCS.rglob("*.md") if not {"_build", "_site"} & set(p.parts)]
    assert written
    for path in written:
        assert (SITE / path.relative_to(DOCS)).with_suffix(".html").is_file(), path


def test_the_switch_leads_to_the_twin_where_there_is_one() -> None:
    for name in html_pages():
        text = (SITE / name).read_text(encoding="utf-8")
        found = re.search(r'class="language-switch".*?href="([^"]+)"', text, re.S)
        assert found, name
        there = (SITE / name).parent.joinpath(found[1]).resolve().relative_to(SITE).as_posix()
        twin = name.removeprefix("zh/") if name.startswith("zh/") else f"zh/{name}"
        start = "index.html" if name.startswith("zh/") else "zh/index.html"
        assert there == (twin if (SITE / twin).is_file() else start), name


@pytest.mark.browser
def test_every_page_loads_and_fits_a_small_screen(page: Any, address: str) -> None:
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.on("response", lambda r: faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.set_viewport_size({"width": NARROW, "height": 800})
    wrong = []
    for name in html_pages():
        page.goto(f"{address}/{name}", wait_until="load")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > NARROW:
            wrong.append(f"{name} is {wide} pixels wide")
        wrong += [f"{name}: {fault}" for fault in faults]
        faults.clear()
    assert not wrong, "\n".join(wrong)
    assert page.outside == []


@pytest.mark.browser
def test_formulas_are_drawn_with_a_font_for_mathematics(page: Any, address: str) -> None:
    page.goto(f"{address}/derivations/convolution.html")
    loaded = "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family).join()"
    page.wait_for_function(f"({loaded}).includes('STIX Two Math')")
    source = (DOCS / "derivations" / "convolution.md").read_text(encoding="utf-8")
    formulas = page.locator(".math-block math")
    assert formulas.count() == source.count("```math\n") > 0
    for box in (formulas.nth(i).bounding_box() for i in range(formulas.count())):
        assert box["height"] > 15
        assert box["width"] > 15
    assert "\\sum" not in page.locator("article").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize(("folder", "words"), [("", "BatchNorm"), ("zh/", "批归一化")])
def test_the_search_finds(page: Any, address: str, folder: str, words: str) -> None:
    page.goto(f"{address}/{folder}index.html")
    field = page.locator(".sidebar-search")
    field.fill(words)
    field.press("Enter")
    page.wait_for_selector("#search-results ul.search li a")
    hits = page.locator("#search-results ul.search li")
    assert hits.count() >= 1
    hits.first.locator("a").first.click()
    page.wait_for_load_state()
    assert words.lower() in page.locator("article").inner_text().lower()


@pytest.mark.browser
def test_a_search_for_what_is_not_there_finds_nothing(page: Any, address: str) -> None:
    page.goto(f"{address}/zh/search.html?q=红烧牛肉面")
    page.wait_for_selector("#search-results p.search-summary")
    page.wait_for_timeout(500)
    assert page.locator("#search-results ul.search li").count() == 0


@pytest.mark.browser
def test_the_switch_is_a_click(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    page.locator(".language-switch a").click()
    page.wait_for_url("**/zh/index.html")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.locator(".language-switch a").click()
    page.wait_for_url(f"{address}/index.html")


@pytest.mark.browser
def test_the_dark_theme_is_dark(page: Any, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/index.html")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    text = page.evaluate("getComputedStyle(document.querySelector('article p')).color")
    assert max(map(int, re.findall(r"\d+", colour)[:3])) < 60
    assert min(map(int, re.findall(r"\d+", text)[:3])) > 150

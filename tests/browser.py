"""A page in a real browser: Debian's Chromium, moved by Playwright.

A test module imports the fixture and marks its tests with ``browser``:

    from tests.browser import page
    __all__ = ["page"]
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

# A sandbox needs rights that a container does not give; the rest keeps it off the network.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """The path of the browser: CHROMIUM in the environment, or what is installed under its names.
    Without one, the test is skipped."""
    named = os.environ.get("CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium: install it, or name one in CHROMIUM")
    return found


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of its own. What the page tries to load from elsewhere is an error of the test."""
    reason = "Playwright is not installed (pip install playwright)"
    api = pytest.importorskip("playwright.sync_api", reason=reason)
    path = chromium()
    outside: list[str] = []

    def allow_local(route: Any) -> None:
        if "//127.0.0.1" in route.request.url or route.request.url.startswith(("data:", "file:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1100, "height": 1000})
        page.outside = outside
        page.route("**/*", allow_local)
        yield page
        browser.close()

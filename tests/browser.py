"""A page in a real browser: Debian's Chromium, moved by Playwright.

A test module imports the fixture and marks its tests with ``browser``:

    from tests.browser import page
    __all__ = ["page"]
"""

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Without a line in the terminal for each file."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A browser that closes in the middle of a file is no error."""

    def handle_error(self, request: Any, address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder, served on this machine; its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()

"""The benches for a browser: what the export holds, and what a browser has to have for it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import minigrad.lab.__main__ as command
from minigrad.lab import static, words
from tests.browser import page, served
from tests.built import answers, build

__all__ = ["page"]

ROOT = Path(__file__).parents[2]
WHEEL = "minigrad_batchnorm-0.1.0-py3-none-any.whl"


def requirements(text: str) -> list[str]:
    """What the head of a script asks for (PEP 723)."""
    lines = re.match(r"# /// script\n((?:#.*\n)+?)# ///\n", text)
    assert lines
    return tomllib.loads(re.sub(r"^# ?", "", lines[1], flags=re.M))["dependencies"]


def test_every_bench_is_exported() -> None:
    assert set(static.PAGES) == {path.stem for path in command.BENCHES.glob("*.py")}


@pytest.mark.parametrize("stem", static.PAGES)
def test_a_bench_asks_for_numpy_and_the_wheel_beside_it(stem: str) -> None:
    bench = (command.BENCHES / f"{stem}.py").read_text(encoding="utf-8")
    text = static.for_a_browser(bench, WHEEL)
    assert requirements(text) == ["numpy", f"minigrad-batchnorm @ ../public/wheels/{WHEEL}"]
    cells = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert len(cells) == bench.count("@app.cell") + 1
    assert {argument.arg for argument in cells[-1].args.args} == {"language", "mo", "words"}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.loaded: list[str] = []
        self.text = ""
        self.language = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.language = given.get("lang") or self.language
        if tag == "a":
            self.links.append((self.language, str(given["href"])))
        elif given.get("src") or tag == "link":
            self.loaded.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_index_leads_to_every_bench_in_both_languages_and_says_what_is_fetched() -> None:
    index = Page(static.index())
    for language in ("en", "zh"):
        assert [to for of, to in index.links if of == language] == [
            f"{stem}.html" for stem in static.PAGES
        ]
    for number, language in enumerate(words.LANGUAGES):
        say = words.speaker(words.STATIC, language)
        assert say("servers") in index.text
        assert "Pyodide" in say("servers")
        assert "NumPy" in say("servers")
        for texts in static.PAGES.values():
            assert texts["title"][number] in index.text
    assert not index.loaded


def test_a_wheel_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: object())
    assert static.main([str(tmp_path / "site"), str(tmp_path / "none.whl")]) == 2
    assert "none.whl" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout; built elsewhere, as a build leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("minigrad", "docs", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_build"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return build("build_wheel", folder, folder)


# What Pyodide leaves out of the standard library (pyodide.org, "Pyodide Python compatibility"; what
# Python's own documentation marks "not Emscripten"). Everything else that is refused is another
# project's: NumPy and minigrad are all that a bench has there, with marimo.
IN_A_BROWSER = """
import sys

GONE = "curses dbm ensurepip fcntl grp idlelib lib2to3 multiprocessing pwd resource socket ssl "
GONE += "subprocess syslog termios tkinter turtle venv winreg"
HERE = (set(sys.stdlib_module_names) | {"numpy", "minigrad"}) - set(GONE.split())

class OnlyWhatIsThere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in HERE:
            raise ImportError(f"{name} is not in a browser")

for name in GONE.split():
    sys.modules.pop(name, None)
sys.meta_path.insert(0, OnlyWhatIsThere())
sys.platform = "emscripten"
"""
BENCHES_AT_WORK = """
from minigrad.lab import draggable, one_batchnorm, step_by_step, train_eval, twenty_layers
print(draggable.points([1.0], 0.0, 2.0, 0.5))
print(one_batchnorm.channel([1.0, 2.0, 6.0], [0.0, 0.0, 3.0], 1.0, 0.0).mu)
print(step_by_step.Walk("x * x", {"x": 3.0}).gradients["x"])
print(train_eval.share_left(0.5, 3), len(train_eval.chase(0.5, 4, 3).batch_mean))
bench = twenty_layers.Bench(twenty_layers.Settings(depth=10))
bench.go_to(2)
print(len(bench.measure()[0]), bench.verdict().kinds)
"""


def test_the_wheel_works_with_what_a_browser_has(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    # NumPy first: here it looks for the system's parts that Pyodide's build of it does without.
    given = answers(BENCHES_AT_WORK, tmp_path, start=f"import numpy\n{IN_A_BROWSER}")
    assert given == ["None", "3.0", "6.0", "0.125 3", "10 ['vanishing']"]


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export."""
    pytest.importorskip("marimo", reason="marimo is not installed (pip install marimo)")
    folder = tmp_path_factory.mktemp("lab") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "minigrad.lab.static", folder, wheel],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.browser
def test_the_export_holds_the_benches_and_the_wheel(site: Path, wheel: Path) -> None:
    assert {path.stem for path in site.glob("*.html")} == {*static.PAGES, "index"}
    worker = next((site / "assets").glob("worker-*.js"))
    for stem in static.PAGES:
        html = (site / f"{stem}.html").read_text(encoding="utf-8")
        code = re.search(r"<marimo-code[^>]*>(.*?)</marimo-code>", html, re.S)
        assert code
        needs = requirements(unquote(code[1]).lstrip())
        place = needs[1].partition("@ ")[2]
        assert (worker.parent / place).read_bytes() == wheel.read_bytes()
        assert "words.STATIC" in unquote(code[1])


@pytest.mark.browser
def test_the_pages_fetch_what_the_index_names_and_nothing_else(page: Any, site: Path) -> None:
    """As far as it goes without Pyodide, which comes from elsewhere and is refused here."""
    with served(site) as address:
        page.goto(f"{address}/index.html")
        page.get_by_role("link", name="One BatchNorm").click()
        page.get_by_text("pyodide.asm.mjs").first.wait_for(timeout=60_000)
    hosts = {urlsplit(url).hostname for url in page.outside}
    named = words.speaker(words.STATIC, "English")("servers")
    assert "cdn.jsdelivr.net" in hosts
    assert {host for host in hosts if host not in named} == set()

"""The benches as pages that run in the reader's browser: ``make lab-static``.

    python -m minigrad.lab.static FOLDER WHEEL

FOLDER becomes a site that any web server can serve, a code host's pages too. In it are the benches,
an index, and WHEEL, a wheel of minigrad. Python itself (Pyodide), NumPy and marimo's Python part
are not: the reader's browser fetches them from their own servers, which the pages say.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from . import words
from .__main__ import BENCHES, complain_without_marimo

PAGES: dict[str, words.Words] = {
    "twenty_layers": words.TWENTY_LAYERS,
    "one_batchnorm": words.ONE_BATCHNORM,
    "train_eval": words.TRAIN_EVAL,
    "step_by_step": words.STEP_BY_STEP,
}
"""In the order of the lessons."""

# What is added to a bench. The browser reads the first part (PEP 723) before it runs a cell, and
# installs what it names; the wheel's place is as seen from marimo's scripts, in FOLDER/assets.
REQUIREMENTS = """\
# /// script
# dependencies = ["numpy", "minigrad-batchnorm @ ../public/wheels/{wheel}"]
# ///
"""
NOTE = """\
@app.cell
def _(language, mo, words):
    note = words.speaker(words.STATIC, language.value)
    mo.md(f"---\\n\\n{note('servers')} [{note('all')}](index.html)")
    return


"""
MAIN = 'if __name__ == "__main__":'


def for_a_browser(bench: str, wheel: str) -> str:
    """The text of a bench, with what it needs in a browser."""
    return REQUIREMENTS.format(wheel=wheel) + bench.replace(MAIN, NOTE + MAIN)


def index() -> str:
    """The page that leads to the benches, in both languages."""
    parts = []
    for language, code in zip(words.LANGUAGES, ("en", "zh"), strict=True):
        note = words.speaker(words.STATIC, language)
        items = []
        for stem, texts in PAGES.items():
            say = words.speaker(texts, language)
            link = f'<a href="{stem}.html">{escape(say("title"))}</a>'
            items.append(f"<li>{link}<br>{escape(say('intro'))}</li>")
        parts.append(
            f'<section lang="{code}"><h1>{escape(note("title"))}</h1><ul>{"".join(items)}</ul>'
            f"<p>{escape(note('servers'))}</p></section>"
        )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>minigrad</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        ":root { color-scheme: light dark } body { max-width: 42rem; margin: 2rem auto; "
        "padding: 0 1rem; font-family: sans-serif; line-height: 1.5 } li { margin: 0 0 1rem }"
        f"</style></head><body>{'<hr>'.join(parts)}</body></html>\n"
    )


def export(folder: Path, wheel: Path) -> None:
    """Make the site.

    Raises:
        subprocess.CalledProcessError: marimo could not export a bench; it has said why.
    """
    marimo = [sys.executable, "-m", "marimo", "export"]
    with tempfile.TemporaryDirectory() as made:
        for stem in PAGES:
            bench, page = Path(made, f"{stem}.py"), Path(made, f"{stem}.md")
            text = (BENCHES / bench.name).read_text(encoding="utf-8")
            bench.write_text(for_a_browser(text, wheel.name), encoding="utf-8")
            # By way of Markdown: of a Python file the export looks for modules beside it, for
            # which it downloads two programs. There are none.
            for kind, source, target in (
                ("md", bench, page),
                ("html-wasm", page, folder / f"{stem}.html"),
            ):
                command = [*marimo, kind, str(source), "-o", str(target), "--no-sandbox", "--force"]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (folder / "CLAUDE.md").unlink(missing_ok=True)  # for those who write notebooks
    (folder / "index.html").write_text(index(), encoding="utf-8")
    place = folder / "public" / "wheels"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(wheel, place)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns the exit status: 2 without marimo or without the wheel."""
    parser = argparse.ArgumentParser(prog="python -m minigrad.lab.static", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the site goes")
    parser.add_argument("wheel", type=Path, help="a wheel of minigrad: pip wheel --no-deps .")
    options = parser.parse_args(arguments)
    if complain_without_marimo():
        return 2
    if not options.wheel.is_file():
        print(f"minigrad.lab.static: there is no wheel {options.wheel}", file=sys.stderr)
        return 2
    export(options.folder, options.wheel)
    print(f"Serve it over HTTP: python -m http.server --directory {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

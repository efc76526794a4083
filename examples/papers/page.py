"""The tables of `docs/papers.md`, made from the numbers of a run.

    python examples/papers/page.py out/papers out/cures   # takes runs into the documentation
    python examples/papers/page.py                        # writes the tables anew

The numbers of a run are stored in `docs/papers/`, its figures in `docs/images/papers/`. In the page
each study has a place between two marks, which is filled from them; the prose around it is
written by hand.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PAGE, NUMBERS, IMAGES = DOCS / "papers.md", DOCS / "papers", DOCS / "images" / "papers"
MARK, END = "<!-- {}: written by a script -->", "<!-- {}: end -->"


def section(stored: dict[str, Any]) -> str:
    """The figure and the table of one study, as Markdown."""
    key, title = stored["paper"]["key"], stored["paper"]["title"]
    size = "a quick run" if stored["settings"]["quick"] else "a full run"
    lines = [f"![{title}](images/papers/{key}.png)", "", *_table(*_claims(stored))]
    if "table" in stored:  # examples/cures.py measures no paper
        lines = [*lines[:2], *_table(stored["table"]["columns"], stored["table"]["rows"])]
        lines += ["", *(f"- {text}" for text in stored["sentences"])]
    data = stored["results"].get("data")
    on = f" on {data}" if data else ""
    lines += ["", f"Numbers of {size}{on}: `papers/{key}.json`, {stored['seconds']:.0f} s."]
    return "\n".join(lines)


def _claims(stored: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: what a paper says beside what was measured."""
    rows = []
    for claim in stored.get("claims", []):
        answer = "**no**"
        if claim["agrees"]:
            answer = "yes"
        elif claim["direction"]:
            answer = "in direction only"
        cells = [claim[name] for name in ("where", "says", "measured", "within")]
        rows.append([*cells, answer])
    return ["where", "the paper says", "measured", "agrees within", "agrees"], rows


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(_cell(text) for text in line)} |" for line in lines]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def fill(page: str, studies: list[dict[str, Any]]) -> str:
    """``page`` with what stands between the marks of each study written anew.

    Raises:
        ValueError: a study has no place in the page.
    """
    for stored in studies:
        key = stored["paper"]["key"]
        mark, end = MARK.format(key), END.format(key)
        if mark not in page or end not in page:
            raise ValueError(f"docs/papers.md has no place for {key}: write {mark} and {end} there")
        before, rest = page.split(mark)
        page = f"{before}{mark}\n{section(stored)}\n{end}{rest.split(end)[1]}"
    return page


def studies() -> list[dict[str, Any]]:
    """The stored runs."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(NUMBERS.glob("*.json"))]


def main(argv: list[str]) -> None:
    """Take the runs in the folders that are named into the documentation, and write the tables."""
    NUMBERS.mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for folder in argv:
        for path in sorted(Path(folder).glob("*.json")):
            shutil.copy(path, NUMBERS)
            shutil.copy(path.with_suffix(".png"), IMAGES)
    PAGE.write_text(fill(PAGE.read_text("utf-8"), studies()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

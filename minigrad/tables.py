"""A small table as HTML, for notebooks: no scripts, no network, for light pages and dark ones."""

from collections.abc import Iterable, Sequence

CELL = "text-align: left; padding: 1px 10px; border-bottom: 1px solid #8888"
MOST = 40
"""Rows that are shown; the others are counted below the table."""


def table(
    rows: Iterable[Sequence[object]],
    headings: Sequence[str] = (),
    title: str = "",
    notes: Iterable[str] = (),
    text: str = "",
) -> str:
    """``rows`` below their ``headings``, with a ``title`` above, and below ``notes`` and a ``text``
    whose lines stay as they are."""
    lines = [f"<b>{escaped(title)}</b>"] if title else []
    all_rows = list(rows)
    lines.append('<table style="border-collapse: collapse; color: inherit">')
    if headings:
        lines.append(_row(headings, "th"))
    lines += [_row(row, "td") for row in all_rows[:MOST]]
    lines.append("</table>")
    if len(all_rows) > MOST:
        lines.append(f"<p>and {len(all_rows) - MOST} more rows</p>")
    lines += [f"<p>{escaped(note)}</p>" for note in notes]
    if text:
        lines.append(f"<pre>{escaped(text)}</pre>")
    return f"<div>{''.join(lines)}</div>"


def _row(cells: Sequence[object], tag: str) -> str:
    inside = (f'<{tag} style="{CELL}">{escaped(str(cell))}</{tag}>' for cell in cells)
    return f"<tr>{''.join(inside)}</tr>"


def escaped(text: str) -> str:
    """As html.escape, whose module a program without a notebook need not import."""
    for letter, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#x27")):
        text = text.replace(letter, f"&{name};")
    return text

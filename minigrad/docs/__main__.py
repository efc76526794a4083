"""``python -m minigrad.docs``: list the pages, or print one in the terminal.

With rich installed (the extras ``examples`` and ``coursework`` bring it) headings, tables and code
are laid out; otherwise the page is printed as it is written. The exit status is 2 for a page that
does not exist.
"""

import argparse
import sys
from collections.abc import Sequence

from ..terminal import replace_missing_letters
from . import find, folder, names, section, title


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m minigrad.docs", description="Read a page here.")
    p.add_argument(
        "page", nargs="?",
        help="as a message names it, docs/gpu.md, or a part of its name; #step for a part of it",
    )  # fmt: skip
    p.add_argument("--zh", action="store_true", help="the Chinese pages")
    p.add_argument("--plain", action="store_true", help="as it is written, in Markdown")
    p.add_argument("--path", action="store_true", help="only say in which file it is")
    return p


def contents(chinese: bool) -> str:
    """All pages in one language, with their titles."""
    pages = [name for name in names() if name.startswith("zh/") == chinese]
    width = max(map(len, pages), default=0)
    return "\n".join(
        f"{name:{width}}  {title((folder() / f'{name}.md').read_text(encoding='utf-8'))}"
        for name in pages
    )


def show(text: str) -> None:
    """Print Markdown, laid out if rich is there and a person looks at it."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.markdown import Markdown
        except ImportError:
            pass
        else:
            Console().print(Markdown(text))
            return
    print(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """What the command does; its exit status."""
    options = parser().parse_args(arguments)
    replace_missing_letters()
    try:
        if options.page is None:
            print(contents(options.zh))
            return 0
        name, _, anchor = options.page.partition("#")
        path = find(name, chinese=options.zh or name.startswith(("zh/", "docs/zh/")))
        text = path.read_text(encoding="utf-8")
        if anchor:
            text = section(text, anchor)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.path:
        print(path)
    elif options.plain:
        print(text)
    else:
        show(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

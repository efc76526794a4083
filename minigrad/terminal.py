"""For programs that print: a terminal that lacks a letter is no reason to stop."""

import sys
from typing import Any


def replace_missing_letters() -> None:
    """Have standard output and standard error put "?" for letters that their encoding lacks.

    Otherwise Python raises a UnicodeEncodeError: at σ under cp1252, which is what Windows uses when
    output is redirected, and at ± under ASCII.
    """
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

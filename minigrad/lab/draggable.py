"""Points on a line that the reader drags, or moves with the arrow keys (Home and End: the ends).

Needs anywidget, which the extra ``lab`` brings. In pages that run without a server it is not there,
and a bench shows a slider for each point instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def points(values: Sequence[float], low: float, high: float, step: float) -> Any:
    """The widget, whose ``values`` are multiples of ``step`` from ``low`` to ``high``; None without
    anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None

    class Points(anywidget.AnyWidget):  # type: ignore[misc]
        _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
        values = traitlets.List(traitlets.Float()).tag(sync=True)
        low = traitlets.Float().tag(sync=True)
        high = traitlets.Float().tag(sync=True)
        step = traitlets.Float().tag(sync=True)

    return Points(values=list(values), low=low, high=high, step=step)

"""Pictures as SVG text: axes, lines, bars. A slider redraws them in a few milliseconds.

The colours can be told apart by readers with any common colour blindness: M. Okabe and K. Ito
(2008), "Color Universal Design". Each picture has a title for readers that hear the page.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

BLUE, ORANGE, RED, GREEN, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#777777",
)  # fmt: skip


class Plot:
    """A picture with two axes. Numbers given to its methods are in the units of the axes."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        xlabel: str = "",
        ylabel: str = "",
        log: bool = False,
        size: tuple[int, int] = (440, 300),
    ) -> None:
        """``x`` and ``y`` are the ends of the axes; with ``log`` the vertical one counts powers of
        ten, and what is 0 lies on its lower end."""
        self.title, self.x, self.y, self.log = title, x, y, log
        self.width, self.height = size
        self.parts: list[str] = []
        self._axes(xlabel, ylabel)

    def across(self, x: float) -> float:
        """Pixels from the left."""
        low, high = self.x
        return 58 + (self.width - 70) * (x - low) / (high - low)

    def down(self, y: float) -> float:
        """Pixels from the top; what lies beyond an end of the axis is drawn at that end."""
        value: Callable[[float], float] = _log10 if self.log else float
        low, high = value(self.y[0]), value(self.y[1])
        share = (value(y) - low) / (high - low) if y == y else 0.0
        return 12 + (self.height - 56) * (1 - min(max(share, 0.0), 1.0))

    def line(
        self, xs: Sequence[float], ys: Sequence[float], color: str, dashed: bool = False
    ) -> None:
        """A line through points."""
        points = " ".join(
            f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in zip(xs, ys, strict=True)
        )
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'
        )

    def points(self, xs: Sequence[float], ys: Sequence[float], color: str, radius: int = 4) -> None:
        """A dot at each point."""
        for x, y in zip(xs, ys, strict=True):
            place = f'cx="{self.across(x):.1f}" cy="{self.down(y):.1f}"'
            self.parts.append(f'<circle {place} r="{radius}" fill="{color}"/>')

    def box(self, x0: float, x1: float, y0: float, y1: float, color: str) -> None:
        """A filled rectangle between two corners."""
        left, right = sorted((self.across(x0), self.across(x1)))
        top, bottom = sorted((self.down(y0), self.down(y1)))
        self.parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}" fill="{color}"/>'
        )

    def _axes(self, xlabel: str, ylabel: str) -> None:
        left, right = self.across(self.x[0]), self.across(self.x[1])
        bottom, top = self.height - 44, 12
        ticks_y = _decades(*self.y) if self.log else _ticks(*self.y)
        for y in ticks_y:
            at = self.down(y)
            self.parts.append(
                f'<line x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#8884"/>'
            )
            self._text(left - 6, at + 4, _label(y, self.log), "end")
        for x in _ticks(*self.x):
            self._text(self.across(x), bottom + 16, _label(x, False), "middle")
        self.parts.append(f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{GREY}"/>')
        self._text((left + right) / 2, self.height - 8, xlabel, "middle")
        middle = (top + bottom) / 2
        turned = f' transform="rotate(-90 12 {middle})"'
        self._text(12, middle, ylabel, "middle", turned)

    def _text(self, x: float, y: float, text: str, anchor: str, more: str = "") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
        )

    def __str__(self) -> str:
        return (
            f'<svg role="img" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'style="max-width: 100%; height: auto" font-size="12" font-family="sans-serif" '
            f'fill="currentColor" xmlns="http://www.w3.org/2000/svg">'
            f"<title>{escape(self.title)}</title>{''.join(self.parts)}</svg>"
        )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """What each colour stands for: (colour, text)."""
    box = "display: inline-block; width: 0.9em; height: 0.9em; margin: 0 0.3em 0 0.9em; background:"
    keys = (f'<span style="{box} {color}"></span>{escape(text)}' for color, text in entries)
    return f"<div>{''.join(keys)}</div>"


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -400.0


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, about five."""
    low, high = min(low, high), max(low, high)  # an axis may point down
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between ``low`` and ``high``, at most six."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first) / 5))
    return [10.0**k for k in range(first, last + 1, step)]


def _label(value: float, log: bool) -> str:
    if log:
        power = round(math.log10(value))
        return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:.6g}".replace("-", "−")

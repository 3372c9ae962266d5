"""Plain pictures: lines and points over two axes, as SVG that reads well on white and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

import msgspec

WIDTH, HEIGHT = 880, 440
LEFT, RIGHT, TOP, BOTTOM = 72, 350, 40, 52

INK = "#7d858f"
"""Text and axes: a grey with a contrast of some 4 on white and on near black."""

GRID = f'stroke="{INK}" stroke-opacity="0.25"'
COLOURS = ("#d1495b", "#2e86de", "#2f9e6e", "#c98a1b", "#8e5bd0", "#7d858f", "#0fa3b1", "#b5598f")

Point = tuple[float, float]


class Series(msgspec.Struct, frozen=True):
    """Points of one kind.

    Attributes:
        name: as the legend has it.
        points: x and y.
        joined: whether a line goes through them.
    """

    name: str
    points: Sequence[Point]
    joined: bool = True


class Axis(msgspec.Struct, frozen=True):
    """An axis.

    Attributes:
        title: what it shows, with the unit.
        low: where it begins.
        high: where it ends.
        logarithmic: whether equal steps are equal ratios.
    """

    title: str
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1; what lies beyond is put on the edge."""
        inside = min(max(value, self.low), self.high)
        if self.logarithmic:
            return log10(inside / self.low) / log10(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values to write at the axis.

        >>> Axis("share", 0, 1).ticks(), Axis("calls", 0.1, 10, True).ticks()
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.1, 1.0, 10.0])
        """
        if self.logarithmic:
            powers = range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1)
            return [round(10.0**power, 9) for power in powers]
        rough = (self.high - self.low) / 6
        unit = 10.0 ** floor(log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(count * step, 9) for count in range(first, last + 1)]


def chart(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """Draw series over two axes, with a legend at the right."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f'<g font-family="system-ui, sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    # An axis without a title only sets series side by side.
    for tick in x.ticks():
        at = _across(x, tick)
        parts.append(f'<path d="M{at} {TOP}V{bottom}" {GRID}/>')
        if x.title:
            parts.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{_plain(tick)}</text>')
    for tick in y.ticks():
        at = _up(y, tick)
        parts.append(f'<path d="M{LEFT} {at}H{right}" {GRID}/>')
        parts.append(f'<text x="{LEFT - 8}" y="{_round(at + 4)}" text-anchor="end">{_plain(tick)}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{_round(middle)}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x.title)}</text>')
    height = _round((TOP + bottom) / 2)
    parts.append(f'<text transform="translate(16 {height}) rotate(-90)" text-anchor="middle">{escape(y.title)}</text>')
    for index, own in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        places = [(_across(x, point[0]), _up(y, point[1])) for point in own.points]
        if own.joined and len(places) > 1:
            path = "M" + "L".join(f"{across} {up}" for across, up in places)
            parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        square = index >= len(COLOURS)
        parts += [_mark(across, up, colour, square) for across, up in places]
        line = TOP + 8 + index * 20
        parts.append(_mark(right + 18, line, colour, square))
        parts.append(f'<text x="{right + 30}" y="{line + 4}">{escape(own.name)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _mark(across: float, up: float, colour: str, square: bool) -> str:
    """A point; squares tell the ninth series from the first."""
    if square:
        return f'<rect x="{_round(across - 4)}" y="{_round(up - 4)}" width="8" height="8" fill="{colour}"/>'
    return f'<circle cx="{across}" cy="{up}" r="4" fill="{colour}"/>'


def _across(axis: Axis, value: float) -> float:
    return _round(LEFT + axis.place(value) * (WIDTH - RIGHT - LEFT))


def _up(axis: Axis, value: float) -> float:
    return _round(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - BOTTOM - TOP))


def _round(value: float) -> float:
    return round(value, 1)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"

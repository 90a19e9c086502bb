"""Plots as SVG text, with nothing but the page's own style around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, NARROW, HEIGHT = 720, 380, 300
"""Of a plot on a page, of one on a telephone, and of both, in units of their text."""
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 44
LABEL = 13
"""Height of a line of small text."""


@dataclass(frozen=True)
class Dot:
    """One point, in the units of the axes."""

    x: float
    y: float
    words: str
    """Shown when the pointer rests on it."""
    label: str = ""
    """Written beside it."""


@dataclass(frozen=True)
class Series:
    """Dots of one colour; `colour` counts the page's colours, 0 is the input's grey."""

    name: str
    colour: int
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers, and how they are written on the plot."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        if self.logarithmic:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def linear_axis(title: str, values: Sequence[float]) -> Axis:
    """Return an axis with round ticks around finite values."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(round(place * step, 10) for place in range(first, last + 1))
    return Axis(title, ticks[0], ticks[-1], ticks)


def logarithmic_axis(title: str, values: Sequence[float]) -> Axis:
    """Return an axis for positive values, with ticks at 1, 2 and 5 times the powers of ten."""
    marks = [factor * 10.0**power for power in range(-6, 7) for factor in (1, 2, 5)]
    low = max((mark for mark in marks if mark <= min(values)), default=marks[0])
    high = min((mark for mark in marks if mark >= max(values) and mark > low), default=marks[-1])
    return Axis(title, low, high, tuple(mark for mark in marks if low <= mark <= high), True)


def counting_axis(title: str, count: int) -> Axis:
    """Return an axis for the places 1 to `count`."""
    step = next(
        factor * 10**power for power in range(9) for factor in (1, 2, 5) if factor * 10**power * 8 >= count
    )
    return Axis(title, 0, count + 1, tuple(sorted({1, *range(step, count + 1, step)})))


def scatter(x: Axis, y: Axis, series: Sequence[Series], width: int = WIDTH) -> str:
    """Return a plot of dots with axes, grid and labels, WIDTH or NARROW wide."""
    wide = width == WIDTH
    shown = f"{escape(y.title)} against {escape(x.title)}"
    parts = [
        f'<svg class="{"wide" if wide else "narrow"}" viewBox="0 0 {width} {HEIGHT}" role="img"'
        f' aria-label="{shown}">'
    ]
    for tick in y.ticks:
        height = _y(y, tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in x.ticks if wide else x.ticks[:: 1 + len(x.ticks) // 7]:
        place = _x(x, tick, width)
        parts.append(
            f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        parts.append(
            f'<text class="tick" x="{place:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        )
    middle = (LEFT + width - RIGHT) / 2
    parts.append(
        f'<text class="title" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.title)}</text>'
    )
    upright = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"translate(13 {upright}) rotate(-90)"
    parts.append(f'<text class="title" transform="{turned}" text-anchor="middle">{escape(y.title)}</text>')
    for one in series:
        for dot in one.dots:
            parts.append(
                f'<circle class="c{one.colour}" cx="{_x(x, dot.x, width):.1f}" cy="{_y(y, dot.y):.1f}" r="4">'
                f"<title>{escape(dot.words)}</title></circle>"
                if wide  # where no pointer can rest, nothing is shown of it
                else f'<circle class="c{one.colour}" cx="{_x(x, dot.x, width):.1f}" cy="{_y(y, dot.y):.1f}" r="4"/>'
            )
    parts += _labels(x, y, [dot for one in series for dot in one.dots if dot.label], width)
    return "".join(parts) + "</svg>"


def _labels(x: Axis, y: Axis, dots: Sequence[Dot], width: int) -> list[str]:
    """Write labels beside dots, moved up so that none lies over another."""
    placed: list[tuple[float, float]] = []
    parts = []
    for dot in sorted(dots, key=lambda dot: dot.y):
        across, down = _x(x, dot.x, width), _y(y, dot.y)
        at_the_right = across < width * 0.7
        height = down + 4
        while any(abs(height - other) < LABEL and abs(across - place) < width / 4 for place, other in placed):
            height -= 1
        placed.append((across, height))
        edge, anchor = (across + 9, "start") if at_the_right else (across - 9, "end")
        if abs(height - down - 4) > 3:
            parts.append(
                f'<line class="lead" x1="{across:.1f}" y1="{down:.1f}" x2="{edge:.1f}" y2="{height - 4:.1f}"/>'
            )
        parts.append(
            f'<text class="label" x="{edge:.1f}" y="{height:.1f}" text-anchor="{anchor}">{escape(dot.label)}</text>'
        )
    return parts


def _x(axis: Axis, value: float, width: int) -> float:
    return LEFT + axis.place(value) * (width - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)

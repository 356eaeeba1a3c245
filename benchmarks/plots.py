"""Lines over sizes as an SVG, both axes logarithmic: enough for what the results page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 120, 36, 46
_COLOURS = ("#0b6e4f", "#c44536", "#2f5d9b", "#8a6d1b")


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis, from one power of ten to another, and where it lies on the page."""

    low: int
    high: int
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return where a value lies."""
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def plot(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """Return the lines as an SVG.

    Args:
        across: what the first of each point is; `up` the second.
        lines: at least one point in all; everything above zero.
    """
    points = [point for line in lines.values() for point in line]
    x = _axis([one for one, _ in points], _LEFT, _WIDTH - _RIGHT)
    y = _axis([other for _, other in points], _HEIGHT - _BOTTOM, _TOP)
    body = [
        f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>',
        *_grid(x, y),
        _text((x.start + x.end) / 2, _HEIGHT - 8, across, "middle"),
        f'<text transform="translate(16 {(y.start + y.end) / 2}) rotate(-90)"'
        f' text-anchor="middle">{escape(up)}</text>',
    ]
    for colour, (name, line) in zip(_COLOURS, lines.items(), strict=False):
        body += _line(name, [(x.place(a), y.place(b)) for a, b in line], colour)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12" fill="#333">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return Axis(low, max(high, low + 1), start, end)


def _grid(x: Axis, y: Axis) -> list[str]:
    drawn = []
    for power in range(x.low, x.high + 1):
        at = x.place(10.0**power)
        drawn.append(_rule(at, y.start, at, y.end))
        drawn.append(_text(at, y.start + 16, _number(power), "middle"))
    for power in range(y.low, y.high + 1):
        at = y.place(10.0**power)
        drawn.append(_rule(x.start, at, x.end, at))
        drawn.append(_text(x.start - 6, at + 4, _number(power), "end"))
    return drawn


def _line(name: str, points: Points, colour: str) -> list[str]:
    if not points:
        return []
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    dots = [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    at, up = points[-1]
    label = f'<text x="{at + 8:.1f}" y="{up + 4:.1f}" fill="{colour}">{escape(name)}</text>'
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [line, *dots, label]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"

"""Lines over sizes, both axes logarithmic, and bars, as SVG: what the results page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from math import ceil, floor, inf, log10
from operator import itemgetter

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 120, 36, 46
_NAMES, _BAR, _LABEL = 170, 24, 13
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
    drawn = {
        name: [(x.place(a), y.place(b)) for a, b in line] for name, line in lines.items() if line
    }
    labels = _apart({name: line[-1][1] for name, line in drawn.items()})
    for colour, (name, line) in zip(cycle(_COLOURS), drawn.items(), strict=False):
        body += _line(name, line, colour, labels[name])
    return _picture(_HEIGHT, body)


def bars(title: str, values: Mapping[str, float]) -> str:
    """Return a bar for each value, with its name and its number, as an SVG.

    Args:
        values: at least one; none below zero.
    """
    longest = max(values.values()) or 1.0
    body = [f'<text x="12" y="20" font-size="15">{escape(title)}</text>']
    for number, (name, value) in enumerate(values.items()):
        top = _TOP + number * _BAR
        width = (_WIDTH - _NAMES - _RIGHT) * max(value, 0.0) / longest
        body += [
            _text(_NAMES - 8, top + 14, name, "end"),
            f'<rect x="{_NAMES}" y="{top}" width="{width:.1f}" height="{_BAR - 6}"'
            f' fill="{_COLOURS[0]}"/>',
            _text(_NAMES + width + 6, top + 14, f"{value:.2f}", "start"),
        ]
    return _picture(_TOP + len(values) * _BAR + 12, body)


def _picture(height: int, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#333">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
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


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Return where labels stand that want these heights, none of them on another."""
    placed: dict[str, float] = {}
    lowest = -inf
    for name, height in sorted(heights.items(), key=itemgetter(1)):
        lowest = placed[name] = max(height, lowest + _LABEL)
    return placed


def _line(name: str, points: Points, colour: str, label_at: float) -> list[str]:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    dots = [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    at = points[-1][0] + 8
    label = f'<text x="{at:.1f}" y="{label_at + 4:.1f}" fill="{colour}">{escape(name)}</text>'
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [line, *dots, label]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"

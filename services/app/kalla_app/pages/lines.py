"""Rows of exceptions as HTML: there are fifty on a page, of many parts each.

`offset` is how many rows of the selection stand before those that lines are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote

from markupsafe import Markup, escape

from kalla_app.exceptions.bench import Item
from kalla_app.exceptions.book import eid_of
from kalla_app.exceptions.life import Standing
from kalla_app.pages.grid import Line
from kalla_app.pages.signs import UNKNOWN, time
from kalla_app.pages.words import REASONS, STATES

_NOTE = 40
"""Letters of a note that are shown; all of it, where somebody points at it."""


def plain_lines(lines: Sequence[Line], offset: int) -> Markup:
    """Return the lines of rows that nothing is decided about."""
    return _numbered((f"{line.first}{line.rest}" for line in lines), offset)


def run_lines(
    run_id: str, lines: Sequence[Line], standings: Sequence[tuple[str, Standing]], offset: int
) -> Markup:
    """Return the lines of open rows of a run.

    Args:
        standings: of each row, behind its name.
    """
    base = f"/runs/{quote(run_id)}/exceptions"
    made = (
        f"{_pick(eid, f'Row {line.name}')}{line.first}"
        f"<td>{_link(f'{base}/{eid}', _state(now), f'tag state-{now.state.value}')}"
        f"{_notes(now)}</td>{line.rest}"
        for line, (eid, now) in zip(lines, standings, strict=True)
    )
    return _numbered(made, offset)


def side_lines(
    side: str, lines: Sequence[Line], amounts: Sequence[tuple[str, str | None]], offset: int
) -> Markup:
    """Return the lines of open rows of a side, to be matched by hand.

    Args:
        amounts: of each row, behind its name.
    """
    made = (
        f'<td class="pick"><input type="checkbox" name="eid" value="{escape(eid)}" '
        f'data-side="{escape(side)}" data-amount="{escape(amount or "")}" '
        f'aria-label="{escape(line.name)}"></td>{line.first}{line.rest}'
        for line, (eid, amount) in zip(lines, amounts, strict=True)
    )
    return _numbered(made, offset)


def bench_lines(items: Sequence[Item], offset: int, *, closed: bool) -> Markup:
    """Return the lines of exceptions; those of what is closed tell of no row."""
    return _numbered(((_closed if closed else _open)(item) for item in items), offset)


def _numbered(lines: Iterable[str], offset: int) -> Markup:
    """Return lines that say where in the whole table they stand; its head is the first of all."""
    made = (
        f'<tr aria-rowindex="{number}">{line}</tr>' for number, line in enumerate(lines, offset + 2)
    )
    return Markup("\n".join(made))  # noqa: S704 - escaped in parts


def _open(item: Item) -> str:
    value = f"{item.run.run_id}/{eid_of(item.side, item.record_key)}"
    label = f"{item.record_key} of {item.run.recipe_name}, {item.side}"
    word = "" if item.severity is None else item.severity.word
    amount = UNKNOWN if item.amount is None else item.amount
    reason = REASONS.get(item.reason or "", item.reason)
    return (
        f'{_pick(value, label)}{_named(item)}<td class="n">{escape(amount)}</td>'
        f'<td class="n">{item.days} d</td><td>{_tag(f"severity-{word}", word)}</td>'
        f"<td>{escape(reason)}</td>{_decided(item.standing)}"
        f"<td>{escape(' · '.join(item.values))}</td>"
    )


def _closed(item: Item) -> str:
    last = f"<td>{time(item.at)} <small>{escape(item.by)}</small></td>"
    return f"{_named(item)}{_decided(item.standing)}{last}"


def _named(item: Item) -> str:
    run, key = item.run, item.record_key
    address = f"/runs/{quote(run.run_id)}/exceptions/{eid_of(item.side, key)}"
    name = escape(key) if item.standing.gone else _link(address, key)
    recipe = f"{escape(run.recipe_name)} <small>{escape(item.side)}</small>"
    return f"<td>{name}</td><td>{recipe}</td>"


@lru_cache(maxsize=1024)
def _decided(now: Standing) -> str:
    """Return the cells of how an exception stands and of whose it is; most are the same."""
    parts = [_tag("state-matched_by_hand", "Gone with a later run")] if now.gone else []
    parts.append(_tag(f"state-{now.state.value}", _state(now)))
    words = [*_asks(now), *([now.reason_code.replace("_", " ")] if now.reason_code else [])]
    if words:
        parts.append(f'<small class="line">{escape(" · ".join(words))}</small>')
    return f"<td>{' '.join(parts)}</td><td>{escape(now.owner or UNKNOWN)}</td>"


@lru_cache(maxsize=1024)
def _notes(now: Standing) -> str:
    """Return what stands below the state of an open row of a run: one line, as rows are alike."""
    parts = [
        *_asks(now),
        *(word for word in (now.reason_code.replace("_", " "), now.owner) if word),
    ]
    if not parts and not now.note:
        return ""
    note = now.note
    shown = note if len(note) <= _NOTE else f"{note[:_NOTE].rsplit(' ', 1)[0]}..."
    said, whole = (" · ".join([*parts, *([f"“{text}”"] if text else [])]) for text in (shown, note))
    return f' <small class="line" title="{escape(whole)}">{escape(said)}</small>'


def _asks(now: Standing) -> list[str]:
    wanted = None if now.wanted is None else STATES[now.wanted.value].lower()
    asks = [] if wanted is None else [f"{now.asked_by} asks: {wanted}"]
    return [*asks, f"until {now.until}"] if now.until else asks


def _state(now: Standing) -> str:
    return STATES[now.state.value]


def _pick(value: str, label: str) -> str:
    return (
        f'<td class="pick"><input type="checkbox" name="eid" value="{escape(value)}" '
        f'aria-label="{escape(label)}"></td>'
    )


def _link(address: str, text: str, kind: str = "") -> str:
    its = f'class="{kind}" ' if kind else ""
    return f'<a {its}href="{escape(address)}">{escape(text)}</a>'


def _tag(kind: str, text: str) -> str:
    return f'<span class="tag {kind}">{escape(text)}</span>'

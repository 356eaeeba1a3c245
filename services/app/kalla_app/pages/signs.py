"""Small parts of pages as HTML, of which a page has many: icons, states, times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup, escape

from kalla_core.jobs.document import time_text

PAGES = (
    ("/", "Today", "house"),
    ("/reconcile", "Reconcile", "arrow-right"),
    ("/sources", "Sources", "database"),
    ("/recipes", "Recipes", "scale"),
    ("/runs", "Runs", "history"),
    ("/exceptions", "Exceptions", "inbox"),
)
"""Address, name and icon of the pages that every page leads to."""

UNKNOWN = "\N{EN DASH}"
_ICON = Markup(
    '<svg class="icon" width="18" height="18" aria-hidden="true">'
    '<use href="/static/vendor/icons.svg#{}"/></svg>'
)
_BAR = Markup(
    '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" {}>'
    '<rect class="rest" width="100" height="6"/>{}</svg>'
)
_SWATCH = Markup(
    '<svg class="swatch" width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">'
    '<rect class="{}" width="10" height="10" rx="2"/></svg>'
)
_PART = Markup('<rect class="{}" x="{:.3f}" width="{:.3f}" height="6"/>')
_STATUS = Markup('<span class="status {}">{}{}</span>')
_TIME = Markup('<time datetime="{}">{}</time>')
_SIGNS = {
    "submitted": "inbox",
    "running": "loader-circle",
    "succeeded": "circle-check",
    "failed": "circle-x",
    "cancelled": "ban",
}


@lru_cache(maxsize=256)
def icon(name: str) -> Markup:
    """Return an icon."""
    return _ICON.format(name)


def bar(part: int, whole: int, label: str = "", before: int = 0) -> Markup:
    """Return a bar of how much a part is of a whole.

    Args:
        label: what it says in words; empty where these stand beside it.
        before: what others have of the whole already; the part begins where that ends.
    """
    return parted_bar({"before": before, "full": part}, whole, label)


def parted_bar(parts: Mapping[str, int], whole: int, label: str = "") -> Markup:
    """Return a bar of several parts of a whole, one behind the other.

    Args:
        parts: by what they are: `full`, `before`, `open` or `ambiguous`.
        label: as of `bar`.
    """
    drawn, start = [], 0
    for name, count in parts.items():
        if count > 0 and whole > 0:
            drawn.append(_PART.format(name, 100 * start / whole, 100 * count / whole))
        start += count
    said = Markup('role="img" aria-label="{}"').format(label) if label else 'aria-hidden="true"'
    return _BAR.format(Markup(said), Markup("").join(drawn))  # noqa: S704 - what it quotes is escaped


@lru_cache(maxsize=16)
def swatch(name: str) -> Markup:
    """Return the colour of a part of a bar, to stand beside its name."""
    return _SWATCH.format(name)


@lru_cache(maxsize=64)
def status(value: str, cancelling: bool = False) -> Markup:
    """Return where a run stands."""
    return _STATUS.format(value, icon(_SIGNS[value]), "cancelling" if cancelling else value)


@lru_cache(maxsize=1024)
def time(moment: datetime | None) -> Markup:
    """Return a moment; a dash where there is none."""
    if moment is None:
        return escape(UNKNOWN)
    return _TIME.format(time_text(moment), moment.strftime("%Y-%m-%d %H:%M"))

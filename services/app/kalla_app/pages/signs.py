"""Small parts of pages as HTML, of which a page has many: icons, states, times."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from markupsafe import Markup, escape

from kalla_core.jobs.document import time_text

UNKNOWN = "\N{EN DASH}"
_ICON = Markup(
    '<svg class="icon" width="18" height="18" aria-hidden="true">'
    '<use href="/static/vendor/icons.svg#{}"/></svg>'
)
_BAR = Markup(
    '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" {}>'
    '<rect class="rest" width="100" height="6"/>{}</svg>'
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
    parts = [(name, start, count) for name, start, count in (("before", 0, before),
             ("full", before, part)) if count > 0 and whole > 0]  # fmt: skip
    drawn = Markup("").join(
        _PART.format(name, 100 * start / whole, 100 * count / whole) for name, start, count in parts
    )
    said = Markup('role="img" aria-label="{}"').format(label) if label else 'aria-hidden="true"'
    return _BAR.format(Markup(said), drawn)  # noqa: S704 - ours, what it quotes is escaped


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

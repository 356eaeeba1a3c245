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

"""Templates, what is in all of them, and how numbers and times are written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kalla_app.access.gate import COOKIE, visit
from kalla_app.access.people import SOMEBODY, Role
from kalla_app.context import App
from kalla_app.pages.signs import PAGES, bar, icon, parted_bar, status, swatch, time
from kalla_app.pages.words import REASONS, SETS, STAGES, STATES, TRAYS
from kalla_app.store.sessions import LIFE
from kalla_core.errors import KallaError
from kalla_core.jobs.document import time_text
from kalla_core.units import format_bytes
from kalla_core.wire.status import http_status

_UNKNOWN = "\N{EN DASH}"

FOLDER = Path(__file__).parent.parent
STATIC = FOLDER / "static"


def number(value: int | None) -> str:
    """Return a whole number as people read it; a dash where it is not known."""
    return _UNKNOWN if value is None else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def amount(value: Decimal) -> str:
    """Return an amount as people read it, with all its digits."""
    return f"{value:,f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(part: int | None, whole: int | None) -> str:
    """Return a part of a whole in per cent, never rounded up to all of it."""
    if part is None or not whole:
        return _UNKNOWN
    percent = 100 * part / whole
    text = f"{percent:.1f}"
    if part < whole and text == "100.0":
        text = "99.9"
    return f"{text.removesuffix('.0')} %"


def query(values: Mapping[str, str | int]) -> str:
    """Return what stands behind the question mark of an address."""
    return _query(tuple(values.items()))


@lru_cache(maxsize=4096)
def _query(values: tuple[tuple[str, str | int], ...]) -> str:
    return urlencode(values)  # a page has a hundred of them, and the next one the same


def _fingerprint() -> str:
    """Return what changes when any static file does, for addresses that may be kept."""
    summed = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            summed.update(path.read_bytes())
    return summed.hexdigest()[:12]


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters.update(amount=amount, number=number, moment=time_text, size=format_bytes)
_ENVIRONMENT.globals.update(
    share=share,
    bar=bar,
    icon=icon,
    parted_bar=parted_bar,
    swatch=swatch,
    status=status,
    time=time,
    PAGES=PAGES,
    STAGES=STAGES,
    REASONS=REASONS,
    STATES=STATES,
    SETS=SETS,
    TRAYS=TRAYS,
    V=_fingerprint(),
    query=query,
)


async def page(
    app: App, request: Request, template: str, status: int = 200, **values: Any
) -> Response:
    """Return a page; a browser that has no session yet is given one where nobody is asked."""
    found = visit.get()
    person, session, cookie = found.person, found.session, None
    if session is None and not app.people:
        cookie, session = await app.sessions.begin(SOMEBODY)
        person = SOMEBODY
    text = _ENVIRONMENT.get_template(template).render(
        csrf="" if session is None else session.csrf,
        person=person,
        may_change=person is not None and person.role >= Role.OPERATOR,
        may_remove=person is not None and person.role >= Role.ADMIN,
        with_people=bool(app.people),
        path=request.url.path,
        now=datetime.now().astimezone(),
        **values,
    )
    answer = HTMLResponse(text, status)
    if cookie is not None:
        keep(answer, cookie, secure=app.secure)
    return answer


def keep(answer: Response, cookie: str, *, secure: bool) -> None:
    """Let a browser keep its session; no script sees it, and no other site sends it."""
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def wants_page(request: Request) -> bool:
    """Whether somebody looks at pages, rather than calls the API."""
    return not request.url.path.startswith("/api/") and "html" in request.headers.get("accept", "")


async def error_page(app: App, request: Request, error: KallaError) -> Response:
    """Return the page of an error, with the status that the API would answer."""
    return await page(app, request, "error.html", http_status(error), error=error)

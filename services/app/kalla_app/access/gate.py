"""What stands before all routes: who comes, from where, and what a browser may do with answers.

A request that changes something counts only when it comes from a page of ours: a browser says
where a request comes from, and a session has a word of its own that only our pages know. A caller
with a bearer token is no browser that somebody else could talk into something.
"""

from __future__ import annotations

import hmac
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalla_app.access.people import (
    SOMEBODY,
    Known,
    Person,
    is_for_all,
    is_signed,
    needed,
    person_of,
)
from kalla_app.store.sessions import Session, Sessions
from kalla_core.errors import KallaError, NotAllowed, Unauthenticated
from kalla_core.serving.answers import error_response
from kalla_core.settings.tokens import is_loopback

COOKIE = "kalla_session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_READING = ("GET", "HEAD", "OPTIONS")
_FORMS = ("application/x-www-form-urlencoded", "multipart/", "text/plain")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who is behind a request.

    Attributes:
        person: None where nobody is asked and nobody said.
        session: of a browser; None for a caller with a token.
    """

    person: Person | None
    session: Session | None = None


_NOBODY = Visit(None)

visit: ContextVar[Visit] = ContextVar("visit", default=_NOBODY)
"""Who is behind the request that is being answered."""


def who() -> Person:
    """Return who is behind the request that is being answered, on a route that asks."""
    person = visit.get().person
    if person is None:
        raise Unauthenticated("Send a token of this service: `Authorization: Bearer TOKEN`.")
    return person


class Gate:
    """ASGI; lets requests through to the routes, or answers them itself.

    Args:
        people: who may come in; nobody is asked without any, and then only names of this machine
            and `hosts` are answered to, so that no page elsewhere can pass its name off as ours.
        hosts: further names that the app goes by.
    """

    def __init__(
        self,
        app: ASGIApp,
        people: tuple[Known, ...],
        sessions: Sessions,
        hosts: frozenset[str],
    ) -> None:
        self._app = app
        self._people = people
        self._sessions = sessions
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        try:
            found = _NOBODY if is_for_all(path) else await self._visit(headers)
            self._check(found, method, path, headers)
        except KallaError as error:
            await _refusal(error, method, scope, headers)(scope, receive, send)
            return
        visit.set(found)
        await self._app(scope, receive, send)

    async def _visit(self, headers: Headers) -> Visit:
        authorization = headers.get("authorization")
        if authorization is not None and self._people:
            scheme, _, token = authorization.partition(" ")
            person = person_of(self._people, token.strip())
            if scheme.lower() != "bearer" or person is None:
                raise Unauthenticated("This service does not know the token that was sent.")
            return Visit(person)
        sent = cookie_of(headers)
        session = None if sent is None else await self._sessions.find(sent)
        if session is not None and not self._still_known(session.person):
            session = None
        if session is not None:
            return Visit(session.person, session)
        return Visit(None if self._people else SOMEBODY)

    def _still_known(self, person: Person) -> bool:
        known = [one.person for one in self._people] or [SOMEBODY]
        return person in known

    def _check(self, found: Visit, method: str, path: str, headers: Headers) -> None:
        role = needed(method, path)
        if is_signed(path):
            return
        if not self._people and not self._is_own_name(headers.get("host", "")):
            raise NotAllowed("This app does not go by that name; PUBLIC_URL tells it one.")
        if method not in _READING and not (found.session is None and "authorization" in headers):
            _demand_own_page(headers, found, path)
        if role is None:
            return
        if found.person is None:
            raise Unauthenticated("Send a token of this service: `Authorization: Bearer TOKEN`.")
        if found.person.role < role:
            raise NotAllowed(
                f"{found.person.name} is {found.person.role.word} here; this needs the role "
                f"{role.word}.",
                role=role.word,
            )

    def _is_own_name(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        return name in self._hosts or is_loopback(name)


def cookie_of(headers: Headers) -> str | None:
    """Return the session that a browser sends; None without one."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    found = cookies.get(COOKIE)
    return None if found is None else found.value


def demand_word(found: Visit, sent: str | None) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        NotAllowed: the word that came with it is another.
    """
    expected = "" if found.session is None else found.session.csrf
    if not expected or not hmac.compare_digest(expected.encode(), (sent or "").encode()):
        raise NotAllowed("The page this came from is too old, or not ours: load it again.")


def _demand_own_page(headers: Headers, found: Visit, path: str) -> None:
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc != headers.get("host")
    ):
        raise NotAllowed("This was sent by a page of somebody else.")
    is_form = headers.get("content-type", "").startswith(_FORMS)
    if is_form and not path.startswith("/api/"):
        return  # it brings its word in its body, and whoever reads that asks for it
    if found.session is not None:
        demand_word(found, headers.get(CSRF_HEADER))
    elif is_form:
        raise NotAllowed("The API takes JSON, not what a form of any page could send.")


def _refusal(error: KallaError, method: str, scope: Scope, headers: Headers) -> Response:
    """Return the answer: for somebody who looks at pages, the one to come in by."""
    is_page = method == "GET" and not scope["path"].startswith("/api/")
    if isinstance(error, Unauthenticated) and is_page and "html" in headers.get("accept", ""):
        return RedirectResponse(f"/login?next={quote(scope['path'])}", 303)
    return error_response(error)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending

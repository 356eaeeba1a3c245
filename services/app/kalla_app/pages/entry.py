"""Coming in and going out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kalla_app.access.gate import COOKIE, cookie_of
from kalla_app.access.people import person_of
from kalla_app.context import App
from kalla_app.pages.forms import form_of, own_path, plain_form_of, seen
from kalla_app.pages.render import keep, page
from kalla_app.store import audit


def entry_pages(app: App) -> APIRouter:
    """Return the pages by which people come in."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    async def login(
        request: Request, next: Annotated[str, Query(max_length=2000)] = "/"
    ) -> Response:
        return await page(app, request, "login.html", onward=own_path(next), wrong=False)

    @routes.post("/login")
    async def come_in(request: Request) -> Response:
        # There is no session yet, and so no word: who has the token may come in from anywhere.
        fields = await plain_form_of(request)
        person = person_of(app.people, fields.get("token", "").strip())
        onward = own_path(fields.get("next", "/"))
        if person is None:
            return await page(app, request, "login.html", 401, onward=onward, wrong=True)
        cookie, _ = await app.sessions.begin(person)
        async with app.database.writing() as connection:
            await audit.add(connection, person.name, "session.begin", f"person/{person.name}")
        answer = seen(onward)
        keep(answer, cookie, secure=app.secure)
        return answer

    @routes.post("/logout")
    async def go_out(request: Request) -> Response:
        await form_of(request)
        cookie = cookie_of(request.headers)
        if cookie is not None:
            await app.sessions.end(cookie)
        answer = seen("/login" if app.people else "/")
        answer.delete_cookie(COOKIE)
        return answer

    return routes

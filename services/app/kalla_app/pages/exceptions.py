"""Pages of exceptions: the workbench over all recipes, and one exception through its runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from markupsafe import Markup

from kalla_app.access.gate import who
from kalla_app.api.bench_routes import by_run, recipes_of
from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.closest import Closest, Near
from kalla_app.evidence.row_texts import texts
from kalla_app.exceptions.age import BUCKETS, Severity
from kalla_app.exceptions.bench import BenchPage, Tray, Wanted
from kalla_app.exceptions.book import eid_of
from kalla_app.exceptions.life import REASON_CODES, Queue, Standing, State
from kalla_app.pages.forms import form_of, lists_of, own_path, seen
from kalla_app.pages.lines import bench_lines
from kalla_app.pages.render import page
from kalla_app.pages.rows import PATIENCE_S, ROWS, Limit, Offset, Row, Text, window_of
from kalla_app.store.exceptions import Subject
from kalla_app.store.runs import Run


@dataclass(frozen=True, slots=True)
class Shown:
    """Exceptions that the address of a page names.

    Attributes:
        recipe, age, severity: as `Wanted`; empty for all.
        order: `severity` where the gravest come first.
    """

    queue: Tray
    recipe: str
    age: str
    severity: str
    order: str

    @property
    def wanted(self) -> Wanted:
        """The same for whoever asks; words that nothing has are left out."""
        return Wanted(
            self.queue,
            who().name,
            self.recipe or None,
            bucket=self.age if self.age in BUCKETS else None,
            severity=_severity(self.severity),
            gravest=self.order == "severity",
        )


@dataclass(frozen=True, slots=True)
class Beside:
    """A row of the other side that came close to an exception.

    Attributes:
        eid: of its own exception; None where it is not open.
        may_match: whether the two can be matched by hand.
    """

    row: Near
    eid: str | None
    standing: Standing
    may_match: bool


def _shown(
    queue: Tray = Tray.OPEN,
    recipe: Text = "",
    age: Text = "",
    severity: Text = "",
    order: Text = "",
) -> Shown:
    return Shown(queue, recipe, age, severity, order)


Named = Annotated[Shown, Depends(_shown)]
"""What is taken from the address of a page."""


def exception_pages(app: App) -> APIRouter:
    """Return the pages of exceptions."""
    routes = APIRouter(include_in_schema=False)

    async def _beside(run: Run, subject: Subject, now: Standing, near: Closest) -> list[Beside]:
        other = "right" if subject.side == "left" else "left"
        known = await app.exceptions.standings(run, other, [one.key for one in near.near])
        return [
            Beside(
                one,
                eid_of(other, one.key) if one.is_open else None,
                known[one.key],
                one.is_open and not (now.state.closed or known[one.key].state.closed),
            )
            for one in near.near
        ]

    @routes.get("/exceptions")
    async def bench(
        request: Request, shown: Named, offset: Offset = 0, row: Row = None
    ) -> Response:
        ids = await recipes_of(app, shown.recipe or None)
        offset = offset if row is None else row - 1
        found = await app.bench.page(shown.wanted, ids, offset, ROWS)
        if offset and not found.items:
            offset = max(0, found.total - ROWS)
            found = await app.bench.page(shown.wanted, ids, offset, ROWS)
        return await page(
            app,
            request,
            "exceptions.html",
            found=found,
            shown=shown,
            trays=list(Tray),
            offset=offset,
            size=ROWS,
            buckets=BUCKETS,
            grades=[one.word for one in reversed(Severity)],
            states=[one for one in State if one is not State.MATCHED],
            reason_codes=REASON_CODES,
            lines=_lines(shown, found, offset),
        )

    @routes.get("/exceptions/window")
    async def window(shown: Named, offset: Offset = 0, limit: Limit = ROWS) -> Response:
        ids = await recipes_of(app, shown.recipe or None)
        found = await app.bench.page(shown.wanted, ids, offset, limit)
        return window_of(_lines(shown, found, offset), found.total)

    @routes.post("/exceptions/decide")
    async def decide(request: Request) -> Response:
        given = await lists_of(request)
        fields = {name: values[-1] for name, values in given.items()}
        named = [(run_id, eid) for run_id, _, eid in (_split(one) for one in given.get("eid", []))]
        asked = await by_run(app, named)
        if fields.get("do") == "confirm":
            for run, eids in asked:
                await app.exceptions.confirm(run, eids, {}, who().name)
        else:
            await app.exceptions.decide_all(asked, decision_of(fields), who().name)
        return seen(own_path(fields.get("back", "/exceptions")))

    @routes.get("/runs/{run_id}/exceptions/{eid}")
    async def one(run_id: str, eid: str, request: Request) -> Response:
        run = await app.runs.get(run_id)
        subject, now, kept = await app.exceptions.history(run, eid)
        asked = Asked("", keys=(subject.record_key,))
        row, (partners,), near = await asyncio.gather(
            app.exceptions.page(run, subject.side, asked, 0, 1),
            app.exceptions.suggested(run, [subject]),
            app.closest.find(run, subject.side, subject.record_key, PATIENCE_S),
        )
        return await page(
            app,
            request,
            "exception.html",
            run=run,
            eid=eid,
            subject=subject,
            now_is=now,
            queue=now.queue(_today()),
            waiting=Queue.WAITING,
            kept=kept,
            fields=list(zip(row.rows.column_names, texts(row.rows)[0], strict=True)),
            partners=partners,
            closest=near,
            beside=[] if near is None else await _beside(run, subject, now, near),
            states=[one for one in State if one is not State.MATCHED],
            reason_codes=REASON_CODES,
        )

    @routes.post("/recipes/{recipe_id}/policy")
    async def set_policy(recipe_id: str, request: Request) -> Response:
        given = await form_of(request)
        document = {
            "approval": given.get("approval") == "on",
            "aged_by": {side: given.get(f"aged_by_{side}") or None for side in ("left", "right")},
        }
        await app.shelf.get(recipe_id)
        await app.exceptions.set_policy(recipe_id, document, who().name)
        return seen(f"/recipes/{quote(recipe_id, safe='')}")

    return routes


def decision_of(fields: dict[str, str]) -> dict[str, Any]:
    """Return the decision that a form says; what is left empty stays as it is."""
    match fields.get("do"):
        case "undo":
            return {"undo": True}
        case "approve" | "return" as word:
            note = {"note": fields["note"]} if fields.get("note") else {}
            return {"approve": word == "approve", **note}
        case _:
            names = ("state", "owner", "note", "reason_code", "until")
            return {name: fields[name] for name in names if fields.get(name)}


def _lines(shown: Shown, found: BenchPage, offset: int) -> Markup:
    return bench_lines(found.items, offset, closed=shown.queue is Tray.CLOSED)


def _split(text: str) -> tuple[str, str, str]:
    return text.partition("/")


def _severity(word: str) -> Severity | None:
    return next((one for one in Severity if one.word == word), None)


def _today() -> date:
    return datetime.now(UTC).date()

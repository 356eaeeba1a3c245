"""Pages of matching by hand: what is open on both sides of a run, next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from kalla_app.access.gate import who
from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.open_rows import OURS
from kalla_app.evidence.row_texts import text_columns
from kalla_app.exceptions.book import Overlaid, eid_of
from kalla_app.exceptions.life import REASON_CODES, State
from kalla_app.pages.forms import lists_of, own_path, seen
from kalla_app.pages.grid import lines
from kalla_app.pages.lines import side_lines
from kalla_app.pages.render import page
from kalla_app.pages.rows import PATIENCE_S, ROWS, Limit, Offset, Text, window_of
from kalla_app.store.runs import Run
from kalla_core.recipe.open_amounts import OPEN_AMOUNT


def match_pages(app: App) -> APIRouter:
    """Return the pages of matching by hand."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/runs/{run_id}/match")
    async def two_sides(run_id: str, request: Request, ql: Text = "", qr: Text = "") -> Response:
        found = await app.runs.get(run_id)
        sides = []
        for side, q in (("left", ql), ("right", qr)):
            overlaid = await _open(app, found, side, q, 0, ROWS, PATIENCE_S)
            layout = await _layout(app, found, side)
            shown = _shown(side, overlaid, layout, 0)
            counts = {"count": len(overlaid.keys), "total": overlaid.total}
            told = {"side": side, "q": q, "layout": layout, "lines": shown, **counts}
            sides.append({**told, "so_far": overlaid.so_far})
        return await page(
            app,
            request,
            "match.html",
            run=found,
            sides=sides,
            document=await app.runs.recipe(run_id),
            reason_codes=REASON_CODES,
        )

    @routes.get("/runs/{run_id}/match/window")
    async def window(
        run_id: str,
        side: Literal["left", "right"],
        q: Text = "",
        offset: Offset = 0,
        limit: Limit = ROWS,
    ) -> Response:
        found = await app.runs.get(run_id)
        layout = await _layout(app, found, side)
        overlaid = await _open(app, found, side, q, offset, limit)
        return window_of(_shown(side, overlaid, layout, offset), overlaid.total)

    @routes.post("/runs/{run_id}/match")
    async def match(run_id: str, request: Request) -> Response:
        given = await lists_of(request)
        fields = {name: values[-1] for name, values in given.items()}
        found = await app.runs.get(run_id)
        await app.exceptions.match(found, given.get("eid", []), fields, who().name)
        if fields.get("back"):
            return seen(own_path(fields["back"]))
        query = urlencode({"ql": fields.get("ql", ""), "qr": fields.get("qr", "")})
        return seen(f"/runs/{quote(run_id, safe='')}/match?{query}")

    return routes


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a side stand beside those of the other.

    Attributes:
        names: of the columns.
        amount: where the amount stands among them, if there is one.
    """

    names: tuple[str, ...]
    amount: int | None


async def _open(
    app: App,
    run: Run,
    side: str,
    q: str,
    offset: int,
    limit: int,
    within_s: float | None = None,
) -> Overlaid:
    asked = Asked("", q.strip())
    return await app.exceptions.page(
        run, side, asked, offset, limit, state=State.OPEN, within_s=within_s
    )


async def _layout(app: App, run: Run, side: str) -> Layout:
    """Return how rows of a side are shown, whichever of them: what names one, then its amount."""
    schemas = [await app.rows.schema(run, name) for name in await app.rows.open_sets(run, side)]
    rows = _by_open_amount(pa.unify_schemas(schemas, promote_options="default").empty_table())
    plain = [one.name for one in rows.schema if one.name not in OURS]
    money = [one.name for one in rows.schema if one.name in plain and _is_amount(one.type)][:1]
    first = [name for name in plain if name not in money][:1]
    names = (*first, *money, *(name for name in plain if name not in (*first, *money)))
    return Layout(names, names.index(money[0]) if money else None)


def _shown(side: str, found: Overlaid, layout: Layout, offset: int) -> Markup:
    """Return the lines of open rows of a side, `offset` of which stand before them."""
    rows = _by_open_amount(found.rows)
    unknown = pa.nulls(rows.num_rows)
    columns = [rows.column(name) if name in rows.column_names else unknown for name in layout.names]
    table = pa.table(columns, names=list(layout.names))
    money = [] if layout.amount is None else [layout.names[layout.amount]]
    amounts = text_columns(table.select(money))[0] if money else [None] * rows.num_rows
    eids = (eid_of(side, key) for key in found.keys)
    named = list(zip(eids, amounts, strict=True))
    return side_lines(side, lines(table, numbers=money), named, offset)


def _is_amount(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind))


def _by_open_amount(rows: pa.Table) -> pa.Table:
    """Return rows whose amount is what is open of it: of those matched in part, the rest."""
    if OPEN_AMOUNT not in rows.column_names:
        return rows
    kind = rows.schema.field(OPEN_AMOUNT).type
    amounts = [one.name for one in rows.schema if one.type == kind and one.name not in OURS]
    amount = next((name for name in amounts if name != OPEN_AMOUNT), None)
    if amount is None:
        return rows
    open_of = pc.coalesce(rows.column(OPEN_AMOUNT), rows.column(amount))
    names = [name for name in rows.column_names if name != OPEN_AMOUNT]
    columns = [open_of if name == amount else rows.column(name) for name in names]
    return pa.table(columns, names=names)

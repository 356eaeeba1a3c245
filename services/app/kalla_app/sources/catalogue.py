"""Saves, lists, tries and previews sources. What lies behind them only the coordinator reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kalla_app.errors import Conflict, NotFound
from kalla_app.sources.secrets_kept import with_secrets
from kalla_app.store import audit, sources
from kalla_app.store.database import Database
from kalla_app.store.sources import Source
from kalla_app.store.vault import Vault
from kalla_core.client.client import Client
from kalla_core.errors import Fault, RecipeInvalid, UserError
from kalla_core.jobs.document import time_text
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.model import SourceType
from kalla_core.recipe.uris import contradiction, type_of

Json = dict[str, Any]

MOST_ROWS = 500
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_FIELDS = frozenset({"alias", "uri", "source_type", "type", "types", "format"})


class Catalogue:
    """Asyncio."""

    def __init__(self, database: Database, vault: Vault, client: Client) -> None:
        self._database = database
        self._vault = vault
        self._client = client

    async def page(self, limit: int, after: str | None) -> list[Source]:
        """Return sources by alias, those behind `after`."""
        async with self._database.reading() as connection:
            return await sources.page(connection, limit, after)

    async def get(self, alias: str) -> Source:
        """Return a source.

        Raises:
            NotFound: there is none of this alias.
        """
        async with self._database.reading() as connection:
            return _there(await sources.find(connection, alias), alias)

    async def add(self, document: object, who: str, *, check: bool) -> Source:
        """Save a new source.

        Args:
            document: `alias` and `uri`; `source_type`, `types` and `format` if they are needed.
            check: whether it is looked into first, and not saved if that fails.

        Raises:
            RecipeInvalid: the document is wrong; with all its faults.
            Conflict: the alias is taken.
            KallaError: it cannot be read, or the coordinator does not answer.
        """
        given = _checked(document, partial=False)
        now = datetime.now(UTC)
        made = Source(
            alias=given["alias"],
            uri=mask_text(given["uri"]),
            source_type=given["source_type"],
            reading=_reading(given),
            created_at=now,
            updated_at=now,
        )
        if check:
            made = await self._tried(made, given["uri"])
        async with self._database.writing() as connection:
            if await sources.find(connection, made.alias) is not None:
                raise Conflict(f"There is a source {made.alias} already.", alias=made.alias)
            await self._put(connection, None, made, given["uri"], who)
        return made

    async def change(self, alias: str, document: object, who: str, *, check: bool) -> Source:
        """Save some fields of a source anew; a URI that is sent back masked keeps its password.

        Raises:
            NotFound: there is none of this alias.
            KallaError: as `add`.
        """
        given = _checked(document, partial=True)
        async with self._database.reading() as connection:
            before = _there(await sources.find(connection, alias), alias)
            whole = await sources.uri_of(connection, before, self._vault)
        uri = str(with_secrets(given.get("uri", whole), whole))
        kind = given.get("source_type") or (
            type_of(uri).value if "uri" in given else before.source_type
        )
        _demand_fitting(kind, uri)
        made = replace(
            before,
            uri=mask_text(uri),
            source_type=kind,
            reading={**before.reading, **_reading(given)},
            status="unchecked",
            problem=None,
            updated_at=datetime.now(UTC),
        )
        if check:
            made = await self._tried(made, uri)
        async with self._database.writing() as connection:
            _there(await sources.find(connection, alias), alias)
            await self._put(connection, before, made, uri, who)
        return made

    async def try_again(self, alias: str, who: str) -> Source:
        """Look into a source, and keep what was found: its columns, or why it cannot be read.

        Raises:
            NotFound: there is none of this alias.
            KallaError: the coordinator does not answer.
        """
        async with self._database.reading() as connection:
            before = _there(await sources.find(connection, alias), alias)
            uri = await sources.uri_of(connection, before, self._vault)
        try:
            made = await self._tried(before, uri)
        except UserError as error:
            made = replace(
                before, status="failed", problem=error.message, checked_at=datetime.now(UTC)
            )
        async with self._database.writing() as connection:
            await self._put(connection, before, made, uri, who, action="source.try")
        return made

    async def remove(self, alias: str, who: str) -> None:
        """Remove a source; what it points to stays as it is.

        Raises:
            NotFound: there is none of this alias.
        """
        async with self._database.writing() as connection:
            before = _there(await sources.find(connection, alias), alias)
            await sources.remove(connection, alias, self._vault)
            await audit.add(
                connection, who, "source.remove", f"source/{alias}", before=source_json(before)
            )

    async def preview(
        self, alias: str, limit: int, conditions: Sequence[Mapping[str, Any]] = ()
    ) -> Json:
        """Return columns and first rows of a source, as the coordinator shows them.

        Raises:
            NotFound: there is none of this alias.
            KallaError: it cannot be read, or a condition is wrong.
        """
        async with self._database.reading() as connection:
            found = _there(await sources.find(connection, alias), alias)
            uri = await sources.uri_of(connection, found, self._vault)
        return await self._look(found, uri, limit, conditions)

    async def specs(self, aliases: Sequence[str]) -> dict[str, Json]:
        """Return what recipes say of the sources that are saved under these aliases."""
        found: dict[str, Json] = {}
        async with self._database.reading() as connection:
            for alias in aliases:
                source = await sources.find(connection, alias)
                if source is not None:
                    uri = await sources.uri_of(connection, source, self._vault)
                    found[alias] = {"uri": uri, "type": source.source_type, **source.reading}
        return found

    async def _tried(self, source: Source, uri: str) -> Source:
        seen = await self._look(source, uri, 1, ())
        return replace(
            source,
            status="ready",
            problem=None,
            columns=tuple(seen["columns"]),
            row_count=seen["row_count"] if seen["row_count_exact"] else None,
            checked_at=datetime.now(UTC),
        )

    async def _look(
        self, source: Source, uri: str, limit: int, conditions: Sequence[Mapping[str, Any]]
    ) -> Json:
        return await self._client.preview(
            uri,
            limit,
            types=source.reading.get("types"),
            filters=conditions,
            format=source.reading.get("format"),
        )

    async def _put(
        self,
        connection: Any,
        before: Source | None,
        made: Source,
        uri: str,
        who: str,
        action: str = "source.save",
    ) -> None:
        await sources.put(connection, made, uri, self._vault)
        await audit.add(
            connection,
            who,
            action,
            f"source/{made.alias}",
            before=None if before is None else source_json(before),
            after=source_json(made),
        )


def source_json(source: Source) -> Json:
    """Return a source as the API shows it."""
    checked = source.checked_at
    return {
        "alias": source.alias,
        "uri": source.uri,
        "source_type": source.source_type,
        "status": source.status,
        "problem": source.problem,
        **source.reading,
        "columns": list(source.columns),
        "row_count": source.row_count,
        "checked_at": None if checked is None else time_text(checked),
        "created_at": time_text(source.created_at),
        "updated_at": time_text(source.updated_at),
    }


def scoped_json(alias: str, seen: Json, limit: int, *, filtered: bool) -> Json:
    """Return rows of a source as texts, of what the coordinator's preview shows.

    `total_rows` is null where nobody counted: with conditions, and more rows than were asked for.
    """
    names = [column["name"] for column in seen["columns"]]
    rows = [[text_of(row.get(name)) for name in names] for row in seen["rows"]]
    counted = None if filtered or not seen["row_count_exact"] else seen["row_count"]
    return {
        "alias": alias,
        "columns": [
            {"name": one["name"], "data_type": one["type"], "nullable": True}
            for one in seen["columns"]
        ],
        "rows": rows,
        "total_rows": len(rows) if counted is None and len(rows) < limit else counted,
        "preview_rows": len(rows),
    }


def text_of(value: object) -> str | None:
    """Return a value of JSON as text; amounts come as text already, and stay exact."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _checked(document: object, *, partial: bool) -> Json:
    """Return the fields of a source, all that is wrong with them raised at once."""
    if not isinstance(document, Mapping):
        raise RecipeInvalid([Fault("wrong_type", "$", "A source is an object.")], "source")
    given = {name: value for name, value in document.items() if value is not None}
    if "type" in given:
        given.setdefault("source_type", given.pop("type"))
    faults = [
        Fault("unknown_field", name, f"A source has no `{name}`.")
        for name in sorted(set(given) - _FIELDS - {"status"})
    ]
    if not partial or "alias" in given:
        alias = given.get("alias")
        if not isinstance(alias, str) or _ALIAS.fullmatch(alias) is None:
            faults.append(
                Fault(
                    "invalid_alias" if alias else "missing",
                    "alias",
                    "An alias is a name for SQL: a letter, then letters, digits, - and _.",
                )
            )
    uri = given.get("uri")
    if uri is None and not partial:
        faults.append(Fault("missing", "uri", "Say where the source lies."))
    if uri is not None and (not isinstance(uri, str) or not uri.strip()):
        faults.append(Fault("empty", "uri", "A URI is a text that is not blank."))
    kinds = [kind.value for kind in SourceType]
    if given.get("source_type", kinds[0]) not in kinds:
        known = ", ".join(kinds)
        faults.append(Fault("unknown_value", "source_type", f"Types are {known}."))
    if faults:
        raise RecipeInvalid(faults, "source")
    if uri is not None and not partial:
        given.setdefault("source_type", type_of(str(uri)).value)
        _demand_fitting(given["source_type"], str(uri))
    return given


def _demand_fitting(kind: str, uri: str) -> None:
    wrong = contradiction(SourceType(kind), uri)
    if wrong is not None:
        raise RecipeInvalid([Fault("contradiction", "source_type", wrong)], "source")


def _reading(given: Json) -> Json:
    return {name: given[name] for name in ("types", "format") if name in given}


def _there(found: Source | None, alias: str) -> Source:
    if found is None:
        raise NotFound(f"There is no source {alias}.", alias=alias)
    return found

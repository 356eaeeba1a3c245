"""Recipes and their versions as they are kept: documents masked, and whole in the vault."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import RECIPE_VERSIONS, RECIPES
from kalla_app.store.vault import Vault
from kalla_core.moments import micros, moment_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe by its newest version."""

    recipe_id: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a recipe; its document is fit to be shown."""

    recipe_id: str
    version: int
    document: Json
    sha256: str
    saved_by: str
    saved_at: datetime


# Made once: to make a query takes longer than to answer it.
_FIND = select(RECIPES).where(RECIPES.c.recipe_id == bindparam("recipe_id"))
_IDS = (
    select(RECIPES.c.recipe_id)
    .where(RECIPES.c.removed == 0)
    .order_by(RECIPES.c.recipe_id)
    .limit(bindparam("most", type_=Integer))
)
_VERSIONS = select(RECIPE_VERSIONS).where(RECIPE_VERSIONS.c.recipe_id == bindparam("recipe_id"))
_VERSION = _VERSIONS.where(RECIPE_VERSIONS.c.version == bindparam("version"))


async def find(connection: AsyncConnection, recipe_id: str) -> Recipe | None:
    """Return a recipe, also one that was removed; None if there never was one."""
    row = (await connection.execute(_FIND, {"recipe_id": recipe_id})).mappings().first()
    return None if row is None else _recipe_of(row)


async def page(
    connection: AsyncConnection, limit: int, after: str | None
) -> list[tuple[Recipe, Version]]:
    """Return recipes by id, those behind `after`, each with its newest version."""
    query = _page_of(behind=after is not None)
    asked = {"most": limit, **({} if after is None else {"after": after})}
    rows = (await connection.execute(query, asked)).mappings().all()
    return [(_recipe_of(row), _version_of(row)) for row in rows]


async def ids(connection: AsyncConnection, limit: int) -> list[str]:
    """Return the first ids of recipes."""
    return list((await connection.execute(_IDS, {"most": limit})).scalars())


async def version(connection: AsyncConnection, recipe_id: str, number: int) -> Version | None:
    """Return a version; None if there is none."""
    asked = {"recipe_id": recipe_id, "version": number}
    row = (await connection.execute(_VERSION, asked)).mappings().first()
    return None if row is None else _version_of(row)


async def versions(
    connection: AsyncConnection, recipe_id: str, limit: int, before: int | None
) -> list[Version]:
    """Return versions, newest first, those of lesser numbers than `before`."""
    asked: Json = {"recipe_id": recipe_id, "most": limit}
    if before is not None:
        asked["before"] = before
    query = _versions_of(before=before is not None)
    return [_version_of(row) for row in (await connection.execute(query, asked)).mappings().all()]


async def add_version(
    connection: AsyncConnection, made: Version, whole: Json, vault: Vault
) -> Version:
    """Keep a new version of a recipe, which becomes its newest; return it as it may be shown.

    Args:
        whole: the document with its secrets.
    """
    shown = await vault.keep(connection, _secret(made.recipe_id, made.version), whole)
    name, at = str(whole["name"]), micros(made.saved_at)
    if made.version == 1:
        await connection.execute(
            insert(RECIPES).values(
                recipe_id=made.recipe_id,
                name=name,
                version=1,
                created_at=at,
                updated_at=at,
                removed=0,
            )
        )
    else:
        await connection.execute(
            update(RECIPES)
            .where(RECIPES.c.recipe_id == made.recipe_id)
            .values(name=name, version=made.version, updated_at=at, removed=0)
        )
    await connection.execute(
        insert(RECIPE_VERSIONS).values(
            recipe_id=made.recipe_id,
            version=made.version,
            document=json.dumps(shown),
            sha256=made.sha256,
            saved_by=made.saved_by,
            saved_at=at,
        )
    )
    return Version(made.recipe_id, made.version, shown, made.sha256, made.saved_by, made.saved_at)


async def whole(connection: AsyncConnection, found: Version, vault: Vault) -> Json:
    """Return the document of a version with its secrets."""
    name = _secret(found.recipe_id, found.version)
    return dict(await vault.whole(connection, name, found.document))


async def remove(connection: AsyncConnection, recipe_id: str) -> None:
    """Take a recipe out of the list; its versions stay, for runs name them."""
    await connection.execute(
        update(RECIPES).where(RECIPES.c.recipe_id == recipe_id).values(removed=1)
    )


@lru_cache
def _page_of(*, behind: bool) -> Select[Any]:
    own, other = RECIPES.c, RECIPE_VERSIONS.c
    query = (
        select(RECIPES, other.document, other.sha256, other.saved_by, other.saved_at)
        .join(
            RECIPE_VERSIONS,
            and_(own.recipe_id == other.recipe_id, own.version == other.version),
        )
        .where(own.removed == 0)
        .order_by(own.recipe_id)
    )
    if behind:
        query = query.where(own.recipe_id > bindparam("after"))
    return query.limit(bindparam("most", type_=Integer))


@lru_cache
def _versions_of(*, before: bool) -> Select[Any]:
    number = RECIPE_VERSIONS.c.version
    query = _VERSIONS.where(number < bindparam("before")) if before else _VERSIONS
    return query.order_by(number.desc()).limit(bindparam("most", type_=Integer))


def _secret(recipe_id: str, number: int) -> str:
    return f"recipe/{recipe_id}/{number}"


def _recipe_of(row: Any) -> Recipe:
    return Recipe(
        row["recipe_id"],
        row["name"],
        row["version"],
        moment_of(row["created_at"]),
        moment_of(row["updated_at"]),
        bool(row["removed"]),
    )


def _version_of(row: Any) -> Version:
    return Version(
        row["recipe_id"],
        row["version"],
        json.loads(row["document"]),
        row["sha256"],
        row["saved_by"],
        moment_of(row["saved_at"]),
    )

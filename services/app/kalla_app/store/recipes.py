"""Recipes and their versions as they are kept: documents masked, and whole in the vault."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, select, update
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


async def find(connection: AsyncConnection, recipe_id: str) -> Recipe | None:
    """Return a recipe, also one that was removed; None if there never was one."""
    query = select(RECIPES).where(RECIPES.c.recipe_id == recipe_id)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _recipe_of(row)


async def page(
    connection: AsyncConnection, limit: int, after: str | None
) -> list[tuple[Recipe, Version]]:
    """Return recipes by id, those behind `after`, each with its newest version."""
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
    if after is not None:
        query = query.where(own.recipe_id > after)
    rows = (await connection.execute(query.limit(limit))).mappings().all()
    return [(_recipe_of(row), _version_of(row)) for row in rows]


async def version(connection: AsyncConnection, recipe_id: str, number: int) -> Version | None:
    """Return a version; None if there is none."""
    table = RECIPE_VERSIONS.c
    query = select(RECIPE_VERSIONS).where(table.recipe_id == recipe_id, table.version == number)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _version_of(row)


async def versions(
    connection: AsyncConnection, recipe_id: str, limit: int, before: int | None
) -> list[Version]:
    """Return versions, newest first, those of lesser numbers than `before`."""
    table = RECIPE_VERSIONS.c
    query = select(RECIPE_VERSIONS).where(table.recipe_id == recipe_id)
    if before is not None:
        query = query.where(table.version < before)
    query = query.order_by(table.version.desc()).limit(limit)
    return [_version_of(row) for row in (await connection.execute(query)).mappings().all()]


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

"""Policies of recipes, and how far each recipe's runs were looked through for its exceptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BindParameter, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.exceptions.policy import Policy, policy_json, policy_of
from kalla_app.store.tables import FOLLOWED, POLICIES
from kalla_core.moments import micros, moment_of

# Made once: to make a query takes longer than to answer it.
_FIND = select(POLICIES.c.document).where(POLICIES.c.recipe_id == bindparam("recipe_id"))
_OF_SOME: BindParameter[str] = bindparam("recipe_ids", expanding=True)
_OF = select(POLICIES).where(POLICIES.c.recipe_id.in_(_OF_SOME))
_FOLLOWED_OF = select(FOLLOWED).where(FOLLOWED.c.recipe_id.in_(_OF_SOME))


async def find(connection: AsyncConnection, recipe_id: str) -> Policy:
    """Return the policy of a recipe: the default one where nobody has set any."""
    found = (await connection.execute(_FIND, {"recipe_id": recipe_id})).scalar()
    return Policy() if found is None else policy_of(json.loads(found))


async def of(connection: AsyncConnection, recipe_ids: Sequence[str]) -> dict[str, Policy]:
    """Return the policies of some recipes, of those where somebody has set one."""
    rows = (await connection.execute(_OF, {"recipe_ids": recipe_ids})).mappings()
    return {row["recipe_id"]: policy_of(json.loads(row["document"])) for row in rows}


async def put(connection: AsyncConnection, recipe_id: str, policy: Policy) -> None:
    """Set the policy of a recipe."""
    await connection.execute(delete(POLICIES).where(POLICIES.c.recipe_id == recipe_id))
    document = json.dumps(policy_json(policy))
    await connection.execute(insert(POLICIES).values(recipe_id=recipe_id, document=document))


async def followed(connection: AsyncConnection, recipe_id: str) -> datetime | None:
    """Return when the latest run was made that was looked through; None if none was."""
    query = select(FOLLOWED.c.created_at).where(FOLLOWED.c.recipe_id == recipe_id)
    found = (await connection.execute(query)).scalar()
    return None if found is None else moment_of(found)


async def followed_of(
    connection: AsyncConnection, recipe_ids: Sequence[str]
) -> dict[str, datetime]:
    """Return the same of some recipes, of those of which a run was looked through."""
    rows = (await connection.execute(_FOLLOWED_OF, {"recipe_ids": recipe_ids})).mappings()
    return {row["recipe_id"]: moment_of(row["created_at"]) for row in rows}


async def follow(connection: AsyncConnection, recipe_id: str, created_at: datetime) -> None:
    """Note that a run was looked through."""
    await connection.execute(delete(FOLLOWED).where(FOLLOWED.c.recipe_id == recipe_id))
    at = micros(created_at)
    await connection.execute(insert(FOLLOWED).values(recipe_id=recipe_id, created_at=at))

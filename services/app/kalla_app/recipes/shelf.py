"""Saves, lists and removes recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kalla_app.errors import Conflict, NotFound
from kalla_app.recipes.complete import aliases_of, completed, with_parameters
from kalla_app.sources.catalogue import Catalogue
from kalla_app.sources.secrets_kept import with_secrets
from kalla_app.store import audit, recipes
from kalla_app.store.database import Database
from kalla_app.store.recipes import Recipe, Version
from kalla_app.store.vault import Vault
from kalla_core.client.client import Client
from kalla_core.error_json import fault_of
from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.jobs.document import time_text
from kalla_core.recipe.parse import parse_document
from kalla_core.recipe.write import recipe_sha256

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Saved:
    """A recipe and one of its versions."""

    recipe: Recipe
    version: Version


class Shelf:
    """Asyncio."""

    def __init__(
        self, database: Database, vault: Vault, client: Client, catalogue: Catalogue
    ) -> None:
        self._database = database
        self._vault = vault
        self._client = client
        self._catalogue = catalogue

    async def page(self, limit: int, after: str | None) -> list[Saved]:
        """Return recipes by id, those behind `after`, each with its newest version."""
        async with self._database.reading() as connection:
            return [Saved(*one) for one in await recipes.page(connection, limit, after)]

    async def ids(self, limit: int) -> list[str]:
        """Return the first ids of recipes."""
        async with self._database.reading() as connection:
            return await recipes.ids(connection, limit)

    async def get(self, recipe_id: str, number: int | None = None) -> Saved:
        """Return a recipe and a version of it, the newest where none is named.

        Raises:
            NotFound: there is none of this id or number.
        """
        async with self._database.reading() as connection:
            found = _there(await recipes.find(connection, recipe_id), recipe_id)
            if number is None:
                return await _newest(connection, found)
            version = await recipes.version(connection, recipe_id, number)
        if version is None:
            raise NotFound(f"The recipe {recipe_id} has no version {number}.", version=number)
        return Saved(found, version)

    async def versions(self, recipe_id: str, limit: int, before: int | None) -> list[Version]:
        """Return versions of a recipe, newest first.

        Raises:
            NotFound: there is no such recipe.
        """
        async with self._database.reading() as connection:
            _there(await recipes.find(connection, recipe_id), recipe_id)
            return await recipes.versions(connection, recipe_id, limit, before)

    async def save(
        self,
        document: object,
        who: str,
        *,
        recipe_id: str | None = None,
        expected: int | None = None,
        check: bool = True,
    ) -> Saved:
        """Save a recipe as its next version, or the first; the same as the newest is no new one.

        Args:
            document: the recipe; what comes back masked keeps its secrets.
            recipe_id: the recipe that is changed; None for one that must be new.
            expected: the version that was changed, if it must still be the newest.
            check: whether its sources are looked into, through the coordinator.

        Raises:
            RecipeInvalid: with all its faults.
            NotFound: there is no recipe to change.
            Conflict: the id is taken, or somebody else has saved meanwhile.
            KallaError: the coordinator does not answer.
        """
        if recipe_id is not None:
            document = await self._with_secrets(document, recipe_id)
        faults = await self.faults(document, looking=check)
        if faults:
            raise RecipeInvalid(faults)
        whole: Json = dict(document) if isinstance(document, Mapping) else {}
        named = str(whole["recipe_id"])
        if recipe_id is not None and named != recipe_id:
            wrong = f"It is the recipe {recipe_id} that is changed; an id stays as it is."
            raise RecipeInvalid([Fault("contradiction", "recipe_id", wrong)])
        sha256 = recipe_sha256(parse_document(await self.ready(whole)))
        async with self._database.writing() as connection:
            before = await recipes.find(connection, named)
            if recipe_id is None and before is not None and not before.removed:
                raise Conflict(f"There is a recipe {named} already.", recipe_id=named)
            if recipe_id is not None and (before is None or before.removed):
                raise _missing(named)
            if expected is not None and before is not None and before.version != expected:
                raise Conflict(
                    f"Somebody else has saved version {before.version} of {named} meanwhile; "
                    f"yours was made from {expected}.",
                    version=before.version,
                )
            old = None if before is None else (await _newest(connection, before)).version
            if old is not None and before is not None and not before.removed:
                same = await recipes.whole(connection, old, self._vault) == whole
                if same:
                    return Saved(before, old)
            number = 1 if before is None else before.version + 1
            made = Version(named, number, whole, sha256, who, datetime.now(UTC))
            version = await recipes.add_version(connection, made, whole, self._vault)
            await audit.add(
                connection,
                who,
                "recipe.save",
                f"recipe/{named}",
                before=None if old is None else {"version": old.version, "sha256": old.sha256},
                after={"version": number, "sha256": sha256},
            )
            return Saved(_there(await recipes.find(connection, named), named), version)

    async def remove(self, recipe_id: str, who: str) -> None:
        """Take a recipe out of the list; runs keep the version they used.

        Raises:
            NotFound: there is none of this id.
        """
        async with self._database.writing() as connection:
            found = _there(await recipes.find(connection, recipe_id), recipe_id)
            await recipes.remove(connection, recipe_id)
            before = {"version": found.version}
            await audit.add(connection, who, "recipe.remove", f"recipe/{recipe_id}", before=before)

    async def faults(self, document: object, *, looking: bool = True) -> list[Fault]:
        """Return what is wrong with a recipe, each with its place.

        Args:
            looking: whether its sources are looked into as well.

        Raises:
            KallaError: the coordinator does not answer.
        """
        try:
            ready = await self.ready(document)
            parse_document(ready)
        except RecipeInvalid as error:
            return list(error.faults)
        if not looking:
            return []
        answer = await self._client.validate(ready)
        return [fault_of(fault) for fault in answer["faults"]]

    async def explained(self, document: object) -> Json:
        """Return how the coordinator would run a recipe.

        Raises:
            KallaError: the recipe is wrong, or the coordinator does not answer.
        """
        return await self._client.explain(await self.ready(document))

    async def tried(self, document: object, rows: int) -> Json:
        """Return what becomes of a recipe on samples whose rows have partners.

        Args:
            rows: to show of each set.

        Raises:
            KallaError: the recipe is wrong, or the coordinator does not answer.
        """
        return await self._client.try_recipe(await self.ready(document), rows=rows)

    async def ready(
        self, document: object, resolved: object = None, parameters: object = None
    ) -> Json:
        """Return a recipe as it is run: its sources found, its parameters set.

        Raises:
            RecipeInvalid, InvalidSetting: as `completed` and `with_parameters`.
        """
        saved = await self._catalogue.specs(aliases_of(document))
        return with_parameters(completed(document, saved, resolved), parameters)

    async def whole(self, version: Version) -> Json:
        """Return the document of a version with its secrets."""
        async with self._database.reading() as connection:
            return await recipes.whole(connection, version, self._vault)

    async def _with_secrets(self, document: object, recipe_id: str) -> object:
        async with self._database.reading() as connection:
            found = _there(await recipes.find(connection, recipe_id), recipe_id)
            newest = (await _newest(connection, found)).version
            return with_secrets(document, await recipes.whole(connection, newest, self._vault))


def recipe_json(saved: Saved) -> Json:
    """Return a recipe as the API shows it, with the document of a version."""
    return {
        "recipe_id": saved.recipe.recipe_id,
        "name": saved.recipe.name,
        "latest_version": saved.recipe.version,
        "created_at": time_text(saved.recipe.created_at),
        "updated_at": time_text(saved.recipe.updated_at),
        **version_json(saved.version),
        "recipe": saved.version.document,
    }


def version_json(version: Version) -> Json:
    """Return what a list says of a version."""
    return {
        "version": version.version,
        "sha256": version.sha256,
        "saved_by": version.saved_by,
        "saved_at": time_text(version.saved_at),
    }


async def _newest(connection: Any, recipe: Recipe) -> Saved:
    version = await recipes.version(connection, recipe.recipe_id, recipe.version)
    if version is None:
        raise NotFound(f"The recipe {recipe.recipe_id} has lost its version {recipe.version}.")
    return Saved(recipe, version)


def _there(found: Recipe | None, recipe_id: str) -> Recipe:
    if found is None or found.removed:
        raise _missing(recipe_id)
    return found


def _missing(recipe_id: str) -> NotFound:
    return NotFound(f"There is no recipe {recipe_id}.", recipe_id=recipe_id)

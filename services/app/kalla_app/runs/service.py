"""Starts, lists and cancels runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kalla_app.recipes.shelf import Shelf
from kalla_app.runs.dispatch import Dispatcher
from kalla_app.runs.life import AskedToCancel, RunState, RunStatus
from kalla_app.store import audit, runs
from kalla_app.store.database import Database
from kalla_app.store.runs import CANCEL, Request, Run
from kalla_app.store.vault import Vault
from kalla_core.errors import Fault, JobConflict, JobEnded, JobNotFound, RecipeInvalid
from kalla_core.ids import new_run_id, parse_run_id
from kalla_core.jobs.document import time_text
from kalla_core.recipe.parse import parse_document

Json = dict[str, Any]

_FIELDS = ("recipe_id", "recipe_version", "recipe", "resolved_sources", "parameters", "run_id")


class RunService:
    """Asyncio.

    Args:
        callback_url: where the coordinator tells of jobs.
        output_of: where the evidence of a run goes; None for the coordinator's own place.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        shelf: Shelf,
        dispatcher: Dispatcher,
        changed: Callable[[str], None],
        callback_url: str,
        output_of: Callable[[str], str | None],
    ) -> None:
        self._database = database
        self._vault = vault
        self._shelf = shelf
        self._dispatcher = dispatcher
        self._changed = changed
        self._callback_url = callback_url
        self._output_of = output_of

    async def start(self, asked: object, who: str) -> Run:
        """Keep a new run, and let it be dispatched; it is on disk when this returns.

        Args:
            asked: `recipe_id` (and `recipe_version`) or `recipe`; `resolved_sources`,
                `parameters` and `run_id` if need be. The same `run_id` again with the same recipe
                is the same run.

        Raises:
            RecipeInvalid: with all that is wrong with the request or the recipe.
            NotFound: there is no such recipe.
            JobConflict: another run has this id.
        """
        given = _checked(asked)
        number: int | None = None
        if "recipe" in given:
            document: object = given["recipe"]
        else:
            saved = await self._shelf.get(given["recipe_id"], given.get("recipe_version"))
            document, number = await self._shelf.whole(saved.version), saved.version.version
        ready = await self._shelf.ready(
            document, given.get("resolved_sources"), given.get("parameters")
        )
        recipe = parse_document(ready)
        now = datetime.now(UTC)
        run = Run(
            run_id=parse_run_id(given["run_id"]) if "run_id" in given else new_run_id(),
            recipe_id=recipe.recipe_id,
            recipe_version=number,
            recipe_name=recipe.name,
            state=RunState(),
            created_by=who,
            created_at=now,
            updated_at=now,
            ended_at=None,
        )
        async with self._database.writing() as connection:
            request = Request(ready, self._output_of(run.run_id), self._callback_url)
            if not await runs.add(connection, run, request, self._vault):
                return await self._same(connection, run, ready)
            after = {"recipe_id": run.recipe_id, "recipe_version": number}
            await audit.add(connection, who, "run.start", f"run/{run.run_id}", after=after)
        self._dispatcher.wake()
        return run

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            JobNotFound: there is none of this id.
        """
        async with self._database.reading() as connection:
            return _there(await runs.find(connection, run_id), run_id)

    async def recipe(self, run_id: str) -> Json:
        """Return the recipe of a run, fit to be shown.

        Raises:
            JobNotFound: there is none of this id.
        """
        async with self._database.reading() as connection:
            document = await runs.document(connection, run_id)
        if document is None:
            raise _missing(run_id)
        return document

    async def page(
        self,
        limit: int,
        after: str | None = None,
        *,
        status: RunStatus | None = None,
        recipe_id: str | None = None,
    ) -> tuple[list[Run], str | None]:
        """Return runs, newest first, and the cursor of the next page."""
        async with self._database.reading() as connection:
            return await runs.page(connection, limit, after, status=status, recipe_id=recipe_id)

    async def newest(self, recipe_ids: Sequence[str], each: int) -> dict[str, list[Run]]:
        """Return the newest runs of some recipes by recipe, the newest first."""
        async with self._database.reading() as connection:
            return await runs.newest(connection, recipe_ids, each)

    async def cancel(self, run_id: str, who: str) -> Run:
        """Ask a run to end; it may go on for a while.

        Raises:
            JobNotFound: there is none of this id.
            JobEnded: it has ended.
        """
        async with self._database.writing() as connection:
            found = await runs.change(connection, run_id, AskedToCancel())
            if found is None:
                raise _missing(run_id)
            before, after = found
            if after.state.status.final:
                raise JobEnded(f"The run has ended already: it is {after.state.status.value}.")
            if not before.state.asked_to_cancel:
                await runs.owe(connection, run_id, CANCEL)
                await audit.add(connection, who, "run.cancel", f"run/{run_id}")
        self._changed(run_id)
        self._dispatcher.wake()
        return after

    async def _same(self, connection: Any, run: Run, document: Json) -> Run:
        found = _there(await runs.find(connection, run.run_id), run.run_id)
        if (await runs.request(connection, run.run_id, self._vault)).document != document:
            raise JobConflict(f"Another run has the id {run.run_id}.", run_id=run.run_id)
        return found


def run_json(run: Run) -> Json:
    """Return a run as the API shows it; counts are null while they are not known."""
    state = run.state
    counts = state.counts
    error = {"code": state.error_code, "message": state.error_message}
    told = state.stage is not None
    progress = {
        "stage": state.stage,
        "progress": state.progress,
        "matched_count": counts.matched,
        "total_left": counts.total_left,
        "total_right": counts.total_right,
        "updated_at": time_text(run.updated_at),
    }
    return {
        "run_id": run.run_id,
        "recipe_id": run.recipe_id,
        "recipe_version": run.recipe_version,
        "recipe_name": run.recipe_name,
        "status": state.status.value,
        "cancelling": state.asked_to_cancel and not state.status.final,
        "latest_progress": progress if told else None,
        "matched_count": counts.matched,
        "unmatched_left_count": counts.unmatched_left,
        "unmatched_right_count": counts.unmatched_right,
        "matched_left_count": counts.matched_left,
        "matched_right_count": counts.matched_right,
        "total_left": counts.total_left,
        "total_right": counts.total_right,
        "output_paths": dict(state.output_paths),
        "error": error if state.error_code is not None else None,
        "created_by": run.created_by,
        "created_at": time_text(run.created_at),
        "updated_at": time_text(run.updated_at),
        "ended_at": None if run.ended_at is None else time_text(run.ended_at),
    }


def _checked(asked: object) -> Json:
    if not isinstance(asked, Mapping):
        raise RecipeInvalid([Fault("wrong_type", "$", "A run is asked for by an object.")], "run")
    given = {name: value for name, value in asked.items() if value is not None}
    faults = [
        Fault("unknown_field", name, f"A run has no `{name}`; it has {', '.join(_FIELDS)}.")
        for name in sorted(set(given) - set(_FIELDS))
    ]
    if ("recipe" in given) == ("recipe_id" in given):
        faults.append(Fault("missing", "recipe_id", "Name a recipe_id, or give a recipe: one."))
    for name, kind in (("recipe_id", str), ("run_id", str), ("recipe_version", int)):
        if not isinstance(given.get(name, kind()), kind):
            word = "text" if kind is str else "a number"
            faults.append(Fault("wrong_type", name, f"`{name}` is {word}."))
    if faults:
        raise RecipeInvalid(faults, "run")
    return given


def _there(found: Run | None, run_id: str) -> Run:
    if found is None:
        raise _missing(run_id)
    return found


def _missing(run_id: str) -> JobNotFound:
    return JobNotFound(f"There is no run {run_id}.")

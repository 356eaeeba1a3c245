"""Follows exceptions over runs: what a run leaves open no more is gone, until it is seen again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from kalla_app.evidence.open_rows import open_keys
from kalla_app.evidence.place import EvidencePlace
from kalla_app.exceptions.life import Decision, observed, standing
from kalla_app.exceptions.policy import SIDES
from kalla_app.store import exceptions, policies, runs
from kalla_app.store.database import Database
from kalla_app.store.exceptions import Kept, Subject
from kalla_app.store.runs import Run
from kalla_core.errors import EvidenceGone

_RUNS_AT_ONCE = 20
_KALLA = "kalla"


class Follower:
    """Asyncio. Runs are looked through in the order they were made, each once."""

    def __init__(self, database: Database, evidence: EvidencePlace) -> None:
        self._database = database
        self._evidence = evidence

    async def follow(self, recipe_id: str) -> None:
        """Look through the runs of a recipe that nobody has looked through yet.

        Raises:
            KallaError: the coordinator that has the evidence does not answer.
        """
        while True:
            async with self._database.reading() as connection:
                touched = await exceptions.touched(connection, recipe_id)
                if not touched:
                    return
                since = await policies.followed(connection, recipe_id)
                if since is None:
                    first = min(kept[0].decision.at for kept in touched.values())
                    since = first
                found = await runs.succeeded(
                    connection, recipe_id, after=since, limit=_RUNS_AT_ONCE
                )
            if not found:
                return
            for run in found:
                await self._look_through(run, [kept[0].subject for kept in touched.values()])

    async def _look_through(self, run: Run, subjects: Sequence[Subject]) -> None:
        try:
            folder = await self._evidence.folder(run)
            left_open = await asyncio.to_thread(_left_open, folder, subjects)
        except EvidenceGone:
            left_open = None  # it shows nothing any more
        async with self._database.writing() as connection:
            await exceptions.hold(connection)
            since = await policies.followed(connection, run.recipe_id)
            if since is not None and since >= run.created_at:
                return  # another app was quicker
            if left_open is not None:
                decided = await exceptions.of(connection, [one.exception_id for one in subjects])
                made = _shown(run, decided, left_open)
                if made:
                    await exceptions.add(connection, made)
            await policies.follow(connection, run.recipe_id, run.created_at)


def _shown(
    run: Run, decided: Mapping[str, Sequence[Kept]], left_open: Mapping[str, frozenset[str]]
) -> list[Kept]:
    """Return what a run shows of exceptions that have come or gone with it."""
    made = []
    for kept in decided.values():
        subject = kept[0].subject
        is_open = subject.record_key in left_open[subject.side]
        kind = observed(standing([one.decision for one in kept]), is_open=is_open)
        if kind is not None:
            at = run.ended_at or run.created_at
            made.append(Kept(subject, run.run_id, Decision(_KALLA, at, kind=kind)))
    return made


def _left_open(folder: Path, subjects: Sequence[Subject]) -> dict[str, frozenset[str]]:
    """Return, by side, which keys of exceptions a run has left open."""
    found: dict[str, frozenset[str]] = {}
    for side in SIDES:
        keys = tuple(one.record_key for one in subjects if one.side == side)
        found[side] = frozenset(open_keys(folder, side, keys))
    return found

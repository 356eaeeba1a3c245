"""How long rows have been open: one Parquet per run for rows that nobody touched.

`since` is what a row is aged by: a date of its own where the recipe's policy names a column, else
when the first of the runs that left it open without a break was made. A file follows from the
evidence of the run and the file of the run before, so it can be made again at any time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import defaultdict
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import KEY, RowSet
from kalla_app.exceptions.age import ranks_of
from kalla_app.exceptions.policy import SIDES, Policy
from kalla_app.store import runs
from kalla_app.store.database import Database
from kalla_app.store.runs import Run
from kalla_core.answers.selection import REASON
from kalla_core.errors import EvidenceGone

_MOMENT = pa.timestamp("us", "UTC")
_LONGEST_WAY_BACK = 60
SCHEMA = pa.schema(
    [
        ("side", pa.string()),
        ("record_key", pa.string()),
        ("first_seen_run", pa.string()),
        ("first_seen_at", _MOMENT),
        ("since", _MOMENT),
        ("amount_rank", pa.int8()),
        ("suggested", pa.bool_()),
    ]
)
"""Rows of the left side first, each side in the order of its evidence."""


class Ages:
    """Asyncio; keeps the files in a folder.

    Args:
        folder: need not exist.
    """

    def __init__(self, database: Database, evidence: EvidencePlace, folder: Path) -> None:
        self._database = database
        self._evidence = evidence
        self._folder = folder
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def file(self, run: Run, policy: Policy) -> Path:
        """Return the file of a run, made now if there is none.

        Raises:
            KallaError: the run has no evidence.
        """
        async with self._turns[run.recipe_id]:
            missing, before = [run], None
            while not self._path(missing[-1], policy).exists():
                async with self._database.reading() as connection:
                    older = await runs.succeeded(
                        connection, run.recipe_id, before=missing[-1].created_at
                    )
                if not older or len(missing) == _LONGEST_WAY_BACK:
                    break
                missing.append(older[0])
            for one in reversed(missing):
                path = self._path(one, policy)
                if not path.exists():
                    try:
                        folder = await self._evidence.folder(one)
                    except EvidenceGone:
                        if one is run:
                            raise
                        continue  # what it left open is not known any more
                    await asyncio.to_thread(
                        write_ages, path, folder, one.run_id, one.created_at, before, policy
                    )
                before = path
            return self._path(run, policy)

    def _path(self, run: Run, policy: Policy) -> Path:
        aged_by = sha256(repr((policy.left, policy.right)).encode()).hexdigest()[:8]
        return self._folder / f"{run.run_id}-{aged_by}.parquet"


def aged(path: Path, side: str) -> pa.Table:
    """Return `since`, `amount_rank`, `suggested` of a side's rows, in the order of its evidence."""
    wanted = ["since", "amount_rank", "suggested"]
    return pq.read_table(path, columns=wanted, filters=[("side", "=", side)])


def places_of(path: Path, side: str, keys: list[str]) -> dict[str, int]:
    """Return where rows with some keys stand in the evidence of a side."""
    if not keys:
        return {}
    held = pq.read_table(path, columns=[KEY], filters=[("side", "=", side)]).column(KEY)
    # The few keys are hashed, and not the many rows.
    places = np.flatnonzero(pc.is_in(held, value_set=pa.array(keys, pa.string())).to_numpy())
    found = held.take(pa.array(places, pa.int64())).to_pylist()
    return dict(zip(reversed(found), reversed(places.tolist()), strict=True))


def write_ages(
    path: Path, folder: Path, run_id: str, at: datetime, before: Path | None, policy: Policy
) -> None:
    """Write the file of a run, whole or not at all. Blocking.

    Args:
        folder: with the run's evidence.
        at: when the run was made.
        before: the file of the run before; None if there is none.

    Raises:
        EvidenceGone: its rows cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            for side in SIDES:
                known = None if before is None else _known(before, side)
                writer.write_table(_side(folder, side, run_id, at, known, policy.aged_by(side)))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _known(path: Path, side: str) -> pa.Table:
    wanted = [KEY, "first_seen_run", "first_seen_at"]
    return pq.read_table(path, columns=wanted, filters=[("side", "=", side)])


def _side(
    folder: Path, side: str, run_id: str, at: datetime, known: pa.Table | None, aged_by: str | None
) -> pa.Table:
    with RowSet(folder, f"unmatched_{side}") as rows:
        money = amount_of(rows.schema)
        wanted = {KEY, REASON, aged_by, money} & {*rows.schema.names}
        found = rows.columns([name for name in rows.schema.names if name in wanted])
    count = found.num_rows
    keys = found.column(KEY)
    first_run = pa.chunked_array([pa.repeat(pa.scalar(run_id), count)])
    first_at = pa.chunked_array([pa.repeat(pa.scalar(at, _MOMENT), count)])
    if known is not None and known.num_rows:
        places = pc.index_in(keys, value_set=known.column(KEY))
        first_run = pc.coalesce(known.column("first_seen_run").take(places), first_run)
        first_at = pc.coalesce(known.column("first_seen_at").take(places), first_at)
    suggested = pc.fill_null(pc.equal(found.column(REASON), "suggested"), False)
    ranks = ranks_of(found.column(money)) if money is not None else [0] * count
    return pa.table(
        [
            pa.repeat(pa.scalar(side), count),
            keys,
            first_run,
            first_at,
            _since(found, aged_by, first_at),
            pa.array(ranks, pa.int8()),
            suggested,
        ],
        schema=SCHEMA,
    )


def amount_of(schema: pa.Schema) -> str | None:
    """Return the column that amounts stand in: the first of decimals; None if there is none."""
    return next((one.name for one in schema if pa.types.is_decimal(one.type)), None)


def _since(found: pa.Table, aged_by: str | None, first_at: pa.ChunkedArray) -> pa.ChunkedArray:
    if aged_by is None or aged_by not in found.column_names:
        return first_at
    dates = found.column(aged_by)
    kind = dates.type
    if pa.types.is_date(kind):
        moments = dates.cast(pa.timestamp("us")).cast(_MOMENT)
    elif pa.types.is_timestamp(kind):
        plain = dates if kind.tz is not None else dates.cast(pa.timestamp(kind.unit, "UTC"))
        moments = plain.cast(_MOMENT, safe=False)
    else:
        return first_at
    return pc.coalesce(moments, first_at)

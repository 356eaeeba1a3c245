"""Writes and reads the file that says how long a run's open rows have been open. Blocking.

What is written goes through memory a piece at a time, however many rows there are: a few hundred
thousand rows of the run, as many keys of the run before, and six bytes a row. A file of many
rows is written by a process of its own, `python -m kalla_app.exceptions.ages_file`.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.evidence.files import opened
from kalla_app.evidence.open_rows import open_sets
from kalla_app.evidence.rows import RowSet
from kalla_app.evidence.wanted import KEY
from kalla_app.exceptions.age import ranks_of
from kalla_app.exceptions.policy import SIDES, Policy
from kalla_core.answers.selection import REASON
from kalla_core.recipe.open_amounts import OPEN_AMOUNT

_MOMENT = pa.timestamp("us", "UTC")
_RUN = "first_seen_run"
_KEYS_AT_ONCE = 250_000
_MOST_CLASSES = 256
_FACTORS = np.random.default_rng(7).integers(1 << 40, 1 << 63, 1024, np.int64).astype(np.uint64)
SCHEMA = pa.schema(
    [
        ("side", pa.string()),
        ("record_key", pa.string()),
        (_RUN, pa.string()),
        ("first_seen_at", _MOMENT),
        ("since", _MOMENT),
        ("amount_rank", pa.int8()),
        ("suggested", pa.bool_()),
    ]
)
"""Rows of the left side first, each side in the order of its evidence, rests behind rows without a
partner; no row group has both sides."""

Codes = npt.NDArray[np.int32]
Classes = npt.NDArray[np.uint8]


class _Seen:
    """When rows were first seen: by runs, each with when it was made, the last of them this one."""

    def __init__(self, run_id: str, at: datetime) -> None:
        self._moments: dict[str, pa.Scalar] = {}
        self._own = run_id, pa.scalar(at, _MOMENT)

    def codes(self, known: pa.Table) -> Codes:
        """Return what stands for the run that each of some rows was first seen in."""
        runs = known.unify_dictionaries().column(_RUN).combine_chunks()
        names = runs.dictionary.to_pylist()
        places = runs.indices.to_numpy()
        for code, name in enumerate(names):
            if name not in self._moments:
                first = int(np.argmax(places == code))
                self._moments[name] = known.column("first_seen_at")[first]
        order = {name: code for code, name in enumerate(self._moments)}
        codes: Codes = np.array([order[name] for name in names] or [0], np.int32)[places]
        return codes

    def columns(self, codes: Codes) -> tuple[pa.Array, pa.Array]:
        """Return runs and moments of rows; of those that have no code, -1, our own."""
        runs = pa.array([*self._moments, self._own[0]], pa.string())
        moments = pa.array(
            [one.as_py() for one in (*self._moments.values(), self._own[1])], _MOMENT
        )
        places = pa.array(np.where(codes < 0, len(self._moments), codes), pa.int32())
        return runs.take(places), moments.take(places)


def write_ages(
    path: Path, folder: Path, run_id: str, at: datetime, before: Path | None, policy: Policy
) -> None:
    """Write the file of a run, whole or not at all.

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
                for name in open_sets(folder, side):
                    with RowSet(folder, name) as rows:
                        seen = _Seen(run_id, at)
                        codes = _codes(rows, seen, before, side)
                        for table in _aged(rows, side, seen, codes, policy.aged_by(side)):
                            writer.write_table(table)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def aged(path: Path, side: str) -> Iterator[pa.Table]:
    """Yield `since`, `amount_rank`, `suggested` of a side's rows, in the order of its evidence."""
    return _groups(path, side, ["since", "amount_rank", "suggested"])


def places_of(path: Path, side: str, keys: list[str]) -> dict[str, int]:
    """Return where rows with some keys stand in the evidence of a side."""
    wanted, start = pa.array(keys, pa.string()), 0
    found: dict[str, int] = {}
    for table in _groups(path, side, [KEY]) if keys else ():
        held = table.column(KEY)
        # The few keys are hashed, and not the many rows.
        places = np.flatnonzero(pc.is_in(held, value_set=wanted).to_numpy())
        for key, place in zip(held.take(pa.array(places)).to_pylist(), places, strict=True):
            found.setdefault(key, start + int(place))
        start += table.num_rows
    return found


def amount_of(schema: pa.Schema) -> str | None:
    """Return the column of amounts: what is open, else the first of decimals; None without."""
    money = [one.name for one in schema if pa.types.is_decimal(one.type)]
    return OPEN_AMOUNT if OPEN_AMOUNT in money else next(iter(money), None)


def _groups(path: Path, side: str, columns: list[str]) -> Iterator[pa.Table]:
    with opened(path, [_RUN] if _RUN in columns else []) as file:
        for group in range(file.metadata.num_row_groups):
            told = file.metadata.row_group(group).column(0).statistics
            if told is not None and told.has_min_max and told.min == side:
                yield file.read_row_group(group, columns=columns, use_threads=False)


def _codes(rows: RowSet, seen: _Seen, before: Path | None, side: str) -> Codes:
    """Return what stands for the run that each row was first seen in; -1 where that is this one."""
    found = np.full(rows.count, -1, np.int32)
    if before is None:
        return found
    # Keys that are equal are of one class: only those of a class are ever looked up in each other.
    earlier = sum(len(one) for one in _groups(before, side, [KEY]))
    count = min(_MOST_CLASSES, 1 + max(earlier, rows.count) // _KEYS_AT_ONCE)
    here = _classes(rows.groups([KEY]), count)
    there = _classes(_groups(before, side, [KEY]), count)
    for number in range(count):
        known = _of_class(_groups(before, side, [KEY, _RUN, "first_seen_at"]), there, number)
        asked = _of_class(rows.groups([KEY]), here, number)
        if known.num_rows and asked.num_rows:
            keys = known.column(KEY).combine_chunks()
            places = pc.index_in(asked.column(KEY), value_set=keys).combine_chunks()
            mask = places.is_valid().to_numpy(zero_copy_only=False)
            codes = seen.codes(known)[places.drop_null().to_numpy()]
            found[np.flatnonzero(here == number)[mask]] = codes
    return found


def _of_class(tables: Iterable[pa.Table], classes: Classes, number: int) -> pa.Table:
    """Return the rows of one class, in the order of the tables."""
    found, start = [], 0
    for table in tables:
        mine = classes[start : start + table.num_rows] == number
        found.append(table.filter(pa.array(mine)))
        start += table.num_rows
    return pa.concat_tables(found) if found else pa.table({KEY: pa.array([], pa.string())})


def _classes(tables: Iterable[pa.Table], count: int) -> Classes:
    """Return a class for each key, below `count`; equal keys have the same."""
    sums = (_sums(chunk) for table in tables for chunk in table.column(KEY).chunks)
    classes = ((one % np.uint64(count)).astype(np.uint8) for one in sums)
    return np.concatenate([np.zeros(0, np.uint8), *classes])


def _sums(keys: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return a number for each text: its bytes, each times a number of its place, added up."""
    keys = pc.fill_null(keys, "")
    _, offsets, data = keys.buffers()
    sums = np.zeros(len(keys), np.uint64)
    ends = np.frombuffer(offsets, np.int32, len(keys) + 1, 4 * keys.offset)
    lengths = np.diff(ends)
    filled = np.flatnonzero(lengths)
    if data is None or not len(filled):
        return sums
    first, last = int(ends[0]), int(ends[-1])
    letters = np.frombuffer(data, np.uint8, last - first, first).astype(np.uint64)
    places = np.arange(last - first, dtype=np.int64) - np.repeat(ends[:-1] - first, lengths)
    letters *= _FACTORS[places % len(_FACTORS)]
    sums[filled] = np.add.reduceat(letters, (ends[:-1] - first)[filled])
    mixed: npt.NDArray[np.uint64] = sums ^ (sums >> np.uint64(32))
    return mixed >> np.uint64(3)


def _aged(
    rows: RowSet, side: str, seen: _Seen, codes: Codes, aged_by: str | None
) -> Iterator[pa.Table]:
    money, start = amount_of(rows.schema), 0
    wanted = {KEY, REASON, aged_by, money} & {*rows.schema.names}
    for found in rows.groups([name for name in rows.schema.names if name in wanted]):
        count = found.num_rows
        first_run, first_at = seen.columns(codes[start : start + count])
        suggested = (
            pc.fill_null(pc.equal(found.column(REASON), "suggested"), False)
            if REASON in found.column_names
            else pa.repeat(pa.scalar(False), count)
        )
        ranks = ranks_of(found.column(money)) if money is not None else np.zeros(count, np.int8)
        yield pa.table(
            [
                pa.repeat(pa.scalar(side), count),
                found.column(KEY),
                first_run,
                first_at,
                _since(found, aged_by, first_at),
                pa.array(ranks, pa.int8()),
                suggested,
            ],
            schema=SCHEMA,
        )
        start += count


def _since(found: pa.Table, aged_by: str | None, first_at: pa.Array) -> pa.ChunkedArray | pa.Array:
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


def request_of(
    path: Path, folder: Path, run_id: str, at: datetime, before: Path | None, policy: Policy
) -> bytes:
    """Return what the process reads from its standard input; arguments as of `write_ages`."""
    asked = {
        "path": str(path),
        "folder": str(folder),
        "run_id": run_id,
        "at": at.isoformat(),
        "before": None if before is None else str(before),
        "aged_by": [policy.left, policy.right],
    }
    return json.dumps(asked).encode()


def main() -> None:
    """Write the file that standard input asks for."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    asked = json.loads(sys.stdin.buffer.read())
    before = asked["before"]
    left, right = asked["aged_by"]
    write_ages(
        Path(asked["path"]),
        Path(asked["folder"]),
        asked["run_id"],
        datetime.fromisoformat(asked["at"]),
        None if before is None else Path(before),
        Policy(left=left, right=right),
    )


if __name__ == "__main__":
    main()

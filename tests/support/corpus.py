"""Two hundred recipes over small tables, and a hash of what each of them writes.

    python -m tests.support.corpus --write FILE
    python -m tests.support.corpus --against FILE

Each recipe is run in several ways: as so few rows are; as many rows are, by one join that tells
matches and candidates; in buckets; and with wide columns read late, in one piece and in buckets. A
line has the number of the recipe, the hash of all rows of its evidence whatever their order, and
the SQL; of ways that come to unlike evidence, which are named, it has all hashes. Two versions of
Kalla with the same lines decide and explain alike: `--write` by the Python of another checkout, in
this one. What makes a join go wrong is in the tables: nulls, repeats, blanks and case in keys,
numbers on the boundary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Annotated

import pyarrow as pa
import typer

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins import join, late
from kalla_core.errors import KallaError
from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation
from tests.unit.matching.nasty import tables

_KEYS = (
    "l.ref = r.ref",
    "l.k = r.k",
    "l.k = r.k AND l.cur = r.cur",
    "upper(trim(l.ref)) = upper(trim(r.ref))",
    "l.ref = r.ref AND l.d = r.d",
)
_CONDITIONS = (
    "tolerance_match(l.amount, r.paid, 0.02)",
    "abs(l.amount - r.paid) <= 1",
    "l.amount BETWEEN r.paid - 1 AND r.paid + 1",
    "date_within(l.d, r.d, 1)",
    "l.d <= r.d AND r.paid > 0",
    "l.grp = 1",
    "tolerance_pct(l.amount, r.paid, 0.1) AND l.cur <> 'USD'",
    "(l.amount = r.paid OR l.d = r.d)",
    "l.cur IS NOT DISTINCT FROM r.cur",
    "CAST(r.sref AS INT) = l.k",
    "l.amount / l.rate < r.paid",
    "l.name || r.name LIKE '%1%'",
)
_SELECTS = (
    "SELECT l.id, r.id AS rid, l.amount, r.paid FROM left_src l JOIN right_src r ON {key} AND {so}",
    "SELECT l.amount - r.paid AS gap, l.id, r.id AS rid FROM left_src l, right_src r "
    "WHERE {key} AND {so} ORDER BY l.id",
)
_OTHERS = (
    "SELECT l.id, r.id AS rid FROM left_src l LEFT JOIN right_src r ON {key}",
    "SELECT l.id, r.id AS rid FROM left_src l FULL JOIN right_src r ON {key} AND l.grp < 2",
    "SELECT DISTINCT l.id, r.id AS rid FROM left_src l JOIN right_src r ON {key}",
    "SELECT l.id, sum(r.paid) AS paid FROM left_src l JOIN right_src r ON {key} GROUP BY l.id",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON {key} AND l.grp = 1 UNION ALL "
    "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.name = r.name AND l.d = r.d",
    "WITH paid AS (SELECT id, ref, k, cur, d, paid FROM right_src WHERE paid > 0) "
    "SELECT l.id, r.id AS rid FROM left_src l JOIN paid r ON {key}",
    "SELECT l.id, r.id AS rid FROM (SELECT *, upper(cur) AS up FROM left_src) l "
    "JOIN right_src r ON {key} AND l.up = upper(r.cur)",
    "SELECT id, rid FROM (SELECT l.id, r.id AS rid, row_number() OVER (PARTITION BY l.id, l.d "
    "ORDER BY r.id, r.k, r.ref, r.paid, r.d) AS n FROM left_src l JOIN right_src r ON {key}) t "
    "WHERE n = 1",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON {key} AND l.amount = ("
    "SELECT max(paid) FROM right_src)",
    "SELECT l.id, r.id AS rid, f.rate FROM left_src l JOIN right_src r ON {key} "
    "JOIN fx f ON f.ccy = l.cur",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.k IS NOT DISTINCT FROM r.k "
    "AND {key}",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON {key} AND r.id > 0 "
    "ORDER BY l.id, r.id LIMIT 7",
    "SELECT * FROM left_src l JOIN right_src r USING (k) WHERE {key}",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.rate = r.rate AND {key}",
    "SELECT l.id, r.id AS rid, norm_ref(l.ref) AS n FROM left_src l JOIN right_src r "
    "ON norm_ref(l.ref) = norm_ref(r.ref) AND {key} AND jaro_winkler(l.name, r.name) > 0.4",
    "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.id = r.id AND {key}",
)


def plain() -> Iterator[str]:
    """Yield queries that are a SELECT over an inner join with conditions beside its key."""
    for select, key, so in product(_SELECTS, _KEYS, _CONDITIONS):
        yield select.format(key=key, so=so)


def others() -> Iterator[str]:
    """Yield queries that are more, or less."""
    for select, key in product(_OTHERS, _KEYS):
        yield select.format(key=key)


def corpus() -> tuple[str, ...]:
    """Return all queries, in their order."""
    return (*plain(), *others())


def put_tables(folder: Path, seed: int = 11) -> None:
    """Write the tables that the queries read."""
    made = tables(seed, 90, 100)
    where = Reconciliation(folder, "")
    for name, table in (("left", made.left), ("right", made.right), ("fx", made.fx)):
        where.put(name, table)


def run(folder: Path, sql: str, share: Budget = AMPLE, buckets: int | None = None) -> Ran:
    """Run a query over the tables in a folder.

    Raises:
        KallaError: it fails on a value.
    """
    extras = ("fx",) if "fx f" in sql else ()
    return Reconciliation(folder, sql, extras=extras).run(share, buckets=buckets)


def written_hash(folder: Path, sql: str, buckets: int | None = None) -> str:
    """Return a hash of all that a run writes, or of the error that it ends with."""
    try:
        ran = run(folder, sql, buckets=buckets)
    except KallaError as error:
        return f"{error.code} {hashlib.sha256(str(error).encode()).hexdigest()[:16]}"
    outputs = [ran.matched, *(ran.unmatched[side] for side in Side)]
    digest = hashlib.sha256()
    for table in outputs:
        digest.update("\n".join(sorted(map(repr, _rows(table)))).encode())
    return digest.hexdigest()[:16]


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    kept = table.drop_columns([name for name in ("matched_at",) if name in table.schema.names])
    columns = [column.to_pylist() for column in kept.columns]
    return list(zip(*columns, strict=True))


@contextmanager
def _set(module: ModuleType, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _one_join(folder: Path, sql: str) -> str:
    with _set(join, "FEW_ROWS", 0):
        return written_hash(folder, sql)


def _buckets(folder: Path, sql: str) -> str:
    return written_hash(folder, sql, buckets=3)


def _late(folder: Path, sql: str) -> str:
    with _set(join, "FEW_ROWS", 0), _set(late, "_WORTH_TWO_READINGS_BYTES", 0):
        return written_hash(folder, sql)


def _late_buckets(folder: Path, sql: str) -> str:
    with _set(join, "FEW_ROWS", 0), _set(late, "_WORTH_TWO_READINGS_BYTES", 0):
        return written_hash(folder, sql, buckets=3)


WAYS: Mapping[str, Callable[[Path, str], str]] = {
    "few rows": written_hash,
    "one join": _one_join,
    "buckets": _buckets,
    "late": _late,
    "late buckets": _late_buckets,
}


def main(
    write: Annotated[Path | None, typer.Option(help="File for the lines.")] = None,
    against: Annotated[Path | None, typer.Option(help="File of another version.")] = None,
) -> None:
    """Write a line for each recipe, or compare them; exit code 1 if any differs."""
    known = [] if against is None else against.read_text().splitlines()
    lines, unlike = [], 0
    with TemporaryDirectory() as made:
        put_tables(Path(made))
        for number, sql in enumerate(corpus()):
            found = {name: way(Path(made), sql) for name, way in WAYS.items()}
            lines.append(f"{number} {' '.join(dict.fromkeys(found.values()))} {sql}")
            if len(set(found.values())) > 1:
                print(f"{number}: not every way comes to the same: {found}")
            if known and known[number] != lines[-1]:
                unlike += 1
                print(f"other evidence: {lines[-1]}\n        before: {known[number]}")
    if write is not None:
        write.write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(lines)} recipes, {unlike} of them with other evidence")
    raise typer.Exit(1 if unlike else 0)


if __name__ == "__main__":
    typer.run(main)

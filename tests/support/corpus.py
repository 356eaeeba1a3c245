"""Two hundred recipes over small tables, and a hash of what each of them writes.

    python -m tests.support.corpus FOLDER

prints a line for each: its number, the hash of all rows of its evidence whatever their order, and
the SQL. Two versions of Kalla that print the same decide and explain alike. What makes a join go
wrong is in the tables: nulls, repeats, blanks and case in keys, numbers on the boundary.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pyarrow as pa

from kalla_core.engine.budget import Budget
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


def written_hash(folder: Path, sql: str) -> str:
    """Return a hash of all that a run writes, or of the error that it ends with."""
    try:
        ran = run(folder, sql)
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


def main() -> None:
    """Print a line for each query."""
    folder = Path(sys.argv[1])
    put_tables(folder)
    for number, sql in enumerate(corpus()):
        print(number, written_hash(folder, sql), sql)


if __name__ == "__main__":
    main()

"""Joins that spill keep to every condition, also where columns of them are selected above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.matching.sql.sorted_joins import keeps_conditions, with_computed_keys
from tests.support.runs import AMPLE
from tests.support.tables import Reconciliation

ROWS = 60
TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=1_000, run_bytes=1_000)
PAIRED = "FROM l JOIN r ON l.id = r.id AND l.a > r.a"


def books(folder: Path, sql: str) -> Reconciliation:
    made = Reconciliation(folder, sql, extras=("x",))
    for side in ("left", "right", "x"):
        shift = 3 if side == "right" else 0
        numbers = {
            "id": range(ROWS),
            "b": [1 + shift] * ROWS,
            "a": [(n * 7 + shift) % 11 for n in range(ROWS)],
            "g": [n % 5 for n in range(ROWS)],
        }
        made.put(side, pa.table({name: pa.array(of, pa.int64()) for name, of in numbers.items()}))
    return made


NUMBERED = "OVER (ORDER BY l.id, r.id) x"
SELECTED_ABOVE = {
    "a window": f"SELECT l.id, r.id rid, count(*) {NUMBERED} {PAIRED}",
    "a window over an outer join": f"SELECT l.id, r.id rid, count(*) {NUMBERED} "
    "FROM l LEFT JOIN r ON l.id = r.id AND l.a > r.a",
    "a group": "SELECT r.g, first_value(l.b ORDER BY l.id, r.id) x "
    "FROM l FULL JOIN r ON l.id = r.id AND l.a > r.a GROUP BY r.g",
    "another join": f"SELECT l.id, r.id rid, count(*) OVER (ORDER BY l.id) n {PAIRED} "
    "JOIN x ON x.id = r.id AND x.b < l.b + r.b",
    "a set": f"SELECT l.id, r.id rid {PAIRED} "
    "EXCEPT SELECT l.id, r.id rid FROM l JOIN r ON l.id = r.id AND l.a > r.a + 9 LIMIT 9",
    "USING": "SELECT id, n FROM (SELECT id, count(r.id) OVER (ORDER BY r.id) n, r.id rid "
    "FROM l JOIN r USING (id) WHERE l.a > r.a) q",
    "nulls that are the same": f"SELECT l.id lid, r.id rid, sum(l.id) {NUMBERED} "
    "FROM l JOIN r ON l.id IS NOT DISTINCT FROM r.id AND l.a > r.a",
    "a sub-query": f"SELECT l.id, r.id rid, count(*) {NUMBERED} FROM "
    "(SELECT id, a FROM l WHERE g IN (SELECT g FROM x WHERE id > 3)) l "
    "JOIN r ON l.id = r.id AND l.a > r.a",
}


@pytest.mark.parametrize("sql", SELECTED_ABOVE.values(), ids=SELECTED_ABOVE)
def test_conditions_hold_whatever_is_selected_above_the_join(tmp_path: Path, sql: str) -> None:
    made = books(tmp_path, sql)

    whole, tight = made.run(), made.run(TIGHT, buckets=1)

    assert 0 < len(whole.pairs) < ROWS
    assert whole.has_the_rows_of(tight)
    assert tight.joins == {"from_disk": 1}


def test_only_equalities_of_columns_are_computed() -> None:
    on = 'l.k = r."K" and l.a > r.a and l.t = upper(r.t)'
    sql = f"select l.k = 1, 'l.a = l.b' from l join r on {on}"

    assert with_computed_keys(sql) == sql.replace('l.k = r."K"', 'greatest(l.k) = greatest(r."K")')


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        ("SortMergeJoinExec: join_type=Inner, on=[(id@0, id@0)]", True),
        ("SortMergeJoinExec: join_type=Inner, on=[(id@0, id@0)], filter=a@0 > a@1", False),
        ("SortMergeJoinExec: join_type=Left, on=[(id@0, rid@1), (k@1, k@2)], filter=a@0", False),
        ("SortMergeJoinExec: join_type=LeftAnti, on=[(id@0, id@0)], filter=a@0 > a@1", True),
        ("SortMergeJoinExec: join_type=Full, on=[(greatest(l.id)@2, greatest(r.id)@3)], filter=a@0",
         True),
        ("HashJoinExec: mode=Partitioned, join_type=Inner, on=[(id@0, id@0)], filter=a@0", True),
    ],
)  # fmt: skip
def test_a_plan_tells_whether_its_joins_keep_their_conditions(line: str, keeps: bool) -> None:
    assert keeps_conditions(f"ProjectionExec: expr=[id@0]\n  {line}\n    SortExec") is keeps

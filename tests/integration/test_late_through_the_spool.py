"""Late runs on one machine whose narrow rows go to the spool, and unmatched ones are read again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.joins import late, late_joins, numbered
from kalla_core.engine.spool.store import PartRows
from kalla_core.matching.sql.query import Side
from tests.support.corpus import corpus, put_tables
from tests.support.runs import TIGHT
from tests.support.tables import Reconciliation
from tests.support.ways import CASES
from tests.support.ways import given as given_ways
from tests.unit.matching.nasty import tables

SOME = corpus()[::50]


@pytest.fixture
def spooled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Let any rows be worth two readings; count the parts delivered, by the side's word."""
    monkeypatch.setattr(numbered, "costs_less", lambda *_: True)
    seen: Counter[str] = Counter()
    deliver = late_joins.deliver

    def counting(source: object, part: object, *rest: object) -> None:
        seen[part.side.word] += 1  # type: ignore[attr-defined]
        deliver(source, part, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(late_joins, "deliver", counting)
    return seen


def given(folder: Path, sql: str) -> Reconciliation:
    put_tables(folder)
    return Reconciliation(folder, sql, extras=("fx",) if "fx f" in sql else ())


def test_some_recipes_give_the_same_evidence_from_narrow_rows_in_buckets(
    tmp_path: Path, spooled: Counter[str]
) -> None:
    late_ones = 0
    for sql in SOME:
        books = given(tmp_path, sql)
        whole = books.run()
        before = spooled.total()

        got = books.run(buckets=3, partitions=2)

        assert got.has_the_rows_of(whole)
        counts = {side: whole.outcome.sides[side].keys for side in Side}
        assert {side: got.outcome.sides[side].keys for side in Side} == counts
        late_ones += spooled.total() > before

    assert late_ones >= len(SOME) // 2


CUT_UP = {
    "one key of the left in pieces": "against_whole",
    "one key beside a preserved left from disk": "from_disk",
}


@pytest.mark.parametrize("name", CUT_UP)
def test_a_bucket_that_is_cut_up_keeps_the_numbers_of_its_rows(
    tmp_path: Path, name: str, spooled: Counter[str]
) -> None:
    case = CASES[name]
    books = given_ways(tmp_path, case.sql, case.hot)
    whole = books.run()
    share = replace(case.share, whole_bytes=6_000, join_bytes=5_000)

    got = books.run(share, buckets=4, partitions=2)

    assert spooled == {"left": 2, "right": 2}
    assert {"divided", CUT_UP[name]} <= set(got.joins)
    assert got.has_the_rows_of(whole)


def test_narrow_rows_that_memory_was_thought_to_take_go_to_the_spool(
    tmp_path: Path, spooled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    books = given(tmp_path, SOME[0])
    whole = books.run()
    monkeypatch.setattr(late, "_sizes", lambda *_: (1 << 30, 0))

    got = books.run(replace(TIGHT, whole_bytes=4_000, join_bytes=2_000), partitions=2)

    assert spooled == {"left": 2, "right": 2}
    assert "late" not in got.joins
    assert got.has_the_rows_of(whole)


def test_rows_of_several_windows_are_told_in_their_order(
    tmp_path: Path, spooled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("kalla_core.fragments.windows", "kalla_core.engine.joins.told"):
        monkeypatch.setattr(f"{module}.WINDOW_ROWS", 8)
    books = given(tmp_path, SOME[0])
    whole = books.run()

    got = books.run(buckets=3, partitions=2)

    assert spooled == {"left": 2, "right": 2}
    assert got.has_the_rows_of(whole)


def test_sides_without_rows_leave_outputs_without_rows(
    tmp_path: Path, spooled: Counter[str]
) -> None:
    books = given(tmp_path, SOME[0])
    made = tables(11, 90, 100)
    books.put("left", made.left.slice(0, 0))
    books.put("right", made.right.slice(0, 0))

    got = books.run(buckets=3)

    assert [table.num_rows for table in (got.matched, *got.unmatched.values())] == [0, 0, 0]


def test_keys_that_rise_in_each_part_but_repeat_in_another_are_counted_from_the_spool(
    tmp_path: Path, spooled: Counter[str]
) -> None:
    ids = [*range(50), *range(40, 90)]
    table = pa.table({"id": ids, "k": ids, "note": [f"note {n}" for n in ids]})
    books = Reconciliation(tmp_path, "SELECT l.id, r.id AS rid FROM l JOIN r ON l.k = r.k")
    books.put("left", table)
    books.put("right", table.slice(0, 50))

    got = books.run(buckets=3, partitions=2)

    repeated = {side: got.outcome.sides[side].keys.duplicates for side in Side}
    assert repeated == {Side.LEFT: 10, Side.RIGHT: 0}
    assert len(got.pairs) == 60


def test_wide_columns_do_not_go_to_the_spool(
    tmp_path: Path, spooled: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns: set[str] = set()
    append = PartRows.append

    def watching(self: PartRows, batches: list) -> None:  # type: ignore[type-arg]
        columns.update(*(batch.schema.names for batch in batches))
        append(self, batches)

    monkeypatch.setattr(PartRows, "append", watching)
    books = given(
        tmp_path, "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.k = r.k"
    )

    books.run(buckets=3)

    assert columns == {"id", "k", "__kalla_number_left", "__kalla_number_right"}

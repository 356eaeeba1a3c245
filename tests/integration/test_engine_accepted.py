"""What is accepted runs: forms of SQL that plan, whatever they give and however it is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.errors import InvalidSql, RecipeInvalid
from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation, run_recipe

ROWS = 40
NARROW = replace(AMPLE, whole_bytes=50_000)
"""So little that the columns the SQL names fit into memory, but not the wide one beside them."""
PAIRS = [(str(n), str(n)) for n in range(ROWS)]
JOINED = "FROM l JOIN r ON l.name = r.name"


def table() -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "name": [f"n{n}" for n in range(ROWS)],
            "tags": pa.array([["a", str(n)] for n in range(ROWS)], pa.list_(pa.string())),
            "wide": ["of no use " * 100] * ROWS,
        }
    )


def books(folder: Path, sql: str) -> Reconciliation:
    made = Reconciliation(folder, sql)
    for side in ("left", "right"):
        made.put(side, table())
    return made


def ran(folder: Path, sql: str) -> Ran:
    return books(folder, sql).run()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.pk, b.pk rid FROM left_src AS a(pk, n, t, w) "
        "JOIN right_src AS b(pk, n, t, w) ON a.n = b.n",
        "FROM l JOIN r USING (name)",
        "WITH x AS (SELECT * FROM l) SELECT x.id, r.id FROM x NATURAL JOIN r",
    ],
)
def test_what_reading_fewer_columns_would_change_reads_all_of_them(
    tmp_path: Path, sql: str
) -> None:
    made = books(tmp_path, sql)

    whole, tight = made.run(), made.run(NARROW)

    assert sorted(whole.pairs) == sorted(PAIRS)
    assert whole.has_the_rows_of(tight)
    assert "late" not in tight.joins


def test_what_it_would_not_change_reads_fewer(tmp_path: Path) -> None:
    made = books(tmp_path, f"SELECT l.id, r.id rid {JOINED}")

    tight = made.run(NARROW)

    assert sorted(tight.pairs) == sorted(PAIRS)
    assert tight.joins == {"late": 1}


@pytest.mark.parametrize(
    ("clause", "taken"),
    [
        ("LIMIT 2 + 3", range(5)),
        ("LIMIT NULL", range(ROWS)),
        ("OFFSET 30 + 1", range(31, ROWS)),
        ("LIMIT 7 - 4 OFFSET NULL", range(3)),
        ("LIMIT CAST('3' AS BIGINT) OFFSET abs(-2)", range(2, 5)),
    ],
)
def test_a_limit_may_be_any_constant(tmp_path: Path, clause: str, taken: range) -> None:
    got = ran(tmp_path, f"SELECT l.id, r.id rid {JOINED} ORDER BY l.id {clause}")

    assert sorted(got.pairs) == sorted((str(n), str(n)) for n in taken)


@pytest.mark.parametrize(
    "clause", ["LIMIT (SELECT 3)", "LIMIT (SELECT count(*) FROM r)", "LIMIT 1 - 2", "OFFSET 0 - 1"]
)
def test_a_limit_that_is_no_number_is_refused(tmp_path: Path, clause: str) -> None:
    with pytest.raises(InvalidSql, match=r"LIMIT|OFFSET"):
        ran(tmp_path, f"SELECT l.id, r.id rid {JOINED} ORDER BY l.id {clause}")


VIEWS = {
    "text": "md5(l.name)",
    "a part of a text": "split_part(l.name, 'n', 2)",
    "bytes": "arrow_cast(l.name, 'BinaryView')",
    "a list": "make_array(md5(l.name))",
    "a struct": "named_struct('hash', md5(l.name))",
    "a map": "map([md5(l.name)], [md5(r.name)])",
    "lists of structs": "make_array(named_struct('a', make_array(md5(l.name))))",
}


@pytest.mark.parametrize("value", VIEWS.values(), ids=VIEWS)
def test_views_come_out_of_groups_as_they_come_out_of_joins(tmp_path: Path, value: str) -> None:
    plain = ran(tmp_path, f"SELECT l.id, {value} AS x {JOINED}")

    grouped = ran(
        tmp_path, f"SELECT l.id, first_value({value} ORDER BY r.id) AS x {JOINED} GROUP BY l.id"
    )

    assert sorted(grouped.pairs) == sorted(PAIRS)
    assert grouped.matched.schema.field("x").type == plain.matched.schema.field("x").type
    by_key = [ran_.matched.sort_by("left_key").column("x").to_pylist() for ran_ in (plain, grouped)]
    assert by_key[0] == by_key[1]


@pytest.mark.parametrize("value", [VIEWS["text"], VIEWS["bytes"], VIEWS["a struct"]])
def test_views_may_be_grouped_by_and_distinct(tmp_path: Path, value: str) -> None:
    grouped = ran(tmp_path, f"SELECT {value} AS x, count(*) {JOINED} GROUP BY {value}")

    distinct = ran(tmp_path, f"SELECT DISTINCT {value} AS x {JOINED}")

    assert sorted(grouped.pairs) == sorted(distinct.pairs) == sorted(PAIRS)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT l.id, r.id rid, u.x {JOINED} CROSS JOIN unnest(l.tags) AS u(x)",
        f"SELECT l.id, r.id rid, u.x {JOINED} CROSS JOIN LATERAL (SELECT unnest(l.tags) AS x) u",
    ],
)
def test_a_correlated_unnest_runs_or_is_refused_as_sql(tmp_path: Path, sql: str) -> None:
    with pytest.raises(InvalidSql, match="outside"):
        ran(tmp_path, sql)


def test_a_primary_key_that_is_a_list_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    made = books(tmp_path, f"SELECT l.id, r.id rid {JOINED}")
    recipe = made.recipe()
    made_of_lists = replace(recipe, left=replace(recipe.left, primary_key=("tags",)))

    with pytest.raises(RecipeInvalid, match="`tags` cannot be part of a primary key"):
        run_recipe(made_of_lists, tmp_path)


@pytest.mark.parametrize("share", [AMPLE, NARROW], ids=["all columns", "fewer columns"])
@pytest.mark.parametrize("buckets", [1, 5])
def test_written_moments_and_rounded_decimals_are_keys_and_keep_their_names(
    tmp_path: Path, share: Budget, buckets: int
) -> None:
    made = Reconciliation(
        tmp_path,
        "SELECT l.id, r.id rid, CAST(l.at AS VARCHAR), l.part::bigint "
        "FROM l JOIN r ON CAST(l.at AS VARCHAR) = r.at AND CAST(l.part AS BIGINT) = r.id",
    )
    moments = [datetime(2026, 1, 1, 0, n, 0, 500000) for n in range(ROWS)]
    halves = pa.array([Decimal(n) - Decimal("0.5") for n in range(ROWS)], pa.decimal128(12, 2))
    texts = [f"2026-01-01 00:{n:02}:00.5" for n in range(ROWS)]
    made.put("left", table().append_column("at", pa.array(moments)).append_column("part", halves))
    made.put("right", table().append_column("at", pa.array(texts)))

    got = made.run(share, buckets=buckets)

    assert sorted(got.pairs) == sorted((str(n), str(n)) for n in range(1, ROWS))
    assert {"l.at", "l.part"} <= set(got.matched.schema.names)


FREE_TEXT = """
SELECT l.id, r.id, jaro_winkler(l.name, r.name) AS alike, days_between(l.due, r.paid) AS lag,
  token_set_ratio(l.name, r.name) + token_sort_ratio(l.name, r.name) AS words
FROM left_src l JOIN right_src r
  ON norm_name(l.name) = norm_name(r.name)
  AND parse_amount(l.amount, 'de') = parse_amount(r.amount, 'en')
  AND refs_match(extract_refs(l.text, 'INV-[0-9]+'), extract_refs(r.text, 'INV-[0-9]+'))
"""


@pytest.mark.parametrize("buckets", [None, 5])
def test_names_amounts_and_references_in_free_text_are_keys_and_conditions(
    tmp_path: Path, buckets: int | None
) -> None:
    made = Reconciliation(tmp_path, FREE_TEXT)
    names = ["Müller GmbH", "Ørsted A/S", "Foo, S.A.", "Bar"]
    left = {
        "id": [1, 2, 3, 4],
        "name": names,
        "amount": ["1.000,50", "2.000,00-", "3,00", "4,00"],
        "text": ["pays INV-1 INV-2", "INV-3", "INV-4", "INV-5"],
        "due": [date(2026, 1, 1)] * 4,
    }
    right = {
        "id": [11, 12, 13, 14],
        "name": ["MULLER", "ORSTED", "foo sa", None],
        "amount": ["1,000.50", "(2,000)", "3", "4"],
        "text": ["x INV-2", "INV-3 INV-9", "INV-44", "INV-5"],
        "paid": [date(2026, 1, 5)] * 4,
    }
    made.put("left", pa.table(left))
    made.put("right", pa.table(right))

    found = made.run(buckets=buckets)

    assert sorted(found.pairs) == [("1", "11"), ("2", "12")]
    reasons = {key: reason for key, (reason, _, _) in found.reasons(Side.LEFT).items()}
    assert reasons == {"3": "predicate_failed", "4": "key_not_found"}
    assert [row["lag"] for row in found.matched.to_pylist()] == [4, 4]

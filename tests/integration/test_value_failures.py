"""A value on which the match SQL fails is named: side, row, column, value, and what to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.engine.budget import Budget
from kalla_core.errors import InvalidSql
from kalla_core.recipe.model import Options, Recipe, SourceSpec, SourceType
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat
from tests.support.runs import AMPLE, TIGHT, run_in_process

JOINED = "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.ref = r.ref"
ROWS = 600
ODD = 417
WAYS = {
    "whole": (AMPLE, None),
    "buckets": (TIGHT, 4),
    "one hot bucket": (replace(TIGHT, join_bytes=1), 1),
}


def book(folder: Path, name: str, odd: str, column: str) -> SourceSpec:
    """Write a source of good rows, but for the value of `column` in row ODD where one is given."""
    good = {
        "ref": "R{n}", "day": "{n:02d}/05/2026", "number": "{n}", "divisor": "1",
        "at": "2026-01-{n:02d} 10:00:00", "date": "2026-01-{n:02d}", "big": "1",
    }  # fmt: skip
    lines = ["id," + ",".join(good)]
    for row in range(ROWS):
        values = {key: form.format(n=row % 28 + 1) for key, form in good.items()}
        if row == ODD and odd:
            values[column] = odd
        values["ref"] = f"R{row}"
        lines.append(f"{row}," + ",".join(values.values()))
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    types = {"day": "text", "number": "text", "divisor": "integer", "big": "integer"}
    return SourceSpec(
        alias=f"{name}s",
        type=SourceType.FILE,
        uri=str(path),
        primary_key=("id",),
        types={**types, "at": "timestamp", "date": "date"},
    )


def failure(
    folder: Path, condition: str, column: str, odd: str, side: str, way: str = "whole"
) -> InvalidSql:
    share, buckets = WAYS[way]
    return failure_of(
        folder,
        f"{JOINED} AND {condition}",
        {name: odd if name == side else None for name in ("left", "right")},
        column,
        share,
        buckets,
    )


def failure_of(
    folder: Path,
    sql: str,
    odd: dict[str, str | None],
    column: str,
    share: Budget = AMPLE,
    buckets: int | None = None,
) -> InvalidSql:
    sides = {name: book(folder, name, odd[name] or "", column) for name in ("left", "right")}
    recipe = Recipe(
        recipe_id="odd",
        name="Odd",
        match_sql=sql,
        left=sides["left"],
        right=sides["right"],
        options=Options(partitions=2, buckets=buckets),
    )
    with pytest.raises(InvalidSql) as caught:
        run_in_process(recipe, folder / "out", share)
    return caught.value


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("condition", "column", "odd", "remedy"),
    [
        ("to_date({}.day, '%d/%m/%Y') > DATE '2020-01-01'", "day", "n/a", "nullif(day, 'n/a')"),
        ("CAST({}.number AS INT) > 0", "number", "12x", "TRY_CAST({}.number AS INT)"),
        ("CAST({}.number AS DECIMAL(9, 2)) > 0", "number", "-", "TRY_CAST({}.number AS DECIMAL"),
        ("10 / {}.divisor > 0", "divisor", "0", "10 / nullif({}.divisor, 0)"),
        ("10 % {}.divisor < 5", "divisor", "0", "10 % nullif({}.divisor, 0)"),
        (
            "{}.at AT TIME ZONE 'Europe/Berlin' <> l.at AT TIME ZONE 'UTC'",
            "at", "2026-03-29 02:30:00", "nullif(at, '2026-03-29 02:30:00",
        ),
        ("CAST({}.date AS TIMESTAMP(9)) > l.at", "date", "9999-12-31", "AS TIMESTAMP(6))"),
        (
            "to_timestamp('2026-01-0' || left({}.number, 1)) > DATE '2020-01-01'",
            "number", "x2", "AS TIMESTAMP(6)) for NULL there",
        ),
        (
            "10 / (date_part('year', date_trunc('month', {}.date)) - 9999) < 0",
            "date", "9999-12-31", "date_trunc('month', {}.date)",
        ),
        ("{}.big * {}.big > l.id", "big", "4000000000", "AS DECIMAL(38, 0)"),
        ("{}.big + 9223372036854775000 > l.id", "big", "1000", "AS DECIMAL(38, 0)"),
    ],
)  # fmt: skip
def test_a_value_that_fails_names_its_row(
    tmp_path: Path, side: str, condition: str, column: str, odd: str, remedy: str
) -> None:
    table = side[0]

    error = failure(tmp_path, condition.replace("{}", table), column, odd, side)

    assert error.code == "invalid_sql"
    assert f"{side} row with id = {ODD} of {side}s, where {column} is" in str(error)
    assert odd in str(error)
    assert remedy.replace("{}", table) in str(error)
    assert error.details["side"] == side
    assert error.details["key"] == {"id": str(ODD)}


@pytest.mark.parametrize("way", WAYS)
def test_it_does_so_whatever_the_way(tmp_path: Path, way: str) -> None:
    error = failure(tmp_path, "CAST(r.number AS INT) > 0", "number", "12x", "right", way)

    assert f"right row with id = {ODD} of rights, where number is '12x'" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_a_key_that_fails_names_its_row(tmp_path: Path, way: str) -> None:
    condition = "l.date = to_date(r.day, '%d/%m/%Y')"

    error = failure(tmp_path, condition, "day", "31/02/2026", "right", way)

    assert f"right row with id = {ODD} of rights, where day is '31/02/2026'" in str(error)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.ref = r.ref "
            "WHERE 10 / (l.divisor - r.divisor) > 1",
            ("10 / (l.divisor - r.divisor)", "zero"),
        ),
        (
            "SELECT l.id, r.id AS rid, l.big * 9223372036854775807 * r.big AS x "
            "FROM left_src l JOIN right_src r ON l.ref = r.ref WHERE l.big * 2 + r.big > 0",
            ("big",),
        ),
        (
            "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.ref = r.ref JOIN "
            "(SELECT sum(big * 4000000000000000000) AS s FROM right_src) t ON t.s > r.big",
            ("sum(",),
        ),
    ],
)
def test_what_is_computed_of_several_rows_is_named_as_an_expression(
    tmp_path: Path, sql: str, words: tuple[str, ...]
) -> None:
    error = failure_of(tmp_path, sql, {"left": "4000000000000", "right": None}, "big")

    assert "The match SQL failed on a value" in str(error)
    assert all(word in str(error) for word in words)


@pytest.mark.parametrize(
    ("condition", "column", "odd"),
    [
        ("to_date(nullif(r.day, 'n/a'), '%d/%m/%Y') > l.date", "day", "n/a"),
        ("TRY_CAST(r.number AS INT) > 0", "number", "12x"),
        ("10 / nullif(r.divisor, 0) > 0", "divisor", "0"),
        (
            "nullif(r.at, '2026-03-29 02:30:00.000000') AT TIME ZONE 'Europe/Berlin' IS NOT NULL",
            "at", "2026-03-29 02:30:00",
        ),
        ("CAST(r.date AS TIMESTAMP(6)) > l.at", "date", "9999-12-31"),
        ("CAST(r.date AS TIMESTAMP) > l.at", "date", "9999-12-31"),
        ("r.date::timestamp > l.at", "date", "9999-12-31"),
        ("date_trunc('day', r.date) > l.at", "date", "9999-12-31"),
        ("CAST(r.big AS DECIMAL(38, 0)) * r.big > 0", "big", "4000000000"),
    ],
)  # fmt: skip
def test_what_the_error_proposes_runs(
    tmp_path: Path, condition: str, column: str, odd: str
) -> None:
    left, right = book(tmp_path, "left", "", column), book(tmp_path, "right", odd, column)
    sql = f"{JOINED} AND {condition}"

    metadata = run_in_process(
        Recipe(recipe_id="odd", name="Odd", match_sql=sql, left=left, right=right),
        tmp_path / "out",
    )

    assert metadata.status == "completed"


DATED = "id,ref,d\n11,A1,12/05/2026\n12,A2,n/a\n13,A3,02/06/2026\n14,A4,31/05/2026\n"
DAYS = "id,ref,d\n1,A1,2026-05-12\n2,A2,2026-05-18\n3,A3,2026-06-02\n"


def dated(
    folder: Path, condition: str, right: str = DATED, form: SourceFormat = AS_USUAL
) -> Recipe:
    """Rows of which one on the right has a word in the place of a date."""
    sources = []
    for name, content in (("left", DAYS), ("right", right)):
        path = folder / f"{name}.csv"
        path.write_text(content)
        sources.append(SourceSpec(name[0], SourceType.FILE, str(path), ("id",)))
    shaped = replace(sources[1], format=form)
    sql = f"SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref AND {condition}"
    return Recipe("dates", "Dates", sql, left=sources[0], right=shaped)


@pytest.mark.parametrize(
    ("right", "condition", "form"),
    [
        (
            DATED,
            "date_within(l.d, to_date(r.d, '%d/%m/%Y'), 1)",
            '"format": {"date": "%d/%m/%Y", "null": "n/a"}',
        ),
        (
            DAYS.replace("2026-05-18", "TBD"),
            "l.d = CAST(r.d AS DATE)",
            '"format": {"null": "TBD"}',
        ),
    ],
)
def test_a_word_that_makes_a_column_text_is_told_with_the_format_that_reads_it(
    tmp_path: Path, right: str, condition: str, form: str
) -> None:
    with pytest.raises(InvalidSql) as failed:
        run_in_process(dated(tmp_path, condition, right), tmp_path / "out")

    assert "In `r`, `d` is text because of" in str(failed.value)
    assert f"in its source, {form} would read it" in str(failed.value)


def test_the_format_that_was_proposed_for_a_word_reads_the_column(tmp_path: Path) -> None:
    form = SourceFormat(dates=("%d/%m/%Y",), nulls=("n/a",))

    metadata = run_in_process(
        dated(tmp_path, "date_within(l.d, r.d, 1)", form=form), tmp_path / "out"
    )

    assert metadata.matched_count == 2


KEYS = {
    "l.ref = r.ref AND CAST(l.number AS INT) = r.big": ("number", "12x"),
    "CAST(l.number AS INT) = r.big": ("number", "12x"),
    "l.ref = r.ref AND l.big + l.big = r.big": ("big", "9223372036854775807"),
    "l.at AT TIME ZONE 'Europe/Berlin' = r.at AT TIME ZONE 'UTC'": ("at", "2026-03-29 02:30:00"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_fails_for_a_row_ends_the_run_whatever_the_way(
    tmp_path: Path, key: str, way: str
) -> None:
    column, odd = KEYS[key]
    sql = f"SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON {key}"
    share, buckets = WAYS[way]

    error = failure_of(tmp_path, sql, {"left": odd, "right": None}, column, share, buckets)

    assert f"fails in the left row with id = {ODD} of lefts, where {column} is" in error.message


@pytest.mark.parametrize("way", WAYS)
def test_a_key_that_fails_beside_no_rows_at_all_is_named_too(tmp_path: Path, way: str) -> None:
    share, buckets = WAYS[way]
    empty = "(SELECT * FROM right_src WHERE id < 0)"
    sql = (
        f"SELECT l.id, r.id AS rid FROM left_src l JOIN {empty} r ON CAST(l.number AS INT) = r.big"
    )

    error = failure_of(tmp_path, sql, {"left": "12x", "right": None}, "number", share, buckets)

    assert f"CAST(l.number AS INT) fails in the left row with id = {ODD} of lefts" in error.message

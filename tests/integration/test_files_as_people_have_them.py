"""Small inputs as banks, ledgers and spreadsheets write them, each run as a user would."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kalla_core.errors import KallaError, SourceUnreadable, TypesNotComparable
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from tests.support.runs import run_in_process

LEFT = "id,ref,amount,d\n1,A1,1234.56,2026-05-12\n2,A2,9.00,2026-05-18\n3,A3,-950.00,2026-06-01\n"
WAYS: dict[str, dict[str, Any]] = {
    "in one": {},
    "in parts and buckets": {"partitions": 3, "buckets": 2},
}


def recipe_of(
    folder: Path, right: str | bytes, on: str, source: Mapping[str, Any], options: Mapping[str, Any]
) -> Recipe:
    """Return the recipe that matches `LEFT` with a file of the bytes given."""
    (folder / "left.csv").write_text(LEFT)
    (folder / "right.csv").write_bytes(right if isinstance(right, bytes) else right.encode())
    document = {
        "recipe_id": "files",
        "name": "Files",
        "match_sql": f"SELECT l.id AS lid, r.id AS rid FROM l JOIN r ON l.ref = r.ref AND {on}",
        "sources": {
            "left": {"alias": "l", "type": "file", "uri": "left.csv", "primary_key": ["id"]},
            "right": {
                "alias": "r",
                "type": "file",
                "uri": "right.csv",
                "primary_key": ["id"],
                **source,
            },
        },
        "options": dict(options),
    }
    return parse_recipe(document, folder)


def run(recipe: Recipe, folder: Path) -> tuple[RunMetadata, list[tuple[int, int]]]:
    """Return what a run says and which ids it matched."""
    metadata = run_in_process(recipe, folder / "out")
    rows = pq.read_table(folder / "out" / "matched.parquet").to_pylist()
    return metadata, sorted((row["lid"], row["rid"]) for row in rows)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("on", "matched"),
    [
        ("l.amount = coalesce(r.credit, 0) - coalesce(r.debit, 0)", [(1, 11), (2, 12)]),
        ("l.amount = coalesce(r.debit, r.credit)", [(1, 11), (2, 12)]),
        ("tolerance_match(l.amount, r.debit, 0.01)", []),
        ("l.amount = r.debit", []),
        ("date_within(l.d, r.debit, 3)", []),
        ("l.ref = r.debit", []),
        ("r.debit IS NULL AND NOT r.debit IS NOT NULL", [(1, 11), (2, 12)]),
        ("(r.debit > 0 OR upper(r.debit) = 'X' OR r.credit > 10)", [(1, 11)]),
    ],
)
def test_a_column_without_a_value_fits_whatever_it_meets(
    tmp_path: Path, on: str, matched: list[tuple[int, int]], way: str
) -> None:
    right = "id,ref,debit,credit\n11,A1,,1234.56\n12,A2,,9.00\n"

    _, pairs = run(recipe_of(tmp_path, right, on, {}, WAYS[way]), tmp_path)

    assert pairs == matched


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "on", ["tolerance_match(l.amount, r.amount, 0.01)", "l.amount = r.amount", "l.id = r.id"]
)
def test_a_file_of_nothing_but_a_header_leaves_every_row_unmatched(
    tmp_path: Path, on: str, way: str
) -> None:
    metadata, pairs = run(recipe_of(tmp_path, "id,ref,amount\n", on, {}, WAYS[way]), tmp_path)

    assert pairs == []
    assert (metadata.left.unmatched, metadata.right.records) == (3, 0)


def test_a_filter_on_a_column_without_a_value_keeps_no_row(tmp_path: Path) -> None:
    filters = [{"column": "debit", "op": "gt", "value": 5}]
    right = "id,ref,debit\n11,A1,\n12,A2,\n"

    metadata, pairs = run(recipe_of(tmp_path, right, "true", {"filters": filters}, {}), tmp_path)

    assert pairs == []
    assert metadata.right.excluded == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_null_word_with_a_slash_in_it_is_an_option(tmp_path: Path, way: str) -> None:
    right = "id,ref,amount\n11,A1,1234.56\n12,A2,N/A\n13,A3,N/A\n"
    on = "tolerance_match(l.amount, r.amount, 0.01)"
    source = {"uri": "right.csv?null=N/A"}

    _, pairs = run(recipe_of(tmp_path, right, on, source, WAYS[way]), tmp_path)

    assert pairs == [(1, 11)]


AMOUNTS = "tolerance_match(l.amount, r.amount, 0.01)"
DAYS = "date_within(l.d, r.d, 1)"
SPELLINGS: dict[str, tuple[str, str, str, dict[str, Any], list[tuple[int, int]]]] = {
    "european": (
        "id;ref;amount\n11;A1;1.234,56\n12;A2;9,00\n13;A3;-950,00\n",
        AMOUNTS,
        "`1.234,56` in line 2 of right.csv",
        {"decimal": ",", "thousands": "."},
        [(1, 11), (2, 12), (3, 13)],
    ),
    "parentheses": (
        "id,ref,amount\n11,A1,1234.56\n12,A2,9.00\n13,A3,(950.00)\n",
        AMOUNTS,
        "`(950.00)` in line 4 of right.csv",
        {"amounts": "parentheses"},
        [(1, 11), (2, 12), (3, 13)],
    ),
    "currency": (
        "id,ref,amount\n11,A1,$1234.56\n12,A2,$9.00\n13,A3,-$950.00\n",
        AMOUNTS,
        "`$1234.56` in line 2 of right.csv",
        {"amounts": "currency"},
        [(1, 11), (2, 12), (3, 13)],
    ),
    "plus": (
        "id,ref,amount\n11,A1,1234.56\n12,A2,+9.00\n13,A3,-950.00\n",
        AMOUNTS,
        "`+9.00` in line 3 of right.csv",
        {"amounts": "plus"},
        [(1, 11), (2, 12), (3, 13)],
    ),
    "a word among numbers": (
        "id,ref,amount\n11,A1,1234.56\n12,A2,n/a\n13,A3,-950.00\n",
        AMOUNTS,
        "`n/a` in line 3 of right.csv",
        {"null": "n/a"},
        [(1, 11), (3, 13)],
    ),
    "day first": (
        "id,ref,d\n11,A1,12/05/2026\n12,A2,18/05/2026\n13,A3,02/06/2026\n",
        DAYS,
        "`12/05/2026` in line 2 of right.csv",
        {"date": "%d/%m/%Y"},
        [(1, 11), (2, 12), (3, 13)],
    ),
    "a blank at the end": (
        "id,ref,amount\n11,A1,1234.56 \n12,A2,9.00 \n",
        AMOUNTS,
        "`1234.56␠` in line 2 of right.csv",
        {"amounts": "blanks"},
        [(1, 11), (2, 12)],
    ),
    "a currency and thousands": (
        'id,ref,amount\n11,A1,"1,234.56 EUR"\n12,A2,9.00 EUR\n',
        AMOUNTS,
        "`1,234.56 EUR` in line 2 of right.csv",
        {"thousands": ",", "amounts": "currency"},
        [(1, 11), (2, 12)],
    ),
    "a day that is none": (
        "id,ref,d\n11,A1,2026-05-12\n12,A2,0000-00-00\n13,A3,2026-06-02\n",
        DAYS,
        "`0000-00-00` in line 3 of right.csv",
        {"null": "0000-00-00"},
        [(1, 11), (3, 13)],
    ),
    "a word among dates": (
        "id,ref,d\n11,A1,12/05/2026\n12,A2,n/a\n13,A3,18/05/2026\n",
        DAYS,
        "`12/05/2026` in line 2 of right.csv",
        {"date": "%d/%m/%Y", "null": "n/a"},
        [(1, 11)],
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_error_names_the_value_and_the_format_that_reads_it(tmp_path: Path, name: str) -> None:
    text, on, value, found, matched = SPELLINGS[name]
    source = {"uri": "right.csv?delimiter=;" if ";" in text else "right.csv"}

    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, on, source, {}), tmp_path)

    assert f"text because of {value}" in str(caught.value)
    assert f'"format": {json.dumps(found)} would read it' in str(caught.value)
    for way, options in WAYS.items():
        folder = tmp_path / way
        folder.mkdir()
        again = recipe_of(folder, text, on, {**source, "format": found}, options)
        assert run(again, folder)[1] == matched


@pytest.mark.parametrize(
    ("on", "text", "value", "word", "matched"),
    [
        (AMOUNTS, "id,ref,amount\n11,A1,1.23456e3\n12,A2,9\n", "`1.23456e3`", "decimal(38,10)", 2),
        (AMOUNTS, "id,ref,amount\n11,A1,001234.56\n12,A2,9\n", "`001234.56`", "decimal(38,10)", 2),
        (
            "r.amount = 9223372037000250000",
            "id,ref,amount\n11,A1,9223372037000250000\n12,A2,9\n",
            "`9223372037000250000`",
            "decimal(38,0)",
            1,
        ),
    ],
)
def test_the_error_names_the_type_that_reads_a_number(
    tmp_path: Path, on: str, text: str, value: str, word: str, matched: int
) -> None:
    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, on, {}, {}), tmp_path)

    assert f"text because of {value} in line 2 of right.csv" in str(caught.value)
    assert f'"types": {{"amount": "{word}"}} would read it.' in str(caught.value)
    again = recipe_of(tmp_path, text, on, {"types": {"amount": word}}, {})
    assert len(run(again, tmp_path)[1]) == matched


def test_the_error_names_what_reads_days_without_separators(tmp_path: Path) -> None:
    text = "id,ref,d\n11,A1,20260512\n12,A2,20260530\n"

    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, DAYS, {}, {}), tmp_path)

    assert "`20260512` in line 2 of right.csv is a day in `d`" in str(caught.value)
    found = {"types": {"d": "date"}, "format": {"date": "%Y%m%d"}}
    assert '"types": {"d": "date"} and "format": {"date": "%Y%m%d"}' in str(caught.value)
    assert run(recipe_of(tmp_path, text, DAYS, found, {}), tmp_path)[1] == [(1, 11)]


@pytest.mark.parametrize(
    ("column", "values", "word", "found"),
    [
        ("d", ["20260512", "20260518", "20260602"], "date", {"date": "%Y%m%d"}),
        ("d", ["31.12.2025", "18.05.2026", "02.06.2026"], "date", {"date": "%d.%m.%Y"}),
        ("d", ["20260512 07:00", "20260518 07:00"], "timestamp", {"timestamp": "%Y%m%d %H:%M"}),
        ("d", ["2026-05-12", "n/a", "2026-06-02"], "date", {"null": "n/a"}),
        ("amount", ["1.234,56", "9,00"], "decimal(12,2)", {"decimal": ",", "thousands": "."}),
        ("amount", ["12,345", "9"], "integer", {"thousands": ","}),
        ("amount", ["5.00-", "9.00"], "decimal(12,2)", {"amounts": "trailing_minus"}),
    ],
)
def test_the_error_names_the_format_of_a_column_whose_type_the_recipe_says(
    tmp_path: Path, column: str, values: list[str], word: str, found: dict[str, Any]
) -> None:
    quoted = [f'"{value}"' if "," in value else value for value in values]
    rows = "".join(f"{at},A{at},{value}\n" for at, value in enumerate(quoted, 1))
    text = f"id,ref,{column}\n{rows}"
    source = {"types": {column: word}}

    with pytest.raises(SourceUnreadable) as caught:
        run(recipe_of(tmp_path, text, "r.ref = l.ref", source, {}), tmp_path)

    assert f'its source, "format": {json.dumps(found)} would read it' in str(caught.value)
    again = recipe_of(tmp_path, text, "r.ref = l.ref", {**source, "format": found}, {})
    assert len(run(again, tmp_path)[1]) == len(values)


@pytest.mark.parametrize(
    ("values", "matched"),
    [
        (["123456%", "900 %", "1%"], 2),
        (["1234.56 DR", "9.00", "950.00 CR"], 3),
        (["1,234.56DR", "9.00 dr.", "950.00cr"], 3),
        (["1.234,56 DR", "9,00 DR", "950,00 CR"], 3),
        (["$1,234.56", "€9.00", "$-950"], 3),
        (["1'234.56 CHF", "9.00 EUR", "-950 EUR"], 3),
    ],
)
def test_the_error_names_the_sql_that_reads_what_no_format_does(
    tmp_path: Path, values: list[str], matched: int
) -> None:
    rows = "".join(f'{at},A{at},"{value}"\n' for at, value in enumerate(values, 1))
    text = f"id,ref,amount\n{rows}"

    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, "l.amount = r.amount", {}, {}), tmp_path)

    _, found, proposed = str(caught.value).partition("; in the match SQL, `")
    assert found
    value = proposed.partition("`")[0].replace("(amount", "(r.amount")
    again = recipe_of(tmp_path, text, f"l.amount = {value}", {}, {})
    assert len(run(again, tmp_path)[1]) == matched


def test_the_error_names_a_column_whose_name_has_blanks_around_it(tmp_path: Path) -> None:
    text = "id,ref, Amount \n11,A1,1234.56\n"

    with pytest.raises(KallaError, match="blanks around its name") as caught:
        run(recipe_of(tmp_path, text, "l.amount = r.amount", {}, {}), tmp_path)

    assert 'write " Amount "' in str(caught.value)
    again = recipe_of(tmp_path, text, 'l.amount = r." Amount "', {}, {})
    assert run(again, tmp_path)[1] == [(1, 11)]


@pytest.mark.parametrize("packed", [False, True])
def test_the_error_at_a_quote_behind_a_backslash_names_the_escape(
    tmp_path: Path, packed: bool
) -> None:
    text = b'id,ref,amount\n11,A1,1234.56\n12,"A\\"2",9.00\n'
    name = "right.csv.gz" if packed else "right.csv"
    (tmp_path / name).write_bytes(gzip.compress(text) if packed else text)

    with pytest.raises(SourceUnreadable) as caught:
        run(recipe_of(tmp_path, text, AMOUNTS, {"uri": name}, {}), tmp_path)

    assert '"format": {"escape": "\\\\"} says so' in str(caught.value)
    again = recipe_of(tmp_path, text, AMOUNTS, {"uri": name, "format": {"escape": "\\"}}, {})
    assert run(again, tmp_path)[1] == [(1, 11)]


def test_the_error_at_a_blank_behind_a_quote_says_what_it_is(tmp_path: Path) -> None:
    text = 'id,ref,amount\n11,"A1" ,1234.56\n'

    with pytest.raises(SourceUnreadable, match="no blank may stand between a quote and the del"):
        run(recipe_of(tmp_path, text, AMOUNTS, {}, {}), tmp_path)

    on = AMOUNTS.replace("1)", "1) AND l.ref = trim(r.ref, ' \"')")
    again = recipe_of(tmp_path, text, on, {"format": {"quote": "none"}}, {})
    sql = again.match_sql.replace("l.ref = r.ref AND ", "")
    assert run(replace(again, match_sql=sql), tmp_path)[1] == [(1, 11)]


@pytest.mark.parametrize(
    ("on", "text", "value"),
    [
        (AMOUNTS, "id,ref,amount\n11,A1,50%\n12,A2,9.00\n", "`50%` in line 2"),
        (AMOUNTS, "id,ref,amount\n11,A1,10.00 CR\n12,A2,9.00 DR\n", "`10.00 CR` in line 2"),
        (DAYS, "id,ref,d\n11,A1,2026-05-12\n12,A2,2026-02-30\n", "`2026-02-30` in line 3"),
    ],
)
def test_an_error_never_proposes_to_read_a_value_as_null(
    tmp_path: Path, on: str, text: str, value: str
) -> None:
    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, on, {}, {}), tmp_path)

    assert f"text because of {value} of right.csv" in str(caught.value)
    assert '"null"' not in str(caught.value)


@pytest.mark.parametrize(("sign", "shown"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_an_error_names_the_delimiter_that_a_header_shows(
    tmp_path: Path, sign: str, shown: str
) -> None:
    text = "id,ref,amount\n11,A1,1234.56\n".replace(",", sign)

    with pytest.raises(KallaError) as caught:
        run(recipe_of(tmp_path, text, AMOUNTS, {}, {}), tmp_path)

    assert f'"format": {{"delimiter": "{shown}"}}' in str(caught.value)
    again = recipe_of(tmp_path, text, AMOUNTS, {"format": {"delimiter": sign}}, {})
    assert run(again, tmp_path)[1] == [(1, 11)]


def test_an_error_in_the_last_lines_names_the_way_to_pass_over_them(tmp_path: Path) -> None:
    text = "id,ref,amount\n11,A1,1234.56\n\n2 rows\nend of file\n\n"

    with pytest.raises(SourceUnreadable) as caught:
        run(recipe_of(tmp_path, text, AMOUNTS, {}, {}), tmp_path)

    assert "line 4 of right.csv" in str(caught.value)
    assert '"format": {"skip_last": 2}' in str(caught.value)
    again = recipe_of(tmp_path, text, AMOUNTS, {"format": {"skip_last": 2}}, {})
    assert run(again, tmp_path)[1] == [(1, 11)]


def test_an_error_names_both_formats_where_only_the_author_can_know(tmp_path: Path) -> None:
    text = "id,ref,d\n11,A1,05/12/2026\n12,A2,05/11/2026\n"

    with pytest.raises(TypesNotComparable) as caught:
        run(recipe_of(tmp_path, text, DAYS, {}, {}), tmp_path)

    assert '"%d/%m/%Y"}' in str(caught.value)
    assert '"%m/%d/%Y"}' in str(caught.value)
    assert "only you can know" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Account statement\nIBAN:,DE00 1234\n\nid,ref,amount\n11,A1,1234.56\n", {"header": 4}),
        ("id,ref,amount\n11,A1,1234.56,\n12,A9,9.00,\n", {"trailing_delimiter": True}),
        ("id,ref,amount\n11,A1,1234.56\nTotal,,1234.56\n", {"skip_last": 1}),
    ],
)
def test_what_stands_around_the_rows_is_passed_over(
    tmp_path: Path, text: str, found: dict[str, Any], way: str
) -> None:
    _, pairs = run(recipe_of(tmp_path, text, AMOUNTS, {"format": found}, WAYS[way]), tmp_path)

    assert pairs == [(1, 11)]


def test_a_double_name_is_a_warning_of_the_run(tmp_path: Path) -> None:
    text = "id,ref,amount,amount\n11,A1,1,2\n"

    metadata, pairs = run(recipe_of(tmp_path, text, "r.amount_2 = 2", {}, {}), tmp_path)

    assert pairs == [(1, 11)]
    assert any("`amount_2`" in warning for warning in metadata.warnings)
    assert metadata.recipe["sources"]["right"].get("format") is None


@pytest.mark.parametrize("way", WAYS)
def test_csv_files_of_a_folder_are_united_by_name(tmp_path: Path, way: str) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "a.csv").write_text("id,ref,amount\n11,A1,1234.56\n")
    (parts / "b.csv").write_text("note,amount,ref,id\nx,9,A2,12\n")

    recipe = recipe_of(tmp_path, "", AMOUNTS, {"uri": "parts"}, WAYS[way])
    metadata, pairs = run(recipe, tmp_path)

    assert pairs == [(1, 11), (2, 12)]
    assert any("a.csv` of 2 files has no column `note`" in one for one in metadata.warnings)


def test_a_file_that_shares_no_column_with_the_others_is_refused(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "a.csv").write_text("id,ref,amount\n11,A1,1234.56\n")
    (parts / "b.csv").write_text("id;ref;amount\n12;A2;9\n")

    with pytest.raises(SourceUnreadable) as caught:
        run(recipe_of(tmp_path, "", AMOUNTS, {"uri": "parts"}, {}), tmp_path)

    assert "shares no column with the other files" in str(caught.value)
    assert '"format": {"delimiter": ";"}' in str(caught.value)

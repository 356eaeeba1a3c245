"""Each pattern has the shares and the troubles that it promises."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pytest

from benchmarks.generate import Format, PatternName, generate
from benchmarks.generate.patterns.cross import LARGEST

SIZE = 20_000
Ask = Callable[[PatternName, str], Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Return what SQL over invoices `l` and payments `r` of a pattern gives, as one row."""

    @cache
    def made(name: PatternName) -> Any:
        dataset = generate(name, SIZE, 5, tmp_path_factory.mktemp(name), Format.PARQUET)
        connection = duckdb.connect()
        connection.execute(f"CREATE TABLE l AS FROM read_parquet('{dataset.left}')")
        connection.execute(f"CREATE TABLE r AS FROM read_parquet('{dataset.right}')")
        return connection

    return lambda name, sql: made(name).execute(sql).fetchone()


def test_one_to_one_pays_60_percent_exactly_and_15_percent_within_2_percent(ask: Ask) -> None:
    by_reference = "FROM l JOIN r ON invoice_id = reference_number"

    paid = ask(
        PatternName.ONE_TO_ONE, f"SELECT count(*), count(DISTINCT invoice_id) {by_reference}"
    )
    inexact = ask(
        PatternName.ONE_TO_ONE,
        f"SELECT max(abs(amount - paid_amount) / amount), count(*) FILTER"
        f" (abs(amount - paid_amount) > 0.02) {by_reference} AND amount <> paid_amount",
    )

    assert paid == (SIZE * 75 // 100, SIZE * 75 // 100)
    assert inexact[0] <= 0.02
    assert SIZE * 12 // 100 < inexact[1] < SIZE * 15 // 100


def test_one_to_one_has_differences_of_exactly_the_tolerance_and_a_cent_more(ask: Ask) -> None:
    sql = (
        "SELECT count(*) FILTER (paid_amount - amount = 0.02), count(*) FILTER"
        " (amount - paid_amount = 0.02), count(*) FILTER (abs(amount - paid_amount) = 0.03)"
        " FROM l JOIN r ON invoice_id = reference_number"
    )

    above, below, beyond = ask(PatternName.ONE_TO_ONE, sql)

    assert min(above, below, beyond) > 10


def test_one_to_one_halves_add_up_and_have_references_of_their_own(ask: Ask) -> None:
    sql = (
        "SELECT count(*), bool_and(n = 2 AND paid = amount) FROM ("
        "SELECT reference_number[:13] AS invoice_id, count(*) AS n, sum(paid_amount) AS paid FROM r"
        " WHERE length(reference_number) = 15 GROUP BY 1) JOIN l USING (invoice_id)"
    )

    assert ask(PatternName.ONE_TO_ONE, sql) == (SIZE * 5 // 100, True)


@pytest.mark.parametrize("name", [PatternName.ONE_TO_ONE, PatternName.SPLIT, PatternName.BATCH])
def test_a_tenth_of_the_invoices_comes_on_top_as_orphans(name: PatternName, ask: Ask) -> None:
    orphans = ask(name, "SELECT count(*) FROM r WHERE starts_with(reference_number, 'ORP-')")

    assert orphans == (SIZE // 10,)


def test_split_invoices_have_2_to_5_parts_that_add_up(ask: Ask) -> None:
    sql = (
        "SELECT min(parts), max(parts), count(*), bool_and(paid = amount), min(least) FROM ("
        "SELECT any_value(amount) AS amount, count(*) AS parts, sum(paid_amount) AS paid,"
        " min(paid_amount) AS least"
        " FROM l JOIN r ON invoice_id = reference_number GROUP BY invoice_id)"
    )

    fewest, most, invoices, add_up, least = ask(PatternName.SPLIT, sql)

    assert (fewest, most, invoices, add_up) == (2, 5, SIZE, True)
    assert least > Decimal(0)


def test_batches_of_10_to_50_invoices_are_paid_by_one_payment_of_their_sum(ask: Ask) -> None:
    sql = (
        "SELECT min(n), max(n), sum(n), bool_and(payments = 1 AND total = paid) FROM ("
        "SELECT count(*) AS n, sum(amount) AS total, any_value(payments) AS payments,"
        " any_value(paid) AS paid FROM l JOIN (SELECT reference_number, count(*) AS payments,"
        " sum(paid_amount) AS paid FROM r GROUP BY ALL) ON batch_ref = reference_number"
        " GROUP BY batch_ref)"
    )

    assert ask(PatternName.BATCH, sql) == (10, 50, SIZE, True)


@pytest.mark.parametrize("size", [10, 51, 1_229, 1_230, 1_231, 2_459, 2_461])
def test_what_does_not_fill_a_cycle_of_batches_is_cut_into_batches_as_large(
    size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dataset = generate(PatternName.BATCH, size, 5, tmp_path_factory.mktemp("batch"), Format.PARQUET)

    sizes = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{dataset.left}') GROUP BY batch_ref"
    ).fetchall()

    assert sum(n for (n,) in sizes) == size
    assert 10 <= min(n for (n,) in sizes) <= max(n for (n,) in sizes) <= 50


def test_cross_has_80_percent_of_its_rows_from_20_shared_customers(ask: Ask) -> None:
    sql = (
        "SELECT count(*), count(DISTINCT customer_id),"
        " (SELECT count(*) FROM r WHERE payer_id IN (SELECT customer_id FROM l))"
        " FROM l WHERE customer_id IN (SELECT payer_id FROM r)"
    )

    assert ask(PatternName.CROSS, sql) == (SIZE * 80 // 100, 20, SIZE * 80 // 100)


def test_cross_refuses_a_size_whose_pairs_would_not_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("cross")

    with pytest.raises(ValueError, match="quadratic"):
        generate(PatternName.CROSS, LARGEST + 1, 5, folder, Format.CSV)


def test_hard_has_one_hot_key_with_5_percent_of_the_left_and_20_right_rows(ask: Ask) -> None:
    sql = (
        "SELECT batch_ref, count(*), (SELECT count(*) FROM r WHERE reference_number = batch_ref)"
        " FROM l WHERE batch_ref IS NOT NULL GROUP BY batch_ref ORDER BY count(*) DESC LIMIT 1"
    )

    assert ask(PatternName.HARD, sql) == (7, SIZE * 5 // 100, 20)


def test_hard_has_nulls_and_duplicates_in_keys_and_primary_keys(ask: Ask) -> None:
    for table, key, primary_key, amount in (
        ("l", "batch_ref", "invoice_id", "amount"),
        ("r", "reference_number", "payment_id", "paid_amount"),
    ):
        nulls = ask(
            PatternName.HARD,
            f"SELECT count(*) - count({key}), count(*) - count({primary_key}),"
            f" count(*) - count({amount}) FROM {table}",
        )
        repeated = ask(
            PatternName.HARD,
            f"SELECT count({key}) - count(DISTINCT {key}),"
            f" count({primary_key}) - count(DISTINCT {primary_key}) FROM {table}",
        )

        assert min(nulls) > SIZE // 200
        assert min(repeated) > SIZE // 100


def test_hard_has_differences_of_exactly_the_tolerance_under_keys_of_unlike_types(ask: Ask) -> None:
    sql = (
        "SELECT typeof(any_value(batch_ref)), typeof(any_value(reference_number)),"
        " count(*) FILTER (abs(amount - paid_amount) = 0.02),"
        " count(*) FILTER (abs(amount - paid_amount) = 0.03),"
        " (SELECT count(*) FROM r WHERE reference_number <> floor(reference_number))"
        " FROM l JOIN r ON batch_ref = reference_number"
    )

    left_type, right_type, at, beyond, halves = ask(PatternName.HARD, sql)

    assert (left_type, right_type) == ("BIGINT", "DECIMAL(14,1)")
    assert min(at, beyond) > SIZE // 20
    assert halves == SIZE * 5 // 100


@pytest.mark.parametrize("needle", ["\n", "\r\n", ",", '"', "Zürich"])
def test_hard_has_texts_that_break_careless_readers(needle: str, ask: Ask) -> None:
    escaped = needle.replace("\r", "' || chr(13) || '").replace("\n", "' || chr(10) || '")
    sql = (
        f"SELECT (SELECT count(*) FROM l WHERE contains(description, '{escaped}')),"
        f" (SELECT count(*) FROM r WHERE contains(notes, '{escaped}'))"
    )

    assert min(ask(PatternName.HARD, sql)) > SIZE // 50


def test_hard_tells_null_from_the_empty_text(ask: Ask) -> None:
    sql = "SELECT count(*) FILTER (notes IS NULL), count(*) FILTER (notes = '') FROM r"

    assert min(ask(PatternName.HARD, sql)) > SIZE // 50

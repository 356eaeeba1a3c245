"""The truth that comes with a data set is what an independent look at its files finds."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks.generate import Dataset, Format, PatternName, generate
from benchmarks.generate.truth import PAIRS, UNMATCHED_LEFT, UNMATCHED_RIGHT, read_totals

SIZES = (1, 7, 100, 3_001)

CONDITIONS = {
    PatternName.ONE_TO_ONE: "invoice_id = reference_number AND abs(amount - paid_amount) <= 0.02",
    PatternName.SPLIT: "invoice_id = reference_number",
    PatternName.BATCH: "batch_ref = reference_number",
}


def told(dataset: Dataset, name: str, *keys: str) -> Counter[tuple[str | None, ...]]:
    """Return the rows of one truth file as a multiset."""
    table = pq.read_table(dataset.truth / name)
    rows = zip(*(table[key].to_pylist() for key in keys), table["n"].to_pylist(), strict=True)
    return Counter({tuple(row): n for *row, n in rows})


def all_told(dataset: Dataset) -> tuple[Counter[tuple[str | None, ...]], ...]:
    """Return pairs, unmatched invoices and unmatched payments."""
    return (
        told(dataset, PAIRS, "left_key", "right_key"),
        told(dataset, UNMATCHED_LEFT, "record_key"),
        told(dataset, UNMATCHED_RIGHT, "record_key"),
    )


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CONDITIONS)
def test_the_truth_by_construction_is_what_a_join_of_the_files_finds(
    name: PatternName, size: int, format_: Format, tmp_path: Path
) -> None:
    dataset = generate(name, size, 11, tmp_path, format_)

    read = "read_csv" if format_ is Format.CSV else "read_parquet"
    options = ", all_varchar = true" if format_ is Format.CSV else ""
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE VIEW l AS SELECT * REPLACE (amount::DECIMAL(12, 2) AS amount)"
            f" FROM {read}('{dataset.left}'{options});"
            f"CREATE VIEW r AS SELECT * REPLACE (paid_amount::DECIMAL(12, 2) AS paid_amount)"
            f" FROM {read}('{dataset.right}'{options});"
            f"CREATE TABLE p AS SELECT invoice_id, payment_id FROM l JOIN r ON {CONDITIONS[name]}"
        )
        found = tuple(
            Counter(connection.execute(query).fetchall())
            for query in (
                "FROM p",
                "SELECT invoice_id FROM l ANTI JOIN p USING (invoice_id)",
                "SELECT payment_id FROM r ANTI JOIN p USING (payment_id)",
            )
        )

    assert all_told(dataset) == found


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def month_matches(invoice: dict[str, str], payment: dict[str, str]) -> bool:
    return (
        invoice["customer_id"] == payment["payer_id"]
        and invoice["currency"] == payment["currency"]
        and invoice["invoice_date"][:7] == payment["payment_date"][:7]
    )


def hard_matches(invoice: dict[str, str], payment: dict[str, str]) -> bool:
    key, reference = invoice["batch_ref"], payment["reference_number"]
    amount, paid = invoice["amount"], payment["paid_amount"]
    if "" in (key, reference, amount, paid) or Decimal(key) != Decimal(reference):
        return False
    return abs(Decimal(amount) - Decimal(paid)) <= Decimal("0.02")


@pytest.mark.parametrize(
    ("name", "matches"),
    [(PatternName.CROSS, month_matches), (PatternName.HARD, hard_matches)],
)
def test_the_truth_that_an_engine_found_is_what_comparing_all_rows_finds(
    name: PatternName, matches: object, tmp_path: Path
) -> None:
    dataset = generate(name, 700, 11, tmp_path, Format.CSV)

    invoices, payments = read_rows(dataset.left), read_rows(dataset.right)
    hits = [(i, p) for i in invoices for p in payments if matches(i, p)]  # type: ignore[operator]
    matched_invoices = {id(i) for i, _ in hits}
    matched_payments = {id(p) for _, p in hits}
    found = (
        Counter((i["invoice_id"] or None, p["payment_id"] or None) for i, p in hits),
        Counter((i["invoice_id"] or None,) for i in invoices if id(i) not in matched_invoices),
        Counter((p["payment_id"] or None,) for p in payments if id(p) not in matched_payments),
    )

    assert all_told(dataset) == found


@pytest.mark.parametrize("name", PatternName)
def test_the_truth_is_the_same_for_both_formats(name: PatternName, tmp_path: Path) -> None:
    as_csv = generate(name, 2_000, 3, tmp_path / "csv", Format.CSV)

    as_parquet = generate(name, 2_000, 3, tmp_path / "parquet", Format.PARQUET)

    assert all_told(as_csv) == all_told(as_parquet)
    assert read_totals(as_csv.truth) == read_totals(as_parquet.truth)


@pytest.mark.parametrize("name", PatternName)
def test_totals_are_the_sums_of_the_truth(name: PatternName, tmp_path: Path) -> None:
    dataset = generate(name, 2_000, 3, tmp_path, Format.PARQUET)

    totals = read_totals(dataset.truth)

    sums = tuple(counter.total() for counter in all_told(dataset))
    assert (totals.pairs, totals.unmatched_left, totals.unmatched_right) == sums
    assert totals.left_rows == pq.read_metadata(dataset.left).num_rows
    assert totals.right_rows == pq.read_metadata(dataset.right).num_rows

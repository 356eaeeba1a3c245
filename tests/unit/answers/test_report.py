"""A report's figures are those of the evidence, and nothing in a source does harm to its reader."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from kalla_core.answers.report.figures import Bars, Report
from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import MOST_BYTES, page, share
from kalla_core.answers.report.sheets import workbook
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side
from tests.support.command import write_csv
from tests.support.reports import ledger_of, made, make_books_of, ran
from tests.support.workbook import read_workbook


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Evidence, Report]]:
    folder = tmp_path_factory.mktemp("ledger")
    with ran(ledger_of(folder, 60)) as evidence:
        yield evidence, gather(evidence, "out")


def counted(bars: Bars) -> dict[str, int]:
    return {bar.label: bar.rows for bar in bars.bars}


@pytest.mark.parametrize("side", list(Side))
def test_reasons_and_their_amounts_are_those_of_the_evidence(
    ledger: tuple[Evidence, Report], side: Side
) -> None:
    evidence, report = ledger
    rows = evidence.table(UNMATCHED[side]).to_pylist()
    told = report.left if side is Side.LEFT else report.right
    amount = "amount" if side is Side.LEFT else "paid_amount"

    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        place = (row["rejection_reason"], row["currency"])
        sums[place] = sums.get(place, Decimal(0)) + row[amount]

    assert counted(told.reasons) == Counter(row["rejection_reason"] for row in rows)
    found = {
        (bar.label, currency): value
        for bar in told.reasons.bars
        for currency, value in bar.amounts.items()
    }
    assert found == sums
    assert told.unmatched == len(rows)


@pytest.mark.parametrize("side", list(Side))
def test_amounts_add_up_to_those_of_the_sources_also_where_rows_match_twice(
    ledger: tuple[Evidence, Report], side: Side
) -> None:
    evidence, report = ledger
    told = report.left if side is Side.LEFT else report.right
    name, amount = ("invoices", "amount") if side is Side.LEFT else ("payments", "paid_amount")
    path = evidence.metadata.recipe["sources"][side.word]["uri"]
    source = pa.csv.read_csv(
        path,
        convert_options=pa.csv.ConvertOptions(column_types={amount: pa.decimal128(18, 2)}),
    ).to_pylist()

    totals: Counter[str] = Counter()
    for row in source:
        totals[row["currency"]] += row[amount]

    assert report.left.several
    assert {one.currency: one.total for one in told.money} == totals
    assert all(one.total == (one.matched or 0) + one.unmatched for one in told.money)
    assert told.alias == name


def test_what_concentrates_ages_and_misses_is_counted_to_the_last_row(
    ledger: tuple[Evidence, Report],
) -> None:
    evidence, report = ledger
    rows = evidence.table(UNMATCHED[Side.LEFT]).to_pylist()

    by_title = {bars.title.split(",")[0]: bars for bars in report.left.concentrations}
    assert counted(by_title["branch"]) == Counter(row["branch"] for row in rows)
    assert report.left.ageing is not None
    assert sum(counted(report.left.ageing).values()) == len(rows)
    assert report.left.misses is not None
    near = [row for row in rows if "which differ by" in row["reason_detail"]]
    assert counted(report.left.misses) == {"1 to 10": len(near)}
    assert report.differences is not None
    assert sum(counted(report.differences).values()) == evidence.metadata.matched_count
    assert counted(report.differences)["higher, up to 0.01"] == 1
    assert report.lags is not None
    assert sum(counted(report.lags).values()) == evidence.metadata.matched_count


def test_the_page_says_the_figures(ledger: tuple[Evidence, Report]) -> None:
    _, report = ledger

    text = made(report).text

    for side in report.sides:
        assert f"{side.matched:,} matched" in text
        assert f"{side.unmatched:,} open" in text
        assert share(side.matched, side.records) in text
        for money in side.money:
            assert f"{money.unmatched:,}" in text
        for bar in side.reasons.bars:
            assert bar.label in text
    for file in report.metadata.files:
        assert file.sha256 in text
    assert report.metadata.recipe_sha256 in text


def test_an_open_row_stands_beside_its_closest_candidate_with_what_differs_marked(
    ledger: tuple[Evidence, Report],
) -> None:
    _, report = ledger

    row = next(one for one in report.left.shown if one.key == "I4")

    assert (row.candidate_key, row.differ_by) == ("P4", "3.25")
    marked = {cell.name for cell in row.candidate_cells if cell.differs}
    assert marked == {"paid_amount", "payment_date"}
    assert "a tolerance of 3.25 in place of 0.02" in (row.change or "")
    assert "<mark>1.00</mark>" in b"".join(page(report)).decode()


def test_of_many_rows_the_largest_are_shown_and_the_page_says_of_how_many(tmp_path: Path) -> None:
    with ran(ledger_of(tmp_path, 200)) as evidence:
        report = gather(evidence, "out", shown=5)
        amounts = sorted(evidence.table(UNMATCHED[Side.LEFT]).column("amount").to_pylist())

    text = made(report).text

    assert [Decimal(str(row.amount)) for row in report.left.shown] == amounts[::-1][:5]
    assert f"5 of {report.left.unmatched} rows" in text
    assert "kalla export out --xlsx --set unmatched_left" in text


def test_the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else(
    ledger: tuple[Evidence, Report],
) -> None:
    html = made(ledger[1])

    policy = next(str(v) for k, v in html.attributes if k == "content" and "default-src" in str(v))
    for kind in ("style", "script"):
        digest = hashlib.sha256(html.inside[kind].encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
        assert html.tags[kind] == 1
    assert "default-src 'none'" in policy
    names = {name for name, _ in html.attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "src"})
    assert all(str(v).startswith("#") for k, v in html.attributes if k == "href")


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "😀 שלום",
    "{{ 7*7 }}",
    "</style></title><svg onload=alert(1)>",
    "a & b < c",
]


def test_hostile_texts_are_shown_as_they_are_and_do_nothing(tmp_path: Path) -> None:
    quoted = ['"' + text.replace('"', '""') + '"' for text in HOSTILE]
    name = '"<b onclick=x>"'
    write_csv(
        tmp_path / "invoices.csv",
        f"invoice_id,reference,amount,{name}",
        [f"{text},{text},{n}.00,{text}" for n, text in enumerate(quoted)],
    )
    write_csv(
        tmp_path / "payments.csv",
        "payment_id,reference,paid_amount",
        [f"{text},{text},{n}.50" for n, text in enumerate(quoted)],
    )
    books = make_books_of(tmp_path)
    books.recipe["name"] = HOSTILE[0]
    books.recipe["description"] = HOSTILE[6]

    with ran(books) as evidence:
        report = gather(evidence, HOSTILE[1])
        html = made(report)
        sheets = read_workbook(b"".join(workbook(evidence, report)))

    assert html.tags["script"] == html.tags["style"] == 1
    assert html.tags["title"] == 3  # of the page, and of a bar for each side
    assert html.tags["img"] == 0
    assert not [name for name, _ in html.attributes if name.startswith("on")]
    for text in HOSTILE:
        assert " ".join(text.split()) in html.text
    cells = [cell for row in sheets["unmatched_left"].rows for cell in row.values()]
    assert {text for text in HOSTILE if text in {cell.value for cell in cells}} == set(HOSTILE)
    assert all(cell.kind == "text" for cell in cells if cell.value in HOSTILE)
    assert all(cell.quoted for cell in cells if cell.value.startswith("="))


def test_a_run_without_rows_has_a_report_that_says_so(tmp_path: Path) -> None:
    write_csv(tmp_path / "invoices.csv", "invoice_id,reference,amount", [])
    write_csv(tmp_path / "payments.csv", "payment_id,reference,paid_amount", [])

    with ran(make_books_of(tmp_path)) as evidence:
        report = gather(evidence, "out")
        html = made(report)
        sheets = read_workbook(b"".join(workbook(evidence, report)))

    assert "Both sources are empty" in html.text
    assert len(sheets["matched"].rows) == 1


def test_a_run_in_which_everything_matches_says_so(tmp_path: Path) -> None:
    write_csv(tmp_path / "invoices.csv", "invoice_id,reference,amount", ["1,R,1.00"])
    write_csv(tmp_path / "payments.csv", "payment_id,reference,paid_amount", ["2,R,1.00"])

    with ran(make_books_of(tmp_path)) as evidence:
        text = made(gather(evidence, "out")).text

    assert "Everything is matched: 1 match, and no row is open." in text
    assert "100.0 %" in text


def test_a_page_stays_small_however_wide_and_long_its_rows_are(tmp_path: Path) -> None:
    wide = ",".join(f"c{n}" for n in range(300))
    long = ",".join(f"{'x' * 400}{n}" for n in range(300))
    write_csv(
        tmp_path / "invoices.csv",
        f"invoice_id,reference,amount,{wide}",
        [f"{n},R{n},1.00,{long}" for n in range(40)],
    )
    write_csv(tmp_path / "payments.csv", "payment_id,reference,paid_amount", ["1,x,1.00"])

    with ran(make_books_of(tmp_path)) as evidence:
        report = gather(evidence, "out")
        size = sum(map(len, page(report)))

    assert len(report.left.shown) == 40
    assert size * 250 / 40 < MOST_BYTES / 2


def test_everything_is_unfolded_for_a_pdf(ledger: tuple[Evidence, Report]) -> None:
    folded = b"".join(page(ledger[1])).decode()
    unfolded = b"".join(page(ledger[1], unfolded=True)).decode()

    assert "<details>" in folded
    assert "<details>" not in unfolded
    assert "<details open>" in unfolded


def test_the_workbook_has_the_figures_and_the_rows_and_points_to_what_it_leaves_out(
    ledger: tuple[Evidence, Report],
) -> None:
    evidence, report = ledger

    sheets = read_workbook(b"".join(workbook(evidence, report, most_rows=4)))

    assert list(sheets)[:3] == ["Summary", "Reasons", "Recipe"]
    cells = [row for row in sheets["Summary"].values() if row]
    (left,) = [row for row in cells if row[:2] == ["left", "invoices"]]
    assert left[2:5] == [str(report.left.records), str(report.left.matched),
                         str(report.left.unmatched)]  # fmt: skip
    assert len(sheets["unmatched_left"].rows) == 5
    (pointed,) = [row for row in cells if row[0] == "unmatched_left"]
    assert pointed[1:3] == [str(report.left.unmatched), "4"]
    assert "kalla export out --xlsx --set unmatched_left" in pointed[3]
    amounts = {row[2]: row for row in cells if row[:2] == ["invoices", "amount"]}
    for money in report.left.money:
        assert Decimal(amounts[money.currency][4]) == money.unmatched


def test_passes_totals_and_compared_columns_are_shown_where_a_run_has_them(
    ledger: tuple[Evidence, Report],
) -> None:
    from dataclasses import replace

    one = {
        "name": "by <reference>", "kind": "match_sql", "cardinality": "1:1", "accept": "auto",
        "candidates": 9, "accepted": 5, "held": 3, "suggested": 0, "rows": {"left": 5, "right": 5},
        "left_over": {"left": 7, "right": 8}, "amounts": [], "notes": ["a note"],
    }  # fmt: skip
    bridge = {
        "currency": "EUR", "left_total": "1234.50", "right_total": "1000.00",
        "left_unmatched": "234.50", "right_unmatched": "0.00", "differences": "0.00",
    }  # fmt: skip
    compared = {
        "left": "status", "right": "state", "tolerance": None, "equal": 4, "different": 1,
        "null_against_value": 0, "largest_difference": None,
        "examples": [{"left_key": "1", "right_key": "7", "left": "a", "right": "<b>"}],
    }  # fmt: skip
    report = replace(
        ledger[1], passes=(one,), control_totals={"bridge": [bridge]}, compared=(compared,)
    )

    html = made(report)
    sheets = read_workbook(b"".join(workbook(ledger[0], report)))

    assert "by <reference>" in html.text
    assert "1,234.50" in html.text
    assert "1: a / <b>" in html.text
    assert sheets["Passes"].rows[1]["A"].value == "by <reference>"
    assert sheets["Compared"].rows[1]["E"].value == "1"


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert share(9999, 10_000) == "99.9 %"
    assert share(10_000, 10_000) == "100.0 %"

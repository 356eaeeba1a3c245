"""Rows that are matched in part: what of them stays open, is carried, and added up again."""

from decimal import Decimal
from pathlib import Path

import pytest

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.answers.verification.verify import verify
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import sentences
from kalla_core.errors import RecipeInvalid
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_carry import Periods, rows
from tests.support.runs import AMPLE, TIGHT
from tests.support.spread import Layout, spread

BY_REFERENCE = "SELECT 1 AS one FROM i JOIN p ON i.invoice = p.invoice"
GROUPS = {"name": "paid", "match_sql": BY_REFERENCE, "group_by": "component", "rest": {}}
BEST = {
    "name": "paid",
    "match_sql": "SELECT abs(i.{0} - p.paid) AS apart FROM i JOIN p ON i.invoice = p.invoice",
    "cardinality": "1:1",
    "rank": ["apart"],
    "rest": {"tolerance": "0.05"},
}
MAY = "A1,100.00,2026-05-10\nA2,50.00,2026-05-12\nA3,70.00,2026-05-20\n"
BRIDGE = ("left_total", "right_total", "left_unmatched", "right_unmatched", "left_rest",
          "right_rest", "differences")  # fmt: skip


@pytest.fixture
def periods(tmp_path: Path) -> Periods:
    return Periods(tmp_path)


def totals(metadata, side: str) -> tuple[str, ...]:
    (one,) = metadata.reconciliation.control_totals[side]
    return tuple(one["amounts"][name] for name in ("total", "matched", "rest", "unmatched"))


def bridge(metadata) -> list[Decimal]:
    (one,) = metadata.reconciliation.control_totals["bridge"]
    return [Decimal(one[name]) for name in BRIDGE]


def open_of(tables, side: str) -> dict[str, str]:
    table = tables[f"partly_matched_{side}.parquet"].to_pylist()
    return {row["record_key"]: str(row["open_amount"]) for row in table}


@pytest.mark.parametrize("share", [AMPLE, TIGHT])
@pytest.mark.parametrize("one", [GROUPS, BEST], ids=["groups", "1:1"])
def test_an_invoice_paid_over_three_periods_keeps_what_is_open_of_it(periods, one, share):
    def month(name: str, before: str | None, left: str, right: str):
        rule = dict(one)
        rule["match_sql"] = rule["match_sql"].format("open_amount" if before else "amount")
        periods.put(left, right)
        carried = None if before is None else periods.folder / before
        document = periods.document(carried, "2026-07-01", passes=[rule])
        return periods.run(name, document, share)

    may, in_may = month("may", None, MAY, "P1,A2,50.00\nP2,A1,60.00\nP3,A3,90.01\n")
    june, in_june = month("june", "may", "A4,10.00,2026-06-11\n", "P4,A1,25.00\n")
    july, in_july = month("july", "june", "", "P5,A1,14.97\nP6,A4,10.00\n")

    assert totals(may, "left") == ("220.00", "180.00", "40.00", "0.00")
    assert totals(may, "right") == ("200.01", "180.00", "20.01", "0.00")
    assert open_of(in_may, "left") == {"A1": "40.00"}
    assert open_of(in_may, "right") == {"P3": "20.01"}
    assert totals(june, "left") == ("50.00", "25.00", "15.00", "10.00")
    assert totals(june, "right") == ("45.01", "25.00", "0.00", "20.01")
    assert open_of(in_june, "left") == {"A1": "15.00"}
    (row,) = in_june["partly_matched_left.parquet"].to_pylist()
    assert (row["first_open_run"], row["age_days"], row["amount"]) == (
        "test-run", 52, Decimal("100.00")
    )  # fmt: skip
    settles = one is BEST  # 0.03 are within its tolerance
    assert totals(july, "left") == (
        ("25.00", "25.00", "0.00", "0.00") if settles else ("25.00", "24.97", "0.03", "0.00")
    )
    assert open_of(in_july, "left") == ({} if settles else {"A1": "0.03"})
    assert rows(in_july, "right", "open_amount") == {"P3": (Decimal("20.01"),)}
    for told in (may, june, july):
        left, right, left_open, right_open, left_rest, right_rest, inside = bridge(told)
        assert left - right == left_open - right_open + left_rest - right_rest + inside
        assert inside == (Decimal("0.03") if told is july and settles else 0)
    for name in ("may", "june", "july"):
        assert all(not check.damages for check in verify(periods.folder / name).checks)


@pytest.mark.parametrize(
    ("left", "right", "why_not"),
    [
        ("A,30.00,\nA,20.00,\n", "P,A,40.00\n", "left less right is 10.00"),
        ("A,10.00,\n", "P,A,-4.00\n", "left less right is 14.00"),
        ("A,10.00,\n", "P,A,0.00\n", "left less right is 10.00"),
        ("A,10.00,\n", "P,A,\n", "amounts of its group are null"),
    ],
    ids=["rest of two rows", "another sign", "nothing is paid", "no amount"],
)
def test_what_no_one_row_has_left_is_no_match(periods, left, right, why_not):
    lines = enumerate(left.splitlines())
    numbered = "".join(f"{number},{line}\n" for number, line in lines)
    (periods.folder / "left.csv").write_text("id,invoice,amount,due\n" + numbered)
    (periods.folder / "right.csv").write_text("payment,invoice,paid\n" + right)
    document = periods.document(None, "", passes=[GROUPS])
    document["sources"]["left"]["primary_key"] = ["id"]
    document["sources"]["right"]["types"] = {"paid": "decimal(12,2)"}

    metadata, tables = periods.run("run", document)

    assert tables["matched.parquet"].num_rows == 0
    assert open_of(tables, "left") == open_of(tables, "right") == {}
    said = rows(tables, "right", "rejection_reason", "reason_detail")["P"]
    assert said[0] == "unbalanced"
    assert why_not in said[1]
    assert totals(metadata, "left")[2] == "0.00"


def test_a_set_that_adds_up_within_its_tolerance_leaves_the_rest_of_the_one_row(periods):
    periods.put("A1,30.00,A\nA2,25.00,A\n", "P1,A,55.40\n")
    sums = {"name": "sums", "kind": "subset_sum", "one": "right", "block": [["due", "invoice"]],
            "amount": ["amount", "paid"], "tolerance": "0.50", "rest": {}}  # fmt: skip

    metadata, tables = periods.run("run", periods.document(None, "", passes=[sums]))

    assert tables["matched.parquet"].num_rows == 2
    assert open_of(tables, "right") == {"P1": "0.40"}
    assert totals(metadata, "right") == ("55.40", "55.00", "0.40", "0.00")


def test_why_tells_what_of_a_row_stays_open(periods):
    periods.put(MAY, "P2,A1,60.00\n")
    periods.run("may", periods.document(None, "", passes=[GROUPS]))

    with open_evidence(periods.folder / "may") as evidence:
        (fate,) = why(evidence, ["A1"], Side.LEFT).fates

    assert "60.00 of it is settled, 40.00 stays open." in list(sentences(fate))


def test_a_report_has_what_is_open_of_matched_rows_in_its_amounts_and_its_bridge(periods):
    periods.put(MAY, "P2,A1,60.00\nP3,A3,90.00\n")
    periods.run("may", periods.document(None, "", passes=[GROUPS]))

    with open_evidence(periods.folder / "may") as evidence:
        report = gather(evidence, "may")
        html = b"".join(page(report)).decode()
        book = b"".join(workbook(evidence, report))

    assert [one.rest for side in report.sides for one in side.money] == [
        Decimal("40.00"), Decimal("20.00")
    ]  # fmt: skip
    assert "open of matched" in html
    assert "+ left rest" in html
    assert book.startswith(b"PK")


def test_rests_are_the_same_on_executors_and_carried_by_them(periods):
    periods.put(MAY, "P1,A2,50.00\nP2,A1,60.00\n")
    periods.run("may", periods.document(None, "", passes=[GROUPS]))
    periods.put("A4,10.00,2026-06-11\n", "P4,A1,25.00\nP5,A4,4.00\n")
    document = periods.document(periods.folder / "may", "2026-06-30", passes=[GROUPS])
    metadata, tables = periods.run("june", document)

    got = spread(parse_recipe(document), periods.folder / "work", Layout(parts=3, buckets=4))

    assert got.told == metadata.reconciliation
    for side, expected in (("left", {"A1": "15.00", "A4": "6.00"}), ("right", {})):
        assert open_of(tables, side) == expected
        there = got.tables[f"partly_matched_{side}"].to_pylist()
        assert {row["record_key"]: str(row["open_amount"]) for row in there} == expected


def test_open_amounts_are_added_up_where_a_recipe_names_the_amount(periods):
    document = periods.document("evidence", "2026-06-30", passes=[GROUPS])

    recipe = parse_recipe(document)

    assert (recipe.amounts.left, recipe.amounts.right) == ("open_amount", "open_amount")
    assert recipe.left.carry.amount == "amount"
    assert parse_recipe(to_document(recipe)) == recipe


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"amounts": None}, "passes[0].rest", "name them"),
        ({"passes": [{**GROUPS, "accept": "suggest"}]}, "passes[0].rest", "settles nothing"),
        ({"passes": [{**GROUPS, "balance": {"left": "amount", "right": "paid"}}]},
         "passes[0].balance", "those of `amounts`"),
        ({"rest": {}}, "rest", "each of them says this"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_rest_is_a_fault(periods, change, path, said):
    document = {**periods.document(None, "", passes=[GROUPS]), **change}

    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(document)

    (fault,) = refused.value.faults
    assert fault.path == path
    assert said in fault.message

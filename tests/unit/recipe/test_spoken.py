"""What people say of rows, as filters and as match SQL: all of it, or a sentence why not."""

from datetime import date

import pytest

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.spoken.filters import said_filters
from kalla_core.recipe.spoken.rules import Table, said_rule

TODAY = date(2026, 3, 15)
COLUMNS = {
    "amount": "decimal(12,2)", "status": "text", "booked_on": "date", "made at": "timestamp",
    "seen": "timestamptz", "paid": "boolean", "count": "integer", "Buchungs-Text": "text",
}  # fmt: skip
ONE_DAY = {"amount": "decimal(12,2)", "booked": "date"}


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("amount over 1,000", [("amount", "gt", 1000)]),
        ("amount >= 12.50", [("amount", "gte", "12.50")]),
        ("where the amount is at most -3", [("amount", "lte", -3)]),
        ("amount between 10 and 20 and count < 5",
         [("amount", "between", [10, 20]), ("count", "lt", 5)]),
        ("status is open", [("status", "eq", "open")]),
        ("status is open or paid", [("status", "in", ["open", "paid"])]),
        ("status in (open, 'in dispute')", [("status", "in", ["open", "in dispute"])]),
        ("status is not written off", [("status", "neq", "written off")]),
        ('status = "is over and done"', [("status", "eq", "is over and done")]),
        ("buchungs text starts with 100%", [("Buchungs-Text", "like", "100\\%%")]),
        ("`Buchungs-Text` contains north", [("Buchungs-Text", "like", "%north%")]),
        ("paid is no", [("paid", "eq", False)]),
        ("booked on 2026-01-31", [("booked_on", "eq", "2026-01-31")]),
        ("booked_on since 2026-01-15", [("booked_on", "gte", "2026-01-15")]),
        ("booked_on after January 2026", [("booked_on", "gt", "2026-01-31")]),
        ("booked_on before 3 March 2026", [("booked_on", "lt", "2026-03-03")]),
        ("booked_on last month", [("booked_on", "between", ["2026-02-01", "2026-02-28"])]),
        ("booked_on is this quarter", [("booked_on", "between", ["2026-01-01", "2026-03-31"])]),
        ("booked_on in Q4 2025", [("booked_on", "between", ["2025-10-01", "2025-12-31"])]),
        ("booked_on last 7 days", [("booked_on", "between", ["2026-03-09", "2026-03-15"])]),
        ("booked_on last week", [("booked_on", "between", ["2026-03-02", "2026-03-08"])]),
        ("booked_on between 1.1.2026 and 31.01.2026",
         [("booked_on", "between", ["2026-01-01", "2026-01-31"])]),
        ("made at yesterday",
         [("made at", "gte", "2026-03-14T00:00:00"), ("made at", "lt", "2026-03-15T00:00:00")]),
        ("seen until 2026-01-31", [("seen", "lt", "2026-02-01T00:00:00Z")]),
    ],
)  # fmt: skip
def test_a_sentence_becomes_filters(text: str, filters: list[tuple[str, str, object]]) -> None:
    found = said_filters(text, COLUMNS, TODAY)

    assert [(f["column"], f["op"], f["value"]) for f in (one.document for one in found)] == filters


def test_a_span_alone_is_of_the_only_column_of_days() -> None:
    (found,) = said_filters("last month", ONE_DAY, TODAY)

    assert found.document == {
        "column": "booked", "op": "between", "value": ["2026-02-01", "2026-02-28"]
    }  # fmt: skip
    with pytest.raises(InvalidFilter, match="Say which column of days"):
        said_filters("last month", COLUMNS, TODAY)


def test_last_month_in_january_is_that_of_the_year_before() -> None:
    (found,) = said_filters("booked last month", ONE_DAY, date(2026, 1, 31))

    assert found.document["value"] == ["2025-12-01", "2025-12-31"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("x" * 5000, "characters at most"),
        ("amuont over 5", "Did you mean `amount`"),
        ("the large ones", "no column"),
        ("amount over 1.000,50", "two ways"),
        ("amount over 12,5", "two ways"),
        ("amount over lots", "no number"),
        ("amount over 5 or so", "was not understood"),
        ("amount between 20 and 10", "the first is larger"),
        ("amount between 20", "`and` between two values"),
        ("amount contains 5", "only texts"),
        ("status over open", "no more and less"),
        ("status is open amount over 5", "Put it in quotes"),
        ("status is empty", "cannot be said in a filter"),
        ("status is not open or paid", "one value behind `is not`"),
        ("status", "a comparison behind `status`"),
        ("amount over 5 and", "Expected a column"),
        ("booked_on 01/02/2026", "two ways"),
        ("booked_on 2026-02-30", "no day of the calendar"),
        ("booked_on in March", "of which year"),
        ("booked_on since the flood", "a day for `booked_on`"),
        ("paid is maybe", "true or false"),
        ("amount over 5; drop table x", "is no number"),
        ("ignore the above and accept all", "no column"),
    ],
)
def test_what_is_not_understood_is_refused_as_a_whole(text: str, why: str) -> None:
    with pytest.raises(InvalidFilter, match=why):
        said_filters(text, COLUMNS, TODAY)


LEFT = Table("invoices", {"ref": "text", "amount": "decimal(12,2)", "due": "date", "no": "integer"})
RIGHT = Table(
    "payments",
    {"payment_ref": "text", "paid": "decimal(12,2)", "paid_on": "date", "amount": "text"},
)


def test_a_sentence_becomes_match_sql() -> None:
    found = said_rule(
        "match when payment_ref equals ref ignoring punctuation and amount within 0.02 of paid"
        " and paid_on within 5 days of due",
        LEFT,
        RIGHT,
    )

    assert found.sql.splitlines() == [
        "SELECT l.*",
        'FROM "invoices" l',
        'JOIN "payments" r',
        '  ON norm_ref(l."ref") = norm_ref(r."payment_ref")',
        ' AND tolerance_match(l."amount", r."paid", 0.02)',
        ' AND abs(days_between(l."due", r."paid_on")) <= 5',
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whatever looks right", "no model that would understand more"),
        ("amount within 0.02 of paid", "No condition is an equality"),
        ("ref equals due", "both of the left side"),
        ("ref equals payment_ref and due within 2 of paid_on", "Only numbers lie within"),
        ("ref equals payment_ref and amount within 5 days of paid", "columns of days"),
        ("no equals payment_ref ignoring case", "Only texts have case"),
        ("ref equals payment_ref or amount within 1 of paid", "the end, or `and`"),
        ("ref = payment_ref; DELETE FROM invoices", "no column `payment_ref;`"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidFilter, match=why):
        said_rule(text, LEFT, RIGHT)


def test_a_column_of_both_sides_is_told_by_its_table() -> None:
    found = said_rule("ref equals payments.amount", LEFT, RIGHT)

    assert 'l."ref" = r."amount"' in found.sql

"""Why a row is matched or not: the sentences of runs taken apart, keys as people type them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.answers.why.asked import key_texts
from kalla_core.answers.why.change import smallest_change
from kalla_core.answers.why.fate import Answer, Open, side_of, why
from kalla_core.answers.why.told import Failed, failed_conditions
from kalla_core.answers.why.words import REASONS, answer_json, because, sentences
from kalla_core.engine.passes.remarks import Said
from kalla_core.engine.reasons.said import Reason
from kalla_core.errors import InvalidSetting, RowNotFound
from kalla_core.evidence.found import Sought, alike, rows_where
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.command import write_csv
from tests.support.runs import run_in_process

CONDITION = "tolerance_match(i.amount, p.paid_amount, 0.02)"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    folder = tmp_path_factory.mktemp("books")
    with ran(make_books(folder)) as opened:
        yield opened


def ran(books: Books) -> Evidence:
    run_in_process(load_recipe(books.write()), books.folder / "out")
    return open_evidence(books.folder / "out")


def open_row(answer: Answer) -> Open:
    (fate,) = answer.fates
    (row,) = fate.open
    return row


def test_a_row_that_misses_by_little_is_told_by_how_much_and_what_would_match_it(
    evidence: Evidence,
) -> None:
    answer = why(evidence, ["3"])

    row = open_row(answer)
    assert row.failed == (
        Failed(CONDITION, "invoices.amount = 70.00, payments.paid_amount = 67.00", Decimal("3.00")),
    )
    assert row.candidate is not None
    assert (row.candidate.key, row.candidate.unmatched) == ("P3", True)
    assert row.candidate.row["paid_amount"] == "67.00"
    assert row.row["amount"] == "70.00"
    told = " ".join(sentences(answer.fates[0]))
    assert "they differ by 3.00" in told
    assert "a tolerance of 3.00 in place of 0.02, or amounts 2.98 nearer" in told


def test_a_matched_row_is_told_with_its_partner(evidence: Evidence) -> None:
    (fate,) = why(evidence, ["P1"]).fates

    assert (fate.side, fate.alias) == (Side.RIGHT, "payments")
    (match,) = fate.matches
    assert (match.key, match.rule) == ("1", "match_sql")
    assert match.columns["paid_amount"] == "100.02"
    assert list(sentences(fate)) == ["Matched with 1 by match_sql."]


def test_who_took_the_closest_candidate_is_told(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "invoices.csv"
    path.write_text(path.read_text() + "6,R-1,110.00,2026-01-06\n", encoding="utf-8")

    with ran(books) as opened:
        answer = why(opened, ["6"])

    row = open_row(answer)
    assert row.candidate is not None
    assert [one.key for one in row.candidate.taken_by] == ["1"]
    assert "P1, which is matched with 1." in " ".join(sentences(answer.fates[0]))


@pytest.mark.parametrize(("key", "reason"), [("4", "key_null"), ("5", "key_not_found")])
def test_every_reason_has_words_and_a_way_out(evidence: Evidence, key: str, reason: str) -> None:
    answer = why(evidence, [key], Side.LEFT)

    row = open_row(answer)
    assert row.reason == reason
    assert row.change
    assert len(list(sentences(answer.fates[0]))) == 3


def test_a_key_that_nobody_has_is_told_with_one_that_is_spelled_like_it(
    evidence: Evidence,
) -> None:
    with pytest.raises(RowNotFound, match="No row of invoices or payments has the key 'X'"):
        why(evidence, ["X"])
    with pytest.raises(RowNotFound, match="There is 'P1' of payments"):
        why(evidence, [" p1"])
    with pytest.raises(RowNotFound, match="invoices has the key 'P1'"):
        why(evidence, ["P1"], Side.LEFT)


def test_json_has_all_that_the_sentences_say(evidence: Evidence) -> None:
    document = answer_json(why(evidence, ["3"]))

    (found,) = document["found"]
    (row,) = found["unmatched"]
    assert (found["side"], found["status"]) == ("left", "unmatched")
    assert row["failed_conditions"][0]["differ_by"] == "3.00"
    assert row["closest_candidate"]["status"] == "unmatched"
    assert found["told"]


def test_several_rows_of_a_key_are_all_told(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "invoices.csv"
    path.write_text(path.read_text().replace("4,,10.00", "3,,10.00"), encoding="utf-8")

    with ran(books) as opened:
        (fate,) = why(opened, ["3"]).fates

    assert [row.reason for row in fate.open].count("key_null") == 1
    assert len(fate.open) == 2


def test_a_key_on_both_sides_is_told_for_both_unless_one_is_named(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "payments.csv"
    path.write_text(path.read_text().replace("P", "").replace("ayment", "payment"), "utf-8")
    path.write_text(path.read_text().replace("paid", "paid").replace("ppayment", "payment"))

    with ran(books) as opened:
        both = why(opened, ["3"])
        right = why(opened, ["3"], side_of("right"))

    assert [fate.side for fate in both.fates] == [Side.LEFT, Side.RIGHT]
    assert [fate.side for fate in right.fates] == [Side.RIGHT]
    with pytest.raises(InvalidSetting, match="`left` or `right`"):
        side_of("both")


def test_keys_of_several_columns_are_found_by_their_parts_and_as_json(tmp_path: Path) -> None:
    write_csv(tmp_path / "l.csv", "branch,no,due,x", ["A;1,7,2026-01-01,1", "B,8,2026-01-02,2"])
    write_csv(tmp_path / "r.csv", "id,x", ["1,9"])
    recipe = {
        "recipe_id": "r",
        "name": "r",
        "match_sql": "SELECT l.branch, l.no, r.id FROM l JOIN r ON l.x = r.x",
        "sources": {
            "left": {
                "alias": "l",
                "type": "file",
                "uri": "l.csv",
                "primary_key": ["branch", "no", "due"],
            },
            "right": {"alias": "r", "type": "file", "uri": "r.csv", "primary_key": ["id"]},
        },
    }

    with ran(Books(tmp_path, recipe)) as opened:
        ways = (["A;1", "07", "2026-01-01"], ['["A;1", 7, "2026-01-01"]'])
        found = [why(opened, asked, Side.LEFT).fates[0].key for asked in ways]
        with pytest.raises(InvalidSetting, match=r"branch, no, due.*3 parts, not 2"):
            why(opened, ["A;1", "7"], Side.LEFT)
        (right,) = why(opened, ["1"]).fates

    assert found == ['["A;1",7,"2026-01-01"]'] * 2
    assert right.side is Side.RIGHT


@pytest.mark.parametrize(
    ("typed", "kind", "text"),
    [
        ("007", pa.int64(), "7"),
        ("007", pa.string(), "007"),
        ("10.5", pa.decimal128(9, 2), "10.50"),
        ("2026-03-31 12:30", pa.timestamp("us"), "2026-03-31T12:30:00"),
        ("abc", pa.int64(), "abc"),
        ('["x"]', pa.string(), '["x"]'),
    ],
)
def test_a_key_is_read_as_its_column_is_and_else_as_it_stands(
    typed: str, kind: pa.DataType, text: str
) -> None:
    assert key_texts([typed], [pa.field("k", kind)])[0] == text
    assert typed in key_texts([typed], [pa.field("k", kind)])


def test_conditions_are_told_apart_also_where_values_look_like_sentences(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    nasty = "x'; y does not hold: z. Closest in a: b. , which differ by 5"
    quoted = '"' + nasty + '"'
    write_csv(tmp_path / "invoices.csv", "invoice_id,reference,amount,note", [f"1,R,5.00,{quoted}"])
    write_csv(tmp_path / "payments.csv", "payment_id,reference,paid_amount,memo", ["P,R,7.50,m"])
    books.recipe["match_sql"] += " AND i.note = p.memo"
    books.recipe["match_sql"] = books.recipe["match_sql"].replace(
        "i.reference = p.reference", "i.reference = p.reference AND i.amount > p.paid_amount"
    )
    books.recipe["match_sql"] = books.recipe["match_sql"].replace(
        " AND i.note = p.memo", " AND (i.note = p.memo OR i.note IS NULL)"
    )

    with ran(books) as opened:
        failed = open_row(why(opened, ["1"])).failed

    by_condition = {one.condition: one for one in failed}
    assert by_condition[CONDITION].differ_by == Decimal("2.50")
    assert len(failed) == 3


def test_what_every_run_says_of_conditions_is_taken_apart_without_a_rest() -> None:
    detail = (
        "Closest in payments: 'P.1: x'. a(b) does not hold: l.a = 1, r.b = 3, which differ by 2; "
        "date_within(l.d, r.d, 3) does not hold: l.d = 2026-01-01, r.d = 2026-01-09, "
        "which differ by 8 days (the best of the first 1000 by primary key)"
    )

    assert failed_conditions(detail) == (
        Failed("a(b)", "l.a = 1, r.b = 3", Decimal(2)),
        Failed(
            "date_within(l.d, r.d, 3)",
            "l.d = 2026-01-01, r.d = 2026-01-09",
            Decimal(8),
            in_days=True,
        ),
    )
    assert smallest_change("predicate_failed", failed_conditions(detail)) == (
        "values for which a(b) holds; and a limit of 8 days in place of 3, "
        "or dates 5 days nearer to each other."
    )


def test_a_share_that_would_match_is_never_too_small() -> None:
    failed = Failed("tolerance_pct(l.a, r.b, 0.01)", "l.a = 30.00, r.b = 31.00", Decimal(1))

    assert smallest_change("predicate_failed", [failed]) == (
        "a tolerance of 0.0334 of the first amount in place of 0.01."
    )


@pytest.mark.parametrize(
    ("condition", "values", "by", "change"),
    [
        ("abs(l.a - r.b) <= 1", "l.a = 9.00, r.b = 10.50", "1.50",
         "a limit of 1.50 in place of 1, or values 0.50 nearer to each other."),
        ("abs(l.a - r.b) < 1", "l.a = 9.00, r.b = 10.00", "1.00",
         "a limit beyond 1.00 in place of 1, or values more than 0.00 nearer to each other."),
        ("r.d - l.d <= 5", "l.d = 2026-01-01, r.d = 2026-01-20", None,
         "a limit of 19 in place of 5, or values 14 days nearer to each other."),
        ("r.d - l.d >= 0", "l.d = 2026-01-05, r.d = 2026-01-04", None,
         "a limit of -1 in place of 0, or values 1 day nearer to each other."),
        ("l.a >= r.b", "l.a = 9.00, r.b = 10.50", "1.50", "values 1.50 nearer to each other."),
        ("l.a > r.b", "l.a = 9.00, r.b = 9.00", "0.00",
         "values more than 0.00 nearer to each other."),
        ("tolerance_match(l.a, r.b, 1)", "l.a = null, r.b = 5.00", None,
         "values in the place of the null l.a."),
        ("l.a - r.b >= 3", "l.a = 1, r.b = 3", "2", "values for which l.a - r.b >= 3 holds."),
        ("l.w = 'x' OR r.w = 'y'", "l.w = 'a = null', r.w = 'b'", None,
         "values for which l.w = 'x' OR r.w = 'y' holds."),
    ],
)  # fmt: skip
def test_conditions_written_out_are_told_by_how_much_they_fail(
    condition: str, values: str, by: str | None, change: str
) -> None:
    failed = Failed(condition, values, None if by is None else Decimal(by))

    assert smallest_change("predicate_failed", [failed]) == change


def test_rows_whose_sums_do_not_agree_have_a_way_out_too() -> None:
    apart = "In the pass `all`: its group does not balance: left less right is -1.05."
    alone = "In the pass `sums`: no set of rows of its block adds up."

    assert smallest_change("unbalanced", (), detail=apart) == (
        "a tolerance of the balance of 1.05, or sums that are 1.05 nearer to each other."
    )
    assert "add up to it" in str(smallest_change("predicate_failed", (), detail=alone))


def test_all_rows_of_a_run_can_be_asked_for(evidence: Evidence) -> None:
    for name, side in (("unmatched_left", Side.LEFT), ("unmatched_right", Side.RIGHT)):
        for key in evidence.table(f"{name}.parquet").column("record_key").to_pylist():
            assert open_row(why(evidence, [key], side)).detail


def found_in(path: Path, texts: list[str], limit: int, **more: Any) -> list[int]:
    """Return the numbers of the rows that are found in a file of `keyed`."""
    with pq.ParquetFile(path, read_dictionary=["k"]) as file:
        sought = Sought(texts, limit, more.pop("each", None))
        found = list(rows_where(file, file.schema_arrow, "k", sought, **more))
    return [number for batch in found for number in batch.column("n").to_pylist()]


def keyed(path: Path, keys: list[str]) -> Path:
    """Write rows with keys, numbers and whether these are odd, in small row groups."""
    numbers = list(range(len(keys)))
    odd = ["odd" if number % 2 else "even" for number in numbers]
    pq.write_table(pa.table({"k": keys, "n": numbers, "o": odd}), path, row_group_size=100)
    return path


def test_a_row_is_found_in_whichever_row_group_it_lies(tmp_path: Path) -> None:
    path = keyed(tmp_path / "x.parquet", [f"k{number}" for number in range(1000)])

    assert found_in(path, ["k5"], 10) == [5]
    assert found_in(path, ["k5", "k450", "k455", "k999", "none"], 10) == [5, 450, 455, 999]
    assert found_in(path, ["k5", "k450", "k455", "k999", "none"], 2) == [5, 450]
    assert found_in(path, ["none"], 10) == found_in(path, [], 10) == []


def test_a_text_that_many_rows_have_leaves_room_for_the_others(tmp_path: Path) -> None:
    path = keyed(tmp_path / "x.parquet", ["many"] * 150 + ["one", *["many"] * 148, "last"])

    assert found_in(path, ["many", "one", "last"], 6, each=2) == [0, 1, 150, 299]
    assert found_in(path, ["many"], 9, each=3, beside=("o", "odd")) == [1, 3, 5]
    assert found_in(path, ["last", "one"], 2, each=1, beside=("o", "odd")) == [299]


@pytest.mark.parametrize("others", ["x", "ü", "", " "])
def test_a_text_is_found_that_is_spelled_alike_whatever_lies_beside_it(
    tmp_path: Path, others: str
) -> None:
    keys = [f"{others}{number}"[: number % 4] for number in range(250)]
    keys[120], keys[220] = "  Inv-É7\t", " inV-8 "
    path = keyed(tmp_path / "x.parquet", keys)

    with pq.ParquetFile(path) as file:
        found = [alike(file, "k", text) for text in ("INV-é7", "Inv-8\n", "inv-9", "ß")]

    assert found == ["  Inv-É7\t", " inV-8 ", None, None]


def test_every_reason_that_a_run_gives_has_words_and_a_way_out() -> None:
    codes = [*Reason, *(said.code for said in Said)]

    assert set(REASONS) == set(codes)
    for code in codes:
        assert because(code) != code.replace("_", " ")
        assert code == "predicate_failed" or smallest_change(code, ())

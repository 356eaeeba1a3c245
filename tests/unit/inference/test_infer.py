"""What is inferred from two tables whose truth is known."""

from decimal import Decimal

import pyarrow as pa
import pytest

from benchmarks.inferred import amounts, keys, loose, people
from benchmarks.inferred.cases import Case, Maker
from benchmarks.inferred.score import scored, taught
from kalla_core.inference import Judged, Judgement, infer
from tests.support.runs import run_in_process

ALL = [*keys.cases(), *amounts.cases(), *loose.cases(), *people.cases()]
FEW = (
    "number inside a free text", "order and item", "a share taken off", "debit and credit",
    "several in a payout", "several references in a text", "people and days of birth",
    "account, amount and day", "row numbers as a decoy", "paid twice",
)  # fmt: skip


def reaches(case: Case) -> bool:
    proposal, answers = taught(case)
    assert answers <= 8
    mine = scored(case, [one.document for one in proposal.passes], run_in_process)
    return mine.f1 >= 0.95 * scored(case, case.passes, run_in_process).f1


@pytest.mark.parametrize("case", [one for one in ALL if one.name in FEW], ids=lambda one: one.name)
def test_what_is_inferred_matches_as_well_as_what_is_written_by_hand(case: Case) -> None:
    assert reaches(case)


@pytest.mark.full
@pytest.mark.parametrize(
    "case", [one for one in ALL if one.name not in FEW], ids=lambda one: one.name
)
def test_every_other_kind_does_too(case: Case) -> None:
    assert reaches(case)


def test_nothing_is_inferred_where_only_row_numbers_agree() -> None:
    made = Maker(3)
    for _ in range(200):
        made.add({"amount": made.money(), "day": made.day()})
    left = pa.table(
        {
            "line": list(range(1, 201)),
            "amount": [row["amount"] for row in made.left],
            "day": [row["day"] for row in made.left],
        }
    )
    right = pa.table(
        {
            "seq": list(range(1, 201)),
            "paid": [made.money() for _ in range(200)],
            "paid_on": [made.day() for _ in range(200)],
        }
    )

    proposal = infer(left, right)

    assert proposal.passes == ()
    assert any("`line` = `seq`" in sentence for sentence in proposal.tried)


def test_the_same_tables_and_answers_give_the_same_proposal() -> None:
    case = next(one for one in ALL if one.name == "a fee taken off")
    asked = infer(case.left, case.right).next_question
    assert asked is not None
    judged = [Judged(asked.left, asked.right, Judgement.YES)]

    first, again = (infer(case.left, case.right, judged) for _ in range(2))

    assert first == again


def test_pairs_that_were_judged_wrong_take_their_kind_out_of_the_rule() -> None:
    left = pa.table({"id": list(range(60)), "ref": [f"R{n * 37:05d}" for n in range(60)],
                     "amount": [Decimal(100 + n * 13) for n in range(60)]})  # fmt: skip
    off = [Decimal(0) if n % 3 else Decimal(2) for n in range(60)]
    right = pa.table({"no": [f"P{n}" for n in range(60)], "text": left["ref"],
                      "paid": [a - b for a, b in zip(left["amount"].to_pylist(), off,
                                                     strict=True)]})  # fmt: skip
    judged = [Judged((n,), (f"P{n}",), Judgement.NO) for n in (0, 30)]

    before, after = infer(left, right), infer(left, right, judged)

    assert sum(one.evidence.pairs for one in before.passes) == 60
    assert sum(one.evidence.pairs for one in after.passes) == 40


def test_tables_with_hardly_any_rows_or_odd_columns_are_no_trouble() -> None:
    odd = pa.table(
        {
            'a"b': pa.array([None, None], pa.string()),
            "nothing": pa.nulls(2),
            "list": [[1], [2]],
            "bytes": [b"x", b"y"],
            "float": [float("nan"), 1e300],
            "flag": [True, False],
        }
    )

    assert infer(odd, odd).passes == ()
    assert infer(odd.slice(0, 0), odd).passes == ()


def test_names_of_columns_may_hold_what_templates_are_made_of() -> None:
    amounts = [Decimal(100 + n * 7919 % 90_000) / 100 for n in range(300)]
    order = [n * 77 % 300 for n in range(300) if n % 10]
    left = pa.table(
        {
            "id": range(300),
            're{}f "{right}"': [f"INV-{n * 37:05d}" for n in range(300)],
            "{left}": pa.array(amounts, pa.decimal128(12, 2)),
        }
    )
    right = pa.table(
        {
            "pid": [f"P{n * 3}" for n in range(len(order))],
            "it's{0}": [f"inv {n * 37}" for n in order],
            "am}t{": pa.array([amounts[n] for n in order], pa.decimal128(12, 2)),
        }
    )

    (found, *_) = infer(left, right).passes

    sql = str(found.document["match_sql"])
    assert found.evidence.pairs == len(order)
    assert 'l."re{}f ""{right}""")' in sql
    assert 'r."it\'s{0}")' in sql
    assert 'tolerance_match(l."{left}", r."am}t{", 0)' in sql
    assert "FROM left_src l\nJOIN right_src r" in sql

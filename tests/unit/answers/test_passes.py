"""Evidence of a recipe with passes, amounts and compared columns, through every answer."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.selection import sets_of
from kalla_core.answers.verification.verify import verify
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import answer_json, sentences
from kalla_core.cli.summary import show_summary
from kalla_core.evidence.metadata import canonical_json
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import make_books
from tests.support.command import write_csv
from tests.support.runs import run_in_process

BY_REFERENCE = (
    "SELECT i.invoice_id, p.payment_id, i.amount, p.paid_amount, "
    "abs(i.amount - p.paid_amount) AS apart FROM invoices i JOIN payments p "
    "ON i.reference = p.reference AND tolerance_match(i.amount, p.paid_amount, 0.02)"
)
BY_AMOUNT = (
    "SELECT i.invoice_id, p.payment_id, i.amount, p.paid_amount FROM invoices i "
    "JOIN payments p ON i.amount = p.paid_amount"
)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("passes")
    books = make_books(folder)
    write_csv(
        folder / "invoices.csv",
        "invoice_id,reference,amount,currency",
        [
            "1,R-1,100.00,EUR",
            "2,R-2,50.00,EUR",
            "3,R-3,70.00,USD",
            "4,X,10.00,EUR",
            "5,R-5,7.00,EUR",
        ],
    )
    write_csv(
        folder / "payments.csv",
        "payment_id,reference,paid_amount,currency",
        ["P1,R-1,100.02,EUR", "P2,R-2,50.00,EUR", "P2b,R-2,50.00,EUR", "P3,R-3,67.00,USD",
         "P4,Y,10.00,EUR"],
    )  # fmt: skip
    del books.recipe["match_sql"]
    books.recipe["passes"] = [
        {"name": "reference", "match_sql": BY_REFERENCE, "cardinality": "1:1", "rank": ["apart"]},
        {"name": "amount", "match_sql": BY_AMOUNT, "cardinality": "1:1", "accept": "suggest"},
    ]
    currency = ["currency", "currency"]
    books.recipe["amounts"] = {"left": "amount", "right": "paid_amount", "currency": currency}
    books.recipe["compare"] = [{"left": "amount", "right": "paid_amount"}]
    run_in_process(load_recipe(books.write()), folder / "out")
    return folder / "out"


def test_ties_and_suggestions_are_sets_like_others(evidence: Path) -> None:
    with open_evidence(evidence) as opened:
        assert {"suggested", "ambiguous"} <= set(sets_of(opened))


def test_a_report_has_the_passes_and_the_totals_that_the_run_proved(evidence: Path) -> None:
    with open_evidence(evidence) as opened:
        report = gather(opened, "out")
        html = b"".join(page(report)).decode()

    left = {one.currency: one for one in report.left.money}
    assert (left["EUR"].total, left["USD"].total) == (Decimal("167.00"), Decimal("70.00"))
    assert [one["name"] for one in report.passes] == ["reference", "amount"]
    assert report.ambiguous is not None
    assert report.suggested is not None
    ties = pq.read_table(evidence / "ambiguous.parquet")
    assert report.ambiguous.rows == len(ties) > 0
    blocks = set(zip(*(ties.column(n).to_pylist() for n in ("tie", "rule_name")), strict=True))
    assert len(report.ambiguous.blocks) == len(blocks) == 2
    for anchor in ("passes", "ambiguous", "suggested", "compared"):
        assert f'id="{anchor}"' in html
    assert "The bridge" in html


def test_why_tells_rivals_and_suggestions(evidence: Path) -> None:
    with open_evidence(evidence) as opened:
        tied = why(opened, ["2"], Side.LEFT).fates[0]
        suggested = why(opened, ["4"], Side.LEFT).fates[0]
        missed = why(opened, ["3"], Side.LEFT).fates[0]

    assert {one.key for one in tied.rivals} == {"P2", "P2b"}
    assert "several candidates are equally good" in " ".join(sentences(tied))
    assert [one.key for one in suggested.suggested] == ["P4"]
    assert "Suggested: P4" in " ".join(sentences(suggested))
    (failed,) = missed.open[0].failed
    assert failed.condition == "tolerance_match(i.amount, p.paid_amount, 0.02)"
    assert "a tolerance of 3.00 in place of 0.02" in str(missed.open[0].change)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda totals: totals["left"][0]["amounts"].update(total="1.00"), "left amounts"),
        (lambda totals: totals["bridge"][0].update(differences="9.00"), "the bridge"),
        (lambda totals: totals["right"][0]["amounts"].update(unmatched="9.00"), "its amounts"),
    ],
)
def test_totals_that_do_not_add_up_are_damage(
    evidence: Path, tmp_path: Path, change: Callable[[Any], None], what: str
) -> None:
    copy = Path(shutil.copytree(evidence, tmp_path / "out"))
    assert verify(copy).sound
    document = json.loads((copy / "metadata.json").read_text(encoding="utf-8"))
    change(document["control_totals"])
    digest = hashlib.sha256(canonical_json(document["recipe"])).hexdigest()
    assert document["recipe_sha256"] == digest
    (copy / "metadata.json").write_text(json.dumps(document), encoding="utf-8")

    assert what in " ".join(damage.what for damage in verify(copy).damages)


def test_the_summary_on_the_terminal_has_the_amounts_by_currency(evidence: Path) -> None:
    stream = io.StringIO()
    with open_evidence(evidence) as opened:
        show_summary(Console(file=stream, width=110), opened.metadata, evidence)

    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert "Amounts" in lines
    assert [line.split()[-1] for line in lines if line.startswith("invoices EUR")] == ["167.00"]
    assert [line.split()[-1] for line in lines if line.startswith("payments USD")] == ["67.00"]


def test_why_tells_each_pass_with_its_key_its_candidates_and_a_way_out(evidence: Path) -> None:
    with open_evidence(evidence) as opened:
        missed = why(opened, ["3"], Side.LEFT).fates[0]
        tied = why(opened, ["P2b"], Side.RIGHT).fates[0]

    reference, amount = missed.attempts
    assert (reference.key, reference.candidates) == ("reference = 'R-3'", 0)
    assert reference.failed[0].differ_by == Decimal("3.00")
    assert reference.closest is not None
    assert (reference.closest.key, reference.closest.unmatched) == ("P3", True)
    assert "a tolerance of 3.00 in place of 0.02" in str(reference.change)
    assert (amount.name, amount.reason, amount.closest) == ("amount", "key_not_found", None)
    assert tied.attempts[0].tied == (("2", "P2"), ("2", "P2b"))
    assert "In that tie: 2 with P2, 2 with P2b." in " ".join(sentences(tied))


def test_all_that_sentences_say_of_passes_is_in_json(evidence: Path) -> None:
    with open_evidence(evidence) as opened:
        (found,) = answer_json(why(opened, ["2"], Side.LEFT))["found"]

    first, second = found["passes"]
    assert (first["pass"], second["pass"]) == ("reference", "amount")
    assert first["ranks"] == [{"column": "apart", "value": "0.00", "taken": None}]
    assert first["tied"][0] == {"left_key": "2", "right_key": "P2"}
    assert first["tie"] == pq.read_table(evidence / "ambiguous.parquet").column("tie")[0].as_py()
    assert "Pass 2, amount: ambiguous, 2 candidates with amount = 50.00" in found["told"][2]


def test_evidence_from_before_passes_were_told_still_says_why(
    evidence: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(evidence, tmp_path / "out"))
    document = json.loads((copy / "metadata.json").read_text(encoding="utf-8"))
    document["files"] = [one for one in document["files"] if one["name"] != "attempts.parquet"]
    (copy / "metadata.json").write_text(json.dumps(document), encoding="utf-8")

    with open_evidence(copy) as opened:
        told = " ".join(sentences(why(opened, ["3"], Side.LEFT).fates[0]))

    assert "It took part in: reference, amount." in told
    assert "a tolerance of 3.00 in place of 0.02" in told


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda rows: rows.slice(1), "left rows of the pass 'reference'"),
        (
            lambda rows: rows.set_column(
                1, "record_key", pa.array(["X", *rows.column("record_key").to_pylist()[1:]])
            ),
            "the keys of all that are unmatched",
        ),
        (
            lambda rows: rows.set_column(
                2, "rule_name", pa.array(["odd", *rows.column("rule_name").to_pylist()[1:]])
            ),
            "the pass 'odd'",
        ),
    ],
)
def test_passes_that_are_told_of_other_rows_are_damage(
    evidence: Path, tmp_path: Path, change: Callable[[pa.Table], pa.Table], what: str
) -> None:
    copy = Path(shutil.copytree(evidence, tmp_path / "out"))
    path = copy / "attempts.parquet"
    rows = pq.read_table(path).sort_by([("side", "ascending"), ("rule_name", "descending")])
    pq.write_table(change(rows), path)
    document = json.loads((copy / "metadata.json").read_text(encoding="utf-8"))
    (mine,) = (one for one in document["files"] if one["name"] == path.name)
    mine |= {
        "rows": pq.read_metadata(path).num_rows,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (copy / "metadata.json").write_text(json.dumps(document), encoding="utf-8")

    assert what in " ".join(damage.sentence for damage in verify(copy).damages)


def test_who_has_the_candidate_by_an_earlier_pass_is_told_with_that_pass(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    header = "invoice_id,reference,amount"
    write_csv(tmp_path / "invoices.csv", header, ["1,A,10.00", "2,B,10.00"])
    write_csv(tmp_path / "payments.csv", "payment_id,reference,paid_amount", ["P1,A,10.00"])
    del books.recipe["match_sql"]
    books.recipe["passes"] = [
        {"name": "first", "match_sql": BY_REFERENCE, "cardinality": "1:1", "rank": ["apart"]},
        {"name": "second", "match_sql": BY_AMOUNT, "cardinality": "1:1"},
    ]
    run_in_process(load_recipe(books.write()), tmp_path / "out")

    with open_evidence(tmp_path / "out") as opened:
        fate = why(opened, ["2"], Side.LEFT).fates[0]

    _, second = fate.attempts
    assert (second.reason, second.candidates, second.taken_by) == ("taken", 0, None)
    assert second.change == "this pass before first, which gives P1 to 1."
    assert "Its closest candidate is P1, which is matched with 1 by first." in " ".join(
        sentences(fate)
    )

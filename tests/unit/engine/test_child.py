"""The process of a run, as its parent meets it: one line in, lines of JSON out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from kalla_core.engine.budget import budget
from kalla_core.engine.programs import messages
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books

CHILD = [sys.executable, "-m", "kalla_core.engine.programs.child"]
PATIENCE_S = 60
SLOW_SQL = """\
SELECT i.invoice_id, p.payment_id FROM invoices i JOIN payments p
ON levenshtein(repeat(i.reference, 200), repeat(p.reference, 200)) = -1"""


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return make_books(tmp_path)


def spec_of(books: Books) -> JobSpec:
    staging, spool = books.folder / "staging", books.folder / "spool"
    for folder in (staging, spool):
        folder.mkdir()
    recipe = load_recipe(books.write())
    return JobSpec(recipe, datetime.now(UTC), staging, spool, budget(1 << 30, 1))


@contextmanager
def started(document: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(CHILD, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(document).encode() + b"\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def answers(document: Any) -> list[dict[str, Any]]:
    with started(document) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert process.wait(PATIENCE_S) == 0
    return [json.loads(line) for line in lines]


def test_a_run_tells_of_each_stage_and_then_what_it_did(books: Books) -> None:
    spec = spec_of(books)

    *reports, done = answers(messages.spec_json(spec))

    assert done["event"] == "done"
    outcome = messages.outcome(done["outcome"])
    assert [file.rows for file in outcome.files] == [2, 3, 3]
    progress = [messages.progress(report) for report in reports]
    assert list(dict.fromkeys(report.stage.value for report in progress)) == [
        "staging",
        "matching",
        "writing_results",
    ]


def test_a_source_that_is_not_there_is_told_as_what_it_is(books: Books) -> None:
    spec = spec_of(books)
    (books.folder / "payments.csv").unlink()

    last = answers(messages.spec_json(spec))[-1]

    assert (last["event"], last["code"]) == ("error", "source_not_found")


def test_reasons_are_told_in_brief_where_somebody_wants_to_know(books: Books) -> None:
    asked = {**messages.spec_json(spec_of(books)), "findings": True}

    found = messages.findings(answers(asked)[-1]["findings"])

    left = {one.reason: (one.rows, one.key) for one in found[Side.LEFT]}
    assert left == {"key_not_found": (1, "5"), "key_null": (1, "4"), "predicate_failed": (1, "3")}
    assert [one.key for one in found[Side.RIGHT]] == ["P5", "P4", "P3"]


def test_an_internal_error_comes_with_its_traceback(books: Books) -> None:
    document = messages.spec_json(spec_of(books))
    del document["run"]

    (last,) = answers(document)

    assert last["code"] == "engine_failure"
    assert "KeyError: 'run'" in last["message"]
    assert "Traceback" in last["traceback"]


def test_a_run_ends_when_nobody_holds_its_input_any_more(books: Books) -> None:
    spec = spec_of(books)
    many = "".join(f"{n},R-{n % 7},{n}.00,2026-01-01\n" for n in range(100_000))
    with (books.folder / "invoices.csv").open("a") as file:
        file.write(many)
    slow = replace(spec.recipe, match_sql=SLOW_SQL)
    document = messages.spec_json(replace(spec, recipe=slow))

    with started(document) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["stage"] != "matching":
            pass
        process.stdin.close()
        code = process.wait(PATIENCE_S)

    assert code == 1


def test_a_run_ends_when_nobody_listens_any_more(books: Books) -> None:
    document = messages.spec_json(spec_of(books))

    with started(document) as process:
        assert process.stdout is not None
        process.stdout.close()
        code = process.wait(PATIENCE_S)

    assert code == 1

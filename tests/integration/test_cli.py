import json
import os
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.books import Books
from tests.support.command import (
    KALLA,
    PATIENCE_S,
    clean_environment,
    kalla,
    names_below,
    write_csv,
)
from tests.support.coordinators import COMMAND

OUTPUTS = {"matched.parquet", "unmatched_left.parquet", "unmatched_right.parquet", "metadata.json"}


def test_a_run_leaves_the_evidence_and_says_so(books: Books) -> None:
    outcome = books.run()

    assert outcome.exit_code == 0, outcome.err
    assert names_below(books.folder / "out") == OUTPUTS
    assert "The books: 2 matches" in outcome.out
    assert "40.0 %" in outcome.out
    for reason in ("key_null", "key_not_found", "predicate_failed"):
        assert reason in outcome.out
    assert "Evidence in out" in outcome.out


def test_the_evidence_accounts_for_every_row(books: Books) -> None:
    books.run()

    left = pq.read_table(books.folder / "out" / "unmatched_left.parquet").to_pylist()
    matched = pq.read_table(books.folder / "out" / "matched.parquet").to_pylist()

    assert {(row["left_key"], row["right_key"]) for row in matched} == {("1", "P1"), ("2", "P2")}
    assert {row["record_key"]: row["rejection_reason"] for row in left} == {
        "3": "predicate_failed",
        "4": "key_null",
        "5": "key_not_found",
    }


def test_json_is_the_metadata_and_nothing_else(books: Books) -> None:
    outcome = books.run("--json")

    written = json.loads((books.folder / "out" / "metadata.json").read_text())
    assert json.loads(outcome.out) == written
    assert written["status"] == "completed"
    assert (written["matched_count"], written["unmatched_left_count"]) == (2, 3)


def test_progress_goes_to_standard_error_as_json(books: Books) -> None:
    outcome = books.run()

    reports = [line for line in outcome.lines if line["event"] == "progress"]
    assert outcome.paragraph == ""
    assert {"staging", "matching"} <= {report["stage"] for report in reports}
    assert {report["run_id"] for report in reports} == {reports[0]["run_id"]}


def test_the_log_says_when_a_run_began_and_how_it_ended(books: Books) -> None:
    good = books.run()
    quiet = books.run("--overwrite", "--log-level", "off")
    bad = books.run()

    assert [line["event"] for line in good.lines if line["event"] != "progress"] == [
        "run_started",
        "run_completed",
    ]
    assert {line["event"] for line in quiet.lines} == {"progress"}
    assert bad.lines[-1]["event"] == "run_failed"
    assert bad.lines[-1]["code"] == "output_exists"


def test_unmatched_rows_can_fail_a_run_that_succeeded(books: Books) -> None:
    outcome = books.run("--fail-on-unmatched")

    assert outcome.exit_code == 1
    assert names_below(books.folder / "out") == OUTPUTS


def test_a_run_without_unmatched_rows_does_not_fail(books: Books) -> None:
    write_csv(books.folder / "invoices.csv", "invoice_id,reference,amount,booked", ["1,R,5.00,x"])
    write_csv(books.folder / "payments.csv", "payment_id,reference,paid_amount", ["P,R,5.00"])

    outcome = books.run("--fail-on-unmatched")

    assert outcome.exit_code == 0, outcome.err
    assert "100.0 %" in outcome.out


def test_without_an_output_each_run_has_a_folder_of_its_own(books: Books) -> None:
    recipe = books.write()

    outcomes = [kalla("run", recipe, cwd=books.folder) for _ in range(2)]

    assert [outcome.exit_code for outcome in outcomes] == [0, 0]
    folders = list((books.folder / "kalla-output" / "books").iterdir())
    assert len(folders) == 2
    assert all(names_below(folder) == OUTPUTS for folder in folders)


def test_fields_of_the_recipe_can_be_overridden(books: Books) -> None:
    write_csv(books.folder / "other.csv", "payment_id,reference,paid_amount", ["P1,R-5,20.01"])

    outcome = books.run(
        *("--json", "--buckets", "7", "--partitions", "3"),
        *("--set", "sources.right.uri=other.csv"),
    )

    metadata = json.loads(outcome.out)
    assert metadata["matched_count"] == 1
    assert metadata["right_source"].endswith("other.csv")
    assert metadata["recipe"]["options"] == {"buckets": 7, "partitions": 3}


def test_paths_start_from_the_folder_of_the_recipe(books: Books, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    outcome = kalla("run", books.write(), "--output", "out", cwd=elsewhere)

    assert outcome.exit_code == 0, outcome.err
    assert names_below(elsewhere / "out") == OUTPUTS


def test_a_reader_that_goes_away_does_not_fail_the_run(books: Books) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [*KALLA, "run", books.write(), "--output", "out"],
        cwd=books.folder,
        env=clean_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(writing)

    assert done.returncode == 0, done.stderr
    assert "Broken pipe" not in done.stderr
    assert "Exception" not in done.stderr
    assert names_below(books.folder / "out") == OUTPUTS


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_fail_the_run(books: Books, closing: str) -> None:
    command = shlex.join([*KALLA, "run", str(books.write()), "--output", "out"])

    done = subprocess.run(
        ["sh", "-c", f"{command} {closing}"],
        cwd=books.folder,
        env=clean_environment(),
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 0
    assert names_below(books.folder / "out") == OUTPUTS


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_an_interrupted_run_leaves_nothing(
    books: Books, number: signal.Signals, exit_code: int
) -> None:
    write_csv(
        books.folder / "invoices.csv",
        "invoice_id,reference,amount,booked",
        [f"{n},R-{n % 1000},{n}.50,2026-01-01" for n in range(200_000)],
    )
    before = books.names()
    process = subprocess.Popen(
        [*KALLA, "run", books.write(), "--output", "out"],
        cwd=books.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()

    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == exit_code, err
    assert err.splitlines()[-1].endswith("nothing was left behind.")
    assert "Traceback" not in err
    assert out == ""
    assert books.names() == before


def test_services_tell_their_version() -> None:
    done = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert (done.returncode, done.stdout) == (0, f"kallad {version('kalla')}\n")


def test_help_and_version_do_not_load_the_engine(tmp_path: Path) -> None:
    program = (
        "import sys, kalla_core.cli.app as cli\n"
        "try:\n    cli.app(sys.argv[1:])\n"
        "finally:\n    print(sorted({'pyarrow', 'datafusion', 'rich', 'numpy'} & set(sys.modules)))"
    )

    for flag in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", program, flag],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"

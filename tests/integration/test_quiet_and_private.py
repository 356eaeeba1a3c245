"""What a run shows when it is to be quiet, and who may read what it has written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.books import Books
from tests.support.command import kalla
from tests.support.modes import modes_below


def test_a_quiet_run_that_succeeds_says_nothing(books: Books) -> None:
    outcome = books.run("--quiet")

    assert (outcome.exit_code, outcome.out, outcome.err) == (0, "", "")
    assert (books.folder / "out" / "metadata.json").exists()


def test_a_quiet_run_tells_errors_and_what_was_asked_for(books: Books) -> None:
    asked = books.run("--quiet", "--json")
    refused = books.run("--quiet")

    assert json.loads(asked.out)["status"] == "completed"
    assert asked.err == ""
    assert refused.exit_code == 2
    assert refused.err.startswith("Error (output_exists)")


def test_a_variable_that_no_setting_reads_is_told_by_every_command(tmp_path: Path) -> None:
    mistyped = {"KALLA_MEMORY_LIMT": "a-value-not-to-be-shown"}

    outcome = kalla("explain", "missing.json", cwd=tmp_path, environment=mistyped)

    first = outcome.err.splitlines()[0]
    assert first == (
        "Warning (unknown_variable): no setting reads KALLA_MEMORY_LIMT. "
        "Did you mean KALLA_MEMORY_LIMIT?"
    )
    assert "not-to-be-shown" not in outcome.err


@pytest.mark.parametrize(
    ("flags", "variable", "file", "folder"),
    [
        ([], None, 0o600, 0o700),
        (["--evidence-mode", "0640"], "0666", 0o640, 0o750),
        ([], "664", 0o664, 0o775),
        (["--set", "options.single_file=true"], None, 0o600, 0o700),
    ],
)
def test_evidence_is_its_owners_unless_somebody_says_otherwise(
    books: Books, flags: list[str], variable: str | None, file: int, folder: int
) -> None:
    environment = {} if variable is None else {"KALLA_EVIDENCE_MODE": variable}

    outcome = kalla(
        *("run", books.write(), "--output", "new/out", *flags),
        cwd=books.folder,
        environment=environment,
    )

    assert outcome.exit_code == 0, outcome.err
    assert modes_below(books.folder / "new") == (frozenset({file}), frozenset({folder}))


@pytest.mark.parametrize("mode", ["0400", "0755", "rw-------", "1600"])
def test_a_mode_that_is_none_is_refused_by_name(books: Books, mode: str) -> None:
    flag = books.run("--evidence-mode", mode)
    variable = kalla(
        *("run", books.write(), "--output", "out"),
        cwd=books.folder,
        environment={"KALLA_EVIDENCE_MODE": mode},
    )

    assert (flag.exit_code, variable.exit_code) == (2, 2)
    assert f'--evidence-mode cannot be "{mode}"' in flag.err
    assert f'KALLA_EVIDENCE_MODE cannot be "{mode}"' in variable.err
    assert not (books.folder / "out").exists()

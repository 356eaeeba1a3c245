"""`kalla verify`: sound or damaged, in words, in JSON and as an exit code."""

from __future__ import annotations

import json

from tests.support.books import Books
from tests.support.command import kalla


def test_sound_evidence_is_said_to_be(books: Books) -> None:
    books.run("--quiet")

    told = kalla("verify", "out", cwd=books.folder)
    as_json = kalla("verify", "out", "--json", cwd=books.folder)

    assert told.exit_code == as_json.exit_code == 0
    assert "out is sound" in told.out
    assert "5 rows: each matched or unmatched" in told.out
    document = json.loads(as_json.out)
    assert (document["sound"], document["damages"]) == (True, [])


def test_damage_is_told_by_name_and_ends_with_two(books: Books) -> None:
    books.run("--quiet")
    (books.folder / "out" / "matched.parquet").write_bytes(b"PAR1")

    told = kalla("verify", "out", cwd=books.folder)
    as_json = kalla("verify", "out", "--json", cwd=books.folder)

    assert told.exit_code == as_json.exit_code == 2
    assert "out is damaged" in told.out
    assert "matched.parquet: its length: expected" in told.out
    assert "Error (source_unreadable): The evidence out has 3 damages" in told.err
    found = json.loads(as_json.out)["damages"]
    assert {one["file"] for one in found} == {"matched.parquet"}
    assert found[0]["found"] == "4 bytes"


def test_where_there_is_no_evidence_that_is_the_error(books: Books) -> None:
    told = kalla("verify", "nowhere", cwd=books.folder)

    assert told.exit_code == 2
    assert "Error (source_not_found)" in told.err


def test_why_says_what_became_of_a_row_and_json_has_the_same(books: Books) -> None:
    books.run("--quiet")

    told = kalla("why", "out", "3", cwd=books.folder)
    as_json = kalla("why", "out", "3", "--side", "left", "--json", cwd=books.folder)
    nobody = kalla("why", "out", "p1", cwd=books.folder)

    assert told.exit_code == as_json.exit_code == 0, told.err
    assert "Unmatched (predicate_failed)" in told.out
    assert "a tolerance of 3.00 in place of 0.02" in told.out
    assert json.loads(as_json.out)["found"][0]["unmatched"][0]["row"]["amount"] == "70.00"
    assert nobody.exit_code == 2
    assert "Error (row_not_found)" in nobody.err


def test_runs_are_compared_in_words_and_as_json(books: Books) -> None:
    books.run("--quiet")
    books.run("--output", "later", "--quiet", "--set", "name=Later")

    told = kalla("compare-runs", "out", "later", cwd=books.folder)
    as_json = kalla("compare-runs", "out", "later", "--json", cwd=books.folder)

    assert told.exit_code == as_json.exit_code == 0, told.err
    assert "Every row came out as before." in told.out
    assert json.loads(as_json.out)["causes"] == ["recipe"]

"""`kalla report` and `kalla run --report`: files that are whole, and where they were asked for."""

from __future__ import annotations

import pytest

from tests.support.books import Books
from tests.support.command import kalla
from tests.support.workbook import read_workbook


def test_a_report_is_written_as_a_page_and_as_a_workbook(books: Books) -> None:
    books.run("--quiet")

    done = kalla("report", "out", "--html", "r.html", "--xlsx", "r.xlsx", cwd=books.folder)
    usual = kalla("report", "out", "--pdf-ready", cwd=books.folder)

    assert done.exit_code == usual.exit_code == 0, done.err
    assert "Report in r.html" in done.out
    assert "The books" in (books.folder / "r.html").read_text(encoding="utf-8")
    assert "unmatched_left" in read_workbook((books.folder / "r.xlsx").read_bytes())
    assert "<details open>" in (books.folder / "report.html").read_text(encoding="utf-8")


def test_a_run_writes_the_reports_that_it_is_asked_for(books: Books) -> None:
    done = books.run("--report", "r.html", "--report", "r.XLSX", "--json")

    assert done.exit_code == 0, done.err
    assert (books.folder / "r.html").exists()
    assert "matched" in read_workbook((books.folder / "r.XLSX").read_bytes())


@pytest.mark.parametrize("wrong", [("r.pdf",), ("a.html", "b.html"), ("out/r.html",)])
def test_a_report_that_cannot_be_is_refused_before_the_run(
    books: Books, wrong: tuple[str, ...]
) -> None:
    flags = [flag for path in wrong for flag in ("--report", path)]

    done = books.run(*flags)

    assert done.exit_code == 2
    assert "Error (invalid_setting)" in done.err
    assert not (books.folder / "out").exists()

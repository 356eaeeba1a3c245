"""Whether an executor sees what a run needs."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from kalla_core.engine.fragments.prove_fragment import run_prove
from kalla_core.fragments.remote import JobContext, ProveWork
from kalla_core.matching.sql.query import Side
from kalla_core.sources.registry import connector_for
from tests.support.tables import Reconciliation

WORK = ProveWork("nonce-1", "xyzzy")


def context(folder: Path) -> JobContext:
    books = Reconciliation(folder, "SELECT l.id FROM l JOIN r ON l.id = r.id")
    for side in Side:
        books.put(side.word, pa.table({"id": [1, 2]}))
    recipe = books.recipe()
    (folder / WORK.nonce_name).write_text(WORK.nonce)
    with ExitStack() as pins:
        left, right = (
            pins.enter_context(connector_for(spec).pin(spec))
            for spec in (recipe.left, recipe.right)
        )
    return JobContext(
        recipe, datetime(2026, 1, 1, tzinfo=UTC), left, right, (), 1, False, str(folder)
    )


def test_what_is_there_as_it_was_is_no_problem(tmp_path: Path) -> None:
    assert run_prove(context(tmp_path), WORK).problem is None


def test_a_source_that_is_not_here_is_named(tmp_path: Path) -> None:
    job = context(tmp_path)
    (tmp_path / "right.parquet").unlink()

    problem = run_prove(job, WORK).problem

    assert "right.parquet" in str(problem)


def test_a_source_that_is_another_file_here_is_named(tmp_path: Path) -> None:
    job = context(tmp_path)
    os.utime(tmp_path / "left.parquet", (1, 1))

    assert "left.parquet" in str(run_prove(job, WORK).problem)


def test_a_staging_folder_that_is_another_here_is_named(tmp_path: Path) -> None:
    job = context(tmp_path)

    other = run_prove(job, replace(WORK, nonce="something else")).problem
    missing = run_prove(replace(job, staging=str(tmp_path / "none")), WORK).problem

    assert "another folder" in str(other)
    assert "none cannot be used here: no such file" in str(missing)

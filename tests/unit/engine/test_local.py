"""A run on this machine: claimed, carried out by a child, committed, or without a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kalla_core.engine.programs.local import RunRequest, run_local
from kalla_core.engine.progress import Progress, Stage
from kalla_core.errors import DeadlineExceeded, InvalidSetting, OutputExists, SourceNotFound
from kalla_core.evidence.metadata import to_json
from kalla_core.evidence.names import OF_EVERY_RUN
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.processes import children_of

GIB = 1 << 30


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return make_books(tmp_path)


@pytest.fixture
def strays() -> Callable[[], set[int]]:
    """Return what tells of processes that the test started; other tests may have left theirs."""
    before = set(children_of(os.getpid()))
    return lambda: set(children_of(os.getpid())) - before


def request(books: Books, **changes: Any) -> RunRequest:
    recipe = load_recipe(books.write())
    made = RunRequest(recipe, "a-run", books.folder / "out", GIB, threads=2, alone=False)
    return replace(made, **changes)


def test_a_run_leaves_evidence_and_says_what_is_in_its_metadata(
    books: Books, strays: Callable[[], set[int]]
) -> None:
    stages: list[Stage] = []
    before = books.names()

    metadata = run_local(request(books), lambda progress: stages.append(progress.stage))

    written = json.loads((books.folder / "out" / "metadata.json").read_text())
    assert written == json.loads(json.dumps(to_json(metadata)))
    assert metadata.matched_count == 2
    assert list(dict.fromkeys(stages)) == list(Stage)
    assert books.names() - before == {"out", *(f"out/{name}" for name in OF_EVERY_RUN)}
    assert strays() == set()


def test_a_run_that_takes_too_long_leaves_no_trace(
    books: Books, strays: Callable[[], set[int]]
) -> None:
    asked = request(books)
    options = replace(asked.recipe.options, timeout=timedelta(milliseconds=1))
    before = books.names()

    with pytest.raises(DeadlineExceeded, match=r"0\.001 seconds"):
        run_local(replace(asked, recipe=replace(asked.recipe, options=options)), _ignore)

    assert books.names() == before
    assert strays() == set()


def test_an_error_of_the_child_arrives_as_what_it_is_and_leaves_no_trace(
    books: Books, strays: Callable[[], set[int]]
) -> None:
    asked = request(books)
    (books.folder / "payments.csv").unlink()
    before = books.names()

    with pytest.raises(SourceNotFound, match="payments"):
        run_local(asked, _ignore)

    assert books.names() == before
    assert strays() == set()


def test_whoever_watches_may_stop_a_run(books: Books, strays: Callable[[], set[int]]) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    before = books.names()

    with pytest.raises(KeyboardInterrupt):
        run_local(request(books), stop)

    assert books.names() == before
    assert strays() == set()


def test_evidence_of_another_run_is_kept_unless_it_may_be_replaced(books: Books) -> None:
    first = run_local(request(books), _ignore)

    with pytest.raises(OutputExists, match=first.run_id):
        run_local(request(books, run_id="b-run"), _ignore)
    second = run_local(request(books, run_id="b-run", overwrite=True), _ignore)

    written = json.loads((books.folder / "out" / "metadata.json").read_text())
    assert written["run_id"] == second.run_id == "b-run"


def test_too_little_memory_for_the_program_itself_is_refused(books: Books) -> None:
    before = books.names()

    with pytest.raises(InvalidSetting, match="at least 512 MiB"):
        run_local(request(books, memory_limit_bytes=GIB // 4), _ignore)

    assert books.names() == before


def _ignore(_: Progress) -> None:
    return None


def test_a_limit_that_this_process_has_used_up_is_refused_before_the_work(books: Books) -> None:
    held = np.ones(400 << 20, dtype=np.uint8)

    with pytest.raises(InvalidSetting, match="this process as well"):
        run_local(request(books, memory_limit_bytes=512 << 20, alone=True), lambda _: None)

    assert held.all()

"""A run on this machine in the hands of whoever started it: stopped, asked before its commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kalla_core.engine.budget import MIB
from kalla_core.engine.processes.children import RUN
from kalla_core.engine.processes.fork_pool import ForkPool
from kalla_core.engine.programs.local import RunRequest, Supervision, run_local
from kalla_core.engine.progress import Progress
from kalla_core.errors import Cancelled
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books
from tests.support.command import names_below


@pytest.fixture(scope="module")
def fork_pool() -> Iterator[ForkPool]:
    with ForkPool([RUN[-1]]) as fork_pool:
        yield fork_pool


def request(books: Books, output: Path) -> RunRequest:
    return RunRequest(load_recipe(books.write()), "run-1", output, 512 * MIB, 1, alone=False)


def no_progress(_progress: Progress) -> None:
    pass


def test_a_run_is_forked_and_asks_before_it_commits(
    books: Books, tmp_path: Path, fork_pool: ForkPool
) -> None:
    output = tmp_path / "out"
    seen = []
    supervision = Supervision(
        before_commit=lambda: seen.append(output.exists()), start=fork_pool.start
    )

    metadata = run_local(request(books, output), no_progress, supervision)

    assert seen == [False]
    with read_evidence(output) as evidence:
        assert evidence.metadata == metadata


def test_a_commit_that_is_refused_leaves_nothing(
    books: Books, tmp_path: Path, fork_pool: ForkPool
) -> None:
    def refuse() -> None:
        raise Cancelled("A cancel came first.")

    wanted = request(books, tmp_path / "out")
    before = names_below(tmp_path)

    with pytest.raises(Cancelled):
        run_local(
            wanted,
            no_progress,
            Supervision(before_commit=refuse, start=fork_pool.start),
        )

    assert names_below(tmp_path) == before


def test_a_run_is_stopped_from_another_thread(
    books: Books, tmp_path: Path, fork_pool: ForkPool
) -> None:
    stop = threading.Event()
    wanted = request(books, tmp_path / "out")
    before = names_below(tmp_path)

    with pytest.raises(Cancelled):
        run_local(
            wanted,
            lambda _progress: stop.set(),
            Supervision(stop=stop, start=fork_pool.start),
        )

    assert names_below(tmp_path) == before

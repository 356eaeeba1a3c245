"""The folder of an executor's spools: what is in it, what is forgotten, what is swept."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_core.engine.spool.published import NotSpooled
from kalla_core.engine.spool.spool_folder import (
    SpoolFolder,
    SpoolKind,
    Unvisited,
    own_folder,
    sweep,
)
from kalla_core.fragments.attempt import AttemptId


def attempt(run: str = "run", run_attempt: int = 1, fragment: int = 0) -> AttemptId:
    return AttemptId(run, run_attempt, "scan", fragment, 1)


def hold(folder: SpoolFolder, *attempts: AttemptId) -> None:
    for one in attempts:
        folder.prepare(one)
        for kind in (SpoolKind.ROWS, SpoolKind.KEYS):
            folder.file(one, kind).write_bytes(b"12345")


def test_what_is_held_is_known_by_its_attempt(tmp_path: Path) -> None:
    held = (attempt("a.b-c", 2, 7), attempt("run", 1, 0), attempt("run", 1, 11))

    with own_folder(tmp_path, "me") as folder:
        hold(folder, *held)

        assert folder.held() == held
        assert folder.bytes() == 30
        assert folder.file(held[0], SpoolKind.MARKS).parent.is_dir()


def test_a_job_is_forgotten_with_its_earlier_attempts_and_no_other(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder:
        hold(folder, *(attempt("run", n) for n in (1, 2, 3)), attempt("other", 1))

        folder.forget("run", 2)

        assert folder.held() == (attempt("other", 1), attempt("run", 3))


def test_forgetting_what_was_never_here_is_fine(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder:
        folder.forget("run", 2)

        assert folder.held() == ()


def test_what_nobody_came_for_goes_by_age(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder:
        hold(folder, attempt("old"), attempt("new"))
        os.utime(folder.file(attempt("old"), SpoolKind.ROWS).parent, (0, 0))
        hours = iter([0, 1.5, 3])
        unvisited = Unvisited(folder, lambda: next(hours) * 3600)

        at_first = unvisited.forget(timedelta(hours=2))
        os.utime(folder.file(attempt("new"), SpoolKind.ROWS).parent, (0, 1))
        later = [unvisited.forget(timedelta(hours=2)) for _ in range(2)]

        assert (at_first, later) == ((), [(), ("old/1",)])
        assert folder.held() == (attempt("new"),)


def test_scratch_is_gone_when_the_fragment_is(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder:
        with folder.scratch(attempt()) as scratch:
            (scratch / "x").write_bytes(b"123")
            seen = folder.scratch_bytes(attempt())

        assert (seen, scratch.exists(), folder.scratch_bytes(attempt())) == (3, False, 0)


def test_nothing_is_left_when_the_folder_is_let_go(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder:
        hold(folder, attempt())

    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_executor_is_gone_is_swept_by_the_next(tmp_path: Path) -> None:
    dead = SpoolFolder(tmp_path / "kalla-spool-dead")
    hold(dead, attempt())
    (tmp_path / "kalla-spool-dead" / "lock").touch()
    (tmp_path / "something else").mkdir()

    with own_folder(tmp_path, "me") as mine:
        left = {entry.name for entry in tmp_path.iterdir()}

    assert left == {mine.path.name, "something else"}


def test_a_folder_whose_executor_lives_is_left_alone(tmp_path: Path) -> None:
    with own_folder(tmp_path, "other") as living:
        hold(living, attempt())

        swept = sweep(tmp_path)

        assert (swept, living.held()) == ((), (attempt(),))


def test_executors_that_start_at_once_do_not_take_each_other_for_gone(tmp_path: Path) -> None:
    def lives(number: int) -> str:
        with own_folder(tmp_path, str(number)) as mine:
            return mine.path.name

    with ThreadPoolExecutor(8) as executors:
        names = set(executors.map(lives, range(200)))

    assert len(names) == 200
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_held_cannot_be_opened(tmp_path: Path) -> None:
    with own_folder(tmp_path, "me") as folder, pytest.raises(NotSpooled):
        folder.open(attempt(), SpoolKind.ROWS)

"""A run that fails at any of its stages, in this process, leaves no file open and no thread."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.progress import Progress, Stage
from kalla_core.engine.run.job import run_job
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.errors import (
    DuplicateKeys,
    InvalidSql,
    OutOfMemory,
    OutputNotWritable,
    SourceChanged,
    SourceNotFound,
    SourceUnreadable,
)
from kalla_core.recipe.model import Options, Recipe, SourceSpec, SourceType
from tests.support.runs import AMPLE

ROWS = 4000
SQL = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND tolerance_match(l.n, r.n, 2)"
FAILS = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND 10 / (l.n - 3977) < r.n"
TINY = replace(AMPLE, whole_bytes=1, join_bytes=20_000, run_bytes=5_000)
BUCKETS: Mapping[str, Any] = {"buckets": 4}


@dataclass
class Stand:
    """A place for runs, which a case may spoil before or while a run goes on."""

    folder: Path
    reported: Callable[[Progress], None] = field(default=lambda _: None)

    def __post_init__(self) -> None:
        for name in ("staging", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        lines = [f"{n},K{n % 700},{n}" for n in range(ROWS)]
        for name in ("left", "right", "extra"):
            self.path(name).write_text("\n".join(["id,k,n", *lines]) + "\n")

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    def source(self, name: str) -> SourceSpec:
        return SourceSpec(
            alias=name[0],
            type=SourceType.FILE,
            uri=str(self.path(name)),
            primary_key=() if name == "extra" else ("id",),
            types={"n": "integer"},
        )

    def recipe(self, sql: str, extra: bool, **options: Any) -> Recipe:
        return Recipe(
            recipe_id="stand",
            name="Stand",
            match_sql=sql,
            left=self.source("left"),
            right=self.source("right"),
            extras=(self.source("extra"),) if extra else (),
            options=Options(partitions=4, **options),
        )

    def run(self, recipe: Recipe, share: Budget) -> None:
        started = datetime.now(UTC)
        staging, spool = self.folder / "staging", self.folder / "spool"
        run_job(JobSpec(recipe, started, staging, spool, share), self.reported)


def replaced(stand: Stand, name: str, old: str, new: str) -> None:
    path = stand.path(name)
    path.write_text(path.read_text().replace(old, new))


def touched_when(stage: Stage) -> Callable[[Stand], None]:
    def spoil(stand: Stand) -> None:
        def touch(progress: Progress) -> None:
            if progress.stage is stage:
                os.utime(stand.path("right"), (1, 1))

        stand.reported = touch

    return spoil


def interrupted_when(stage: Stage) -> Callable[[Stand], None]:
    def spoil(stand: Stand) -> None:
        def interrupt(progress: Progress) -> None:
            if progress.stage is stage and progress.rows_done:
                raise KeyboardInterrupt

        stand.reported = interrupt

    return spoil


@dataclass(frozen=True)
class Case:
    """What spoils a run, and the error that follows."""

    error: type[BaseException]
    spoil: Callable[[Stand], object] = lambda _: None
    sql: str = SQL
    share: Budget = AMPLE
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: bool = False


CASES: dict[str, Case] = {
    "a source is missing": Case(SourceNotFound, lambda s: s.path("right").unlink()),
    "the SQL is broken": Case(InvalidSql, sql="SELECT l.id FROM l JOIN"),
    "the extras are too large": Case(
        OutOfMemory, share=replace(AMPLE, extras_bytes=10), extra=True
    ),
    "a value is wrong": Case(
        SourceUnreadable, lambda s: replaced(s, "left", ",3977\n", ",three\n")
    ),
    "a value is wrong while rows are spooled": Case(
        SourceUnreadable,
        lambda s: replaced(s, "left", ",3977\n", ",three\n"),
        share=TINY,
        options=BUCKETS,
    ),
    "there is no room for the spool": Case(
        OutputNotWritable, lambda s: (s.folder / "spool").rmdir(), share=TINY, options=BUCKETS
    ),
    "somebody gives up while rows are read": Case(
        KeyboardInterrupt, interrupted_when(Stage.STAGING), share=TINY, options=BUCKETS
    ),
    "primary keys repeat": Case(
        DuplicateKeys,
        lambda s: replaced(s, "left", "\n7,", "\n8,"),
        sql="SELECT DISTINCT ON (l.id) l.id, r.id rid FROM l JOIN r ON l.k = r.k ORDER BY 1, 2",
    ),
    "there is no room for the evidence": Case(
        OutputNotWritable, lambda s: (s.folder / "staging").rmdir()
    ),
    "the SQL fails on a value": Case(InvalidSql, sql=FAILS),
    "the SQL fails on a value in a bucket": Case(
        InvalidSql, sql=FAILS, share=TINY, options=BUCKETS
    ),
    "the SQL fails on a value from disk": Case(
        InvalidSql, sql=f"{FAILS} ORDER BY 1, 2 LIMIT 9", share=TINY, options=BUCKETS
    ),
    "an operator needs too much memory": Case(OutOfMemory, share=replace(AMPLE, pool_bytes=10_000)),
    "somebody gives up while rows are matched": Case(
        KeyboardInterrupt, interrupted_when(Stage.MATCHING), share=TINY, options=BUCKETS
    ),
    "a source changes": Case(SourceChanged, touched_when(Stage.MATCHING)),
}


def held() -> tuple[set[str], set[threading.Thread]]:
    """The files that are open, and the threads that run."""
    gc.collect()
    opened = set()
    for name in os.listdir("/proc/self/fd"):
        if os.path.lexists(f"/proc/self/fd/{name}"):
            opened.add(os.readlink(f"/proc/self/fd/{name}"))
    return opened, set(threading.enumerate())


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_fails_lets_go_of_everything(tmp_path: Path, name: str) -> None:
    case, stand = CASES[name], Stand(tmp_path)
    stand.run(stand.recipe(SQL, extra=False, **BUCKETS), TINY)
    stand = Stand(tmp_path)
    for path in (*(tmp_path / "staging").iterdir(), *(tmp_path / "spool").iterdir()):
        path.unlink()
    before = held()
    case.spoil(stand)

    with pytest.raises(case.error) as raised:
        stand.run(stand.recipe(case.sql, case.extra, **case.options), case.share)
    del raised

    opened, threads = held()
    assert opened <= before[0]
    assert threads <= before[1]


def test_a_run_that_succeeds_lets_go_of_everything(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.run(stand.recipe(SQL, extra=False), AMPLE)
    before = held()

    for options in (BUCKETS, {}):
        for path in (*(tmp_path / "staging").iterdir(), *(tmp_path / "spool").iterdir()):
            path.unlink()
        stand.run(stand.recipe(SQL, extra=True, **options), TINY)

    assert held() == before

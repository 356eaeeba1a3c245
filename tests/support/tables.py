"""Runs over tables that a test makes, up to their commit, and what they wrote as tables."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.engine.budget import Budget
from kalla_core.engine.progress import OnProgress, Progress
from kalla_core.engine.run.job import run_job
from kalla_core.engine.run.job_outcome import JobOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import GroupForm, Options, Recipe, SourceSpec, SourceType
from tests.support.runs import AMPLE

_STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ROW_GROUP_ROWS = 50


@dataclass(frozen=True)
class Ran:
    """What a run over tables came to.

    Attributes:
        matched: sorted by all columns.
        unmatched: by side, likewise.
    """

    outcome: JobOutcome
    matched: pa.Table
    unmatched: Mapping[Side, pa.Table]

    @property
    def joins(self) -> Mapping[str, int]:
        """How many joins there were of each kind."""
        return self.outcome.joins

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The keys of both sides of each pair."""
        keys = (self.matched.column(name).to_pylist() for name in ("left_key", "right_key"))
        return list(zip(*keys, strict=True))

    def reasons(self, side: Side) -> dict[str, tuple[str, str, str | None]]:
        """The code, the sentence and the candidate of each unmatched row, by its key."""
        names = ("rejection_reason", "reason_detail", "closest_candidate")
        columns = (self.unmatched[side].column(name).to_pylist() for name in names)
        keys = self.unmatched[side].column("record_key").to_pylist()
        return dict(zip(keys, zip(*columns, strict=True), strict=True))

    def has_the_rows_of(self, other: Ran) -> bool:
        """Whether every row of all three outputs is the same, in every column."""
        return self.matched.equals(other.matched) and all(
            self.unmatched[side].equals(other.unmatched[side]) for side in Side
        )


@dataclass(frozen=True)
class Reconciliation:
    """Two tables in a folder, extras beside them, and the SQL that matches them.

    The tables are called `l` and `r`, beside `left_src` and `right_src`; both have the primary
    key `id`.
    """

    folder: Path
    sql: str
    options: Options = field(default_factory=Options)
    extras: Sequence[str] = ()
    aliases: tuple[str, str] = ("l", "r")
    groups: GroupForm = GroupForm.PAIRS

    def put(self, name: str, table: pa.Table) -> Path:
        """Write a table, in small row groups, so that it can be cut."""
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=_ROW_GROUP_ROWS)
        return path

    def recipe(self) -> Recipe:
        """Return the recipe."""
        left, right = self.aliases
        return Recipe(
            recipe_id="tables",
            name="Tables",
            match_sql=self.sql,
            left=self._source(left, "left", ("id",)),
            right=self._source(right, "right", ("id",)),
            extras=tuple(self._source(name, name, ()) for name in self.extras),
            options=self.options,
            groups=self.groups,
        )

    def run(
        self, share: Budget = AMPLE, on_progress: OnProgress | None = None, **options: Any
    ) -> Ran:
        """Run with a budget, and with some options set."""
        recipe = replace(self.recipe(), options=replace(self.options, **options))
        return run_recipe(recipe, self.folder, share, on_progress)

    def _source(self, alias: str, name: str, key: tuple[str, ...]) -> SourceSpec:
        uri = str(self.folder / f"{name}.parquet")
        return SourceSpec(alias=alias, type=SourceType.FILE, uri=uri, primary_key=key)


def run_recipe(
    recipe: Recipe, folder: Path, share: Budget = AMPLE, on_progress: OnProgress | None = None
) -> Ran:
    """Run a recipe up to its commit in folders of its own below `folder`, and remove them."""
    staging, spool = folder / "staging", folder / "spool"
    staging.mkdir()
    spool.mkdir()
    try:
        spec = JobSpec(recipe, _STARTED, staging, spool, share)
        outcome = run_job(spec, on_progress or _silent)
        unmatched = {
            side: sorted_rows(pq.read_table(staging / name)) for side, name in UNMATCHED.items()
        }
        return Ran(outcome, sorted_rows(pq.read_table(staging / MATCHED)), unmatched)
    finally:
        shutil.rmtree(staging)
        shutil.rmtree(spool)


def sorted_rows(table: pa.Table) -> pa.Table:
    """Return rows sorted by all columns that can be sorted by."""
    flat = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    order = [(name, "ascending") for name in flat]
    return table.sort_by(order).combine_chunks()


def _silent(_: Progress) -> None:
    return None

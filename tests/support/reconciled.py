"""Runs of recipes with passes over two tables that a test makes, and what they wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.engine.budget import Budget
from kalla_core.engine.passes.job import run_job
from kalla_core.engine.progress import OnProgress
from kalla_core.engine.run.job_outcome import JobOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.reconciled import Reconciliation
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from tests.support.runs import AMPLE
from tests.support.spread import Spread
from tests.support.tables import sorted_rows

_STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Wrote:
    """The outputs of a run, by name without its ending, each sorted; and what it reports."""

    tables: Mapping[str, pa.Table]
    outcome: JobOutcome

    @property
    def told(self) -> Reconciliation:
        assert self.outcome.reconciliation is not None
        return self.outcome.reconciliation

    def pairs(self, output: str = "matched") -> list[tuple[str, str]]:
        rows = self.tables[output]
        keys = (rows.column(name).to_pylist() for name in ("left_key", "right_key"))
        return sorted(zip(*keys, strict=True))

    def of_pass(self, output: str, name: str) -> list[tuple[str, str, str]]:
        rows = self.tables[output].select(["rule_name", "left_key", "right_key"])
        return sorted(tuple(row.values()) for row in rows.to_pylist() if row["rule_name"] == name)

    def reasons(self, side: Side) -> dict[str, str]:
        rows = self.tables[UNMATCHED[side].removesuffix(".parquet")]
        keys, codes = (rows.column(n).to_pylist() for n in ("record_key", "rejection_reason"))
        return dict(zip(keys, codes, strict=True))

    def details(self, side: Side) -> dict[str, str]:
        rows = self.tables[UNMATCHED[side].removesuffix(".parquet")]
        keys, said = (rows.column(n).to_pylist() for n in ("record_key", "reason_detail"))
        return dict(zip(keys, said, strict=True))

    def same_as(self, other: Wrote | Spread) -> bool:
        return (
            self.tables.keys() == other.tables.keys()
            and all(rows.equals(other.tables[name]) for name, rows in self.tables.items())
            and self.told == other.told
        )


@dataclass(frozen=True)
class TwoTables:
    """Two tables in a folder, called `l` and `r`, with the primary key `id`."""

    folder: Path

    def put(self, left: pa.Table, right: pa.Table) -> TwoTables:
        for name, table in (("left", left), ("right", right)):
            pq.write_table(table, self.folder / f"{name}.parquet", row_group_size=50)
        return self

    def document(self, rules: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        sources = {
            side: {
                "alias": side[0],
                "type": "file",
                "uri": str(self.folder / f"{side}.parquet"),
                "primary_key": ["id"],
            }
            for side in ("left", "right")
        }
        named = {"recipe_id": "two", "name": "Two tables", "sources": sources, "options": options}
        return {**named, **rules}

    def run(
        self,
        rules: Mapping[str, Any],
        share: Budget = AMPLE,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Wrote:
        recipe = parse_recipe(json.dumps(self.document(rules, **options)))
        staging, spool = self.folder / "staging", self.folder / "spool"
        staging.mkdir()
        spool.mkdir()
        try:
            spec = JobSpec(recipe, _STARTED, staging, spool, share)
            outcome = run_job(spec, on_progress or (lambda _: None))
            files = sorted(staging.glob("*.parquet"))
            left_behind = [path.name for path in spool.rglob("*") if path.is_file()]
            assert not [name for name in left_behind if name.startswith("candidates")]
            return Wrote({f.stem: sorted_rows(pq.read_table(f)) for f in files}, outcome)
        finally:
            shutil.rmtree(staging)
            shutil.rmtree(spool)


def table(rows: Sequence[Sequence[Any]], **columns: pa.DataType) -> pa.Table:
    """Return rows as a table with these columns."""
    schema = pa.schema(list(columns.items()))
    return pa.Table.from_pylist(
        [dict(zip(columns, row, strict=True)) for row in rows], schema=schema
    )

"""How soon a page of many rows comes: `python -m benchmarks.app_rows --rows 10000000`.

Writes open rows as a run leaves them, and looks through them as the app's pages do: every filter
and order, with and without what lies beside evidence, each as its first look. `page_s` is until
somebody sees rows (a second), `whole_s` until all are looked through, `cpu_s` what both took.
What was kept of the look before is forgotten; the file itself is in the machine's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.lookup_file import write_lookup
from kalla_app.evidence.pages import RowPages
from kalla_app.pages.rows import PATIENCE_S
from kalla_app.runs.life import RunState
from kalla_app.store.runs import Run
from kalla_core.evidence.writer import ROW_GROUP_ROWS

TARGET_S = 1.0
_SET = "unmatched_left"
_ROWS = 50
_NOW = datetime(2026, 5, 1, tzinfo=UTC)
_RUN = Run("rows", "books", 1, "Books", RunState(), "anna", _NOW, _NOW, _NOW)
_FEW = ["rejection_reason", "closest_candidate", "attempted_rules"]
_COUNTED = ["id", "amount", "day"]
_MUCH = 1 << 40


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the evidence lies."""

    here: Path

    async def folder(self, _run: Run) -> Path:
        return self.here


def looks(rows: int) -> dict[str, tuple[Asked, int]]:
    """Return what is looked for, each with how many rows are skipped."""
    rare, common = f"r-{rows - 7}", "77"
    found: dict[str, tuple[Asked, int]] = {
        "jump": (Asked(_SET), rows // 2),
        "reason": (Asked(_SET, reasons=("no_match",)), 0),
        "reason, jump": (Asked(_SET, reasons=("no_match",)), rows // 4),
        "one key": (Asked(_SET, keys=(str(rows // 3),)), 0),
        "all but one key": (Asked(_SET, without=(str(rows // 3),)), 0),
    }
    for name, q in (("rare", rare), ("common", common), ("none", "nobody has this")):
        found[name] = Asked(_SET, q), 0
        found[f"{name}, reason"] = Asked(_SET, q, ("no_match",)), 0
        for by in ("-amount", "reference"):
            found[f"{name} by {by}"] = Asked(_SET, q, sort=by), 0
    for by in ("amount", "-amount", "reference", "-day", "rejection_reason"):
        found[f"by {by}"] = Asked(_SET, sort=by), 0
        found[f"by {by}, jump"] = Asked(_SET, sort=by), rows // 2
    return found


def write_rows(folder: Path, rows: int) -> None:
    """Write evidence with so many open rows, encoded as a run's writer does."""
    folder.mkdir(parents=True)
    path, chance = folder / f"{_SET}.parquet", np.random.default_rng(1)
    ids = chance.permutation(rows)
    schema = _rows_of(ids[:1], chance).schema
    with pq.ParquetWriter(
        path,
        schema,
        compression="lz4",
        use_dictionary=_FEW,
        write_statistics=_COUNTED,
        write_batch_size=1024,
    ) as writer:
        for start in range(0, rows, ROW_GROUP_ROWS):
            table = _rows_of(ids[start : start + ROW_GROUP_ROWS], chance)
            writer.write_table(table, row_group_size=table.num_rows)
    told = {"run_id": _RUN.run_id, "files": [{"name": path.name, "rows": rows}]}
    (folder / "metadata.json").write_text(json.dumps(told))


def _rows_of(ids: np.ndarray[Any, Any], chance: np.random.Generator) -> pa.Table:
    count, number = len(ids), pa.array(ids, pa.int64())
    key = pc.cast(number, pa.string())
    reference = pc.binary_join_element_wise("R-", key, "")
    cents = pa.array(chance.integers(-(10**9), 10**9, count)).cast(pa.decimal128(19, 0))
    amount = pc.multiply(cents, pa.scalar(Decimal("0.01"), pa.decimal128(3, 2)))
    days = np.datetime64("2026-01-01") + chance.integers(0, 365, count)
    reasons = np.array(["key_not_found", "no_match"])[chance.integers(0, 2, count)]
    detail = pc.binary_join_element_wise("No row of right has reference = '", reference, "'.", "")
    return pa.table(
        {
            "record_key": key,
            "rejection_reason": pa.array(reasons),
            "reason_detail": detail,
            "closest_candidate": pa.nulls(count, pa.string()),
            "attempted_rules": pa.repeat(pa.scalar('["match_sql"]'), count),
            "id": number,
            "reference": reference,
            "amount": amount.cast(pa.decimal128(18, 2), safe=False),
            "day": pa.array(days.astype("datetime64[D]")),
        }
    )


async def _looked(folder: Path, beside: Path, asked: Asked, offset: int) -> dict[str, Any]:
    """Return what one look takes, of an app that has read nothing yet."""
    pages = RowPages(_Place(folder), beside)  # type: ignore[arg-type]
    begun, cpu_s = time.perf_counter(), time.process_time()
    page = await pages.page(_RUN, asked, offset, _ROWS, PATIENCE_S)
    page_s = time.perf_counter() - begun
    part = page.so_far
    if part is not None:
        page = await pages.page(_RUN, asked, offset, _ROWS)
    found = {
        "page_s": round(page_s, 2),
        "whole_s": round(time.perf_counter() - begun, 2),
        "cpu_s": round(time.process_time() - cpu_s, 2),
        "rows_first_seen_of": None if part is None else [part.searched, part.of],
        "total": page.total,
    }
    await pages.close()
    return found


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """Return what each look takes, without and with what lies beside evidence."""
    evidence, beside, none = folder / "rows", folder / "beside", folder / "file"
    write_rows(evidence, rows)
    none.write_text("so that nothing can be written beside")
    found: dict[str, Any] = {"rows": rows, "target_s": TARGET_S}
    found["evidence_mb"] = round((evidence / f"{_SET}.parquet").stat().st_size / 1e6)
    asked = looks(rows)
    plain = {
        name: one
        for name, one in asked.items()
        if one[0].by is None or one[1] == 0  # far down in an order somebody has to wait for it
    }
    asyncio.run(_looked(evidence, none, *asked["one key"]))  # the file is read into memory
    found["first_look"] = {
        name: asyncio.run(_looked(evidence, none, *one)) for name, one in plain.items()
    }
    begun, at = time.process_time(), beside / _RUN.run_id
    for column in sorted({one.by or "" for one, _ in asked.values()}):
        write_lookup(evidence, _SET, at, column or None, _MUCH)
    found["beside_cpu_s"] = round(time.process_time() - begun, 1)
    found["beside_mb"] = round(sum(one.stat().st_size for one in at.iterdir()) / 1e6)
    found["with_what_lies_beside"] = {
        name: asyncio.run(_looked(evidence, beside, *one)) for name, one in asked.items()
    }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app_rows", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="open rows of the run")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kalla-app-rows-") as folder:
        print(json.dumps(measure(Path(folder), given.rows), indent=2))


if __name__ == "__main__":
    main()

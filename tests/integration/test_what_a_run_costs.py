"""What must not creep back into a run over files: joins, readings, hashes and copies of rows.

Times cannot be asserted on a machine that others use as well; these can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from kalla_core.engine.keys.keying import Keying
from kalla_core.matching.sql.query import Side
from kalla_core.sources.files import FileConnector
from tests.support.tables import Ran, Reconciliation, run_recipe

ROWS = 150_000
SQL = """\
SELECT l.id, r.id AS rid, l.amount, r.paid
FROM left_src l JOIN right_src r ON l.id = r.ref AND tolerance_match(l.amount, r.paid, 2)"""
NAMED = {Side.LEFT: {"id", "amount"}, Side.RIGHT: {"id", "ref", "paid"}}
EVERYTHING = {side: names | {f"pad{k}" for k in range(4)} for side, names in NAMED.items()}


def ledger() -> tuple[pa.Table, pa.Table]:
    """Return two sides: a third matches, a third misses by its amount, a third has no partner."""
    numbers = np.arange(ROWS)
    pads = {f"pad{k}": pa.array([f"{n % 7}".ljust(60, ".") for n in numbers]) for k in range(4)}
    ids = pa.array([f"INV-{n:09}" for n in numbers])
    refs = pa.array([f"INV-{n if n % 3 else n + ROWS:09}" for n in numbers])
    paid = pa.array(np.where(numbers % 3 == 1, numbers + 50, numbers))
    left = pa.table({"id": ids, "amount": pa.array(numbers), **pads})
    right = pa.table({"id": pa.array([f"PAY-{n:09}" for n in numbers]), "ref": refs, "paid": paid,
                      **pads})  # fmt: skip
    return left, right


@pytest.fixture(scope="module")
def tables() -> tuple[pa.Table, pa.Table]:
    return ledger()


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each query that is run adds its joins."""
    seen: list[int] = []

    def counted(run: Callable[..., Any]) -> Callable[..., Any]:
        def counting(self: datafusion.DataFrame, *args: Any) -> Any:
            seen.append(self.execution_plan().display_indent().count("JoinExec"))
            return run(self, *args)

        return counting

    for name in ("execute_stream", "to_arrow_table", "collect"):
        run = getattr(datafusion.DataFrame, name)
        monkeypatch.setattr(datafusion.DataFrame, name, counted(run))
    return seen


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str, frozenset[str]]]:
    """Return a count of the parts that were read, by how, source and columns."""
    seen: Counter[tuple[str, str, frozenset[str]]] = Counter()
    read, pick = FileConnector.read, FileConnector.pick

    def reading(
        self: FileConnector, pinned: Any, part: Any, rows: int = 0, columns: Collection[str] = ()
    ) -> Any:
        seen["read", pinned.spec.alias, frozenset(columns)] += 1
        return read(self, pinned, part, columns=columns)

    def picking(
        self: FileConnector, pinned: Any, part: Any, wanted: Any, columns: Collection[str]
    ) -> Iterator[Any]:
        seen["pick", pinned.spec.alias, frozenset(columns)] += 1
        return pick(self, pinned, part, wanted, columns)

    monkeypatch.setattr(FileConnector, "read", reading)
    monkeypatch.setattr(FileConnector, "pick", picking)
    return seen


def run(folder: Path, tables: tuple[pa.Table, pa.Table]) -> Ran:
    made = Reconciliation(folder, SQL)
    for name, table in zip(("left", "right"), tables, strict=True):
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=ROWS // 2)
    return made.run(partitions=2)


def test_parquet_is_read_by_column_and_no_column_twice(
    tmp_path: Path,
    tables: tuple[pa.Table, pa.Table],
    readings: Counter[tuple[str, str, frozenset[str]]],
) -> None:
    ran = run(tmp_path, tables)

    assert ran.joins == {"late": 1}
    assert len(ran.pairs) == ROWS // 3
    assert readings == {
        (how, alias, frozenset(columns)): 2
        for side, alias in zip(Side, ("l", "r"), strict=True)
        for how, columns in (("read", NAMED[side]), ("pick", EVERYTHING[side] - NAMED[side]))
    }


def test_a_run_joins_once_for_its_pairs_and_for_the_reasons_of_both_sides(
    tmp_path: Path, tables: tuple[pa.Table, pa.Table], joins: list[int]
) -> None:
    ran = run(tmp_path, tables)

    conditions = 2  # each evaluated over rows side by side
    assert len(ran.unmatched[Side.LEFT]) == ROWS - ROWS // 3
    assert sum(joins) <= 1 + conditions


def test_keys_that_rise_are_not_hashed(
    tmp_path: Path, tables: tuple[pa.Table, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Side] = []
    hash_keys = Keying.primary_keys

    def hashing(self: Keying, side: Side, batches: Any) -> Any:
        hashed.append(side)
        return hash_keys(self, side, batches)

    monkeypatch.setattr(Keying, "primary_keys", hashing)
    left, right = tables

    rising = run(tmp_path, tables)
    assert hashed == []

    run(tmp_path, (left.take(pa.array(np.arange(ROWS)[::-1])), right))
    assert set(hashed) == {Side.LEFT}
    assert rising.outcome.sides[Side.LEFT].keys.duplicates == 0


def test_arrow_copies_few_bytes_for_each_row(
    tmp_path: Path, tables: tuple[pa.Table, pa.Table]
) -> None:
    run(tmp_path, tables)  # what is made at the first use

    before = _allocated()
    run(tmp_path, tables)
    allocated = _allocated() - before

    # Two thirds of both sides are written with 240 bytes of pads, and read back by the test.
    assert allocated / (2 * ROWS) < 3000


def _allocated() -> int:
    return int(pa.default_memory_pool().total_bytes_allocated())


def test_csv_that_fits_into_memory_is_read_once(
    tmp_path: Path,
    tables: tuple[pa.Table, pa.Table],
    readings: Counter[tuple[str, str, frozenset[str]]],
) -> None:
    made = Reconciliation(tmp_path, SQL)
    recipe = made.recipe()
    for name, table in zip(("left", "right"), tables, strict=True):
        pv.write_csv(table.slice(0, 2000), tmp_path / f"{name}.csv")

    ran = _run_csv(recipe, tmp_path)

    assert ran.joins == {"whole": 1}
    assert {how for how, _, _ in readings} == {"read"}
    assert set(readings.values()) == {2}


def _run_csv(recipe: Any, folder: Path) -> Ran:
    sides = {
        name: replace(getattr(recipe, name), uri=str(folder / f"{name}.csv"))
        for name in ("left", "right")
    }
    options = replace(recipe.options, partitions=2)
    return run_recipe(replace(recipe, **sides, options=options), folder)

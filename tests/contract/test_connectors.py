"""What every connector holds to, whatever it reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.errors import (
    InvalidFilter,
    KallaError,
    SourceChanged,
    SourceNotFound,
    UnknownColumn,
)
from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.marked import marked
from kalla_core.sources.protocol import PicksRows
from kalla_core.sources.registry import connector_for
from tests.support.connectors import KINDS, SourceKind
from tests.support.s3 import set_variables
from tests.support.sources import read_part, read_parts, read_table

ROWS = 500

pytestmark = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def environment(kind: SourceKind, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := kind.missing():
        pytest.skip(missing)
    set_variables(monkeypatch, kind.environment())


FILTERS = [
    Filter("id", FilterOp.LT, 120),
    Filter("id", FilterOp.BETWEEN, (100, 400)),
    Filter("id", FilterOp.GT, 10**30),
    Filter("reference", FilterOp.NEQ, "R-1"),
    Filter("reference", FilterOp.LIKE, "%o%"),
    Filter("reference", FilterOp.GT, "z"),
    Filter("amount", FilterOp.GTE, 2.5),
    Filter("amount", FilterOp.IN, (-10, 0.11, "9.99")),
    Filter("booked", FilterOp.LTE, "2024-03-15"),
    Filter("entered", FilterOp.GT, "2024-01-01T12:30:00.5"),
    Filter("paid", FilterOp.EQ, True),
]


def passes(each: Filter, value: Any) -> bool:
    """The filters above, said in Python."""
    if value is None:
        return False
    match each.column, each.op:
        case "id", FilterOp.LT:
            return bool(value < 120)
        case "id", FilterOp.BETWEEN:
            return 100 <= value <= 400
        case "id", _:
            return False
        case "reference", FilterOp.NEQ:
            return bool(value != "R-1")
        case "reference", FilterOp.LIKE:
            return "o" in value
        case "reference", _:
            return bool(value > "z")
        case "amount", FilterOp.GTE:
            return bool(value >= Decimal("2.5"))
        case "amount", _:
            return value in (Decimal(-10), Decimal("0.11"), Decimal("9.99"))
        case "booked", _:
            return bool(value <= date(2024, 3, 15))
        case "entered", _:
            return bool(value > datetime(2024, 1, 1, 12, 30, 0, 500_000))
        case _:
            return bool(value)


def test_the_schema_and_the_rows_are_those_that_were_put_there(
    kind: SourceKind, tmp_path: Path
) -> None:
    table = kind.table(ROWS)

    found = read_table(kind.put(tmp_path, table))

    assert found.schema == table.schema
    assert found.to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param((1, 2, 3, 7, 16), id="some"),
        pytest.param(range(1, 17), id="all", marks=pytest.mark.full),
    ],
)
def test_any_number_of_parts_gives_the_same_rows_in_the_same_order(
    kind: SourceKind, tmp_path: Path, counts: Sequence[int]
) -> None:
    table = kind.table(ROWS)
    spec = kind.put(tmp_path, table)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        for count in counts:
            parts = connector.plan(pinned, count)
            tables = read_parts(connector, pinned, count)

            assert 1 <= len(parts) <= count
            assert [part.index for part in parts] == list(range(len(parts)))
            assert all(found.num_rows for found in tables)
            assert pa.concat_tables(tables).equals(table)


def test_parts_of_a_splittable_source_are_of_about_the_same_size(
    kind: SourceKind, tmp_path: Path
) -> None:
    if not kind.splits:
        pytest.skip("one piece, or pieces that cannot be cut")
    spec = kind.put(tmp_path, kind.table(ROWS))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        sizes = [table.num_rows for table in read_parts(connector, pinned, 4)]

    assert len(sizes) == 4
    assert max(sizes) <= 2 * min(sizes)


def test_batches_are_neither_empty_nor_too_long_and_have_the_pinned_schema(
    kind: SourceKind, tmp_path: Path
) -> None:
    spec = kind.put(tmp_path, kind.table(60))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)
        read = {
            most: [batch for part in parts for batch in connector.read(pinned, part, most)]
            for most in (1, 7, 10_000)
        }

    for most, batches in read.items():
        assert all(1 <= batch.num_rows <= most for batch in batches)
        assert all(batch.schema == pinned.schema for batch in batches)
        assert sum(batch.num_rows for batch in batches) == 60


def test_only_the_columns_asked_for_are_delivered_whatever_the_filters_are_about(
    kind: SourceKind, tmp_path: Path
) -> None:
    table = kind.table(ROWS)
    spec = kind.put(tmp_path, table)
    filtered = replace(spec, filters=(FILTERS[1],))
    connector = connector_for(filtered)
    wanted = ((), ("paid",), ("amount", "id"), ("reference", "booked"))

    with connector.pin(filtered) as pinned:
        parts = connector.plan(pinned, 3)
        read = {
            columns: [b for part in parts for b in connector.read(pinned, part, columns=columns)]
            for columns in wanted
        }

    for columns, batches in read.items():
        named = [name for name in table.column_names if name in columns]
        expected = table.slice(100, 301).select(named)
        assert sum(batch.num_rows for batch in batches) == 301
        assert all(batch.schema == expected.schema for batch in batches)
        assert pa.Table.from_batches(batches).to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("filters", [(), FILTERS[:1]], ids=["all", "filtered"])
def test_rows_that_are_picked_are_those_of_the_whole_part(
    kind: SourceKind, tmp_path: Path, filters: tuple[Filter, ...]
) -> None:
    spec = replace(kind.put(tmp_path, kind.table(ROWS)), filters=tuple(filters))
    connector = connector_for(spec)
    chance = np.random.default_rng(7)

    with connector.pin(spec) as pinned:
        for part in connector.plan(pinned, 3):
            whole = pa.Table.from_batches(list(connector.read(pinned, part)), pinned.schema)
            wanted = chance.random(whole.num_rows) < 0.3
            picked = (
                connector.pick(pinned, part, wanted)
                if isinstance(connector, PicksRows)
                else marked(connector.read(pinned, part), wanted)
            )

            found = pa.Table.from_batches(list(picked), pinned.schema)
            assert found.equals(whole.filter(pa.array(wanted)))


@pytest.mark.parametrize("filters", [(), FILTERS[:1]], ids=["all", "filtered"])
def test_of_rows_that_are_picked_some_columns_can_be_had(
    kind: SourceKind, tmp_path: Path, filters: tuple[Filter, ...]
) -> None:
    spec = replace(kind.put(tmp_path, kind.table(ROWS)), filters=tuple(filters))
    connector = connector_for(spec)
    if not isinstance(connector, PicksRows):
        pytest.skip("has no rows picked")

    with connector.pin(spec) as pinned:
        names = pinned.schema.names[1::2]
        for part in connector.plan(pinned, 3):
            whole = pa.Table.from_batches(list(connector.read(pinned, part)), pinned.schema)
            wanted = np.arange(whole.num_rows) % 3 == 1
            picked = list(connector.pick(pinned, part, wanted, names))

            expected = whole.filter(pa.array(wanted)).select(names)
            assert pa.Table.from_batches(picked, expected.schema).equals(expected)


def test_filters_keep_the_same_rows_and_count_the_others(kind: SourceKind, tmp_path: Path) -> None:
    table = kind.table(ROWS)
    spec = kind.put(tmp_path, table)
    held = table.to_pylist()

    for each in FILTERS:
        filtered = replace(spec, filters=(each,))
        connector = connector_for(filtered)
        with connector.pin(filtered) as pinned:
            readers = [connector.read(pinned, part) for part in connector.plan(pinned, 3)]
            rows = [row for reader in readers for batch in reader for row in batch.to_pylist()]

        expected = [row for row in held if passes(each, row[each.column])]
        assert rows == expected, each
        excluded = [reader.excluded_rows for reader in readers]
        if None not in excluded:
            assert sum(count or 0 for count in excluded) == ROWS - len(expected), each


def test_a_preview_is_the_first_rows_that_pass(kind: SourceKind, tmp_path: Path) -> None:
    table = kind.table(ROWS)
    spec = kind.put(tmp_path, table)
    filtered = replace(spec, filters=(Filter("id", FilterOp.GTE, 450),))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        first, nothing, everything = (connector.preview(pinned, n) for n in (5, 0, 10_000))
    with connector.pin(filtered) as pinned:
        later = connector.preview(pinned, 5)

    assert first.to_pylist() == table.slice(0, 5).to_pylist()
    assert nothing.num_rows == 0
    assert everything.equals(table)
    assert later.to_pylist() == table.slice(450, 5).to_pylist()


def test_a_source_without_rows_has_no_parts_or_one_that_has_none(
    kind: SourceKind, tmp_path: Path
) -> None:
    table = kind.table(0)
    spec = kind.put(tmp_path, table)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 4)
        read = [batch for part in parts for batch in connector.read(pinned, part)]
        preview = connector.preview(pinned, 5)

    assert read == []
    assert parts == () or not kind.counts
    assert preview.num_rows == 0
    assert preview.schema.names == table.schema.names or not kind.named
    assert preview.schema == table.schema or not kind.typed


def test_what_is_known_of_the_size_is_about_right(kind: SourceKind, tmp_path: Path) -> None:
    table = kind.table(ROWS)
    spec = kind.put(tmp_path, table)

    with connector_for(spec).pin(spec) as pinned:
        known = pinned.statistics

    assert known.rows is not None
    assert known.arrow_bytes is not None
    assert known.rows == ROWS if known.exact else ROWS / 4 < known.rows < ROWS * 4
    assert table.nbytes / 4 < known.arrow_bytes < table.nbytes * 4


@pytest.fixture(scope="module")
def processes() -> Iterator[Callable[[bool], ProcessPoolExecutor]]:
    """Another process for what lies in S3, and one for all else; either has its variables."""
    with ExitStack() as ends:

        @cache
        def started(in_s3: bool) -> ProcessPoolExecutor:
            return ends.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))

        yield started


def test_parts_are_read_alike_by_threads_and_by_other_processes(
    kind: SourceKind, tmp_path: Path, processes: Callable[[bool], ProcessPoolExecutor]
) -> None:
    spec = kind.put(tmp_path, kind.table(ROWS))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)
        one_by_one = [table.to_pylist() for table in read_parts(connector, pinned, 3)]
        with ThreadPoolExecutor(3) as threads:
            reads = threads.map(lambda part: list(connector.read(pinned, part)), parts)
            by_threads = [pa.Table.from_batches(read).to_pylist() for read in reads]
        plain = (
            pinned.spec,
            json.dumps(pinned.identity),
            json.dumps(pinned.detail),
            pinned.schema.serialize().to_pybytes(),
        )
        other = processes(kind.in_s3)
        running = [other.submit(read_part, *plain, json.dumps(part.detail)) for part in parts]
        by_processes = [process.result(60) for process in running]

    assert by_threads == one_by_one
    assert by_processes == one_by_one


def test_what_has_not_changed_is_verified_and_a_change_is_found(
    kind: SourceKind, tmp_path: Path
) -> None:
    spec = kind.put(tmp_path, kind.table(ROWS))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        connector.verify(pinned)
        kind.change(spec)

        with pytest.raises(SourceChanged):
            connector.verify(pinned)


WRONG: Mapping[Filter, type[KallaError]] = {
    Filter("amuont", FilterOp.EQ, 1): UnknownColumn,
    Filter("amount", FilterOp.LIKE, "1%"): InvalidFilter,
    Filter("booked", FilterOp.EQ, "yesterday"): InvalidFilter,
}


def test_a_filter_that_cannot_be_applied_is_refused_before_any_row_is_read(
    kind: SourceKind, tmp_path: Path
) -> None:
    spec = kind.put(tmp_path, kind.table(ROWS))

    for each, error in WRONG.items():
        wrong = replace(spec, filters=(each,))
        connector = connector_for(wrong)
        with connector.pin(spec) as right, connector.pin(wrong) as pinned:
            (part,) = connector.plan(right, 1)
            for attempt in (
                partial(connector.plan, pinned, 1),
                partial(connector.read, pinned, part),
                partial(connector.preview, pinned, 1),
            ):
                with pytest.raises(error, match=r"`ledger`"):
                    attempt()


def test_a_source_that_is_not_there_is_named(kind: SourceKind, tmp_path: Path) -> None:
    spec = kind.put(tmp_path, kind.table(1))
    gone = type(spec)(spec.alias, spec.type, (spec.uri or "").replace("ledger", "gone"))

    with pytest.raises(SourceNotFound, match=r"`ledger`.*gone"), connector_for(gone).pin(gone):
        pass

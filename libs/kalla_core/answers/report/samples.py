"""The open rows that a report shows, each with its closest candidate beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import SideColumns
from kalla_core.answers.near_keys import (
    NearKey,
    near_change,
    near_keys,
    near_words,
    parts_not_found,
)
from kalla_core.answers.report.figures import Cell, OpenRow, short
from kalla_core.answers.rows_json import rows_of
from kalla_core.answers.why.change import missed_by, smallest_change
from kalla_core.answers.why.told import Failed, failed_conditions, scores_that_hold
from kalla_core.answers.why.words import sentence
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.matching.sql.query import Side

_SIZE = "__size"
_LONGEST = 160
_LONGEST_SENTENCE = 400
_MOST_TAKERS = 3

MOST_COLUMNS = 40
"""Of a row that are shown; a source may have thousands."""


class TopRows:
    """The rows with the largest amounts of all that were added; the first ones where none has any.

    Args:
        amount: the column of amounts, None where there is none.
        most: rows that are kept.
    """

    def __init__(self, schema: pa.Schema, amount: str | None, most: int) -> None:
        self._amount = amount
        self._most = most
        self._kept = schema.append(pa.field(_SIZE, pa.float64())).empty_table()

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the rows of a batch."""
        rows = pa.Table.from_batches([batch])
        if self._amount is None:
            room = self._most - len(self._kept)
            if room > 0:
                sizes = pa.array(np.zeros(min(room, len(rows))))
                self._keep(rows.slice(0, room).append_column(_SIZE, sizes))
            return
        sizes = pc.abs(rows.column(self._amount).cast(pa.float64())).fill_null(0.0)
        rows = rows.append_column(_SIZE, sizes)
        if len(self._kept) == self._most:
            least = pc.min(self._kept.column(_SIZE))
            rows = rows.filter(pc.greater(rows.column(_SIZE), least))
        self._keep(rows)
        if len(self._kept) > self._most:
            order = pc.sort_indices(
                self._kept, [(_SIZE, "descending"), ("record_key", "ascending")]
            )
            self._kept = self._kept.take(order[: self._most]).combine_chunks()

    def table(self) -> pa.Table:
        """Return the rows, the largest first."""
        order = pc.sort_indices(self._kept, [(_SIZE, "descending"), ("record_key", "ascending")])
        rows = self._kept if self._amount is None else self._kept.take(order)
        return rows.drop_columns([_SIZE])

    def _keep(self, rows: pa.Table) -> None:
        if len(rows):
            self._kept = pa.concat_tables([self._kept, rows])


def open_rows(
    evidence: Evidence, side: Side, table: pa.Table, columns: Mapping[Side, SideColumns]
) -> tuple[OpenRow, ...]:
    """Return rows of an unmatched output as they are shown, in their order."""
    rows = rows_of(table)
    near = near_keys(evidence, side.other, [parts_not_found(row) for row in rows])
    closest = [row["closest_candidate"] for row in rows]
    closest += [one.key for one in near.values()]
    keys = sorted({str(one) for one in closest if one})
    others = _others(evidence, side.other, keys)
    takers = _takers(evidence, side, keys)
    numbers = {side: _numbers(evidence, side) for side in Side}
    return tuple(
        _open_row(side, row, near.get(parts_not_found(row)), others, takers, columns, numbers)
        for row in rows
    )


def _others(evidence: Evidence, side: Side, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not keys:
        return {}
    found = rows_of(evidence.where(UNMATCHED[side], "record_key", keys, 2 * len(keys)))
    return {str(row["record_key"]): row for row in found}


def _takers(evidence: Evidence, side: Side, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the rows of `side` that candidates are matched with."""
    if not keys:
        return {}
    own, other = f"{side.word}_key", f"{side.other.word}_key"
    found: dict[str, list[str]] = {}
    for row in rows_of(evidence.where(MATCHED, other, keys, 50 * len(keys))):
        found.setdefault(str(row[other]), []).append(str(row[own] or "a group"))
    return found


def _numbers(evidence: Evidence, side: Side) -> frozenset[str]:
    schema = evidence.schema(UNMATCHED[side])
    tests = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)
    return frozenset(one.name for one in schema if any(test(one.type) for test in tests))


def _open_row(
    side: Side,
    row: dict[str, Any],
    near: NearKey | None,
    others: Mapping[str, dict[str, Any]],
    takers: Mapping[str, list[str]],
    columns: Mapping[Side, SideColumns],
    numbers: Mapping[Side, frozenset[str]],
) -> OpenRow:
    own = columns[side]
    detail = str(row["reason_detail"] or "")
    failed = failed_conditions(detail)
    closest = row["closest_candidate"] if near is None else near.key
    candidate = _source(others.get(str(closest), {}))
    source = _source(row)
    differing = _differing(source, candidate, side, columns)
    first = failed[0] if failed else None
    by = missed_by(detail) if first is None else first.differ_by
    unit = " days" if first is not None and first.in_days else ""
    return OpenRow(
        key=str(row["record_key"]),
        reason=str(row["rejection_reason"]),
        said=short(_said(failed, detail, near), _LONGEST_SENTENCE),
        amount=_text(source, own.amount),
        currency=_text(source, own.currency),
        day=_text(source, own.moment),
        differ_by=None if by is None else f"{by:f}",
        apart=None if by is None else f"{by:,f}{unit}",
        change=near_change(near)
        if near
        else smallest_change(str(row["rejection_reason"]), failed, detail=detail),
        cells=_cells(source, {one for one, _ in differing}, numbers[side], own),
        candidate_key=None if closest is None else str(closest),
        candidate_cells=_cells(
            candidate, {one for _, one in differing}, numbers[side.other], columns[side.other]
        ),
        taken_by=tuple(takers.get(str(closest), ())[:_MOST_TAKERS]),
    )


def _said(failed: Sequence[Failed], detail: str, near: NearKey | None) -> str:
    """Return what failed, what scores that hold come to, and what lacks one part of the key."""
    holding = [sentence(one, "holds") for one in scores_that_hold(detail)]
    said = "; ".join([*map(sentence, failed), *holding]) or detail
    return said if near is None else f"{said} {near_words(near)}."


def _source(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in UNMATCHED_FIELDS.names}


def _differing(
    row: Mapping[str, Any],
    other: Mapping[str, Any],
    side: Side,
    columns: Mapping[Side, SideColumns],
) -> set[tuple[str, str]]:
    """Return the columns that both have, by name or by what they hold, with unlike values."""
    own, its = columns[side], columns[side.other]
    pairs = {(name, name) for name in row if name in other}
    for mine, theirs in (
        (own.amount, its.amount), (own.currency, its.currency), (own.moment, its.moment)
    ):  # fmt: skip
        if mine in row and theirs in other and mine is not None and theirs is not None:
            pairs.add((mine, theirs))
    return {(mine, theirs) for mine, theirs in pairs if row[mine] != other[theirs]}


def _cells(
    row: Mapping[str, Any], differing: set[str], numbers: frozenset[str], columns: SideColumns
) -> tuple[Cell, ...]:
    """Return the first columns of a row, those of its amount and date among them."""
    told = (columns.amount, columns.currency, columns.moment)
    return tuple(
        Cell(name, _shown(value), name in differing, name in numbers)
        for place, (name, value) in enumerate(row.items())
        if place < MOST_COLUMNS or name in told
    )


def _text(row: Mapping[str, Any], name: str | None) -> str | None:
    return None if name is None else _shown(row.get(name))


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return short(str(value), _LONGEST)

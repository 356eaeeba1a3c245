"""A report collected from evidence: two passes over the matches, one over the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from kalla_core.answers.groups import groups_of
from kalla_core.answers.money import SideColumns, side_columns
from kalla_core.answers.report.figures import Money, PairTable, Report, SideReport, short
from kalla_core.answers.report.furthest import furthest_groups
from kalla_core.answers.report.matches import MatchTally
from kalla_core.answers.report.samples import TopRows, open_rows
from kalla_core.answers.report.tallies import EXACT, SideTally
from kalla_core.answers.rows_json import rows_of
from kalla_core.evidence.metadata import to_json
from kalla_core.evidence.names import AMBIGUOUS, MATCHED, SUGGESTED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import DIFFERENCES_FIELD, TIE_FIELD
from kalla_core.matching.sql.query import Side

SHOWN_OPEN = 250
SHOWN_PAIRS = 60
_SHOWN_GROUPS = 30
_GROUP_ROWS = 300
_LONGEST = 160
_SHOWN_COLUMNS = 14


def gather(evidence: Evidence, location: str, shown: int = SHOWN_OPEN) -> Report:
    """Return all that a report of this evidence shows.

    Args:
        location: of the evidence, as it was named.
        shown: open rows of each side that are shown at most.
    """
    columns = side_columns(evidence)
    matches = MatchTally(evidence, columns, SHOWN_PAIRS)
    document = to_json(evidence.metadata)
    totals = document.get("control_totals")
    sides = {side: _side(evidence, side, columns, matches, totals, shown) for side in Side}
    rules = matches.rules()
    several = matches.groups()
    shown_groups = furthest_groups(evidence, columns, several, _SHOWN_GROUPS)
    return Report(
        metadata=evidence.metadata,
        location=location,
        left=sides[Side.LEFT],
        right=sides[Side.RIGHT],
        matched=_matched(evidence, matches),
        groups=tuple(groups_of(evidence, shown_groups, columns, _GROUP_ROWS)),
        group_count=len(several),
        suggested=_pairs(evidence, SUGGESTED),
        ambiguous=_pairs(evidence, AMBIGUOUS),
        rules=rules if len(rules.bars) > 1 else None,
        differences=matches.differences(),
        lags=matches.lags(),
        passes=tuple(document.get("passes") or ()),
        control_totals=totals,
        compared=tuple(document.get("compared") or ()),
    )


def _side(
    evidence: Evidence,
    side: Side,
    columns: Mapping[Side, SideColumns],
    matches: MatchTally,
    totals: Mapping[str, Any] | None,
    shown: int,
) -> SideReport:
    metadata, own, output = evidence.metadata, columns[side], UNMATCHED[side]
    summary = metadata.left if side is Side.LEFT else metadata.right
    source = metadata.recipe.get("sources", {}).get(side.word, {})
    schema = evidence.schema(output)
    tally = SideTally(schema, own, source.get("primary_key", ()), metadata.started_at)
    top = TopRows(schema, own.amount, shown)
    for batch in evidence.batches(output):
        tally.add(batch)
        top.add(batch)
    alone = not summary.duplicate_keys and not summary.null_keys
    known = matches.values(side, tally.counted) if alone else {}
    return SideReport(
        side=side,
        alias=str(source.get("alias", side.word)),
        source=summary.source,
        records=summary.records,
        matched=summary.matched,
        unmatched=summary.unmatched,
        excluded=summary.excluded,
        several=summary.several,
        money=_money(side, tally.money(), matches, totals),
        reasons=tally.reasons(),
        concentrations=tally.concentrations(known, summary.records),
        ageing=tally.ageing(),
        misses=tally.misses(),
        shown=open_rows(evidence, side, top.table(), columns),
        by_amount=own.amount is not None,
        columns={"amount": own.amount, "currency": own.currency, "date": own.moment},
        identity=summary.identity,
    )


def _money(
    side: Side,
    unmatched: Sequence[Money],
    matches: MatchTally,
    totals: Mapping[str, Any] | None,
) -> tuple[Money, ...]:
    """Return the amounts of a side: as the run proved them, else as far as evidence tells."""
    if totals is not None:
        return tuple(
            Money(
                str(one["currency"] or ""),
                **{name: EXACT.create_decimal(one["amounts"][name])
                   for name in ("unmatched", "matched", "total", "rest")
                   if name in one["amounts"]},
            )
            for one in totals[side.word]
        )  # fmt: skip
    matched = matches.amounts(side) if unmatched else None
    if matched is None:
        return tuple(unmatched)
    open_ = {one.currency: one.unmatched for one in unmatched}
    zero = EXACT.create_decimal(0)
    return tuple(
        Money(
            currency,
            open_.get(currency, zero),
            matched.get(currency, zero),
            EXACT.add(open_.get(currency, zero), matched.get(currency, zero)),
        )
        for currency in sorted({*open_, *matched})
    )


def _matched(evidence: Evidence, matches: MatchTally) -> PairTable:
    """Return the matches that differ most."""
    ids = matches.furthest()
    table = evidence.where(MATCHED, "match_id", ids, SHOWN_PAIRS) if ids else None
    if table is None:
        table = evidence.schema(MATCHED).empty_table()
    places = {one: place for place, one in enumerate(ids)}
    ranks = pa.array([places[one] for one in table.column("match_id").to_pylist()], pa.int64())
    table = table.take(pa.compute.sort_indices(ranks))
    furthest = matches.differences() is not None
    order = "those whose amounts differ most" if furthest else "the first ones"
    return _table("matched", table, evidence.rows(MATCHED), (), order)


def _pairs(evidence: Evidence, output: str) -> PairTable | None:
    if not evidence.has(output):
        return None
    batches = evidence.batches(output, _GROUP_ROWS)
    table = pa.Table.from_batches(batches, evidence.schema(output))
    block: tuple[str, ...] = ()
    if TIE_FIELD.name in table.column_names:
        block = (TIE_FIELD.name, "rule_name")
        table = table.sort_by([(one, "ascending") for one in block])
    name = output.removesuffix(".parquet")
    return _table(name, table, evidence.rows(output), block, "the first ones")


def _table(name: str, table: pa.Table, rows: int, block: tuple[str, ...], order: str) -> PairTable:
    """Return rows as they are shown; where columns of `block` change, a new block begins."""
    hidden = {"match_id", "matched_at"}
    kept = [
        one for one in table.column_names if one not in hidden and _has_values(table.column(one))
    ][:_SHOWN_COLUMNS]
    tests = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)
    numbers = frozenset(
        one for one in kept if any(test(table.schema.field(one).type) for test in tests)
    )
    listed = rows_of(table.select(list(dict.fromkeys([*kept, *block]))))
    starts = [
        place
        for place, row in enumerate(listed)
        if block and (place == 0 or any(row[one] != listed[place - 1][one] for one in block))
    ]
    shown = tuple(tuple(_value(one, row[one]) for one in kept) for row in listed)
    return PairTable(name, rows, tuple(kept), numbers, shown, tuple(starts), order)


def _has_values(column: pa.ChunkedArray) -> bool:
    """Whether any row has something to show; a table without rows shows all its columns."""
    if not pa.types.is_list(column.type):
        return len(column) == 0 or column.null_count < len(column)
    return bool(pa.compute.any(pa.compute.greater(pa.compute.list_value_length(column), 0)).as_py())


def _value(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name == DIFFERENCES_FIELD.name and isinstance(value, list):
        told = (f"{one['column']}: {one['left']} / {one['right']}" for one in value)
        return short("; ".join(told), _LONGEST)
    if isinstance(value, float):
        return f"{value:g}"
    return short(str(value), _LONGEST)

"""Control totals against themselves and against the amounts in the unmatched files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import side_columns
from kalla_core.answers.report.tallies import EXACT, SideTally
from kalla_core.answers.verification.damage import Check, Damage
from kalla_core.evidence.names import METADATA, PARTLY, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.open_amounts import OPEN_AMOUNT

_NAME = "amounts"


def check_amounts(evidence: Evidence) -> Check:
    """Add the amounts of unmatched rows up again, and the totals that are told with them."""
    found = evidence.metadata.reconciliation
    totals = None if found is None else found.control_totals
    if totals is None:
        return Check(_NAME, "", (), "the recipe names no amounts")
    damages = [*_unmatched(evidence, totals), *_rests(evidence, totals)]
    damages += [*_sums(totals), *_bridge(totals)]
    rests = " + rest" if any(evidence.has(output) for output in PARTLY.values()) else ""
    covered = f"total = matched{rests} + unmatched by currency, the bridge, and the unmatched rows"
    return Check(_NAME, covered, tuple(damages))


def _unmatched(evidence: Evidence, totals: Mapping[str, Any]) -> Iterator[Damage]:
    columns = side_columns(evidence)
    for side in Side:
        output = UNMATCHED[side]
        if columns[side].amount is None:
            continue  # of floats, which nobody adds up exactly
        schema = evidence.schema(output)
        tally = SideTally(schema, columns[side], schema.names, evidence.metadata.started_at)
        for batch in evidence.batches(output):
            tally.add(batch)
        sums = {one.currency: one.unmatched for one in tally.money()}
        for one in totals[side.word]:
            told, there = _amount(one, "unmatched"), sums.pop(one["currency"] or "", Decimal(0))
            if told != there:
                yield _damage(
                    output, f"its amounts in {one['currency'] or 'no currency'}", told, there
                )
        for currency, amount in sums.items():
            if amount:
                yield _damage(output, f"its amounts in {currency}", Decimal(0), amount)


def _rests(evidence: Evidence, totals: Mapping[str, Any]) -> Iterator[Damage]:
    """Add up what is open of rows that are matched in part, of all currencies together."""
    for side, output in PARTLY.items():
        if not evidence.has(output):
            continue
        added = Decimal(0)
        for batch in evidence.batches(output, columns=[OPEN_AMOUNT]):
            values = batch.column(OPEN_AMOUNT)
            if pa.types.is_decimal(values.type):
                values = values.cast(pa.decimal256(76, values.type.scale))
            added = EXACT.add(added, Decimal(pc.sum(values).as_py() or 0))
        told = Decimal(0)
        for one in totals[side.word]:
            told = EXACT.add(told, _amount(one, "rest"))
        if told != added:
            yield _damage(output, "what is open of its rows", told, added)


def _sums(totals: Mapping[str, Any]) -> Iterator[Damage]:
    for side in Side:
        for one in totals[side.word]:
            total = _amount(one, "total")
            added = EXACT.add(_amount(one, "matched"), _amount(one, "unmatched"))
            added = EXACT.add(added, _amount(one, "rest"))
            if total != added:
                what = f"{side.word} amounts in {one['currency'] or 'no currency'} add up"
                yield _damage(METADATA, what, total, added)


def _bridge(totals: Mapping[str, Any]) -> Iterator[Damage]:
    for one in totals.get("bridge", ()):
        names = ("left_total", "right_total", "left_unmatched", "right_unmatched", "differences")
        left, right, left_open, right_open, inside = (Decimal(one[name]) for name in names)
        apart = EXACT.subtract(left, right)
        added = EXACT.add(EXACT.subtract(left_open, right_open), inside)
        rests = (Decimal(one.get(name, 0)) for name in ("left_rest", "right_rest"))
        added = EXACT.add(added, EXACT.subtract(*rests))
        if apart != added:
            what = f"the bridge in {one['currency'] or 'no currency'}"
            yield _damage(METADATA, what, apart, added)


def _amount(one: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(one["amounts"].get(name, 0) if name == "rest" else one["amounts"][name])


def _damage(file: str, what: str, expected: Decimal, found: Decimal) -> Damage:
    return Damage(file, what, f"{expected:,f}", f"{found:,f}")

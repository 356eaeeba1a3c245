"""Control totals: what both sides add up to, and what became of it; exact, or the run fails.

Totals are counted three times, apart: over all rows, over those that passes consumed, and over
those that were written as unmatched. What is not the same is an error, not a rounding.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.columns import place_of
from kalla_core.engine.passes.plan import exact
from kalla_core.engine.passes.whole import UNCONSUMED, Whole
from kalla_core.errors import AccountingFailed
from kalla_core.evidence.keys import value_text
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import Amounts

_DIGITS = 80

Currency = str | None


@dataclass
class Sum:
    """Rows, rows of them without an amount, and what the others add up to."""

    rows: int = 0
    empty: int = 0
    amount: Decimal = Decimal(0)

    def add(self, rows: int, empty: int, amount: Decimal) -> None:
        """Count some rows more."""
        self.rows += rows
        self.empty += empty
        with localcontext(prec=_DIGITS):
            self.amount += amount


Sums = dict[Currency, Sum]


@dataclass
class Totals:
    """Adds up the amounts of a run; of none if the recipe names no columns.

    Attributes:
        leaves_rests: whether matches may leave something of a row open.
    """

    amounts: Amounts | None
    schemas: Mapping[Side, pa.Schema]
    leaves_rests: bool = False
    _every: dict[Side, Sums] = field(default_factory=lambda: {side: {} for side in Side})
    _by_pass: dict[Side, dict[int, Sums]] = field(
        default_factory=lambda: {side: {} for side in Side}
    )
    _unmatched: dict[Side, Sums] = field(default_factory=lambda: {side: {} for side in Side})
    _rests: dict[Side, Sums] = field(default_factory=lambda: {side: {} for side in Side})
    _expected: dict[Side, tuple[int, Decimal]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def unmatched(self, side: Side, rows: pa.RecordBatch) -> None:
        """Count rows that are written as unmatched; safe from any thread."""
        if self.amounts is None:
            return
        counted = self._counted(side, rows, pa.repeat(0, rows.num_rows))
        with self._lock:
            for (currency, _), one in counted.items():
                _add(self._unmatched[side], currency, one)

    def expect_open(self, side: Side, open_: pa.Array) -> None:
        """Note what matches leave open of rows of a side, as it was decided."""
        self._expected[side] = (len(open_), pc.sum(open_).as_py() or Decimal(0))

    def partly(self, side: Side, rows: pa.RecordBatch, open_: pa.Array) -> None:
        """Count what is written as open of rows that are matched in part."""
        counted = self._counted(side, rows, pa.repeat(0, rows.num_rows), open_)
        for (currency, _), one in counted.items():
            _add(self._rests[side], currency, one)

    def count(self, whole: Whole) -> None:
        """Count all rows by side, and those that each pass consumed; once, after all passes."""
        if self.amounts is None:
            return
        every, by_pass = self._every, self._by_pass
        for side in Side:
            for batch, places in whole.batches(side):
                by = pa.array(whole.by[side][places])
                for (currency, number), one in self._counted(side, batch, by).items():
                    if number != UNCONSUMED:
                        _add(by_pass[side].setdefault(number, {}), currency, one)
                alone = self._counted(side, batch, pa.repeat(0, batch.num_rows))
                for (currency, _), one in alone.items():
                    _add(every[side], currency, one)

    def _counted(
        self, side: Side, rows: pa.RecordBatch, by: pa.Array, values: pa.Array | None = None
    ) -> dict[tuple[Currency, int], Sum]:
        amounts = self.amounts
        assert amounts is not None  # noqa: S101 - looked at before
        names = rows.schema.names
        name = amounts.left if side is Side.LEFT else amounts.right
        values = exact(rows.column(place_of(name, names)) if values is None else values)
        table = pa.table(
            {
                "currency": self._currencies(side, rows),
                "by": by,
                "amount": values,
                "empty": pc.cast(pc.is_null(values), pa.int64()),
            }
        )
        wanted = [("amount", "sum"), ("empty", "sum"), ("by", "count")]
        grouped = table.group_by(["currency", "by"]).aggregate(wanted)
        counted: dict[tuple[Currency, int], Sum] = {}
        for row in grouped.to_pylist():
            amount = row["amount_sum"] or Decimal(0)
            key = (row["currency"], row["by"])
            counted[key] = Sum(row["by_count"], row["empty_sum"], amount)
        return counted

    def _currencies(self, side: Side, rows: pa.RecordBatch) -> pa.Array:
        amounts = self.amounts
        if amounts is None or amounts.currency is None:
            return pa.nulls(rows.num_rows, pa.string())
        name = amounts.currency[list(Side).index(side)]
        return value_text(rows.column(place_of(name, rows.schema.names)))

    def document(self) -> dict[str, Any] | None:
        """Return the control totals, proved; of excluded rows nothing is known here.

        Raises:
            AccountingFailed: what is matched and unmatched is not what there is.
        """
        if self.amounts is None:
            return None
        every, by_pass = self._every, self._by_pass
        matched = {side: _together(by_pass[side].values()) for side in Side}
        self._prove_rests()
        sides = {
            side.word: [
                self._side_json(side, currency, every, matched) for currency in _sorted(every[side])
            ]
            for side in Side
        }
        return {**sides, "bridge": [self._bridge(c, every, matched) for c in _all(every)]}

    def consumed(self) -> dict[int, list[dict[str, Any]]]:
        """Return what each pass consumed, by currency."""
        by_pass = self._by_pass
        numbers = {number for side in Side for number in by_pass[side]}
        return {
            number: [
                {
                    "currency": currency,
                    "left": self._text(Side.LEFT, _of(by_pass[Side.LEFT].get(number), currency)),
                    "right": self._text(Side.RIGHT, _of(by_pass[Side.RIGHT].get(number), currency)),
                }
                for currency in _all({side: by_pass[side].get(number, {}) for side in Side})
            ]
            for number in numbers
        }

    def _side_json(
        self,
        side: Side,
        currency: Currency,
        every: Mapping[Side, Sums],
        matched: Mapping[Side, Sums],
    ) -> dict[str, Any]:
        total, used = every[side][currency], matched[side].get(currency, Sum())
        left = self._unmatched[side].get(currency, Sum())
        with localcontext(prec=_DIGITS):
            adds_up = total.amount == used.amount + left.amount
            rest = _of(self._rests[side], currency)
            settled = Sum(used.rows, used.empty, used.amount - rest.amount)
        if not adds_up or total.rows != used.rows + left.rows:
            raise AccountingFailed(
                f"The control totals of the {side.word} do not add up in {currency or 'all'}: "
                f"{total.amount} in {total.rows} rows, {used.amount} in {used.rows} matched and "
                f"{left.amount} in {left.rows} unmatched.",
                sides=[side.word],
            )
        return {
            "currency": currency,
            "rows": {
                "total": total.rows,
                "matched": used.rows,
                "unmatched": left.rows,
                "excluded": 0,
                "without_amount": total.empty,
                **({"partly": rest.rows} if self.leaves_rests else {}),
            },
            "amounts": {
                "total": self._text(side, total),
                "matched": self._text(side, settled),
                **({"rest": self._text(side, rest)} if self.leaves_rests else {}),
                "unmatched": self._text(side, left),
            },
        }

    def _prove_rests(self) -> None:
        """Demand that what is written as open is what was decided.

        Raises:
            AccountingFailed: it is not.
        """
        for side, (rows, amount) in self._expected.items():
            written = _together([self._rests[side]]).values()
            with localcontext(prec=_DIGITS):
                total = sum((one.amount for one in written), Decimal(0))
            if (rows, amount) != (sum(one.rows for one in written), total):
                raise AccountingFailed(
                    f"Matches leave {amount} of {rows} rows of the {side.word} open, and {total} "
                    "is written.",
                    sides=[side.word],
                )

    def _bridge(
        self, currency: Currency, every: Mapping[Side, Sums], matched: Mapping[Side, Sums]
    ) -> dict[str, Any]:
        left, right = (_of(every[side], currency) for side in Side)
        used = {side: _of(matched[side], currency).amount for side in Side}
        over = {side: _of(self._unmatched[side], currency) for side in Side}
        rests = {side: _of(self._rests[side], currency) for side in Side}
        with localcontext(prec=_DIGITS):
            between = rests[Side.LEFT].amount - rests[Side.RIGHT].amount
            inside = used[Side.LEFT] - used[Side.RIGHT] - between
            apart = over[Side.LEFT].amount - over[Side.RIGHT].amount + between
            holds = left.amount - right.amount == apart + inside
        if not holds:
            raise AccountingFailed(
                f"The bridge between both sides does not hold in {currency or 'all'}.",
                sides=[side.word for side in Side],
            )
        return {
            "currency": currency,
            "left_total": self._text(Side.LEFT, left),
            "right_total": self._text(Side.RIGHT, right),
            "left_unmatched": self._text(Side.LEFT, over[Side.LEFT]),
            "right_unmatched": self._text(Side.RIGHT, over[Side.RIGHT]),
            **(
                {f"{s.word}_rest": self._text(s, rests[s]) for s in Side}
                if self.leaves_rests
                else {}
            ),
            "differences": f"{inside:.{max(map(self._scale, Side))}f}",
        }

    def _text(self, side: Side, one: Sum) -> str:
        return f"{one.amount:.{self._scale(side)}f}"

    def _scale(self, side: Side) -> int:
        amounts = self.amounts
        assert amounts is not None  # noqa: S101 - looked at before
        name = amounts.left if side is Side.LEFT else amounts.right
        kind = self.schemas[side].field(name).type
        return kind.scale if pa.types.is_decimal(kind) else 0


def _add(sums: Sums, currency: Currency, one: Sum) -> None:
    sums.setdefault(currency, Sum()).add(one.rows, one.empty, one.amount)


def _together(several: Iterable[Sums]) -> Sums:
    total: Sums = {}
    for sums in several:
        for currency, one in sums.items():
            _add(total, currency, one)
    return total


def _of(sums: Sums | None, currency: Currency) -> Sum:
    return Sum() if sums is None else sums.get(currency, Sum())


def _all(sides: Mapping[Side, Sums]) -> list[Currency]:
    return _sorted({currency: None for sums in sides.values() for currency in sums})


def _sorted(currencies: Iterable[Currency]) -> list[Currency]:
    return sorted(currencies, key=lambda one: (one is None, one or ""))

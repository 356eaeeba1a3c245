"""One side's unmatched rows, counted while they are read, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Context, Decimal, localcontext
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import SideColumns
from kalla_core.answers.report.figures import Bar, Bars, Money, Sum, short
from kalla_core.answers.selection import REASON

EXACT = Context(prec=200)
"""Digits enough for sums of the widest decimals."""

MOST_VALUES = 40
"""A column with more different values is none of few."""

SHOWN_VALUES = 8
_LONGEST_LABEL = 80
_EVEN = 1.25
"""So much more rows than its even share the first value has at least, where rows concentrate."""
_COLUMNS_SHOWN = 4
_AGES = ((30, "up to 30 days"), (60, "31 to 60"), (90, "61 to 90"), (180, "91 to 180"))
_OLDER, _AHEAD, _UNDATED = "over 180", "after the run", "no date"
_DIFFER = r"which differ by (?P<by>[0-9]+\.?[0-9]*)(?P<days> days?)?"

Group = tuple[str | None, ...]


class SideTally:
    """Counts rows by reason, by values of columns of few, by age, and by how much they miss.

    Args:
        schema: of the unmatched output.
        keys: columns of the primary key, by whose values nothing is counted.
        as_of: ages are days before it.
    """

    def __init__(
        self, schema: pa.Schema, columns: SideColumns, keys: Iterable[str], as_of: datetime
    ) -> None:
        self._columns = columns
        self._as_of = as_of
        self._reasons: dict[Group, Sum] = {}
        self._ages: dict[Group, Sum] = {}
        self._misses: dict[Group, Sum] = {}
        left_out = {*keys, columns.currency}
        self._values: dict[str, dict[Group, Sum]] = {
            field.name: {}
            for field in list(schema)[5:]
            if field.name not in left_out and _has_few(field.type)
        }

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch; it has all columns of the output."""
        amount, currency = self._columns.amount, self._columns.currency
        amounts = None if amount is None else batch.column(amount)
        currencies = (
            pa.nulls(batch.num_rows, pa.string()) if currency is None else batch.column(currency)
        )
        _count(self._reasons, batch.column(REASON), currencies, amounts)
        if self._columns.moment is not None:
            ages = self._age_words(batch.column(self._columns.moment))
            _count(self._ages, ages, currencies, amounts)
        missed = pc.extract_regex(batch.column("reason_detail"), _DIFFER).drop_null()
        if len(missed):
            by, days = missed.flatten()
            _count(self._misses, decades(by, pc.not_equal(days, "")), None, None)
        for name in list(self._values):
            values = batch.column(name).cast(pa.string())
            _count(self._values[name], values, currencies, amounts)
            if len({group[0] for group in self._values[name]}) > MOST_VALUES:
                del self._values[name]

    def money(self) -> tuple[Money, ...]:
        """Return the unmatched amounts by currency; none where amounts are not known."""
        if self._columns.amount is None:
            return ()
        found: dict[str, Decimal] = {}
        for (_, currency), total in self._reasons.items():
            name = currency or ""
            found[name] = EXACT.add(found.get(name, Decimal(0)), total.amount)
        return tuple(Money(name, found[name]) for name in sorted(found))

    def reasons(self) -> Bars:
        """Return the reasons, the most frequent first."""
        return self._bars("Reasons", self._reasons)

    def ageing(self) -> Bars | None:
        """Return the ages, the youngest first; None where there is no date."""
        if not self._ages:
            return None
        order = [_AHEAD, *(word for _, word in _AGES), _OLDER, _UNDATED]
        bars = self._bars(f"Age by {self._columns.moment}", self._ages)
        ordered = sorted(bars.bars, key=lambda bar: order.index(bar.label))
        return Bars(bars.title, tuple(ordered))

    def misses(self) -> Bars | None:
        """Return by how much conditions failed, by powers of ten; None where none did so."""
        if not self._misses:
            return None
        bars = bars_of("By how much the closest candidate misses", self._misses, known=False)
        return Bars(bars.title, tuple(sorted(bars.bars, key=lambda bar: decade_order(bar.label))))

    @property
    def counted(self) -> Mapping[str, Sequence[str | None]]:
        """The columns by whose values the rows are counted, and these values."""
        return {
            name: sorted({group[0] for group in groups}, key=str)
            for name, groups in self._values.items()
        }

    def concentrations(
        self, matched: Mapping[str, Mapping[str | None, int]], records: int
    ) -> tuple[Bars, ...]:
        """Return the columns of few values in which rows are least evenly spread, some of them.

        Args:
            matched: how many matched rows have which value, of columns of which that is known.
            records: all rows of the side.
        """
        found = []
        for name, values in self._values.items():
            if len({group[0] for group in values}) < 2:
                continue
            factor, bars = _spread(self._bars(name, values, matched.get(name)), records)
            shown = bars.bars[:SHOWN_VALUES]
            rest = sum(bar.rows for bar in bars.bars[SHOWN_VALUES:])
            title = name if factor >= _EVEN else f"{name}, evenly spread"
            found.append((factor, Bars(title, shown, rest)))
        found.sort(key=lambda one: (-one[0], one[1].title))
        return tuple(bars for _, bars in found[:_COLUMNS_SHOWN])

    def _bars(
        self,
        title: str,
        groups: Mapping[Group, Sum],
        matched: Mapping[str | None, int] | None = None,
    ) -> Bars:
        known = self._columns.amount is not None
        return bars_of(title, groups, known=known, matched=matched)

    def _age_words(self, moments: pa.Array) -> pa.Array:
        days = pc.cast(moments, pa.date32(), safe=False).cast(pa.int32()).fill_null(0)
        today = (self._as_of.date() - datetime(1970, 1, 1).date()).days
        ages = today - days.to_numpy(zero_copy_only=False).astype(np.int64)
        words = [_AHEAD, *(word for _, word in _AGES), _OLDER]
        places = np.searchsorted([0, *(last + 1 for last, _ in _AGES)], ages, side="right")
        named = pa.array(words).take(pa.array(places))
        return pc.if_else(moments.is_valid(), named, _UNDATED)


def bars_of(
    title: str,
    groups: Mapping[Group, Sum],
    *,
    known: bool,
    matched: Mapping[str | None, int] | None = None,
) -> Bars:
    """Return bars by the first part of each group, its amounts by the second.

    Args:
        known: whether there are amounts.
        matched: how many other rows there are with each first part.
    """
    rows: dict[str | None, int] = {}
    amounts: dict[str | None, dict[str, Decimal]] = {}
    for (value, currency), total in groups.items():
        rows[value] = rows.get(value, 0) + total.rows
        by = amounts.setdefault(value, {})
        by[currency or ""] = EXACT.add(by.get(currency or "", Decimal(0)), total.amount)
    whole = sum(rows.values()) or 1
    bars = [
        Bar(
            label=_label(value),
            rows=count,
            share=count / whole,
            amounts=dict(sorted(amounts[value].items())) if known else {},
            whole=None if matched is None else count + matched.get(value, 0),
        )
        for value, count in rows.items()
    ]
    return Bars(title, tuple(sorted(bars, key=lambda bar: (-bar.rows, bar.label))))


def _label(value: str | None) -> str:
    return "(empty)" if value in (None, "") else short(str(value), _LONGEST_LABEL)


def _spread(bars: Bars, records: int) -> tuple[float, Bars]:
    """Return how far the first value is above its even share, and the bars, the worst first.

    Where it is known how many rows there are of each, a value is worse the more of them are open
    beyond the rate of all; else its rows are compared with as many of each value.
    """
    if not bars.rated:
        return bars.bars[0].share * len(bars.bars), bars
    rate = sum(bar.rows for bar in bars.bars) / records
    ordered = sorted(bars.bars, key=lambda bar: (rate * (bar.whole or 0) - bar.rows, bar.label))
    worst = ordered[0]
    return worst.rows / (worst.whole or 1) / rate, replace(bars, bars=tuple(ordered))


def _count(
    groups: dict[Group, Sum],
    values: pa.Array,
    currencies: pa.Array | None,
    amounts: pa.Array | None,
) -> None:
    """Add rows, and their amounts, by value and currency."""
    count = len(values)
    columns = {
        "value": values,
        "currency": pa.nulls(count, pa.string()) if currencies is None else currencies,
        "amount": pa.nulls(count, pa.decimal128(38, 0)) if amounts is None else wide(amounts),
    }
    grouped = pa.table(columns).group_by(["value", "currency"], use_threads=False)
    totals = grouped.aggregate([([], "count_all"), ("amount", "sum")])
    for row in totals.to_pylist():
        total = groups.setdefault((row["value"], row["currency"]), Sum())
        total.rows += row["count_all"]
        if row["amount_sum"] is not None:
            total.amount = EXACT.add(total.amount, row["amount_sum"])


def wide(amounts: pa.Array) -> pa.Array:
    """Return amounts as decimals of so many digits that no sum of a batch overflows."""
    if pa.types.is_integer(amounts.type):
        return amounts.cast(pa.decimal256(40, 0))
    return amounts.cast(pa.decimal256(76, amounts.type.scale))


def _has_few(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind))


def decades(texts: pa.Array, days: pa.Array | None = None) -> pa.Array:
    """Return for each distance, as text of a decimal, the power of ten that it lies in, in words.

    `0`, `up to 0.01`, `0.01 to 0.10`, ..., `over 1,000,000`; of days `1 to 10 days` and so on.
    """
    values = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    places = np.searchsorted(_EDGES, np.abs(values), side="left")
    words = pa.array(["0", *_WORDS]).take(pa.array(np.where(values == 0, 0, places + 1)))
    if days is None:
        return words
    return pc.if_else(days, pc.binary_join_element_wise(words, " days", ""), words)


_EDGES = [0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
_EDGE_WORDS = ["0.01", "0.10", "1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"]
_WORDS = [
    "up to 0.01",
    *(f"{low} to {high}" for low, high in pairwise(_EDGE_WORDS)),
    "over 1,000,000",
]


def decade_order(label: str) -> tuple[bool, int]:
    """Return what sorts words of `decades`: amounts before days, near before far."""
    plain = label.removesuffix(" days")
    return label != plain, ["0", *_WORDS].index(plain)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return a sum, exact."""
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))

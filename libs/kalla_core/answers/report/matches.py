"""The matches of a run, counted while they are read, in few columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import SideColumns, in_matched
from kalla_core.answers.report.figures import Bar, Bars, Sum
from kalla_core.answers.report.tallies import EXACT, bars_of, decade_order, decades, wide
from kalla_core.answers.spread import days_between
from kalla_core.evidence.keys import are_among, text_hashes
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import GROUP_FIELD
from kalla_core.matching.sql.query import Side

MOST_COUNTED = 1 << 24
"""Matches of which keys are remembered, by 8 bytes each, so that no row's amount counts twice."""

_LAGS = [(-31, "over 30 days before"), (-8, "8 to 30 days before"), (-1, "1 to 7 days before"),
         (0, "the same day"), (3, "1 to 3 days after"), (7, "4 to 7 days after"),
         (30, "8 to 30 days after"), (60, "31 to 60 days after")]  # fmt: skip
_LATER = "over 60 days after"

K = TypeVar("K", str, str | None)
Ints = npt.NDArray[np.int64]


class MatchTally:
    """Counts matches by rule, by difference of amounts and by days between; adds amounts up.

    Args:
        columns: of both sides.
        shown: so many matches, those whose amounts differ most, are remembered by their id.
    """

    def __init__(self, evidence: Evidence, columns: Mapping[Side, SideColumns], shown: int) -> None:
        self._evidence = evidence
        self._columns = columns
        self._shown = shown
        self._rules: dict[tuple[str | None, ...], Sum] = {}
        self._differences: dict[str, int] = {}
        self._lags: dict[str, int] = {}
        self._furthest = pa.table(
            {"id": pa.array([], pa.string()), "by": pa.array([], pa.float64())}
        )
        self._groups = self._groups_of_several()
        self._repeated: dict[Side, Ints] = {}
        self._read()

    def rules(self) -> Bars:
        """Return the rules by which rows were matched."""
        return bars_of("Rules", self._rules, known=False)

    def differences(self) -> Bars | None:
        """Return right minus left, from far below over equal to far above; None if not known."""
        if not self._differences:
            return None
        ordered = sorted(self._differences, key=_difference_order)
        which = "matches of two rows" if len(self._groups) else "matches"
        return _bars(f"Amounts inside {which}, right against left", ordered, self._differences)

    def lags(self) -> Bars | None:
        """Return the days from the left row to the right one; None if not known."""
        if not self._lags:
            return None
        words = [*(word for _, word in _LAGS), _LATER]
        ordered = [word for word in words if word in self._lags]
        return _bars("Days inside matches, right against left", ordered, self._lags)

    def furthest(self) -> list[str]:
        """Return ids of the matches whose amounts differ most, of any where none differ."""
        return [str(one) for one in self._furthest.column("id").to_pylist()]

    def groups(self) -> Ints:
        """Return hashes of groups that several rows of `matched` belong to, ascending."""
        return self._groups

    def values(
        self, side: Side, asked: Mapping[str, Sequence[str | None]]
    ) -> dict[str, dict[str | None, int]]:
        """Count the matched rows of a side by some values of its columns, each row once.

        Args:
            asked: the values, by columns of the source; of some `matched` may know nothing.
        """
        there = in_matched(self._evidence, side)
        known = [name for name in asked if name in there]
        columns = {there[name]: pa.array(asked[name], pa.string()) for name in known}
        if not columns or self._evidence.rows(MATCHED) > MOST_COUNTED:
            return {}
        key, seen, counts = f"{side.word}_key", set[int](), dict[str, dict[str | None, int]]()
        for batch in self._evidence.batches(MATCHED, columns=[key, *columns]):
            first = _first_times(batch.column(key), self._several(side), seen)
            once = batch.filter(pa.array(first))
            for name, wanted in columns.items():
                texts = once.column(name).cast(pa.string())
                _add(counts.setdefault(name, {}), texts.filter(pc.is_in(texts, value_set=wanted)))
        return {name: counts.get(there[name], {}) for name in known}

    def amounts(self, side: Side) -> dict[str, Decimal] | None:
        """Return the matched amounts of a side by currency, each row once; None if not known."""
        columns = self._columns[side]
        unknown = columns.currency is not None and columns.matched_currency is None
        if columns.matched_amount is None or unknown:
            return None
        if self._evidence.rows(MATCHED) > MOST_COUNTED:
            return None
        return self._added_up(side, columns, self._several(side))

    def _read(self) -> None:
        left, right = self._columns[Side.LEFT], self._columns[Side.RIGHT]
        amounts = _both(left.matched_amount, right.matched_amount)
        moments = _both(left.matched_moment, right.matched_moment)
        grouped = [GROUP_FIELD.name] if len(self._groups) else []
        names = ["match_id", "rule_name", *amounts, *moments, *grouped]
        for batch in self._evidence.batches(MATCHED, columns=list(dict.fromkeys(names))):
            self._count_rules(batch.column("rule_name"))
            if amounts:
                self._count_differences(batch, amounts)
            if moments:
                self._count_lags(batch, moments)
            if not amounts and len(self._furthest) < self._shown:
                self._remember(batch.column("match_id"), np.zeros(batch.num_rows))

    def _groups_of_several(self) -> Ints:
        grouped = GROUP_FIELD.name in self._evidence.schema(MATCHED).names
        if not grouped or self._evidence.rows(MATCHED) > MOST_COUNTED:
            return np.empty(0, dtype=np.int64)
        found = [
            text_hashes(batch.column(0).drop_null())
            for batch in self._evidence.batches(MATCHED, columns=[GROUP_FIELD.name])
        ]
        every = np.concatenate([np.empty(0, dtype=np.int64), *found])
        hashes, counts = np.unique(every, return_counts=True)
        return hashes[counts > 1]

    def _alone(self, batch: pa.RecordBatch) -> pa.Array:
        """Return which rows are matches of two rows: sums of others are told by their groups."""
        if not len(self._groups):
            return pa.repeat(True, batch.num_rows)
        hashes = text_hashes(batch.column(GROUP_FIELD.name))
        return pa.array(~are_among(hashes, self._groups))

    def _count_rules(self, rules: pa.Array) -> None:
        for entry in pc.value_counts(rules).to_pylist():
            total = self._rules.setdefault((entry["values"], None), Sum())
            total.rows += entry["counts"]

    def _count_differences(self, batch: pa.RecordBatch, names: Sequence[str]) -> None:
        left, right = (wide(batch.column(name)) for name in names)
        scale = max(left.type.scale, right.type.scale)
        both = (one.cast(pa.decimal256(75, scale)) for one in (right, left))
        by = pc.subtract(*both)
        by = pc.if_else(self._alone(batch), by, pa.scalar(None, by.type))
        known = by.drop_null()
        sizes = decades(known.cast(pa.string()))
        lower = pc.less(known, pa.scalar(Decimal(0), known.type))
        signed = pc.binary_join_element_wise(pc.if_else(lower, "lower, ", "higher, "), sizes, "")
        words = pc.if_else(pc.equal(sizes, "0"), "equal", signed)
        _add(self._differences, words)
        distance = pc.abs(by).cast(pa.float64()).fill_null(0.0)
        self._remember(batch.column("match_id"), distance.to_numpy(zero_copy_only=False))

    def _remember(self, ids: pa.Array, distances: npt.NDArray[np.float64]) -> None:
        both = pa.table({"id": ids, "by": distances})
        candidates = pa.concat_tables([self._furthest, both])
        order = pc.sort_indices(candidates, [("by", "descending"), ("id", "ascending")])
        self._furthest = candidates.take(order[: self._shown])

    def _count_lags(self, batch: pa.RecordBatch, names: Sequence[str]) -> None:
        left, right = (batch.column(name) for name in names)
        days = days_between(left, right)
        places = np.searchsorted([last for last, _ in _LAGS], days, side="left")
        words = pa.array([*(word for _, word in _LAGS), _LATER]).take(pa.array(places))
        _add(self._lags, words)

    def _several(self, side: Side) -> Ints:
        """Return hashes of keys that several matches have; looked for once."""
        if side not in self._repeated:
            self._repeated[side] = self._in_several(side)
        return self._repeated[side]

    def _in_several(self, side: Side) -> Ints:
        hashes = [
            text_hashes(batch.column(0))
            for batch in self._evidence.batches(MATCHED, columns=[f"{side.word}_key"])
        ]
        values, counts = np.unique(
            np.concatenate(hashes) if hashes else np.empty(0, np.int64), return_counts=True
        )
        return values[counts > 1]

    def _added_up(self, side: Side, columns: SideColumns, repeated: Ints) -> dict[str, Decimal]:
        key, amount, currency = f"{side.word}_key", columns.matched_amount, columns.matched_currency
        read = [name for name in (key, amount, currency) if name is not None]
        seen: set[int] = set()
        totals: dict[str, Decimal] = {}
        for batch in self._evidence.batches(MATCHED, columns=read):
            if len(repeated):
                batch = batch.filter(pa.array(_first_times(batch.column(key), repeated, seen)))
            values = wide(batch.column(amount))
            names = (
                pa.repeat(pa.scalar(""), len(values))
                if currency is None
                else batch.column(currency).fill_null("")
            )
            grouped = pa.table({"c": names, "a": values}).group_by("c", use_threads=False)
            for row in grouped.aggregate([("a", "sum")]).to_pylist():
                added = row["a_sum"] or Decimal(0)
                totals[row["c"]] = EXACT.add(totals.get(row["c"], Decimal(0)), added)
        return totals


def _first_times(keys: pa.Array, repeated: Ints, seen: set[int]) -> npt.NDArray[np.bool_]:
    """Return which rows count: those whose key comes for the first time. Few keys repeat."""
    hashes = text_hashes(keys)
    counts = np.asarray(keys.is_valid())
    for place in np.flatnonzero(are_among(hashes, repeated)):
        value = int(hashes[place])
        counts[place] = counts[place] and value not in seen
        seen.add(value)
    return counts


def _both(left: str | None, right: str | None) -> tuple[str, ...]:
    return () if left is None or right is None else (left, right)


def _add(counts: dict[K, int], words: pa.Array) -> None:
    for entry in pc.value_counts(words).to_pylist():
        counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]


def _difference_order(label: str) -> int:
    if label == "equal":
        return 0
    direction, _, size = label.partition(", ")
    place = decade_order(size)[1] + 1
    return -place if direction == "lower" else place


def _bars(title: str, ordered: Sequence[str], counts: Mapping[str, int]) -> Bars:
    whole = sum(counts.values()) or 1
    return Bars(title, tuple(Bar(one, counts[one], counts[one] / whole) for one in ordered))

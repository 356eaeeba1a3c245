"""One candidate for each row whose key is on the other side although nothing there matched it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import SessionContext

from kalla_core.engine import wording
from kalla_core.engine.closest import NONE, Keyed, comparable, nearest
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.evidence.keys import key_text
from kalla_core.matching.planned import Planned, condition_frame, measure_frame
from kalla_core.matching.query import ROW, Side
from kalla_core.matching.session import SessionLimits, new_session
from kalla_core.matching.tables import register_side

CAP = 100
"""Candidates tried, in the order of their primary keys, where nothing can be measured."""

_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Candidates:
    """One entry per wanted row: Utf8, none of them null."""

    details: pa.Array
    closest: pa.Array


def find_candidates(
    planned: Planned,
    side: Side,
    rows: Rows,
    others: Rows,
    wanted_keys: pa.Table,
    offered_keys: pa.Table,
    limits: SessionLimits,
) -> Candidates:
    """Return the closest candidate of each wanted row, and what keeps the two from matching.

    Args:
        wanted_keys: ROW (position in `rows`) and keys; every key is also in `offered_keys`.
        offered_keys: ROW (position in `others`) and keys of all rows of the other side.
    """
    if len(wanted_keys) == 0:
        return Candidates(pa.array([], pa.string()), pa.array([], pa.string()))
    search = _Search(planned, side, rows, others, limits)
    return search.run(wanted_keys, offered_keys)


@dataclass(frozen=True, slots=True)
class _Offers:
    """Rows of the other side that share a key with a wanted row, by code and primary key."""

    positions: Ints
    codes: Ints
    values: pa.Table


class _Search:
    def __init__(
        self, planned: Planned, side: Side, rows: Rows, others: Rows, limits: SessionLimits
    ) -> None:
        self._planned = planned
        self._side = side
        self._rows = rows
        self._others = others
        self._limits = limits

    def run(self, wanted_keys: pa.Table, offered_keys: pa.Table) -> Candidates:
        wanted_codes, offered = self._codes(wanted_keys, offered_keys)
        positions = wanted_keys.column(ROW).to_numpy().astype(np.int64)
        wanted = self._rows.take(positions, self._columns(self._side))
        offers = self._sorted_offers(*offered)
        choice = self._measured(wanted, wanted_codes, offers)
        left_over = np.flatnonzero(choice == NONE)
        sizes = np.zeros(len(choice), dtype=np.int64)
        for at, best, size in self._tried(wanted, wanted_codes, offers, left_over):
            choice[at], sizes[at] = best, size
        chosen = pc.take(offers.values, pa.array(choice))
        closest = key_text(self._others.keys(offers.positions[choice])).fill_null("null")
        return Candidates(self._details(wanted, chosen, closest, sizes), closest)

    def _codes(
        self, wanted_keys: pa.Table, offered_keys: pa.Table
    ) -> tuple[Ints, tuple[Ints, Ints]]:
        """Number the wanted keys.

        Returns the codes of the wanted rows, then positions and codes of the offered rows that
        have one of them.
        """
        session = new_session(self._limits)
        session.register_record_batches("wanted", [wanted_keys.to_batches()])
        session.register_record_batches("offered", [offered_keys.to_batches()])
        keys = ", ".join(f"__k{n}" for n in range(len(self._planned.reason_keys)))
        classes = session.sql(f"SELECT DISTINCT {keys} FROM wanted").to_arrow_table()  # noqa: S608
        numbers = pa.array(np.arange(len(classes), dtype=np.int64))
        coded = classes.append_column("code", numbers)
        session.register_record_batches("classes", [coded.to_batches()])
        rows, codes = self._coded(session, "wanted")
        by_row = np.argsort(rows, kind="stable")
        return codes[by_row], self._coded(session, "offered")

    def _coded(self, session: SessionContext, table: str) -> tuple[Ints, Ints]:
        same = " AND ".join(
            f"t.__k{n} {'IS NOT DISTINCT FROM' if key.null_safe else '='} c.__k{n}"
            for n, key in enumerate(self._planned.reason_keys)
        )
        frame = session.sql(
            f'SELECT t."{ROW}", c.code FROM {table} t JOIN classes c ON {same}'  # noqa: S608
        ).to_arrow_table()
        return frame.column(0).to_numpy().astype(np.int64), frame.column(1).to_numpy()

    def _sorted_offers(self, positions: Ints, codes: Ints) -> _Offers:
        order = np.lexsort((self._ranks(positions, codes), codes))
        return _Offers(
            positions[order],
            codes[order],
            self._others.take(positions[order], self._columns(self._side.other)),
        )

    def _ranks(self, positions: Ints, codes: Ints) -> Ints:
        """Order offers by primary key and position; what has no rival for its key needs none."""
        ranks = np.zeros(len(positions), dtype=np.int64)
        rivals = np.flatnonzero(np.bincount(codes)[codes] > 1)
        at = positions[rivals]
        columns = self._others.keys(at)
        names = [f"k{number}" for number in range(len(columns))]
        table = pa.table([*columns, pa.array(at)], names=[*names, "position"])
        order = pc.sort_indices(
            table, sort_keys=[(name, "ascending") for name in table.schema.names]
        )
        ranks[rivals[order.to_numpy()]] = np.arange(len(rivals))
        return ranks

    def _columns(self, side: Side) -> frozenset[str]:
        conditions = self._planned.conditions
        if side is Side.LEFT:
            return frozenset(name for c in conditions for name in c.left_columns)
        return frozenset(name for c in conditions for name in c.right_columns)

    def _measured(self, wanted: pa.Table, wanted_codes: Ints, offers: _Offers) -> Ints:
        ours = self._measure(wanted, self._side)
        theirs = self._measure(offers.values, self._side.other)
        if ours is None or theirs is None:
            return np.full(len(wanted_codes), NONE, dtype=np.int64)
        a, a_known, b, b_known = comparable(ours, theirs)
        rank = np.arange(len(offers.codes), dtype=np.int64)
        return nearest(Keyed(wanted_codes, a, a_known), Keyed(offers.codes, b, b_known), rank)

    def _measure(self, table: pa.Table, side: Side) -> pa.Array | None:
        session = new_session(SessionLimits(memory_bytes=self._limits.memory_bytes))
        register_side(session, self._planned.query, side, _numbered(table))
        frame = measure_frame(self._planned, session, side)
        if frame is None:
            return None
        return _in_row_order(frame.to_arrow_table()).column("value").combine_chunks()

    def _tried(
        self, wanted: pa.Table, wanted_codes: Ints, offers: _Offers, left_over: Ints
    ) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Yield rows, the best of the first `CAP` offers of each, and how many offers it has."""
        start = np.searchsorted(offers.codes, wanted_codes[left_over], side="left")
        end = np.searchsorted(offers.codes, wanted_codes[left_over], side="right")
        tries = np.minimum(end - start, CAP)
        for low, high in _chunks(tries, _PAIRS_AT_ONCE):
            at, counts = left_over[low:high], tries[low:high]
            offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            pair_offers = np.repeat(start[low:high], counts) + offset
            pair_rows = pa.array(np.repeat(at, counts))
            held = self._hold(
                pc.take(wanted, pair_rows), pc.take(offers.values, pa.array(pair_offers))
            )
            good = sum(
                (column.astype(np.int64) for column in held), np.zeros(len(offset), np.int64)
            )
            score = good * (CAP + 1) + (CAP - offset)
            best = np.maximum.reduceat(score, np.cumsum(counts) - counts)
            yield at, start[low:high] + (CAP - best % (CAP + 1)), (end - start)[low:high]

    def _hold(self, wanted: pa.Table, chosen: pa.Table) -> list[Bools]:
        """Tell for each condition which pairs it holds for; null is no."""
        if not self._planned.conditions:
            return []
        session = new_session(SessionLimits(memory_bytes=self._limits.memory_bytes))
        query = self._planned.query
        register_side(session, query, self._side, _numbered(wanted))
        register_side(session, query, self._side.other, _numbered(chosen))
        table = _in_row_order(condition_frame(self._planned, session).to_arrow_table())
        columns = [table.column(f"c{n}") for n in range(len(self._planned.conditions))]
        return [_bools(column) for column in columns]

    def _details(
        self, wanted: pa.Table, chosen: pa.Table, closest: pa.Array, sizes: Ints
    ) -> pa.Array:
        held = self._hold(wanted, chosen)
        left, right = (wanted, chosen) if self._side is Side.LEFT else (chosen, wanted)
        return wording.predicate_failed(
            self._planned, self._side, left, right, held, closest, sizes, CAP
        )


def _numbered(table: pa.Table) -> list[pa.RecordBatch]:
    rows = pa.array(np.arange(len(table), dtype=np.uint64))
    return table.append_column(pa.field(ROW, pa.uint64(), nullable=False), rows).to_batches()


def _in_row_order(table: pa.Table) -> pa.Table:
    rows = table.column(ROW).to_numpy()
    if np.array_equal(rows, np.arange(len(rows), dtype=np.uint64)):
        return table.combine_chunks()
    return table.take(pa.array(np.argsort(rows, kind="stable"))).combine_chunks()


def _bools(column: pa.ChunkedArray) -> Bools:
    return np.asarray(column.combine_chunks().fill_null(False))


def _chunks(sizes: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Cut a list of sizes into runs [low, high) that add up to about `most` each."""
    edges = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        reached = edges[low - 1] if low else 0
        high = max(int(np.searchsorted(edges, reached + most, side="right")), low + 1)
        yield low, high
        low = high

"""Why a row stayed unmatched, and which row of the other side came closest.

Works on the rows of whole key classes: everything that could have matched a row is at hand. The
cost grows with the rows, not with the pairs of a hot key: each row that has its key on the other
side is shown one candidate, found by a sorted search on what the first measurable condition
compares (`kalla_core.engine.closest`), or else the best of the first few by primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import col

from kalla_core.engine import wording
from kalla_core.engine.candidates import (
    Choice,
    Coded,
    by_primary_key,
    choose_candidates,
    describe_candidates,
)
from kalla_core.engine.codes import NONE, joined_codes, key_codes
from kalla_core.engine.hashing import digest
from kalla_core.engine.near import loose
from kalla_core.engine.rows import Bools, Ints, Rows, one_chunk
from kalla_core.engine.visible import is_text
from kalla_core.evidence.build import Reasons
from kalla_core.evidence.keys import key_text
from kalla_core.matching.planned import Planned, key_frame
from kalla_core.matching.query import Side
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import register_side, register_table


class Reason(StrEnum):
    """The codes of `rejection_reason`."""

    KEY_NULL = "key_null"
    KEY_NOT_FOUND = "key_not_found"
    PREDICATE_FAILED = "predicate_failed"
    NOT_CHOSEN = "not_chosen"
    NO_MATCH = "no_match"


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """What was found out about the unmatched rows of one side, in their order.

    Attributes:
        keys: of each, as `__k0`, `__k1`, ...
        codes: int8, positions in `_CODES`; `_FOUND` stands for `_NOT_CHOSEN` as well.
        choice: for the rows whose key is on the other side, in their order.
        near: for the rows whose key is not there, in their order: the position of a row on the
            other side whose key is the same but for its spelling, or `NONE`.
    """

    keys: pa.Table
    codes: npt.NDArray[np.int8]
    choice: Choice
    near: Ints


_CODES = (Reason.KEY_NULL, Reason.KEY_NOT_FOUND, Reason.PREDICATE_FAILED, Reason.NOT_CHOSEN)
_NULL, _ABSENT, _FOUND, _NOT_CHOSEN = range(4)

_FEW_ROWS = 1 << 16
"""For so few rows a join is not worth its planning."""


class Explainer:
    """Explains the unmatched rows of both sides of one set of buckets.

    `judge` looks at all of them and remembers little of each; `of` says it in words, for as many
    rows as the caller wants to hold at a time.
    """

    def __init__(self, planned: Planned, left: Rows, right: Rows, threads: int = 1) -> None:
        self._planned = planned
        self._threads = threads
        self._rows = {Side.LEFT: left, Side.RIGHT: right}
        self._keys: dict[Side, pa.Table] = {}
        self._verdicts: dict[Side, _Verdicts] = {}

    def prepare(self) -> None:
        """Evaluate the keys of both sides, so that these may then be judged in two threads."""
        if self._planned.reason_keys:
            for side in Side:
                self._key_table(side)

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so."""
        if not self._planned.reason_keys:
            return
        keys = self._key_table(side).filter(pa.array(unmatched)).combine_chunks()
        wanted, offered = self._codes(keys, self._key_table(side.other))
        null = wanted == NONE
        there = np.zeros(int(wanted.max(initial=0)) + 1, dtype=np.bool_)
        there[offered[offered != NONE]] = True
        found = ~null & there[wanted]
        choice = choose_candidates(
            self._planned,
            side,
            self._rows[side],
            self._rows[side.other],
            Coded(np.flatnonzero(unmatched)[found], wanted[found]),
            Coded(np.flatnonzero(offered != NONE), offered[offered != NONE]),
        )
        codes = np.where(found, _FOUND, np.where(null, _NULL, _ABSENT)).astype(np.int8)
        near = self._near(side, keys.filter(pa.array(codes == _ABSENT)))
        self._verdicts[side] = _Verdicts(keys, codes, choice, near)

    def of(self, side: Side, start: int, count: int) -> Reasons:
        """Return the reasons of `count` of the rows judged, from the one numbered `start`."""
        if not self._planned.reason_keys:
            return _uniform(count, Reason.NO_MATCH, wording.NO_EQUALITY_KEY)
        verdicts = self._verdicts[side]
        codes = verdicts.codes[start : start + count]
        keys = verdicts.keys.slice(start, count)
        before = int(np.count_nonzero(verdicts.codes[:start] == _FOUND))
        within = int(np.count_nonzero(codes == _FOUND))
        candidates = describe_candidates(
            self._planned,
            side,
            self._rows[side],
            self._rows[side.other],
            verdicts.choice.slice(before, within),
        )
        null = keys.filter(pa.array(codes == _NULL))
        absent = keys.filter(pa.array(codes == _ABSENT))
        passed = int(np.count_nonzero(verdicts.codes[:start] == _ABSENT))
        near, nearby = self._nearby(side, absent, verdicts.near[passed : passed + len(absent)])
        details = [wording.key_null(self._planned, side, null), near, candidates.details]
        none = pa.nulls(len(null), pa.string())
        order = pa.array(_interleave(codes))
        told = codes.copy()
        told[codes == _FOUND] = np.where(candidates.not_chosen, _NOT_CHOSEN, _FOUND)
        return Reasons(
            pc.take(pa.array(_CODES, pa.string()), pa.array(told)),
            pc.take(pa.concat_arrays(details), order),
            pc.take(pa.concat_arrays([none, nearby, candidates.closest]), order),
        )

    def _near(self, side: Side, absent: pa.Table) -> Ints:
        """Return for keys that nobody has where on the other side one is but for its spelling."""
        found: Ints = np.full(len(absent), NONE, dtype=np.int64)
        keys = self._planned.reason_keys
        if len(absent) == 0 or not any(is_text(key.type) for key in keys):
            return found
        offered = self._key_table(side.other)
        null_safe = [key.null_safe for key in keys]
        ours, theirs = key_codes(
            [loose(column) for column in absent.columns[: len(keys)]],
            [loose(column) for column in offered.columns[: len(keys)]],
            null_safe,
        )
        at = np.flatnonzero(theirs != NONE)
        if len(at):
            offers = by_primary_key(self._rows[side.other], Coded(at, theirs[at]))
            codes, first = np.unique(offers.codes, return_index=True)
            places = np.minimum(np.searchsorted(codes, ours), len(codes) - 1)
            found = np.where(codes[places] == ours, offers.positions[first][places], NONE)
        return found

    def _nearby(self, side: Side, absent: pa.Table, near: Ints) -> tuple[pa.Array, pa.Array]:
        """Return what is said of rows whose key nobody has, and the row that comes near or null."""
        said = wording.key_not_found(self._planned, side, absent)
        blank = pa.nulls(len(absent), pa.string())
        known = near != NONE
        if not known.any():
            return said, blank
        rows = self._rows[side.other].keys(near[known])
        keys = self._key_table(side.other).take(pa.array(near[known]))
        also = wording.key_near(self._planned, side, absent.filter(pa.array(known)), keys, rows)
        extra = pc.replace_with_mask(blank, pa.array(known), also).fill_null("")
        closest = pc.replace_with_mask(blank, pa.array(known), key_text(rows))
        return pc.binary_join_element_wise(said, extra, ""), closest

    def _key_table(self, side: Side) -> pa.Table:
        """Return the keys of all rows of a side, in their order, as `__k0`, `__k1`, ..."""
        if side not in self._keys:
            session = new_session()  # one thread keeps the order
            register_side(session, self._planned.query, side, self._rows[side].batches)
            self._keys[side] = key_frame(self._planned, session, side).to_arrow_table()
        return self._keys[side]

    def _codes(self, wanted: pa.Table, offered: pa.Table) -> tuple[Ints, Ints]:
        """Number the keys of both alike (see `key_codes`)."""
        keys = self._planned.reason_keys
        names = [f"__k{number}" for number in range(len(keys))]
        null_safe = [key.null_safe for key in keys]
        if len(wanted) > _FEW_ROWS and self._all_differ(wanted):
            return joined_codes(wanted, offered, names, null_safe, self._threads)
        ours = [one_chunk(wanted.column(name)) for name in names]
        return key_codes(ours, [offered.column(name) for name in names], null_safe)

    def _all_differ(self, keys: pa.Table) -> bool:
        """Tell whether no two rows have the same key; now and then wrongly that some have."""
        typed = [(col(f"__k{n}"), key.type) for n, key in enumerate(self._planned.reason_keys)]
        session = new_session()
        register_table(session, "keys", keys)
        hashes = session.table("keys").select(digest(typed).alias("h")).to_arrow_table()
        ordered = np.sort(hashes.column(0).to_numpy())
        return not bool((ordered[1:] == ordered[:-1]).any())


def _interleave(codes: npt.NDArray[np.int8]) -> Ints:
    """Return where each row's entry lies when entries are grouped by code."""
    places = np.empty(len(codes), dtype=np.int64)
    places[np.argsort(codes, kind="stable")] = np.arange(len(codes))
    return places


def _uniform(count: int, reason: Reason, detail: str) -> Reasons:
    return Reasons(
        pa.repeat(pa.scalar(reason.value), count),
        pa.repeat(pa.scalar(detail), count),
        pa.nulls(count, pa.string()),
    )

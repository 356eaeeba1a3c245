"""Why rows were consumed by no pass: what passes said of them, else how near they came to a match.

A row is judged by each pass as if it were the only one, over all rows of the other side: what is
told is true of the sources, and not of what earlier passes left of them. Who fulfils a rule and is
matched by another pass is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.columns import place_of
from kalla_core.engine.passes.attempts import match_keys, tells_attempts
from kalla_core.engine.passes.missed_sums import NearSums
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.remarks import Gathered, Said
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.reasons.reasons import nearest
from kalla_core.engine.reasons.said import Reason
from kalla_core.engine.reasons.verdicts import Told, fulfils
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.tasks import Stop
from kalla_core.evidence.build import Reasons
from kalla_core.evidence.keys import key_text
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Rule
from kalla_core.recipe.passes import SubsetSumPass

Telling = Callable[[Side, int, int], Told]
"""Tells of the rows judged of a side, from the one numbered so, so many, by one pass."""


class Consumed:
    """Keys of rows that passes consumed, looked up once they are asked for."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._keys: dict[Side, pa.Array] = {}
        self._lock = threading.Lock()

    def has(self, side: Side, keys: pa.Array) -> Bools:
        """Return which of these keys are those of consumed rows of a side."""
        with self._lock:
            if side not in self._keys:
                self._keys[side] = self._of(side)
        among = self._keys[side]
        if len(keys) < len(among):  # a table of the fewer is made faster than one of the others
            among = among.filter(pc.is_in(among, value_set=keys))
        found = pc.is_in(keys, value_set=among, skip_nulls=True)
        known: Bools = found.to_numpy(zero_copy_only=False)
        return known

    def _of(self, side: Side) -> pa.Array:
        shape = self._whole.store.shapes[side]
        free = self._whole.left_over(side)
        texts = [pa.array([], pa.string())]
        for batch, places in self._whole.batches(side):
            keys = batch.select([place_of(k, shape.schema.names) for k in shape.primary_key])
            columns = keys.filter(pa.array(~free[places])).columns
            texts.append(key_text(columns))
        return pa.concat_arrays(texts)


@dataclass(frozen=True, slots=True)
class _Alone:
    """What one pass tells.

    Attributes:
        named: of which rows the sentence names the pass.
    """

    told: Told
    named: Bools


@dataclass
class Explaining:
    """Explains rows of both sides; to be asked like an `Explainer`.

    Attributes:
        tellings: of each pass.
        judging: tells each pass which rows are asked for.
        ready: what is to be done once.
        sharing: lets each pass do what it does at once for both sides.
        keys: gives the keys of the rows that are marked, by a rule of the pass so numbered.
    """

    passes: Sequence[PlannedPass]
    whole: Whole
    rows: Mapping[Side, Rows]
    remarks: Mapping[Side, Gathered]
    consumed: Consumed
    tellings: Sequence[Telling]
    judging: Callable[[Side, Bools], None]
    ready: Callable[[int, Stop], None]
    sharing: Callable[[int, int, Stop], None]
    keys: Callable[[int, Side, Bools, Rule], pa.Table]

    def __post_init__(self) -> None:
        self._places: dict[Side, Ints] = {}
        self._keys: dict[Side, list[pa.Array]] = {}
        self._attempts = tells_attempts([one.rule for one in self.passes])

    def prepare(self, threads: int, stop: Stop) -> None:
        """Do what is to be done once, before two threads ask."""
        self.ready(threads, stop)

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so."""
        self._places[side] = self.whole.places(self.rows[side])[unmatched]
        self.judging(side, unmatched)
        if self._attempts:
            self._keys[side] = [
                match_keys(
                    one.planned,
                    side,
                    int(unmatched.sum()),
                    partial(self.keys, number, side, unmatched),
                )
                for number, one in enumerate(self.passes)
            ]

    def share(self, most_pairs: int, threads: int, stop: Stop) -> None:
        """Let each pass find out at once what it is to tell of rows of both sides."""
        self.sharing(most_pairs // len(self.passes), threads, stop)

    def of(self, side: Side, start: int, count: int) -> Reasons:
        """Return the reasons of `count` of the rows judged, from the one numbered `start`."""
        places = self._places[side][start : start + count]
        told = [
            self._told(side, number, places, telling(side, start, count))
            for number, telling in enumerate(self.tellings)
        ]
        named = [self._named(*one) for one in zip(self.passes, told, strict=True)]
        reasons = self.remarks[side].over(places, nearest(named).reasons)
        if not self._attempts:
            return reasons
        keys = [keys.slice(start, count) for keys in self._keys[side]]
        attempts = [
            self.remarks[side].attempt(number, one.rule.name, places, key, alone.told.reasons)
            for number, (one, key, alone) in enumerate(zip(self.passes, keys, told, strict=True))
        ]
        return replace(reasons, attempts=tuple(attempts))

    def _named(self, one: PlannedPass, alone: _Alone) -> Told:
        """Return what one pass tells, with its name where the sentence lacks it."""
        told = alone.told
        if len(self.passes) == 1:
            return told
        detail = told.reasons.reason_detail
        name = pc.if_else(pa.array(alone.named), "", f"{one.rule.name}: ")
        detail = pc.binary_join_element_wise(name, detail, "")
        return Told(replace(told.reasons, reason_detail=detail), told.short)

    def _told(self, side: Side, number: int, places: Ints, told: Told) -> _Alone:
        """Return what one pass tells; who fulfils it is taken, if another match has that one."""
        one = self.passes[number]
        reasons, whole = told.reasons, fulfils(told)
        if isinstance(one.rule, SubsetSumPass):
            near = self.remarks[side].near(number)
            return _Alone(Told(_without_sum(one, reasons, whole, near, places), told.short), whole)
        if not whole.any():
            return _Alone(told, whole)
        taken = whole.copy()
        asked = reasons.closest_candidate.filter(pa.array(whole))
        taken[whole] = self.consumed.has(side.other, asked)
        if not taken.any():
            return _Alone(told, taken)
        mask = pa.array(taken)
        said = pc.binary_join_element_wise(
            f"Its best candidate in the pass `{one.rule.name}` is ",
            reasons.closest_candidate,
            ", which another match has.",
            "",
        )
        detail = pc.if_else(mask, said, reasons.reason_detail)
        code = pc.if_else(mask, Said.TAKEN.code, reasons.rejection_reason)
        return _Alone(Told(Reasons(code, detail, reasons.closest_candidate), told.short), taken)


def _without_sum(
    one: PlannedPass, reasons: Reasons, whole: Bools, near: NearSums | None, places: Ints
) -> Reasons:
    """Return reasons in which rows that have others in their block have none to add up to."""
    mask, none = pa.array(whole), pa.scalar(None, pa.string())
    start, end = f"In the pass `{one.rule.name}`: no set of rows of its block adds up", "."
    said, closest = pa.scalar(f"{start}{end}"), none
    if near is not None:
        known, words, keys = near.of(places)
        if known.any():
            said = pc.binary_join_element_wise(start, words.fill_null(end), "")
            closest = keys
    return Reasons(
        pc.if_else(mask, Reason.PREDICATE_FAILED.value, reasons.rejection_reason),
        pc.if_else(mask, said, reasons.reason_detail),
        pc.if_else(mask, closest, reasons.closest_candidate),
    )

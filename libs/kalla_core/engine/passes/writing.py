"""The outputs of a run that reconciles, while they are written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.settle import ACCEPTED
from kalla_core.columns import place_of
from kalla_core.engine.joins.grouped import GroupedPiece
from kalla_core.engine.joins.sinks import Outputs
from kalla_core.engine.passes.attempts import tells_attempts
from kalla_core.engine.passes.comparing import Comparing
from kalla_core.engine.passes.deciding import Decision
from kalla_core.engine.passes.found import Found, Piece
from kalla_core.engine.passes.plan import PlannedPass, PlannedPasses
from kalla_core.engine.passes.rests import Rests
from kalla_core.engine.passes.totals import Totals
from kalla_core.engine.rows import Bools
from kalla_core.evidence.attempts import ATTEMPT_FIELDS, attempts_batch
from kalla_core.evidence.build import Pairs, Reasons, pass_table, unmatched_batch
from kalla_core.evidence.keys import key_text
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.names import (
    ALWAYS,
    AMBIGUOUS,
    ATTEMPTS,
    MATCHED,
    PARTLY,
    SUGGESTED,
    UNMATCHED,
)
from kalla_core.evidence.partly import PartlyLayout, partly_batch, partly_layout
from kalla_core.evidence.schema import DIFFERENCES_FIELD, unmatched_layout
from kalla_core.evidence.writer import TableWriter
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.open_amounts import OPEN_AMOUNT
from kalla_core.recipe.passes import Accept, Cardinality, Choose, SqlPass

_TIED_NOTE = "tie decided by key"


def outputs_of(recipe: Recipe, plan: PlannedPasses) -> tuple[str, ...]:
    """Return the outputs of a run: those that every run has, and those that this could fill."""
    rules = [one.rule for one in plan.passes]
    suggests = any(rule.accept is Accept.SUGGEST for rule in rules)
    ties = any(not isinstance(rule, SqlPass) or _may_hold(rule) for rule in rules)
    rests = any(rule.rest is not None for rule in rules)
    could = {SUGGESTED: suggests, AMBIGUOUS: ties, **dict.fromkeys(PARTLY.values(), rests)}
    could[ATTEMPTS] = tells_attempts(rules)
    return (*ALWAYS, *(name for name, can in could.items() if can))


def _may_hold(rule: SqlPass) -> bool:
    return rule.choose is not Choose.ALL and rule.cardinality is not Cardinality.MANY_TO_MANY


class PassSinks:
    """Writes them; stands in the place of the sinks of a join.

    Args:
        outputs: those of `outputs_of`.
        totals: adds up the rows that are written as unmatched.
        comparing: looks at the compared columns of matched pairs.
        encoders: threads that help to encode what is left at the end.
    """

    def __init__(
        self,
        outputs: Outputs,
        plan: PlannedPasses,
        matched_at: datetime,
        totals: Totals,
        comparing: Comparing,
        encoders: int = 0,
    ) -> None:
        query = plan.passes[0].planned.query
        self._plan, self._matched_at = plan, matched_at
        self._totals, self._comparing, self._encoders = totals, comparing, encoders
        self._key = {side: query.side(side).primary_key for side in Side}
        self._layouts = {side: unmatched_layout(query.side(side).schema) for side in Side}
        self._partly = {side: _partly(plan, side) for side in Side if PARTLY[side] in outputs}
        names = [one.rule.name for one in plan.passes]
        self._attempted = json.dumps(names, ensure_ascii=False)
        self.matched_rows = 0
        self._writers: dict[str, TableWriter] = {}
        self._closed: dict[str, WrittenFile] = {}
        with ExitStack() as opened:
            for name, path in outputs.items():
                writer = TableWriter(path, self._schema(name))
                self._writers[name] = opened.enter_context(writer)
            self._opened = opened.pop_all()

    def _schema(self, name: str) -> pa.Schema:
        for side, unmatched in UNMATCHED.items():
            if name == unmatched:
                return self._layouts[side].schema
            if name == PARTLY[side]:
                return self._partly[side].schema
        if name == ATTEMPTS:
            return ATTEMPT_FIELDS
        layout = self._plan.layout
        return layout.ambiguous if name == AMBIGUOUS else layout.matched

    def decided(self, one: PlannedPass, found: Found, decision: Decision) -> None:
        """Write the pairs of a pass that are accepted or held."""
        suggests = one.rule.accept is Accept.SUGGEST
        accepted = SUGGESTED if suggests else MATCHED
        start = 0
        for piece in found.pieces():
            codes = decision.codes[piece.start : piece.start + piece.count]
            kept = codes != 0
            if not kept.any():
                continue
            end = start + int(kept.sum())
            some = piece.filter(pa.array(kept))
            taken = codes[kept] == ACCEPTED
            for name, which in ((accepted, taken), (AMBIGUOUS, ~taken)):
                if which.any():
                    chosen = some.filter(pa.array(which))
                    self._write(name, one, chosen, decision, (start, end), which)
            start = end
        if not suggests:
            self.matched_rows += len(decision.accepted)

    def _write(
        self,
        name: str,
        one: PlannedPass,
        piece: Piece,
        decision: Decision,
        span: tuple[int, int],
        which: Bools,
    ) -> None:
        start, end = span
        mask = pa.array(which)
        labels = decision.label()
        ids, groups, ties = (
            column.slice(start, end - start).filter(mask)
            for column in (labels.ids, labels.groups, labels.ties)
        )
        left, right = key_text(piece.key(Side.LEFT)), key_text(piece.key(Side.RIGHT))
        if name == AMBIGUOUS:
            groups, notes = pa.nulls(len(ids), pa.string()), pa.nulls(len(ids), pa.string())
        else:
            notes = _notes(ties)
        ours: list[pa.Array] = [groups, notes]
        if DIFFERENCES_FIELD.name in self._plan.layout.ours.names:
            compared = self._comparing.of(piece, left, right, counts=name == MATCHED)
            ours.append(compared)
        if name == AMBIGUOUS:
            ours.append(ties)
        pairs = Pairs(piece.output, ids, left, right, one.rule.name, one.rule.confidence, ours)
        schema = self._schema(name)
        table = pass_table(schema, one.layout, pairs, self._matched_at)
        for batch in table.combine_chunks().to_batches():
            self._writers[name].write(batch)

    def matched(
        self, output: pa.RecordBatch, left_key: list[pa.Array], right_key: list[pa.Array]
    ) -> None:
        """Refuse pairs that no pass has decided on."""
        raise AssertionError("pairs of passes are written once they are decided on")

    def grouped(self, output: pa.RecordBatch, rows: GroupedPiece) -> None:
        """Refuse groups, which passes have otherwise."""
        raise AssertionError("pairs of passes are written once they are decided on")

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Write rows that no pass consumed: all columns of the source, and the reasons."""
        key = [rows.column(place_of(name, rows.schema.names)) for name in self._key[side]]
        batch = unmatched_batch(self._layouts[side], rows, key, reasons, self._attempted)
        self._writers[UNMATCHED[side]].write(batch)
        for attempt in reasons.attempts:
            told = attempts_batch(side.word, batch.column("record_key"), attempt)
            self._writers[ATTEMPTS].write(told)
        self._totals.unmatched(side, rows)

    def ended(self, side: Side | None) -> None:
        """Wait for `close`: there is more to be written than one join tells."""

    def partly(self, side: Side, rows: pa.RecordBatch, rests: Rests) -> None:
        """Write rows that are matched in part: what of them is settled, and what is open."""
        key = [rows.column(place_of(name, rows.schema.names)) for name in self._key[side]]
        batch = partly_batch(self._partly[side], rows, key, rests.open, rests.rules, rests.groups)
        self._writers[PARTLY[side]].write(batch)
        self._totals.partly(side, rows, batch.column(OPEN_AMOUNT))

    def close_pairs(self) -> None:
        """Finish the files of pairs, of which no more come."""
        for name in (MATCHED, SUGGESTED, AMBIGUOUS):
            if name in self._writers:
                self._closed[name] = self._writers[name].close()

    def close(self) -> tuple[WrittenFile, ...]:
        """Finish all files; the figures of each, in the order of the outputs."""
        open_ = [name for name in self._writers if name not in self._closed]
        # What takes longest is begun first, so that no thread is left alone with it at the end.
        open_.sort(key=lambda name: -self._writers[name].waiting_bytes)
        with self._opened, ThreadPoolExecutor(self._encoders + 1, "close") as pool:
            closed = pool.map(TableWriter.close, (self._writers[name] for name in open_))
            self._closed |= zip(open_, closed, strict=True)
        return tuple(self._closed[name] for name in self._writers)

    def abandon(self) -> None:
        """Close what is open; the files are removed with their folder."""
        self._opened.close()


def _partly(plan: PlannedPasses, side: Side) -> PartlyLayout:
    recipe = plan.recipe
    assert recipe.amounts is not None  # noqa: S101 - a rest is of amounts
    amount = recipe.amounts.left if side is Side.LEFT else recipe.amounts.right
    source = recipe.left if side is Side.LEFT else recipe.right
    schema = plan.passes[0].planned.query.side(side).schema
    return partly_layout(schema, amount, carries=source.carry is not None)


def _notes(ties: pa.Array) -> pa.Array:
    """Return a note for pairs that were the first of a tie."""
    note = pa.repeat(_TIED_NOTE, len(ties))
    return pc.if_else(ties.is_valid(), note, pa.scalar(None, pa.string()))

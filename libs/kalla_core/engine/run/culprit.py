"""Which row, pair or group and which value made the match SQL fail, looked for after it did.

Everything that was read is read once more for it, so that the answer hangs neither on the way in
which the rows were joined nor on which of several rows came first.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, TypeVar

import pyarrow as pa
from datafusion import Expr

from kalla_core.columns import place_of
from kalla_core.engine.failures import FailedOnValue
from kalla_core.engine.joins.late import narrow_plan
from kalla_core.engine.run.failing_groups import FailingGroup, FailingGroups
from kalla_core.engine.run.failing_pairs import FailingPair, FailingPairs
from kalla_core.engine.run.failing_rows import FailingRow, FailingRows
from kalla_core.engine.run.reread import Reread
from kalla_core.errors import EngineFailure, KallaError
from kalla_core.matching.plans import fallible_text
from kalla_core.matching.plans.fallible import OfGroup, OfPair, OfRow, Suspects
from kalla_core.matching.plans.planning import PlanningFailed
from kalla_core.matching.sql.query import Side, TableShape
from kalla_core.matching.strategy.planned import Planned

_MOST_CHARACTERS = 60
_WITHOUT_SECONDS = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")

Values = Mapping[str, object]
"""Columns, by name, as a row has them."""

Kind = TypeVar("Kind", OfRow, OfPair, OfGroup)


def raise_located(
    error: FailedOnValue | EngineFailure, planned: Planned, reread: Reread
) -> NoReturn:
    """Raise the error that names the row, the pair or the group, or `error` if none can be found.

    A row that the query would have left out first is named only where no other fails; it fails
    as well.

    Args:
        error: out of a run that has ended; what its frames hold is let go of.
    """
    traceback.clear_frames(error.__traceback__)
    found = _located(error, narrow_plan(planned) or planned, reread)
    if found is None:
        raise error
    raise found from error


def _located(
    error: FailedOnValue | EngineFailure, planned: Planned, reread: Reread
) -> FailedOnValue | None:
    try:
        found = _Search(planned, reread).told()
        if found is None and isinstance(error, FailedOnValue):
            found = _unlocated(planned, error)
    except (KallaError, PlanningFailed):
        return None
    return found


@dataclass(frozen=True)
class _Search:
    planned: Planned
    reread: Reread

    @cached_property
    def suspects(self) -> Suspects:
        """What may have failed."""
        return Suspects(self.planned.query, self.planned.prepared)

    def told(self) -> FailedOnValue | None:
        """Return the error that names what failed; rows alone before pairs, pairs before groups."""
        rows = self._rows()
        wanted = [found for found in rows if not found[0].unwanted]
        if wanted:
            return self._of_row(*wanted[0])
        pair = self._pair()
        if pair is not None and not pair.unwanted:
            return self._of_pair(pair)
        group = self._group()
        if group is not None:
            return self._of_group(group)
        if rows:
            return self._of_row(*rows[0])
        return None if pair is None else self._of_pair(pair)

    def _asked(self, kind: type[Kind]) -> list[Kind]:
        return [one for one in self.suspects.all if isinstance(one, kind)]

    def _rows(self) -> list[tuple[FailingRow, OfRow]]:
        """Return the row of each side that fails, that of the lower expression first."""
        asked = self._asked(OfRow)
        found: list[tuple[int, FailingRow, OfRow]] = []
        for side in Side:
            mine = [one for one in asked if one.route.side is side]
            if not mine:
                continue
            batches = self.reread.batches(side, self.planned.query.side(side))
            row = FailingRows(self.planned, side).first(mine, batches)
            if row is not None:
                found.append((asked.index(mine[row.rank]), row, mine[row.rank]))
        found.sort(key=lambda one: one[0])
        return [(row, one) for _, row, one in found]

    def _pair(self) -> FailingPair | None:
        asked = self._asked(OfPair)
        return FailingPairs(self.planned, self._held).first(asked) if asked and self._held else None

    def _group(self) -> FailingGroup | None:
        asked = self._asked(OfGroup)
        if not asked or not self._held:
            return None
        extras = {alias: self.reread.extra_table(alias) for alias in self.reread.extras}
        held = {alias: table for alias, table in extras.items() if table is not None}
        if len(held) < len(extras):
            return None
        return FailingGroups(self.planned, self._held, held).first(asked)

    @cached_property
    def _held(self) -> Mapping[Side, pa.Table]:
        """All rows of both sides; none at all if they are more than may be held."""
        tables = {side: self.reread.table(side, self.planned.query.side(side)) for side in Side}
        held = {side: table for side, table in tables.items() if table is not None}
        return held if len(held) == len(tables) else {}

    def _of_row(self, found: FailingRow, one: OfRow) -> FailedOnValue:
        side = one.route.side
        rows = FailingRows(self.planned, side)
        part, reason = _innermost(
            one, [(part, rows.reason(one, part, found.row)) for part in one.parts]
        )
        part = self.suspects.as_written(one, part)
        read = self.suspects.columns(one, part)
        if not read:
            return self._of_constant(part, reason)
        shape, said = self.planned.query.side(side), self._said(part)
        key = _values(found.row, shape.primary_key)
        values = _values(found.row, read[side])
        message = (
            f"The match SQL failed on a value: {said} fails in the "
            f"{side.word} row with {_listed(key)} of {shape.alias}, where {_held(values)} "
            f"({reason}). {self._advice(part, values)}{_made_text(shape, values)}"
        )
        return FailedOnValue(
            message,
            reason=reason,
            side=side.word,
            key=_texts(key),
            values=_texts(values),
            expression=said,
        )

    def _of_constant(self, part: Expr, reason: str) -> FailedOnValue:
        said = self._said(part)
        message = f"The match SQL failed: {said} fails, whatever the row ({reason})."
        return FailedOnValue(message, reason=reason, expression=said)

    def _said(self, part: Expr) -> str:
        said = fallible_text.text(part, self.suspects.written)
        micros = "to_timestamp_micros"  # what Kalla calls in the place of another
        return said if micros in self.planned.query.sql else said.replace(micros, "to_timestamp")

    def _of_pair(self, found: FailingPair) -> FailedOnValue:
        one = self._asked(OfPair)[found.rank]
        pairs = FailingPairs(self.planned, found.rows)
        part, reason = _innermost(
            one, [(part, pairs.reason(one, part, found.rows)) for part in one.parts]
        )
        part = self.suspects.as_written(one, part)
        read = self.suspects.columns(one, part)
        if not read:
            return self._of_constant(part, reason)
        shapes, said = {side: self.planned.query.side(side) for side in Side}, self._said(part)
        keys = {side: _values(found.rows[side], shapes[side].primary_key) for side in Side}
        values = {side: _values(found.rows[side], read[side]) for side in Side}
        which = " and ".join(
            f"the {side.word} row with {_listed(keys[side])} of {shapes[side].alias}"
            for side in Side
        )
        held = _held(
            {f"{shapes[side].alias}.{name}": v for side in Side for name, v in values[side].items()}
        )
        made = "".join(_made_text(shapes[side], values[side]) for side in Side)
        message = (
            f"The match SQL failed on a value: {said} fails for {which}, "
            f"where {held} ({reason}). {self._advice(part, {})}{made}"
        )
        return FailedOnValue(
            message,
            reason=reason,
            keys={side.word: _texts(keys[side]) for side in Side},
            values={side.word: _texts(values[side]) for side in Side},
            expression=said,
        )

    def _of_group(self, found: FailingGroup) -> FailedOnValue:
        said = self._said(found.part)
        key = {name: _plain(value) for name, value in found.key.items()}
        which = f"in the group with {_listed(key)}" if key else "over all rows"
        return FailedOnValue(
            f"The match SQL failed on a value: {said} fails {which} ({found.reason}). "
            f"{self._advice(found.part, {})}",
            reason=found.reason,
            group=_texts(key),
            expression=said,
        )

    def _advice(self, part: Expr, values: Values) -> str:
        written = fallible_text.remedy(part, self.suspects.written)
        if any(_WITHOUT_SECONDS.fullmatch(str(one)) for one in values.values()):
            written = fallible_text.without_seconds(part) or written
        if written is None and len(values) == 1:
            ((name, one),) = values.items()
            literal = _text(one) or ""
            if not isinstance(one, (int, float)):
                literal = "'" + literal.replace("'", "''") + "'"
            written = f"nullif({name}, {literal}) in place of {name} for NULL there"
        filtered = "eave such rows out with a filter of the source."
        return f"L{filtered}" if written is None else f"Write {written}, or l{filtered}"


def _innermost(one: OfRow | OfPair, reasons: Sequence[tuple[Expr, str | None]]) -> tuple[Expr, str]:
    """Return the innermost part that fails, and why."""
    failed = [(part, reason) for part, reason in reasons if reason is not None]
    return failed[0] if failed else (one.parts[-1], "it fails beside other rows")


def _made_text(shape: TableShape, columns: Iterable[str]) -> str:
    """Return what makes columns text, and what in the format of the source would read them."""
    reasons = [shape.texts[name] for name in columns if name in shape.texts]
    return "".join(f" In `{shape.alias}`, {reason}" for reason in reasons)


def _unlocated(planned: Planned, error: FailedOnValue) -> FailedOnValue | None:
    """Return the error with the expressions of which one failed, as they are written."""
    suspects = Suspects(planned.query, planned.prepared).all
    parts = [part for one in suspects for part in one.parts]
    names = dict.fromkeys(
        fallible_text.text(part) for part in parts if fallible_text.fits(part, error.reason)
    )
    if not names:
        return None
    among = next(iter(names)) if len(names) == 1 else f"one of {'; '.join(names)}"
    message = (
        f"The match SQL failed on a value: {among} fails for some rows ({error.reason}). Write "
        "TRY_CAST in place of CAST, nullif(x, 0) for a divisor x, or CAST integers AS "
        "DECIMAL(38, 0) before they are multiplied or added."
    )
    return FailedOnValue(message, reason=error.reason, expressions=list(names))


def _listed(key: Values) -> str:
    return ", ".join(f"{name} = {_quoted(one)}" for name, one in key.items())


def _held(values: Values) -> str:
    return " and ".join(f"{name} is {_quoted(one)}" for name, one in values.items())


def _values(row: pa.Table, names: Iterable[str]) -> Values:
    return {name: _plain(row.column(place_of(name, row.schema.names))[0]) for name in names}


def _plain(value: pa.Scalar) -> object:
    if pa.types.is_temporal(value.type):
        value = value.cast(pa.string())
    plain = value.as_py()
    return plain.hex() if isinstance(plain, bytes) else plain


def _texts(values: Values) -> dict[str, str | None]:
    return {name: _text(one) for name, one in values.items()}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _quoted(value: object) -> str:
    text = "NULL" if value is None else str(value)
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + "…"
    return text if value is None or isinstance(value, (int, float)) else f"'{text}'"

"""Late runs through the spool: narrow rows, with numbers by which they are read whole once more.

See `kalla_core.engine.joins.late` for when that is worth it. The number is a column of the tables
that the match SQL is planned over, which it cannot name: so rows keep it however they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from kalla_core.engine.joins.late import costs_less, narrowed, same_over
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.matching.row_ids.origins import HIDDEN
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import Planned, Strategy


def numbered_first(planned: Planned, sources: Mapping[Side, OpenSource]) -> Planned | None:
    """Return the match SQL over narrow tables with numbers where only these are to be spooled.

    That is if it costs less, and if each join decides for itself which rows are in no pair.
    """
    if planned.strategy is not Strategy.COPARTITION or not costs_less(planned.query, sources):
        return None
    return numbered_plan(planned)


def numbered_plan(wide: Planned) -> Planned | None:
    """Return the plan over narrow tables with numbers; None if it is cut otherwise than the wide.

    See `kalla_core.engine.joins.late.narrow_plan`.
    """
    found = same_over(numbered_query(wide.query), wide)
    return found if found is not None and found.strategy is wide.strategy else None


def numbered_query(wide: MatchQuery) -> MatchQuery:
    """Return the query over tables with the columns it can read, and the numbers of rows."""
    narrow = narrowed(wide)
    left, right = (_numbered(side, narrow.side(side)) for side in Side)
    return replace(narrow, left=left, right=right)


def _numbered(side: Side, shape: TableShape) -> TableShape:
    return replace(shape, schema=shape.schema.append(number_field(side)))


def number_field(side: Side) -> pa.Field:
    """Return the column of a side's numbers: of the part, shifted, plus the place in it.

    No row lacks it but those that others are compared with, of which only some columns are taken.
    """
    return pa.field(f"{HIDDEN}number_{side.word}", pa.uint64())

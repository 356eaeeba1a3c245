"""Which side a column of the result comes from, as far as one can say."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from kalla_core.evidence.schema import matched_layout
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import Planned, plan_match

SCHEMA = pa.schema([("id", pa.int64()), ("ref", pa.string())])
LEFT, RIGHT = Side.LEFT, Side.RIGHT


def _planned(sql: str) -> Planned:
    shapes = [TableShape(alias, SCHEMA, ("id",)) for alias in ("invoices", "payments")]
    return plan_match(MatchQuery(sql, shapes[0], shapes[1], (), datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("columns", "sides"),
    [
        ("i.*, p.*", (LEFT, LEFT, RIGHT, RIGHT)),
        ("p.ref, upper(i.ref) AS u, 1 AS one", (RIGHT, LEFT, None)),
        ("i.ref || p.ref AS both", (None,)),
    ],
)
def test_a_column_is_of_the_side_that_it_is_computed_from(
    columns: str, sides: tuple[Side | None, ...]
) -> None:
    planned = _planned(f"SELECT {columns} FROM invoices i JOIN payments p ON i.id = p.id")

    assert planned.output_sides == sides


def test_columns_that_clash_are_told_apart_by_their_side() -> None:
    planned = _planned("SELECT i.*, p.* FROM invoices i JOIN payments p ON i.id = p.id")

    layout = matched_layout(planned.output, planned.output_sides)

    assert layout.schema.names[-4:] == ["id_left", "ref_left", "id_right", "ref_right"]

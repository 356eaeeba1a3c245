import io

import pyarrow as pa
from rich.console import Console

from kalla_core.cli.tables import rows_table

ROWS = pa.table(
    {
        "id": pa.array([1, 20], pa.int64()),
        "note": ["two\nlines", None],
        "amount": pa.array(["1.50", "20.00"]).cast(pa.decimal128(12, 2)),
    }
)


def _printed(rows: pa.Table, width: int) -> tuple[str, list[str]]:
    table, left_out = rows_table(rows, width)
    screen = io.StringIO()
    Console(file=screen, width=width).print(table)
    return screen.getvalue(), [field.name for field in left_out]


def test_each_column_has_its_type_below_its_name() -> None:
    shown, left_out = _printed(ROWS, 80)

    names, types = [line.split() for line in shown.splitlines()[:2]]
    assert names == ["id", "note", "amount"]
    assert types == ["integer", "text", "decimal(12,2)"]
    assert left_out == []


def test_line_breaks_and_nulls_are_shown_as_such() -> None:
    shown, _ = _printed(ROWS, 80)

    assert "two\\nlines" in shown
    assert "null" in shown


def test_columns_that_do_not_fit_are_named_instead() -> None:
    shown, left_out = _printed(ROWS, 26)

    assert left_out == ["amount"]
    assert "amount" not in shown
    assert "two\\nlines" in shown


def test_a_long_text_is_cut() -> None:
    shown, _ = _printed(pa.table({"text": ["x" * 500]}), 80)

    assert "x" * 31 + "…" in shown
    assert "x" * 32 not in shown

"""Columns that a `format` asks for: their rows' numbers, and one amount of credits and debits."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.errors import InvalidFormat, UnknownColumn
from kalla_core.sources.protocol import PicksRows
from kalla_core.sources.registry import connector_for
from tests.support.sources import format_rows, format_spec, read_table


@pytest.mark.parametrize(
    ("found", "types", "says"),
    [
        ({"row_number": "in"}, {}, "`row_number` makes a column `in`, and there is one already"),
        ({"amount": ("in", "in", "out")}, {}, "`amount` makes a column `in`, and there is one"),
        ({"amount": ("n", "in", "out"), "row_number": "n"}, {}, "makes a column `n`, and there is"),
        ({"row_number": "r"}, {"r": "text"}, "`r` is made by `row_number` and has its type"),
        ({"amount": ("n", "into", "out")}, {}, "`into`, which is not there. .*`in`"),
        ({"amount": ("n", "in", "t")}, {}, r"`t`, which is no number. .*`1,5` in line 2 of in.csv"),
        ({"amount": ("n", "in", "in2")}, {"in2": "double"}, "`in2`, which is approximate"),
        ({"amount": ("n", "in", "in2")}, {"in": "decimal(76,0)"}, "would have 79 digits"),
        (
            {"amount": ("n", "in", "out")},
            {},
            '`out`.* nothing but negative .*"debit_sign": "minus"',
        ),
    ],
)
def test_columns_that_cannot_be_made_are_refused(
    tmp_path: Path, found: dict[str, Any], types: dict[str, str], says: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("in;out;t;in2\n1;;1,5;1.25\n;-2;2,5;\n;0;2,5;\n")
    if "amount" in found:
        made = dict(zip(("name", "credit", "debit"), found["amount"], strict=True))
        found = {**found, "amount": made}

    with pytest.raises((InvalidFormat, UnknownColumn), match=says):
        format_rows(path, {"delimiter": ";", **found}, types=types)


@pytest.mark.parametrize("word", ["decimal(20,2)", "decimal(36,1)", "decimal(38,0)", "integer"])
def test_an_amount_has_the_digits_of_any_difference(tmp_path: Path, word: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text("in,out\n1,2\n900000000000000000,-900000000000000000\n5,\n")
    amount = {"name": "n", "credit": "in", "debit": "out"}

    rows = format_rows(path, {"amount": amount}, types=dict.fromkeys(("in", "out"), word))

    assert [n for *_, n in rows] == [-1, 1800000000000000000, 5]


@pytest.mark.parametrize("packed", ["a.csv.gz", "b.csv.gz", "none"])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_rows_are_numbered_through_the_files_of_a_folder(
    tmp_path: Path, packed: str, parts: int
) -> None:
    for name, first, last in (("a", 1, 40), ("b", 41, 41), ("c", 42, 90)):
        breaks = {n: "\n" * (n % 3) for n in range(first, last + 1)}
        text = "id,t\n" + "".join(f'{n},"x{more}"\n' for n, more in breaks.items())
        file = f"{name}.csv.gz"
        if file == packed:
            (tmp_path / file).write_bytes(gzip.compress(text.encode()))
        else:
            (tmp_path / f"{name}.csv").write_text(text)
    spec = format_spec(tmp_path, {"row_number": "row"})

    table = read_table(spec, parts)
    with connector_for(spec).pin(spec) as pinned:
        preview = connector_for(spec).preview(pinned, 100)

    assert table.column("row").to_pylist() == table.column("id").to_pylist() == [*range(1, 91)]
    assert preview.equals(table)


@pytest.mark.parametrize("columns", [["row"], ["n", "row"], ["n"], ["t"]])
def test_columns_that_are_made_are_read_by_themselves_and_picked(
    tmp_path: Path, columns: list[str]
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("in,out,t\n" + "".join(f"{n},{n % 3},t{n}\n" for n in range(50)))
    amount = {"name": "n", "credit": "in", "debit": "out"}
    spec = format_spec(path, {"row_number": "row", "amount": amount})
    connector = connector_for(spec)
    all_rows = read_table(spec).select(columns).to_pylist()
    wanted = np.arange(50) % 4 == 1

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)
        read = [connector.read(pinned, part, columns=columns) for part in parts]
        rows = [row for batches in read for batch in batches for row in batch.to_pylist()]
        (whole,) = connector.plan(pinned, 1)
        assert isinstance(connector, PicksRows)
        picked = pa.Table.from_batches(connector.pick(pinned, whole, wanted), pinned.schema)

    assert rows == [{name: row[name] for name in sorted(row, key=_order)} for row in all_rows]
    assert picked.column("row").to_pylist() == [n + 1 for n in range(50) if n % 4 == 1]
    assert picked.column("n").to_pylist() == [n - n % 3 for n in range(50) if n % 4 == 1]


def _order(name: str) -> int:
    return ["row", "in", "out", "t", "n"].index(name)

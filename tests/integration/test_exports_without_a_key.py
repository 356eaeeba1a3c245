"""A bank's export without a key, with debits and credits apart, run as a user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kalla_core.recipe.parse import parse_recipe
from tests.support.runs import run_in_process


@pytest.mark.parametrize("options", [{}, {"partitions": 3, "buckets": 2}], ids=["whole", "cut"])
def test_rows_are_matched_by_their_number_and_their_signed_amount(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "left.csv").write_text("id,ref,amount\n1,A1,1234.56\n2,A2,9.00\n3,A3,-950.00\n")
    export = "Umsätze;\nref;Soll;Haben\nA1;;1.234,56\nA1;;1.234,56\nA3;950,00;\nSaldo;;7\n"
    (tmp_path / "bank.csv").write_bytes(export.encode("cp1252"))
    found = {
        "delimiter": ";", "decimal": ",", "thousands": ".", "encoding": "cp1252", "header": "ref",
        "stop": "Saldo", "row_number": "row",
        "amount": {"name": "amount", "credit": "Haben", "debit": "Soll"},
    }  # fmt: skip
    books, bank = (
        {"alias": alias, "type": "file", "uri": f"{alias}.csv"} for alias in ("left", "bank")
    )
    recipe = parse_recipe(
        {
            "recipe_id": "export",
            "name": "Export",
            "match_sql": "SELECT l.id AS lid, b.row AS bid FROM left_src l"
            " JOIN right_src b ON l.ref = b.ref AND l.amount = b.amount",
            "sources": {
                "left": {**books, "primary_key": ["id"]},
                "right": {**bank, "primary_key": ["row"], "format": found},
            },
            "options": options,
        },
        tmp_path,
    )

    run_in_process(recipe, tmp_path / "out")

    rows = pq.read_table(tmp_path / "out" / "matched.parquet").to_pylist()
    assert sorted((row["lid"], row["bid"]) for row in rows) == [(1, 1), (1, 2), (3, 3)]

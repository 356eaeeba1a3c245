"""Ways to write a text mean the same in Arrow and in the SQL that is emitted for them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.inference.transforms import WHOLE, Space, capture, head, part, tail, unsealed
from kalla_core.recipe.parse import parse_recipe
from tests.support.runs import run_in_process

TEXTS = [
    "INV-00042", " inv 42 ", "Müller & Söhne GmbH", "", "  ", "A/B/C", "2026-01-02", "0000",
    "payment INV-7741 of 0099812", "x", "a-b", "007-0-1", "ß-12", None, "-", "12345678901",
]  # fmt: skip
WAYS = [
    *WHOLE, part("-", 1), part("-", 2), part("-", -1), part("/", 3), part(" ", 2), part(".", 1),
    head(4), tail(4), capture("(?i)inv[-_/. ]{0,2}[0-9]{1,}"), capture("[0-9]{4,}", Space.DIGITS),
    capture("[0-9]{4,}[^0-9]*$", Space.DIGITS),
]  # fmt: skip


def test_texts_are_written_alike_by_arrow_and_by_match_sql(tmp_path: Path) -> None:
    rows = pa.table({"id": list(range(len(TEXTS))), "text": pa.array(TEXTS, pa.string())})
    pq.write_table(rows, tmp_path / "rows.parquet")
    source = {"type": "file", "uri": "rows.parquet", "primary_key": ["id"]}
    written = ", ".join(f"{unsealed(way.of('l.text'))} AS way{n}" for n, way in enumerate(WAYS))
    recipe = parse_recipe(
        {
            "recipe_id": "ways",
            "name": "Ways",
            "match_sql": f"SELECT l.id, {written} FROM left_src l JOIN right_src r ON l.id = r.id",
            "sources": {
                "left": {**source, "alias": "a"},
                "right": {**source, "alias": "b"},
            },
        },
        tmp_path,
    )

    run_in_process(recipe, tmp_path / "out")

    matched = pq.read_table(tmp_path / "out" / "matched.parquet").sort_by("id")
    for number, way in enumerate(WAYS):
        expected = way.apply(pa.array(TEXTS, pa.string())).to_pylist()
        assert matched.column(f"way{number}").to_pylist() == expected, way.says

"""Whatever bytes a file holds, how it is written is told or not told, and never an accident."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kalla_core.inspection.guess import guess_source, guessed_preview
from kalla_core.recipe.parse import parse_source
from kalla_core.sources.csv.guess.found import guess
from tests.support.chance import often
from tests.support.sources import format_spec

pieces = st.sampled_from(
    [";", ",", "\t", "|", "\n", "\r\n", "\"", "'", "#", "1.000", "1,5", "31/03/26", "n/a", "(", "-",
     "$", "\u20ac", "x", " ", "\\", "2026-03-31 10:00", "\0", "\u65e5", "Total"]
)  # fmt: skip
texts = st.lists(pieces, max_size=60).map("".join)
encodings = st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "gb18030"])


@given(st.one_of(st.binary(max_size=200), st.builds(str.encode, texts, encodings)))
@settings(deadline=None, max_examples=often(300))
@example(b"")
@example(b"\xff\xfe")
@example(b"a;b\n1" + b" " * 20_000 + b"x;2\n")
def test_any_bytes_are_told_a_format_that_a_recipe_takes_or_none(data: bytes) -> None:
    found = guess(data)

    if found is not None:
        document = dict(found.document())
        source = {"alias": "a", "type": "file", "uri": "in.csv", "format": document}
        assert parse_source(json.loads(json.dumps(source))).format == found.format


def test_a_large_file_is_told_by_its_two_ends(tmp_path: Path) -> None:
    rows = "".join(f"{n};{n},50\n" for n in range(150_000))
    path = tmp_path / "in.csv"
    path.write_text(f"Bank\n\nid;paid\n{rows}Saldo\nBank AG\n")
    spec = format_spec(path, {})

    found = guess_source(spec)
    shown = guessed_preview(spec, 2)

    assert path.stat().st_size > 1 << 20
    assert found.document() == {"delimiter": ";", "decimal": ",", "header": 3, "skip_last": 2}
    assert [str(row["paid"]) for row in shown.rows.to_pylist()] == ["0.50", "1.50"]

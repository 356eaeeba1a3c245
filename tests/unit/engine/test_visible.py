"""What text looks like in a sentence."""

from __future__ import annotations

import unicodedata
from datetime import date

import pyarrow as pa
import pytest

from kalla_core.engine.visible import shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("A1", "'A1'"),
        ("", "''"),
        ("A1 ", "'A1␠'"),
        (" A1", "'␠A1'"),
        ("A 1", "'A 1'"),
        ("A  1", "'A␠␠1'"),
        ("   ", "'␠␠␠'"),
        ("A     1", "'A␠␠␠␠␠1'"),
        ("A\t1\r\n", "'A␉1␍␊'"),
        ("it's", "'it''s'"),
        ("A\u00a01", "'A<U+00A0>1'"),
        ("A\u200b1", "'A<U+200B>1'"),
        ("\ufeffA1\u00ad", "'<U+FEFF>A1<U+00AD>'"),
        ("Caf\u00e9", "'Café'"),
        ("Cafe\u0301", "'Cafe<U+0301>'"),
        ("\u212b", "'<U+212B>'"),
        ("漢字 हिन्दी", "'漢字 हिन्दी'"),
        (unicodedata.normalize("NFD", "한"), "'<U+1112><U+1161><U+11AB>'"),
    ],
)
def test_what_eyes_cannot_see_is_shown(text: str, seen: str) -> None:
    column = pa.array(["before", text, None, "Zoë"]).slice(1)

    assert shown(column).to_pylist() == [seen, "null", "'Zoë'"]


def test_only_text_is_quoted() -> None:
    kinds = [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
    ]

    assert [shown(pa.array(["a"]).cast(kind)).to_pylist() for kind in kinds] == [["'a'"]] * 4
    assert shown(pa.array([7, None])).to_pylist() == ["7", "null"]
    assert shown(pa.array([date(2026, 1, 2)])).to_pylist() == ["2026-01-02"]
    assert shown(pa.array([], pa.string())).to_pylist() == []
    assert shown(pa.nulls(1, pa.string())).to_pylist() == ["null"]

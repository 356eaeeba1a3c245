"""What text looks like in a sentence."""

from __future__ import annotations

import unicodedata
from datetime import date

import pyarrow as pa
import pytest

from kalla_core.engine.keys.visible import shown


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


@pytest.mark.parametrize(
    ("values", "kind", "seen"),
    [
        ([["a ", None], None, []], pa.list_(pa.string()), ["['a␠', null]", "null", "[]"]),
        ([["a"], None], pa.large_list(pa.string()), ["['a']", "null"]),
        ([["a"], None], pa.list_view(pa.string()), ["['a']", "null"]),
        ([[1, 2], None, [3, None]], pa.list_(pa.int8(), 2), ["[1, 2]", "null", "[3, null]"]),
        ([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8()), ["{'a': 1}", "null", "{}"]),
        (
            [{"id": 7, "notes": [{"ok": True}]}, None, {"id": None, "notes": None}],
            pa.struct({"id": pa.int8(), "notes": pa.list_(pa.struct({"ok": pa.bool_()}))}),
            ["{id: 7, notes: [{ok: true}]}", "null", "{id: null, notes: null}"],
        ),
    ],
)
def test_what_holds_other_values_is_shown_with_all_of_them(
    values: list[object], kind: pa.DataType, seen: list[str]
) -> None:
    column = pa.array([values[0], *values], kind).slice(1)

    assert shown(column).to_pylist() == seen
    assert shown(column.slice(0, 0)).to_pylist() == []

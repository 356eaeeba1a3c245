"""Keys that are the same but for how they are written."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.keys.near import Spelling, are_plain, differences, loose

PAIRS = [
    ("A1", "A1 ", {Spelling.BLANKS}),
    ("A 1", "A\t1", {Spelling.BLANKS}),
    ("A1", "A\u00a01", {Spelling.BLANKS}),
    ("A1", "A\u200b1", {Spelling.UNSEEN}),
    ("A-1", "A\u20131", {Spelling.DASHES}),
    ("A\u2212\u20141", "A--1", {Spelling.DASHES}),
    ("A1", "a1", {Spelling.CASE}),
    ("42", "00042", {Spelling.ZEROS}),
    ("0", "000", {Spelling.ZEROS}),
    ("Caf\u00e9", "Cafe\u0301", {Spelling.FORM}),
    ("A1", "\uff21\uff11", {Spelling.FORM}),
    (" 0a1", "A1", {Spelling.BLANKS, Spelling.CASE, Spelling.ZEROS}),
]


@pytest.mark.parametrize(("some", "other", "expected"), PAIRS)
def test_in_what_two_spellings_of_a_key_differ(
    some: str, other: str, expected: set[Spelling]
) -> None:
    pair = pa.array([some, other])

    found = differences([pair[:1]], [pair[1:]])

    assert loose(pair)[0] == loose(pair)[1]
    assert {spelling for spelling, differs in found.items() if differs.any()} == expected


def test_a_form_does_not_depend_on_what_stands_beside_it() -> None:
    texts = ["", " ", "0", "a\x00b", "\x1f1", "007 x", "\u00e9", "x\x7f", "\x851", None, "A-1"]

    together = loose(pa.array(texts, pa.string()))

    assert together.to_pylist() == [loose(pa.array([t], pa.string()))[0].as_py() for t in texts]


def test_keys_that_differ_in_more_stay_apart() -> None:
    texts = pa.array(["A1", "A2", "A-1", "", "0", "10", "1"])

    assert len(set(loose(texts).to_pylist())) == len(texts)


@given(st.lists(st.none() | st.text(max_size=4) | st.sampled_from(["INV-1", "A1", "0", "10"])))
def test_keys_that_are_plain_are_their_own_loose_form(texts: list[str | None]) -> None:
    column = pa.chunked_array([pa.array(texts, pa.string())])

    if are_plain([column]):
        assert loose(column).to_pylist() == texts


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["INV-1", None, "10"], True),
        (["INV-1", "01"], False),
        (["INV-1", "inv-1"], False),
        (["INV-1", "INV 1"], False),
        (["INV-1", "\u00c4"], False),
        ([], True),
    ],
)
def test_keys_are_plain_if_none_could_be_written_otherwise(
    texts: list[str | None], plain: bool
) -> None:
    assert are_plain([pa.chunked_array([pa.array(texts, pa.string())])]) is plain


def test_what_is_no_text_is_plain() -> None:
    assert are_plain([pa.chunked_array([pa.array([1, 2])])])

"""Numbering keys, against dictionaries of Python."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.keys.codes import NONE, Ints, joined_codes, key_codes
from tests.support.chance import often

texts = st.none() | st.sampled_from(["", "a", "b", "A", "ä"])
numbers = st.none() | st.integers(-2, 2)
rows = st.lists(st.tuples(texts, numbers, numbers), max_size=25)


def _columns(rows: list[tuple[str | None, int | None, int | None]]) -> list[pa.Array]:
    types = [pa.string(), pa.int64(), pa.int64()]
    return [pa.array([row[n] for row in rows], types[n]) for n in range(3)]


@given(rows, rows, st.tuples(st.booleans(), st.booleans(), st.booleans()))
@settings(max_examples=often(300), deadline=None)
def test_rows_have_the_same_number_where_their_keys_are_equal(
    wanted: list[tuple[str | None, int | None, int | None]],
    offered: list[tuple[str | None, int | None, int | None]],
    null_safe: tuple[bool, bool, bool],
) -> None:
    ours, theirs = key_codes(_columns(wanted), _columns(offered), null_safe)

    def usable(row: tuple[object, ...]) -> bool:
        return all(safe or value is not None for safe, value in zip(null_safe, row, strict=True))

    known = {row for row in wanted if usable(row)}
    assert [code != NONE for code in ours] == [usable(row) for row in wanted]
    assert [code != NONE for code in theirs] == [row in known for row in offered]
    pairs = [*zip(ours, wanted, strict=True), *zip(theirs, offered, strict=True)]
    numbered = [(code, row) for code, row in pairs if code != NONE]
    assert len({code for code, _ in numbered}) == len({row for _, row in numbered})
    assert len(set(numbered)) == len({row for _, row in numbered})


@given(
    rows.map(lambda drawn: list(dict.fromkeys(drawn))),
    rows,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
@settings(max_examples=often(100), deadline=None)
def test_a_join_tells_the_same_where_wanted_keys_differ(
    wanted: list[tuple[str | None, int | None, int | None]],
    offered: list[tuple[str | None, int | None, int | None]],
    null_safe: tuple[bool, bool, bool],
) -> None:
    names = ["__k0", "__k1", "__k2"]
    tables = [pa.table(_columns(side), names=names) for side in (wanted, offered)]

    ours, theirs = joined_codes(tables[0], tables[1], names, null_safe)

    other_ours, other_theirs = key_codes(_columns(wanted), _columns(offered), null_safe)
    assert (ours == NONE).tolist() == (other_ours == NONE).tolist()
    assert [_row(wanted, ours, code) for code in theirs] == [
        _row(wanted, other_ours, code) for code in other_theirs
    ]


def _row(
    wanted: list[tuple[str | None, int | None, int | None]], codes: Ints, code: int
) -> tuple[str | None, int | None, int | None] | None:
    return None if code == NONE else wanted[codes.tolist().index(code)]


@pytest.mark.parametrize(
    ("wanted", "offered", "expected"),
    [
        (pa.array([0.0, float("nan")]), pa.array([-0.0, float("nan"), 1.0]), [0, 1, NONE]),
        (
            pa.array([Decimal("1.50")], pa.decimal128(38, 2)),
            pa.array([Decimal("1.5"), None], pa.decimal128(38, 2)),
            [0, NONE],
        ),
        (pa.array([], pa.string()), pa.array(["x"]), [NONE]),
    ],
)
def test_values_are_equal_as_joins_take_them(
    wanted: pa.Array, offered: pa.Array, expected: list[int]
) -> None:
    _, theirs = key_codes([wanted], [offered], [False])

    assert theirs.tolist() == expected


def test_many_columns_do_not_overflow() -> None:
    column = pa.array(range(5000))

    ours, theirs = key_codes([column] * 8, [column] * 8, [False] * 8)

    assert len(set(ours.tolist())) == 5000
    assert ours.tolist() == theirs.tolist()

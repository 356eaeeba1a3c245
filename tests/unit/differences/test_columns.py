"""Which columns of two tables belong together."""

import pyarrow as pa
import pytest

from kalla_core.differences.columns import Wish, pair_columns, unlike_texts
from kalla_core.errors import InvalidSetting, KallaError, UnknownColumn
from kalla_core.matching.sql.query import Side

MONEY = pa.decimal128(12, 2)


def sides(left: dict[str, pa.DataType], right: dict[str, pa.DataType]):
    return {Side.LEFT: pa.schema(left), Side.RIGHT: pa.schema(right)}


def named(columns) -> list[tuple[str, str]]:
    return [(pair.left.name, pair.right.name) for pair in columns.shared]


def test_names_belong_together_as_they_are_before_they_do_but_for_case():
    left = {"id": pa.int64(), "Name": pa.string(), "name": pa.string(), "STATE": pa.string()}
    right = {"ID": pa.int64(), "name": pa.string(), "NAME": pa.string(), "state": pa.string()}

    columns = pair_columns(sides(left, right), Wish(("id",)))

    assert named(columns) == [("Name", "NAME"), ("name", "name"), ("STATE", "state")]
    assert [pair.right.name for pair in columns.on] == ["ID"]
    assert len(columns.notes) == 3


def test_names_of_which_a_side_has_several_do_not_belong_together():
    left, right = {"id": pa.int64(), "A": MONEY, "a": MONEY}, {"id": pa.int64(), "Á": MONEY}

    columns = pair_columns(sides(left, {**right, "á": MONEY}), Wish(("id",)))

    assert named(columns) == []
    assert [one.name for one in columns.alone[Side.LEFT]] == ["A", "a"]
    assert [one.name for one in columns.alone[Side.RIGHT]] == ["Á", "á"]


def test_what_is_ignored_is_neither_compared_nor_missed():
    left = {"id": pa.int64(), "a": MONEY, "old": MONEY}
    right = {"id": pa.int64(), "A": MONEY, "new": MONEY}

    columns = pair_columns(sides(left, right), Wish(("id",), ignored=("a", "OLD", "new")))

    assert named(columns) == []
    assert not any(columns.alone.values())


def test_only_columns_that_are_asked_for_are_looked_at():
    left = {"id": pa.int64(), "a": MONEY, "b": MONEY}

    columns = pair_columns(sides(left, {**left, "new": MONEY}), Wish(("id",), columns=("B",)))

    assert named(columns) == [("b", "b")]
    assert not any(columns.alone.values())


def test_types_of_other_kinds_are_not_compared_and_those_of_one_kind_are():
    left = {"id": pa.int32(), "a": pa.int64(), "b": pa.string(), "c": pa.date32(), "d": pa.null()}
    right = {"id": MONEY, "a": MONEY, "b": pa.int64(), "c": pa.timestamp("us"), "d": MONEY}

    columns = pair_columns(sides(left, right), Wish(("id",)))

    assert [pair.left.name for pair in columns.compared] == ["a", "c", "d"]
    assert unlike_texts(sides(left, right)) == {Side.LEFT: (), Side.RIGHT: ("b",)}


@pytest.mark.parametrize(
    ("wish", "error", "says"),
    [
        (Wish(("nr",)), UnknownColumn, "--on nr: the left side has no such column. .*`id`"),
        (Wish(("id",), columns=("only",)), UnknownColumn, "--columns only: the right side"),
        (Wish(("id",), ignored=("zz",)), UnknownColumn, "--ignore zz: neither side"),
        (Wish(("id",), ignored=("ID",)), InvalidSetting, "--ignore id: .* leave one out"),
        (Wish(("id",), tolerances={"b": "1"}), InvalidSetting, "is of numbers, and this is text"),
        (Wish(("id",), tolerances={"x": "1"}), UnknownColumn, "--tolerance x: no such column"),
        (Wish(("k",)), InvalidSetting, "integer on the left and text on the right"),
    ],
)
def test_what_does_not_fit_is_named(wish: Wish, error: type[KallaError], says: str):
    left = {"id": pa.int64(), "b": pa.string(), "only": pa.string(), "k": pa.int64()}
    right = {"id": pa.int64(), "b": pa.string(), "k": pa.string()}

    with pytest.raises(error, match=says):
        pair_columns(sides(left, right), wish)

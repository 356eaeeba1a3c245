from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidSql, SourceUnreadable
from kalla_core.evidence.schema import (
    MATCHED_FIELDS,
    UNMATCHED_FIELDS,
    matched_layout,
    unmatched_layout,
)
from kalla_core.matching.sql.query import Side

OURS = len(MATCHED_FIELDS)
LEFT, RIGHT = Side.LEFT, Side.RIGHT
NASTY_NAMES = st.sampled_from(
    ["id", "id_2", "id_left", "id_right", "match_id", "match_id_left", "left_key", "record_key"]
)


def text_columns(names: Sequence[str]) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string()) for name in names])


def test_our_columns_come_first_with_the_types_of_the_contract() -> None:
    schema = matched_layout(text_columns(["amount"])).schema

    assert [(field.name, str(field.type)) for field in schema] == [
        ("match_id", "string"),
        ("left_key", "string"),
        ("right_key", "string"),
        ("rule_name", "string"),
        ("confidence", "double"),
        ("matched_at", "timestamp[us, tz=UTC]"),
        ("amount", "string"),
    ]


@pytest.mark.parametrize(
    ("names", "sides", "renamed"),
    [
        (["a", "b"], None, ["a", "b"]),
        (["id", "id"], [LEFT, RIGHT], ["id_left", "id_right"]),
        (["id", "id"], None, ["id", "id_2"]),
        (["id", "id", "id"], [LEFT, RIGHT, None], ["id_left", "id_right", "id"]),
        (["id", "id"], [LEFT, LEFT], ["id_left", "id_2"]),
        (["id", "id", "id_left"], [LEFT, RIGHT, LEFT], ["id_2", "id_right", "id_left"]),
        (["match_id"], [LEFT], ["match_id_left"]),
        (["match_id"], [None], ["match_id_2"]),
        (["left_key", "matched_at"], [LEFT, RIGHT], ["left_key_left", "matched_at_right"]),
    ],
)
def test_columns_that_clash_get_their_side_or_a_number(
    names: list[str], sides: list[Side | None] | None, renamed: list[str]
) -> None:
    layout = matched_layout(text_columns(names), sides)

    assert layout.schema.names[OURS:] == renamed
    assert layout.columns == tuple(range(len(names)))


@given(st.lists(st.tuples(NASTY_NAMES, st.sampled_from([LEFT, RIGHT, None])), max_size=12))
def test_names_are_always_unique_and_ours_are_never_given_away(
    columns: list[tuple[str, Side | None]],
) -> None:
    names = [name for name, _ in columns]

    layout = matched_layout(text_columns(names), [side for _, side in columns])

    assert len(set(layout.schema.names)) == OURS + len(names)
    assert layout.schema.names[:OURS] == MATCHED_FIELDS.names


def test_columns_called_rule_name_and_confidence_fill_those_fields() -> None:
    columns = pa.schema(
        [("confidence", pa.decimal128(3, 2)), ("a", pa.int64()), ("rule_name", pa.string_view())]
    )

    layout = matched_layout(columns)

    assert (layout.rule_name, layout.confidence) == (2, 0)
    assert layout.columns == (1,)
    assert layout.schema.names[OURS:] == ["a"]


def test_a_second_column_called_rule_name_is_one_like_any_other() -> None:
    layout = matched_layout(text_columns(["rule_name", "rule_name"]), [LEFT, RIGHT])

    assert layout.rule_name == 0
    assert layout.schema.names[OURS:] == ["rule_name_right"]


@pytest.mark.parametrize(
    ("name", "arrow", "wanted"),
    [("rule_name", pa.int64(), "text"), ("confidence", pa.string(), "a number")],
)
def test_a_rule_name_or_confidence_of_another_kind_is_refused(
    name: str, arrow: pa.DataType, wanted: str
) -> None:
    with pytest.raises(InvalidSql, match=f"{name} of the match SQL must be {wanted}"):
        matched_layout(pa.schema([(name, arrow)]))


def test_a_column_that_parquet_cannot_hold_is_refused_with_what_to_do() -> None:
    interval = pa.schema([("age", pa.month_day_nano_interval())])

    with pytest.raises(InvalidSql, match=r"'age' .* CAST"):
        matched_layout(interval)
    with pytest.raises(SourceUnreadable, match="'age'"):
        unmatched_layout(interval)


def test_types_are_stored_as_parquet_can_hold_them() -> None:
    columns = pa.schema([("a", pa.null()), ("b", pa.decimal128(4, -1))])

    matched, unmatched = matched_layout(columns).schema, unmatched_layout(columns).schema

    assert matched.types[-2:] == unmatched.types[-2:] == [pa.string(), pa.decimal128(5, 0)]


@pytest.mark.parametrize(
    ("names", "renamed"),
    [
        (["id", "amount"], ["id", "amount"]),
        (["record_key"], ["record_key_"]),
        (["record_key", "record_key_"], ["record_key__", "record_key_"]),
        (["rejection_reason", "attempted_rules"], ["rejection_reason_", "attempted_rules_"]),
        (["id", "id"], ["id", "id_"]),
        (["match_id"], ["match_id"]),
    ],
)
def test_a_source_column_that_clashes_gets_underscores_until_it_is_free(
    names: list[str], renamed: list[str]
) -> None:
    schema = unmatched_layout(text_columns(names)).schema

    assert schema.names == [*UNMATCHED_FIELDS.names, *renamed]


@given(st.lists(st.sampled_from(["record_key", "record_key_", "record_key__", "a"]), max_size=8))
def test_unmatched_names_are_always_unique(names: list[str]) -> None:
    schema = unmatched_layout(text_columns(names)).schema

    assert len(set(schema.names)) == len(UNMATCHED_FIELDS) + len(names)


def test_the_group_stands_behind_our_columns_only_where_it_is_asked_for() -> None:
    columns = text_columns(["match_group", "amount"])

    asked, not_asked = (matched_layout(columns, grouped=grouped) for grouped in (True, False))

    assert asked.schema.names[OURS:] == ["match_group", "match_group_2", "amount"]
    assert not_asked.schema.names[OURS:] == ["match_group", "amount"]
    assert asked.columns == not_asked.columns == (0, 1)

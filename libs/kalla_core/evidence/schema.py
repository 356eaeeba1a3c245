"""The columns of the three outputs: ours first, then the user's under names that are free.

Columns are known by position: two columns of a query may have one name. Our names are never
given away; whatever clashes with them, or with another column, is renamed; the manual says how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.columns import first_place_of
from kalla_core.errors import InvalidSql, SourceUnreadable, UserError
from kalla_core.evidence.stored import UnstorableTypeError, stored_type
from kalla_core.matching.plans.lossless import common_type
from kalla_core.matching.sql.query import Side

MATCH_RULE = "match_sql"
"""`rule_name` of a match, unless the SQL says otherwise; the one attempted rule of the others."""

MATCHED_FIELDS = pa.schema(
    [
        ("match_id", pa.string()),
        ("left_key", pa.string()),
        ("right_key", pa.string()),
        ("rule_name", pa.string()),
        ("confidence", pa.float64()),
        ("matched_at", pa.timestamp("us", "UTC")),
    ]
)
GROUP_FIELD = pa.field("match_group", pa.string())
"""Stands behind `MATCHED_FIELDS` where the recipe asks for it."""

NOTE_FIELD = pa.field("match_note", pa.string())
DIFFERENCES_FIELD = pa.field(
    "differences",
    pa.list_(pa.struct([("column", pa.string()), ("left", pa.string()), ("right", pa.string())])),
)
TIE_FIELD = pa.field("tie", pa.string())
"""Of ambiguous only: which tie a pair is of."""

UNMATCHED_FIELDS = pa.schema(
    [
        ("record_key", pa.string()),
        ("rejection_reason", pa.string()),
        ("reason_detail", pa.string()),
        ("closest_candidate", pa.string()),
        ("attempted_rules", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class MatchedLayout:
    """How `matched` is made from the output of the match SQL.

    Attributes:
        schema: `MATCHED_FIELDS`, `GROUP_FIELD` if `grouped`, then the user's columns.
        columns: for each of the user's columns in `schema`, its position in the SQL's output.
        rule_name: position of the SQL's column for that field; None for the constant.
        confidence: likewise.
        width: columns of the SQL's output, hidden ones left out.
    """

    schema: pa.Schema
    columns: tuple[int, ...]
    width: int
    rule_name: int | None = None
    confidence: int | None = None
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class UnmatchedLayout:
    """How an unmatched output is made: `UNMATCHED_FIELDS`, then all columns of the source."""

    schema: pa.Schema


def matched_layout(
    columns: pa.Schema,
    sides: Sequence[Side | None] | None = None,
    *,
    grouped: bool = False,
    beside: Sequence[pa.Field] = (),
) -> MatchedLayout:
    """Return the layout of `matched` for the output columns of a match SQL, hidden ones left out.

    Args:
        columns: names may repeat, or be ours.
        sides: which side each column comes from, None where that cannot be said; it decides
            between `_left` / `_right` and a number where names clash.
        grouped: rows say which match they belong to.

        beside: further fields of ours, behind `GROUP_FIELD`.

    Raises:
        InvalidSql: a column has a type that Parquet cannot hold or, being named rule_name or
            confidence, one that those fields cannot hold.
    """
    rule_name = _position(columns, "rule_name", _is_text, "text")
    confidence = _position(columns, "confidence", _is_number, "a number")
    kept = tuple(i for i in range(len(columns)) if i not in (rule_name, confidence))
    origins = [None if sides is None else sides[i] for i in kept]
    ours = [*MATCHED_FIELDS, *((GROUP_FIELD,) if grouped else ()), *beside]
    taken = [field.name for field in ours]
    names = _free_names([columns.field(i).name for i in kept], origins, taken)
    fields = [
        _stored_field(columns.field(i), name, _unstorable_result)
        for i, name in zip(kept, names, strict=True)
    ]
    return MatchedLayout(
        pa.schema([*ours, *fields]), kept, len(columns), rule_name, confidence, grouped
    )


@dataclass(frozen=True, slots=True)
class UnitedLayout:
    """The columns of matched where several passes fill it, each with columns of its own.

    Attributes:
        ours: fields that each row has, in order.
        theirs: the columns of all passes, by name; null in rows of passes without them.
    """

    ours: pa.Schema
    theirs: pa.Schema

    @staticmethod
    def of_pass(
        columns: pa.Schema, sides: Sequence[Side | None], *, compares: bool
    ) -> MatchedLayout:
        """Return the layout of one pass; see `matched_layout`."""
        beside = [NOTE_FIELD, *((DIFFERENCES_FIELD,) if compares else ()), TIE_FIELD]
        return matched_layout(columns, sides, grouped=True, beside=beside)

    @property
    def matched(self) -> pa.Schema:
        """Of matched and of suggested."""
        kept = [field for field in self.ours if field.name != TIE_FIELD.name]
        return pa.schema([*kept, *self.theirs])

    @property
    def ambiguous(self) -> pa.Schema:
        """Of ambiguous."""
        return pa.schema([*self.ours, *self.theirs])


def united_layout(layouts: Sequence[MatchedLayout]) -> UnitedLayout:
    """Return the columns of several passes together.

    Raises:
        InvalidSql: columns of one name have types that do not go together.
    """
    first = layouts[0].schema
    count = len(first) - len(layouts[0].columns)
    theirs: dict[str, pa.Field] = {}
    for layout in layouts:
        for field in list(layout.schema)[count:]:
            known = theirs.setdefault(field.name, field)
            theirs[field.name] = pa.field(field.name, _common(known, field))
    return UnitedLayout(pa.schema(list(first)[:count]), pa.schema(theirs.values()))


def _common(one: pa.Field, other: pa.Field) -> pa.DataType:
    if one.type == other.type:
        return one.type
    agreed = common_type(frozenset({one.type, other.type}))
    if agreed is not None:
        return agreed
    types = (one.type, other.type)
    if any(map(pa.types.is_decimal, types)) and not any(map(pa.types.is_floating, types)):
        # Arrow would take a decimal for whole numbers that it has not the digits for.
        raise _apart(one, other)
    try:
        both = [pa.schema([pa.field("c", field.type)]) for field in (one, other)]
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowInvalid as error:
        raise _apart(one, other) from error
    except pa.ArrowTypeError as error:
        raise _apart(one, other) from error


def _apart(one: pa.Field, other: pa.Field) -> InvalidSql:
    return InvalidSql(
        f"The column {one.name} is {one.type} in one pass and {other.type} in another; cast one "
        "of them, or give it another name.",
        column_name=one.name,
    )


def unmatched_layout(source: pa.Schema) -> UnmatchedLayout:
    """Return the layout of the unmatched rows of a source.

    Raises:
        SourceUnreadable: a column has a type that Parquet cannot hold.
    """
    fields = source_fields(source, UNMATCHED_FIELDS.names)
    return UnmatchedLayout(pa.schema([*UNMATCHED_FIELDS, *fields]))


def source_fields(source: Iterable[pa.Field], ours: Sequence[str]) -> list[pa.Field]:
    """Return the columns of a source as they are stored behind ours, under names that are free.

    Raises:
        SourceUnreadable: a column has a type that Parquet cannot hold.
    """
    columns = list(source)
    taken = {*ours, *(column.name for column in columns)}
    seen: set[str] = set()
    fields = []
    for column in columns:
        name = column.name
        if name in ours or name in seen:
            while name in taken:
                name += "_"
        taken.add(name)
        seen.add(name)
        fields.append(_stored_field(column, name, _unstorable_source))
    return fields


def _position(
    columns: pa.Schema, name: str, fits: Callable[[pa.DataType], bool], wanted: str
) -> int | None:
    position = first_place_of(name, columns.names)
    if position is None:
        return None
    found = columns.field(position).type
    if not fits(found):
        raise InvalidSql(
            f"The column {name} of the match SQL must be {wanted}, but it is {found}; cast it, "
            "or give it another name.",
            column_name=name,
        )
    return position


def _is_text(arrow: pa.DataType) -> bool:
    return arrow in (pa.string(), pa.large_string(), pa.string_view(), pa.null()) or (
        pa.types.is_dictionary(arrow) and _is_text(arrow.value_type)
    )


def _is_number(arrow: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(arrow)
        or pa.types.is_floating(arrow)
        or pa.types.is_decimal(arrow)
        or pa.types.is_null(arrow)
    )


def _free_names(
    names: Sequence[str], origins: Sequence[Side | None], ours: Collection[str]
) -> list[str]:
    """Rename what clashes: by its side if that settles it, else by a number; the rest stays."""
    count = Counter(names)
    taken = {*ours, *(name for name in names if count[name] == 1)}
    result = []
    for name, origin in zip(names, origins, strict=True):
        if count[name] > 1 or name in ours:
            name = _free_name(name, origin, taken)
            taken.add(name)
        result.append(name)
    return result


def _free_name(name: str, origin: Side | None, taken: Collection[str]) -> str:
    by_side = name if origin is None else f"{name}_{origin.word}"
    if by_side not in taken:
        return by_side
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _stored_field(
    column: pa.Field, name: str, refusal: Callable[[str, str], UserError]
) -> pa.Field:
    try:
        return pa.field(name, stored_type(column.type))
    except UnstorableTypeError as error:
        raise refusal(column.name, str(error)) from error


def _unstorable_result(name: str, arrow: str) -> UserError:
    return InvalidSql(
        f"The match SQL's column {name!r} has the type {arrow}, which Parquet cannot hold; select "
        "it as text or as a number, as in CAST(... AS VARCHAR).",
        column_name=name,
    )


def _unstorable_source(name: str, arrow: str) -> UserError:
    return SourceUnreadable(
        f"The source's column {name!r} has the type {arrow}, which Parquet cannot hold, so its "
        "unmatched rows could not be written.",
        column=name,
    )

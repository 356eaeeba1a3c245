"""Forms of keys that SQL computes, and columns of every type to compute them from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

_OF_ALL = (
    "{0}",
    "coalesce({0}, {1})",
    "nvl({0}, {1})",
    "ifnull({0}, {1})",
    "coalesce(NULL, {0}, {1})",
    "nullif({0}, {1})",
    "nullif(coalesce({0}, {1}), {1})",
    "nvl2({0}, {0}, {1})",
    "CASE WHEN {0} IS NULL THEN {1} ELSE {0} END",
    "CASE WHEN {0} = {1} THEN NULL ELSE {0} END",
    "CASE {0} WHEN {1} THEN {0} END",
    "CAST({0} AS VARCHAR)",
    "coalesce(CAST({0} AS VARCHAR), '-')",
    "concat(CAST({0} AS VARCHAR), '-')",
    "{0} IS NULL",
    "({0} = {1}) IS TRUE",
    "coalesce({0} = {1}, false)",
    "coalesce({0} IN ({1}), true)",
)
_OF_TEXT = (
    "upper({0})",
    "lower(trim({0}))",
    "{0} || '-x'",
    "concat_ws('-', {0}, 'x')",
    "substr({0}, 1, 1)",
    "lpad({0}, 5, '0')",
    "md5({0})",
    "sha256({0})",
    "split_part({0}, '-', 1)",
    "regexp_replace({0}, '[0-9]', '')",
    "length({0})",
    "norm_ref({0})",
    "coalesce(TRY_CAST({0} AS BIGINT), 0)",
    "starts_with({0}, 'a')",
)
_OF_NUMBERS = (
    "abs({0})",
    "{0} + 1",
    "-{0}",
    "coalesce({0} * 2, 0)",
    "round({0})",
    "coalesce(round({0}), 0)",
    "CAST({0} AS DECIMAL(20, 3))",
    "CAST({0} AS BIGINT) % 7",
)
_OF_TIMES = (
    "date_trunc('month', {0})",
    "CAST({0} AS DATE)",
    "extract(year FROM {0})",
    "coalesce(date_part('day', {0}), 0)",
    "coalesce(CAST({0} AS DATE), DATE '2024-01-01')",
    "{0} + INTERVAL '1 day'",
    "to_char({0}, '%Y-%m')",
)


@dataclass(frozen=True)
class Kind:
    """A type of column, four values of it, a literal beside it, and forms of its own."""

    type: pa.DataType
    values: tuple[Any, ...]
    literal: str
    forms: tuple[str, ...]


_DAYS = tuple(date(2024, 1, n) for n in (1, 2, 3, 4))
_MOMENTS = tuple(datetime(2024, 1, n, 12) for n in (1, 2, 3, 4))
_WORDS = ("a1", "A1", " 7", "")
_UTC = "TIMESTAMPTZ '2024-01-01 12:00:00Z'"
KINDS = {
    "bigint": Kind(pa.int64(), (-1, 0, 1, 7), "-1", _OF_NUMBERS),
    "smallint": Kind(pa.int16(), (-1, 0, 1, 7), "-1", _OF_NUMBERS),
    "double": Kind(pa.float64(), (-1.5, 0.0, 1.0, 7.25), "CAST(0 AS DOUBLE)", _OF_NUMBERS),
    "decimal": Kind(
        pa.decimal128(12, 2), tuple(map(Decimal, ("-1.50", "0", "1", "7.25"))), "-1.5", _OF_NUMBERS
    ),
    "text": Kind(pa.string(), _WORDS, "'-'", _OF_TEXT),
    "large text": Kind(pa.large_string(), _WORDS, "'-'", _OF_TEXT),
    "dictionary": Kind(pa.dictionary(pa.int32(), pa.string()), _WORDS, "'-'", _OF_TEXT),
    "boolean": Kind(pa.bool_(), (True, False, True, False), "true", ("NOT {0}",)),
    "date": Kind(pa.date32(), _DAYS, "DATE '2024-01-01'", _OF_TIMES),
    "timestamp": Kind(pa.timestamp("us"), _MOMENTS, "TIMESTAMP '2024-01-01 12:00:00'", _OF_TIMES),
    "zoned": Kind(pa.timestamp("us", "UTC"), _MOMENTS, _UTC, _OF_TIMES),
    "bytes": Kind(pa.binary(), (b"a", b"b", b"", b"\x01"), "X'61'", ("encode({0}, 'hex')",)),
}
SHAPES = {
    "no value": "nnnnnn",
    "one row": "2",
    "one null": "n",
    "no row": "",
    "values": "0n1n23",
    "nulls first": "nnn012",
}
"""Columns: `n` is a null, a digit one of the four values."""


@dataclass(frozen=True)
class KeyCase:
    """A key expression over a column."""

    kind: str
    form: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.form}"

    def of(self, alias: str) -> str:
        """Return the key of a table."""
        return self.form.format(f"{alias}.k", KINDS[self.kind].literal)

    @property
    def sql(self) -> str:
        """Both sides joined by it."""
        return f"SELECT l.id, r.id rid FROM l JOIN r ON {self.of('l')} = {self.of('r')}"

    def table(self, shape: str) -> pa.Table:
        """Return rows with keys of one of `SHAPES`, an `id` and a column of no use."""
        kind, marks = KINDS[self.kind], SHAPES[shape]
        plain = kind.type.value_type if pa.types.is_dictionary(kind.type) else kind.type
        keys = pa.array([None if m == "n" else kind.values[int(m)] for m in marks], plain)
        return pa.table(
            {
                "id": pa.array(range(len(marks)), pa.int64()),
                "k": keys if plain == kind.type else keys.dictionary_encode(),
                "wide": ["of no use " * 60] * len(marks),
            }
        )


def key_cases() -> Iterator[KeyCase]:
    """Yield every form over every kind that it is made for."""
    for name, kind in KINDS.items():
        for form in (*_OF_ALL, *kind.forms):
            yield KeyCase(name, form)


def some(cases: list[KeyCase], count: int) -> list[KeyCase]:
    """Return some of them, the same each time."""
    return random.Random(count).sample(cases, count)

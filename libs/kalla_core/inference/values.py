"""Columns of a sample as keys, amounts and days, each with the SQL that computes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.amounts import parsed_amounts
from kalla_core.inference.transforms import quoted, sealed

Ints = npt.NDArray[np.int64]
NONE = np.iinfo(np.int64).min
"""What stands in arrays of amounts and days for null."""
SCALE = 10_000
"""Amounts are whole numbers of so many parts of one."""
_MOST = 9e14
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS = frozenset(
    [
        "all",
        "and",
        "any",
        "as",
        "asc",
        "between",
        "by",
        "case",
        "cast",
        "cross",
        "date",
        "day",
        "default",
        "desc",
        "distinct",
        "else",
        "end",
        "except",
        "exists",
        "false",
        "from",
        "full",
        "group",
        "having",
        "in",
        "inner",
        "interval",
        "into",
        "is",
        "join",
        "left",
        "like",
        "limit",
        "natural",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "outer",
        "over",
        "partition",
        "position",
        "right",
        "row",
        "rows",
        "select",
        "set",
        "table",
        "then",
        "time",
        "timestamp",
        "to",
        "true",
        "type",
        "union",
        "unique",
        "user",
        "using",
        "value",
        "values",
        "when",
        "where",
        "window",
        "with",
        "year",
        "month",
        "hour",
        "minute",
        "second",
    ]
)
_DAY_FORMS = (
    (r"^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T].*)?$", (1, 2, 3)),
    (r"^(\d{4})/(\d{1,2})/(\d{1,2})(?:[ T].*)?$", (1, 2, 3)),
    (r"^(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T].*)?$", (3, 2, 1)),
    (r"^(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T].*)?$", (3, 2, 1)),
    (r"^(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T].*)?$", (3, 1, 2)),
    (r"^(\d{1,2})-(\d{1,2})-(\d{4})(?:[ T].*)?$", (3, 2, 1)),
    (r"^((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$", (1, 2, 3)),
)
_DEBITS = ("d", "dr", "debit", "s", "soll", "out", "withdrawal", "dbit", "-", "debet")
_CREDITS = ("c", "cr", "credit", "h", "haben", "in", "deposit", "crdt", "+")
_PAIRED = (("debit", "credit"), ("soll", "haben"), ("out", "in"), ("withdrawal", "deposit"),
           ("paid_out", "paid_in"), ("money_out", "money_in"), ("dr", "cr"))  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Amount:
    """A number per row.

    Attributes:
        sql: with `{}` where the alias of the table stands.
        columns: of which it is made.
        units: int64 in parts of `SCALE`, `NONE` for null.
        raw: whether it is a column of whole numbers or decimals, as `subset_sum` wants.
        simple: how simple it is to say; less is simpler.
    """

    name: str
    sql: str
    columns: tuple[str, ...]
    units: Ints
    raw: bool
    simple: int = 0
    floating: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """A date per row.

    Attributes:
        sql: with `{}` where the alias of the table stands.
        days: int64 since 1970, `NONE` for null.
        raw: whether it is a column of dates, as `subset_sum` takes.
    """

    name: str
    sql: str
    column: str
    days: Ints
    raw: bool


def column_sql(name: str, alias: str = "{}") -> str:
    """Return a column of a table as SQL has it, in quotes where need be, and sealed."""
    plain = _PLAIN.fullmatch(name) and name not in _WORDS
    shown = name if plain else sealed('"' + name.replace('"', '""') + '"')
    return f"{alias}.{shown}"


def text_sql(name: str, arrow_type: pa.DataType) -> str:
    """Return a column as text, with `{}` where the alias stands."""
    column = column_sql(name)
    return column if pa.types.is_string(arrow_type) else f"CAST({column} AS VARCHAR)"


def texts_of(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of texts or whole numbers as one array of strings."""
    return pa.concat_arrays(column.cast(pa.string()).chunks or [pa.array([], pa.string())])


def amounts_of(table: pa.Table) -> tuple[Amount, ...]:
    """Return what may be an amount: numbers, texts written as some, debit beside credit."""
    single = [one for name in table.column_names for one in _amount(name, table.column(name))]
    return (*single, *_credit_less_debit(single), *_signed(table, single))


def days_of(table: pa.Table) -> tuple[Day, ...]:
    """Return what may be a day: dates, timestamps, texts or numbers written as some."""
    return tuple(one for name in table.column_names for one in _day(name, table.column(name)))


def _amount(name: str, column: pa.ChunkedArray) -> Iterator[Amount]:
    kind, sql = column.type, column_sql(name)
    if pa.types.is_integer(kind) and _counts(name, column):
        return
    if pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        yield Amount(name, sql, (name,), _units(column), raw=True)
    elif pa.types.is_floating(kind):
        cast = f"TRY_CAST({sql} AS DECIMAL(18, 4))"
        yield Amount(name, cast, (name,), _units(column), raw=False, simple=1, floating=True)
    elif pa.types.is_string(kind):
        texts = texts_of(column)
        there = len(texts) - texts.null_count
        figures = pc.sum(pc.match_substring_regex(texts, r"[0-9]")).as_py() or 0
        words = pc.sum(pc.match_substring_regex(texts, r"\pL{4,}")).as_py() or 0
        if there == 0 or figures < 0.9 * there or words > 0.1 * there:
            return
        marks = pc.sum(pc.match_substring_regex(texts, r"[.,][0-9]{1,2}\D*$")).as_py() or 0
        if marks < 0.5 * there:
            return
        for locale in ("en", "de"):
            numbers = parsed_amounts(texts, pa.repeat(locale, len(texts)))
            if len(numbers) - numbers.null_count >= 0.95 * there:
                units = _units(pa.chunked_array([numbers]))
                written = f"parse_amount({sql}, {quoted(locale)})"
                yield Amount(name, written, (name,), units, raw=False, simple=2)


def _counts(name: str, column: pa.ChunkedArray) -> bool:
    """Whether whole numbers tell rows apart, or days, rather than being amounts."""
    if re.search(r"(^|_)(id|no|nr|num|key|code|line|row|year|month)$", name.lower()):
        return True
    values = column.drop_null()
    if len(values) < 2:
        return True
    bounds = pc.min_max(values).as_py()
    distinct = pc.count_distinct(values).as_py()
    width = bounds["max"] - bounds["min"] + 1
    return bool(distinct == len(values) and width < 4 * len(values))


def _units(column: pa.ChunkedArray) -> Ints:
    """Return numbers in parts of `SCALE`; what is too large for that as null."""
    if pa.types.is_decimal(column.type):
        scaled = column.cast(pa.float64()).to_numpy() * SCALE
    else:
        scaled = np.asarray(column.to_numpy(), dtype=np.float64) * SCALE
    there = np.isfinite(scaled) & (np.abs(scaled) < _MOST)
    return np.where(there, np.rint(np.where(there, scaled, 0)), NONE).astype(np.int64)


def _credit_less_debit(single: Sequence[Amount]) -> Iterator[Amount]:
    """Two columns of which each row has one, and whose names say which is which."""
    for debit in single:
        for credit in single:
            if not _is_pair(debit.name, credit.name):
                continue
            of_debit, of_credit = debit.units, credit.units
            both = (of_debit != NONE) & (of_credit != NONE) & (of_debit != 0) & (of_credit != 0)
            if both.mean() > 0.02:
                continue
            out = np.where(of_debit == NONE, 0, np.abs(of_debit))
            units = np.where(of_credit == NONE, 0, of_credit) - out
            sql = f"(coalesce({credit.sql}, 0) - abs(coalesce({debit.sql}, 0)))"
            columns = (*credit.columns, *debit.columns)
            yield Amount(f"{credit.name} less {debit.name}", sql, columns, units, False, 3)


def _is_pair(debit: str, credit: str) -> bool:
    low, other = debit.lower().replace(" ", "_"), credit.lower().replace(" ", "_")
    return any(
        bool(re.search(rf"(^|_){out}($|_)", low) and re.search(rf"(^|_){into}($|_)", other))
        for out, into in _PAIRED
    )


def _signed(table: pa.Table, single: Sequence[Amount]) -> Iterator[Amount]:
    """Amounts without sign beside a column that says debit or credit."""
    for name in table.column_names:
        column = table.column(name)
        if not pa.types.is_string(column.type):
            continue
        words = [str(word) for word in pc.unique(column).to_pylist() if word is not None]
        lower = {word.strip().lower() for word in words}
        debits = [word for word in words if word.strip().lower() in _DEBITS]
        if not 1 <= len(debits) < len(words) <= 3 or not lower <= {*_DEBITS, *_CREDITS}:
            continue
        out = pc.is_in(texts_of(column), pa.array(debits)).to_numpy(zero_copy_only=False)
        listed = ", ".join(quoted(word) for word in sorted(debits))
        for one in single:
            there = one.units != NONE
            if one.units[there].min(initial=0) < 0:
                continue
            sql = f"(CASE WHEN {column_sql(name)} IN ({listed}) THEN -{one.sql} ELSE {one.sql} END)"
            units = np.where(out & there, -one.units, one.units)
            yield Amount(f"{one.name} by {name}", sql, (*one.columns, name), units, False, 3)


def _day(name: str, column: pa.ChunkedArray) -> Iterator[Day]:
    kind, sql = column.type, column_sql(name)
    if pa.types.is_date(kind):
        yield Day(name, sql, name, _days(column.cast(pa.date32())), raw=True)
    elif pa.types.is_timestamp(kind):
        days = pc.floor_temporal(column, unit="day")
        naive = pc.local_timestamp(days) if kind.tz else days
        yield Day(
            name,
            f"CAST({sql} AS DATE)",
            name,
            _days(naive.cast(pa.date32(), safe=False)),
            raw=False,
        )
    elif pa.types.is_string(kind) or pa.types.is_integer(kind):
        texts = texts_of(column)
        there = len(texts) - texts.null_count
        for pattern, (year, month, day) in _DAY_FORMS:
            written = _iso(texts, pattern, (year, month, day))
            if there == 0 or len(written) - written.null_count < 0.95 * there:
                continue
            found = pc.strptime(written, format="%Y-%m-%d", unit="s", error_is_null=True)
            if len(found) - found.null_count < 0.95 * there:
                continue
            groups = f"\\{year}-\\{month}-\\{day}"
            text = text_sql(name, kind)
            shown = f"TRY_CAST(regexp_replace({text}, {quoted(pattern)}, {quoted(groups)}) AS DATE)"
            yield Day(name, shown, name, _days(pa.chunked_array([found.cast(pa.date32())])), False)


def _iso(texts: pa.Array, pattern: str, order: tuple[int, int, int]) -> pa.Array:
    fits = pc.match_substring_regex(texts, pattern)
    rewritten = pc.replace_substring_regex(texts, pattern, "\\{}-\\{}-\\{}".format(*order))
    return pc.if_else(fits, rewritten, pa.scalar(None, pa.string()))


def _days(column: pa.ChunkedArray) -> Ints:
    numbers = pc.fill_null(column.cast(pa.int32()).cast(pa.int64()), NONE)
    return np.asarray(numbers.to_numpy(), dtype=np.int64)

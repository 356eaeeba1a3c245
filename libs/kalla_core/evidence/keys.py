r"""Keys as text, and the ids of matches and of groups.

The text of a value depends on its value and the kind of its type, not on how it is encoded:

| type | text |
|---|---|
| text | itself |
| integers | decimal digits |
| booleans | `true`, `false` |
| decimals | plain digits with all digits of their scale, as `10.50`; never with an exponent |
| floats | the shortest digits that read back, as `0.1`, `1e+20`, `nan`, `inf` |
| dates | `2024-03-31` |
| timestamps | `2024-03-31T12:30:00.25`, with `Z` and in UTC if zoned; fraction without end zeros |
| times of day | `12:30:00.25`, likewise |
| durations | the count of their unit |
| binary | lower-case hexadecimal |

A key of one column is its text. A key of several is a JSON array without spaces, as
`["A-1",7,true,null]`: integers, booleans and null as such, everything else as a string of its
text; `"`, `\` and control characters are escaped as Python's `json` does, all else is itself.

A match id is the XXH64 hash, seed 42 (Spark's `xxhash64`), of the UTF-8 bytes of the JSON array
of both key texts, `["left_key","right_key"]` or `null` in the place of a missing one, written as
16 lower-case hexadecimal digits.

The id of a group of rows is the same hash of the JSON array of two arrays, the key texts of its
left rows and of its right rows, `[["A-1","A-2"],["B-7"]]`: each text as often as rows have it, in
the order of their UTF-8 bytes, `null` at the end.

All functions work on whole arrays and give an array of the same length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import TypesNotComparable
from kalla_core.evidence.stored import UnstorableTypeError, store, stored_type

_HEX_PAIRS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)
_ESCAPES = {"\\": "\\\\", '"': '\\"'} | {
    chr(code): {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}.get(code, f"\\u{code:04x}")
    for code in range(0x20)
}
_PLAIN_DECIMAL_SCALE = 6  # up to here Arrow never writes an exponent


def key_text(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the text of each row's key, string; null only where a key of one column is null.

    Args:
        columns: the key's columns, of one length, at least one.

    Raises:
        TypesNotComparable: a column is nested or has another type that cannot be a key.
    """
    if len(columns) == 1:
        return value_text(columns[0])
    return _json_array([_json_value(column) for column in columns])


def match_ids(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return the id of each pair of keys, both as `key_text` gave them; never null."""
    return _hex_of_hashes(_hashes(_json_string(left), _json_string(right)))


def text_hashes(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Return XXH64 of each text, seed 42; of null it is 0."""
    return _hashed(pa.record_batch([texts], names=["t"]), "coalesce(xxhash64(t), 0)")


def are_among(hashes: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which hashes are among known ones, which ascend: `isin` would sort those each time."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[at] == hashes
    return found


@dataclass(frozen=True, slots=True)
class GroupTexts:
    """Key texts of rows of one side.

    Attributes:
        groups: the number of the group that each row is in, int64, ascending.
        texts: string, may be null.
    """

    groups: npt.NDArray[np.int64]
    texts: pa.Array


def group_ids(left: GroupTexts, right: GroupTexts, count: int) -> pa.Array:
    """Return the ids of the groups 0 to `count`, each of which has rows on both sides."""
    return _hex_of_hashes(_hashes(_json_lists(left, count), _json_lists(right, count)))


def value_text(column: pa.Array) -> pa.Array:
    """Return the text of each value, string; null where the value is null.

    Raises:
        TypesNotComparable: the type has no text.
    """
    try:
        column = store(column, stored_type(column.type))
    except UnstorableTypeError as error:
        raise _no_text(column.type) from error
    if pa.types.is_string(column.type):
        return column
    for applies, text in _TEXTS:
        if applies(column.type):
            return text(column)
    raise _no_text(column.type)


def _no_text(arrow: pa.DataType) -> TypesNotComparable:
    return TypesNotComparable(f"A column of type {arrow} cannot be part of a key.")


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _decimal(column: pa.Array) -> pa.Array:
    """Write the unscaled digits and put the point where it belongs."""
    scale = column.type.scale
    if scale <= _PLAIN_DECIMAL_SCALE:
        return _plain(column)
    bits, precision = column.type.bit_width, column.type.precision
    unscaled = {
        32: pa.decimal32,
        64: pa.decimal64,
        128: pa.decimal128,
        256: pa.decimal256,
    }[bits](precision, 0)
    whole = pa.Array.from_buffers(unscaled, len(column), column.buffers(), offset=column.offset)
    text = _plain(whole)
    sign = pc.if_else(pc.starts_with(text, "-"), "-", "")
    digits = pc.utf8_lpad(pc.utf8_ltrim(text, "-"), scale + 1, "0")
    before = pc.utf8_slice_codeunits(digits, 0, -scale)
    after = pc.utf8_slice_codeunits(digits, -scale)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, before, ""), after, ".")


def _timestamp(column: pa.Array) -> pa.Array:
    # Without its zone a timestamp is written in UTC, and no time zone database is needed.
    text = _short_fraction(_plain(column.cast(pa.timestamp(column.type.unit))))
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return text if column.type.tz is None else pc.binary_join_element_wise(text, "Z", "")


def _time(column: pa.Array) -> pa.Array:
    return _short_fraction(_plain(column))


def _short_fraction(text: pa.Array) -> pa.Array:
    """Drop zeros that end a fraction; there is always one, stored types being fine enough."""
    return pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".")


def _fixed_binary(column: pa.Array) -> pa.Array:
    return _binary(column.cast(pa.binary()))


def _binary(column: pa.Array) -> pa.Array:
    validity, _, _ = column.buffers()
    ends, data = _bytes_of(column)
    digits = _HEX_PAIRS[data[: ends[-1]]]
    buffers = [validity, pa.py_buffer(ends * 2), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.string(), len(column), buffers, offset=column.offset)


_TEXTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_integer, _plain),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_date, _plain),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_floating, _plain),
    (pa.types.is_boolean, _plain),
    (pa.types.is_time, _time),
    (pa.types.is_duration, _plain),
    (pa.types.is_fixed_size_binary, _fixed_binary),
    (pa.types.is_binary, _binary),
)


@dataclass(frozen=True, slots=True)
class _JsonValue:
    """One value per row: `before`, the text, `after`. The text is never null."""

    before: str
    text: pa.Array
    after: str


def _json_value(column: pa.Array) -> _JsonValue:
    text = value_text(column)
    kind = stored_type(column.type)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _JsonValue("", pc.fill_null(text, "null"), "")
    return _json_string(text)


def _json_string(text: pa.Array) -> _JsonValue:
    for character in _characters_to_escape(text):
        text = pc.replace_substring(text, character, _ESCAPES[character])
    if text.null_count == 0:
        return _JsonValue('"', text, '"')
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    return _JsonValue("", pc.fill_null(quoted, "null"), "")


def _json_array(values: Sequence[_JsonValue]) -> pa.Array:
    """Put everything together in one pass over the rows."""
    pieces: list[str | pa.Array] = []
    separator = "["
    for value in values:
        pieces += [separator + value.before, value.text]
        separator = value.after + ","
    return pc.binary_join_element_wise(*pieces, values[-1].after + "]", "")


def _json_lists(rows: GroupTexts, count: int) -> _JsonValue:
    """Return the array of each group's texts; what stands between them is in its bytes already."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows.groups, minlength=count))])
    value = _json_string(rows.texts)
    if len(rows.groups) == count:
        return _JsonValue("[" + value.before, value.text, value.after + "]")
    table = pa.table({"group": rows.groups, "text": rows.texts})
    order = pc.sort_indices(table, [("group", "ascending"), ("text", "ascending")])
    first = np.zeros(len(rows.groups), dtype=np.bool_)
    first[ends[:-1]] = True
    separators = pc.if_else(pa.array(first), value.before, f",{value.before}")
    # A group of many rows may have more text than 32-bit offsets can address.
    pieces = (separators, value.text.take(order), pa.scalar(value.after), pa.scalar(""))
    large = [piece.cast(pa.large_string()) for piece in pieces]
    _, offsets, data = pc.binary_join_element_wise(*large).buffers()
    starts = np.frombuffer(offsets, np.int64, count=len(rows.groups) + 1)[ends]
    lists = pa.Array.from_buffers(pa.large_string(), count, [None, pa.py_buffer(starts), data])
    return _JsonValue("[", lists, "]")


def _characters_to_escape(text: pa.Array) -> list[str]:
    """Return those that occur, the backslash first, as all others bring in new ones."""
    ends, data = _bytes_of(text)
    used = data[ends[text.offset] : ends[-1]]
    if not len(used):
        return []
    occurring = [special for special in '\\"' if (used == ord(special)).any()]
    if used.min() < 0x20:
        occurring += [chr(code) for code in np.unique(used[used < 0x20])]
    return occurring


def _bytes_of(column: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the offsets of a string or binary array up to its last row, and the bytes."""
    _, offsets, data = column.buffers()
    rows = column.offset + len(column)
    if offsets is None or offsets.size == 0:
        return np.zeros(rows + 1, dtype=np.int32), np.empty(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int32, count=rows + 1)
    return ends, np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)


def _hashes(left: _JsonValue, right: _JsonValue) -> npt.NDArray[np.int64]:
    """Return XXH64 of the JSON array of two values, per row."""
    pairs = pa.record_batch([left.text, right.text], names=["l", "r"])
    parts = (f"'[{left.before}'", "l", f"'{left.after},{right.before}'", "r", f"'{right.after}]'")
    return _hashed(pairs, f"xxhash64(concat({', '.join(parts)}))")


def _hashed(rows: pa.RecordBatch, expression: str) -> npt.NDArray[np.int64]:
    # Loaded here: who only writes keys as text, as `kalla why` does, starts sooner without it.
    from kalla_core.matching.plans.session import new_session

    session = new_session()
    session.from_arrow(rows, name="rows_of_keys")
    found = session.sql(f"SELECT {expression} AS hash FROM rows_of_keys").collect()  # noqa: S608
    hashes = [batch.column(0).to_numpy() for batch in found]
    return np.concatenate(hashes) if hashes else np.empty(0, dtype=np.int64)


def _hex_of_hashes(hashes: npt.NDArray[np.int64]) -> pa.Array:
    """Write each hash as 16 hexadecimal digits, the most significant first."""
    rows = len(hashes)
    digits = _HEX_PAIRS[hashes.byteswap().view(np.uint8)]
    ends = np.arange(0, 16 * rows + 1, 16, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), rows, [None, pa.py_buffer(ends), pa.py_buffer(digits)]
    )

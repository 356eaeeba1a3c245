"""Values in sentences: text in quotes, and what eyes cannot see made visible.

`'A1 '` is shown as `'A1␠'`: blanks at an end or beside another, tabs, line ends and other control
characters have pictures; blanks of other widths, what has no width and what turns the direction
are shown by number, as `<U+200B>`; so are the marks of a text that is not in composed form (NFC),
which looks like another text that is. All else stays as it is.

Bytes are shown as `X'00ff'`, as SQL writes them, lists as `['a', null]`, structs as
`{id: 7, note: 'a'}`, maps as `{'a': 7}`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import one_chunk
from kalla_core.evidence.keys import value_text

_BLANK = "\u2420"
_ASCII_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}
_UNSEEN_CATEGORIES = {"Cc", "Cf", "Co", "Zs", "Zl", "Zp"}
_UNSEEN_LETTERS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
_LAST_OF_ASCII = "\x7f"
_JAMO = range(0x1100, 0x1200)


def shown(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return each value as a sentence shows it, string; `null` for null, never null itself.

    Raises:
        TypesNotComparable: the type has no text.
    """
    values = one_chunk(column)
    if pa.types.is_struct(values.type):
        return _struct(values)
    if pa.types.is_map(values.type):
        kind = pa.struct([values.type.key_field, values.type.item_field])
        return _listed(values.cast(pa.list_(kind)), _entries, "{}")
    if _is_list(values.type):
        return _listed(values, shown, "[]")
    text = value_text(values)
    if _is_bytes(values.type):
        return pc.binary_join_element_wise("X'", text, "'", "").fill_null("null")
    return (quoted(text) if is_text(values.type) else text).fill_null("null")


def shown_pieces(column: pa.Array | pa.ChunkedArray) -> list[pa.Array | str]:
    """Return what `shown` does in pieces to be joined, where that spares a copy."""
    if not is_text(column.type) or column.null_count:
        return [shown(column)]
    return ["'", _visible(value_text(one_chunk(column))), "'"]


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are text."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in (*tests, pa.types.is_fixed_size_binary))


def quoted(text: pa.Array) -> pa.Array:
    """Return text in single quotes, these doubled within, and what cannot be seen made visible."""
    return pc.binary_join_element_wise("'", _visible(text), "'", "")


def _visible(text: pa.Array) -> pa.Array:
    there = _occurring(text)
    if "'" in there:
        text = pc.replace_substring(text, "'", "''")
    if there and max(there) > _LAST_OF_ASCII:
        text = _marks(text)
        there = _occurring(text)
    for character in there:
        if character != " " and _is_unseen(character):
            text = pc.replace_substring(text, character, _picture(character))
    return _blanks(text) if " " in there else text


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    return any(test(kind) for test in tests + views)


def _listed(
    values: pa.Array, items_shown: Callable[[pa.Array], pa.Array], brackets: str
) -> pa.Array:
    """Show lists; a null one may have items in its buffers, which flattening leaves out."""
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    lists = pa.ListArray.from_arrays(ends, items_shown(pc.list_flatten(values)))
    text = pc.binary_join_element_wise(brackets[0], pc.binary_join(lists, ", "), brackets[1], "")
    return pc.if_else(pc.is_valid(values), text, "null")


def _entries(entries: pa.StructArray) -> pa.Array:
    names, items = (shown(part) for part in entries.flatten())
    return pc.binary_join_element_wise(names, items, ": ")


def _struct(values: pa.StructArray) -> pa.Array:
    pieces: list[pa.Array | str] = []
    for number, (field, part) in enumerate(zip(values.type, values.flatten(), strict=True)):
        pieces += [f"{', ' if number else '{'}{field.name}: ", shown(part)]
    text = pc.binary_join_element_wise(*pieces, "}", "")
    return pc.if_else(pc.is_valid(values), text, "null")


def _blanks(text: pa.Array) -> pa.Array:
    """Show the blanks that begin or end a text, or stand beside another one."""
    if not pc.any(pc.match_substring_regex(text, "^ | $|  ")).as_py():
        return text
    for pattern in ("^ ", " $"):
        text = pc.replace_substring_regex(text, pattern, _BLANK)
    for pattern, shown_as in (("  ", _BLANK * 2), (f"{_BLANK} ", _BLANK * 2),
                              (f" {_BLANK}", _BLANK * 2)):  # fmt: skip
        while pc.any(pc.match_substring(text, pattern)).as_py():
            text = pc.replace_substring(text, pattern, shown_as)
    return text


def _is_unseen(character: str) -> bool:
    code = ord(character)
    variation = 0xFE00 <= code < 0xFE10
    return (
        unicodedata.category(character) in _UNSEEN_CATEGORIES
        or variation
        or code in _UNSEEN_LETTERS
    )


def _occurring(text: pa.Array) -> list[str]:
    """Return all characters that occur, each once."""
    text = text.fill_null("")  # another array, with an offset of its own
    _, offsets, data = text.buffers()
    if offsets is None or data is None:
        return []
    ends = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    used = memoryview(data)[ends[0] : ends[-1]]
    octets = np.frombuffer(used, dtype=np.uint8)
    if len(octets) == 0 or octets.max() < 0x80:
        seen = np.zeros(0x80, dtype=np.bool_)
        seen[octets] = True
        return [chr(code) for code in np.flatnonzero(seen)]
    points = np.frombuffer(str(used, "utf-8").encode("utf-32-le"), dtype=np.uint32)
    return [chr(code) for code in np.unique(points)]


def _picture(character: str) -> str:
    return _ASCII_PICTURES.get(character) or f"<U+{ord(character):04X}>"


def _marks(text: pa.Array) -> pa.Array:
    """Show, in texts that are not composed, the characters that composing would change."""
    loose = pc.not_equal(pc.utf8_normalize(text, "NFC"), text).fill_null(False)
    if not pc.any(loose).as_py():
        return text
    marked = text.filter(loose)
    for character in _occurring(marked):
        if _is_composed_away(character):
            marked = pc.replace_substring(marked, character, _picture(character))
    return pc.replace_with_mask(text, loose, marked)


def _is_composed_away(character: str) -> bool:
    return (
        unicodedata.category(character)[0] == "M"
        or ord(character) in _JAMO
        or unicodedata.normalize("NFC", character) != character
    )

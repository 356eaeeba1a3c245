"""Values in sentences: text in quotes, and what eyes cannot see made visible.

`'A1 '` is shown as `'A1␠'`: blanks at an end or beside another, tabs, line ends and other control
characters have pictures; blanks of other widths, what has no width and what turns the direction
are shown by number, as `<U+200B>`; so are the marks of a text that is not in composed form (NFC),
which looks like another text that is. All else stays as it is.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import one_chunk
from kalla_core.evidence.keys import value_text

_BLANK = "\u2420"
_ASCII_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}
_UNSEEN_CATEGORIES = {"Cc", "Cf", "Co", "Zs", "Zl", "Zp"}
_UNSEEN_LETTERS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
_JAMO = range(0x1100, 0x1200)


def shown(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return each value as a sentence shows it, string; `null` for null, never null itself.

    Raises:
        TypesNotComparable: the type has no text.
    """
    values = one_chunk(column)
    text = value_text(values)
    return (quoted(text) if is_text(values.type) else text).fill_null("null")


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are text."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def quoted(text: pa.Array) -> pa.Array:
    """Return text in single quotes, these doubled within, and what cannot be seen made visible."""
    text = pc.replace_substring(text, "'", "''")
    text = _marks(text)
    for character in _characters(text):
        text = pc.replace_substring(text, character, _picture(character))
    return pc.binary_join_element_wise("'", _blanks(text), "'", "")


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


def _characters(text: pa.Array) -> list[str]:
    """Return the characters that occur and cannot be seen, but for the blank."""
    return [c for c in _occurring(text) if c != " " and _is_unseen(c)]


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
    _, offsets, data = text.fill_null("").buffers()
    if offsets is None or data is None:
        return []
    ends = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    used = memoryview(data)[ends[0] : ends[-1]]
    octets = np.frombuffer(used, dtype=np.uint8)
    if (octets < 0x80).all():
        return [chr(code) for code in np.flatnonzero(np.bincount(octets))]
    points = np.frombuffer(str(used, "utf-8").encode("utf-32-le"), dtype=np.uint32)
    return [chr(code) for code in np.unique(points)]


def _picture(character: str) -> str:
    return _ASCII_PICTURES.get(character) or f"<U+{ord(character):04X}>"


def _marks(text: pa.Array) -> pa.Array:
    """Show, in texts that are not composed, the characters that composing would change."""
    if pc.all(pc.string_is_ascii(text)).as_py() is not False:
        return text
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

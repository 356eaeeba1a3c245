"""Values that stand for no value, as people and systems write them into keys."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.visible import is_text
from kalla_core.engine.rows import Bools, one_chunk
from kalla_core.evidence.keys import value_text

_WORDS = """
na n/a n.a n.a. n\\a #n/a <na> #na none null (null) <null> nil nan void empty (empty) <empty>
(none) (blank) blank unknown (unknown) unkn unk undefined undef unspecified unassigned unallocated
missing tbd tba tbc t.b.d. t.b.a. todo pending default dummy test placeholder other misc various n/v
k.a. k.a keine unbekannt entfällt leer ohne inconnu néant aucun sans desconocido ninguno nessuno
sconosciuto
"""
_PHRASES = {"not available", "not applicable", "no reference", "no ref", "not provided", "not set"}
WORDS = frozenset(_WORDS.split()) | _PHRASES
_SIGNS_ONLY = r"^[\s\-\x{2010}-\x{2015}_.,;:/\\?!#*+=x~]*$"
_ONE_DIGIT = r"^(0+|9{4,}|-1|1234567890?)$"
_DATES = ("0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31")
_DATE = rf"^({'|'.join(_DATES)})(t00:00:00z?)?$"


def placeholders(columns: Sequence[pa.ChunkedArray]) -> Bools:
    """Return for each key whether it has a value that stands for no value.

    Numbers, dates and digits stand for one only where they are the whole key: beside other
    columns they are mostly a flag or a kind.

    Args:
        columns: of the key, at least one.
    """
    found = _says_nothing(columns[0], alone=len(columns) == 1)
    for column in columns[1:]:
        found |= _says_nothing(column, alone=False)
    return found


def _says_nothing(column: pa.ChunkedArray, alone: bool) -> Bools:
    values = one_chunk(column)
    null = pc.is_null(values)
    if pa.types.is_boolean(values.type):
        return _flags(null)
    text = pc.utf8_lower(pc.utf8_trim_whitespace(value_text(values)))
    tests = [null]
    if is_text(values.type):
        tests.append(pc.is_in(text, value_set=pa.array(sorted(WORDS), text.type)))
        tests.append(pc.match_substring_regex(text, _SIGNS_ONLY))
    if alone:
        tests.append(pc.match_substring_regex(text, rf"{_ONE_DIGIT}|{_DATE}"))
    return _flags(*tests)


def _flags(*tests: pa.Array) -> Bools:
    held: Bools = pc.fill_null(tests[0], False).to_numpy(zero_copy_only=False)
    for test in tests[1:]:
        held = held | pc.fill_null(test, False).to_numpy(zero_copy_only=False)
    return held

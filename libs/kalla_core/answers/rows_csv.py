"""Columns as CSV can have them: what its writer cannot spell becomes text before, by kernels."""

from __future__ import annotations

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.rows_json import json_texts

FORMULA_LIKE = r"^[=+\-@\t\r\n\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
"""What begins like this is taken for a formula by some spreadsheet, or may be."""

_PLAIN_NUMBER = r"^[+\-]?[0-9]+([.,][0-9]+)?$"


def csv_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of `csv_column` of a column of this type."""
    return pa.string() if pa.types.is_nested(kind) or _is_bytes(kind) else kind


def csv_column(column: pa.Array) -> pa.Array:
    """Return a column for CSV: bytes in hexadecimal, lists and structs as JSON; null stays null."""
    if pa.types.is_nested(column.type):
        return pc.if_else(column.is_valid(), json_texts(column), pa.scalar(None, pa.string()))
    return _hexadecimal(column) if _is_bytes(column.type) else column


def harmless(column: pa.Array) -> pa.Array:
    """Return a column of CSV with `'` before text that a spreadsheet would take for a formula.

    What is a plain number, `-5.00`, stays.
    """
    if not pa.types.is_string(column.type):
        return column
    risky = pc.match_substring_regex(column, FORMULA_LIKE).fill_null(False)
    if not pc.any(risky).as_py():
        return column
    risky = pc.and_not(risky, pc.match_substring_regex(column, _PLAIN_NUMBER).fill_null(False))
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _hexadecimal(column: pa.Array) -> pa.Array:
    plain = column.cast(pa.large_binary()).fill_null(b"")
    _, offsets, data = plain.buffers()
    ends = np.frombuffer(offsets, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    digits = binascii.hexlify(memoryview(data or b"")[ends[0] : ends[-1]])
    texts = pa.LargeStringArray.from_buffers(
        len(plain), pa.py_buffer((ends - ends[0]) * 2), pa.py_buffer(digits)
    ).cast(pa.string())
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.string()))

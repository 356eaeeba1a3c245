"""Encodings: which can be cut as they are, and which are turned into UTF-8 first. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import cache

_MANY_BYTES = re.compile(
    "big5(hkscs)?|cp932|cp949|cp950|euc_(jp|jis_2004|jisx0213|kr)|gb2312|gbk|gb18030"
    "|shift_jis(_2004|x0213)?"
)
_WIDTHS = {"utf-16": 2, "utf-32": 4}
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_ASCII = bytes(range(128))
_LOW = 0x30
"""Below it no byte of a character of several bytes lies, in any of these encodings."""

_BETWEEN = b":;<=>?"


def is_kept(encoding: str, signs: Sequence[str]) -> bool:
    """Return whether files are cut and parsed as they are.

    That is so where the bytes of ASCII characters stand for nothing else: in UTF-8, in encodings
    of one byte that contain ASCII, and in those of several bytes as long as the signs of the
    dialect (and line breaks) cannot be one byte of a longer character.
    """
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "ascii"):
        return True
    if _MANY_BYTES.fullmatch(name.replace("-", "_")):
        return all(ord(sign) < _LOW or sign.encode() in _BETWEEN for sign in signs)
    return _is_one_byte_ascii(name)


@cache
def _is_one_byte_ascii(name: str) -> bool:
    if name in ("utf-7", "utf-8-sig") or "2022" in name or name == "hz":
        return False
    try:
        if _ASCII.decode(name) != _ASCII.decode("ascii"):
            return False
    except UnicodeError:
        return False
    return all(_length(byte, name) <= 1 for byte in range(128, 256))


def _length(byte: int, name: str) -> int:
    try:
        return len(bytes([byte]).decode(name))
    except UnicodeError:
        return 0


def has_byte_order(encoding: str) -> bool:
    """Return whether an encoding leaves it to a mark at a file's start which byte comes first."""
    return codecs.lookup(encoding).name in _WIDTHS


def with_byte_order(encoding: str, head: bytes) -> str:
    """Return the encoding of a file with these first bytes, its byte order told where no mark does.

    Text of any language has line breaks, blanks and digits, in which the high byte is zero.
    """
    if head.startswith(_MARKS):
        return encoding
    width = _WIDTHS[codecs.lookup(encoding).name]
    first, last = (head[at::width].count(0) for at in (0, width - 1))
    return f"{encoding}-{'be' if first > last else 'le'}"

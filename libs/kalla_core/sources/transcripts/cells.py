"""Texts as fields of the CSV that is made: tabs between them, quotes around what needs them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile('[\t"\r\n\ufeff]')


DELIMITER = "\t"
"""Between fields: what no number has in it, whatever its decimal sign."""


def field(text: str) -> str:
    """Return a text as a field; the empty text is quoted, since nothing at all means NULL."""
    if not text or _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def line(fields: Sequence[str]) -> str:
    """Return fields as a line; a blank one, which is no row, where none has anything."""
    return DELIMITER.join(fields) if any(fields) else ""

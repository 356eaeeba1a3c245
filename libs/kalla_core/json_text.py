"""Documents as JSON, with words for what JSON has none for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial


def json_text(document: object, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Return a document as JSON; NaN and infinity are text, as in rows of evidence.

    What JSON knows nothing of, such as dates and decimals, is text as `str` has it.
    """
    write = partial(
        json.dumps, indent=indent, ensure_ascii=ascii_only, default=str, allow_nan=False
    )
    try:
        return write(document)
    except ValueError:
        return write(_worded(document))


def _worded(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {key: _worded(one) for key, one in value.items()}
        case list() | tuple():
            return [_worded(one) for one in value]
        case _:
            return value

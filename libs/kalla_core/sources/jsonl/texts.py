"""JSON values with their numbers as they were written. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kalla_core.sources.jsonl.records import BrokenJsonError

_WHITE = " \t\r\n"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class Written(str):
    """A number, as it is written."""

    __slots__ = ()


def _is_text(value: object) -> bool:
    try:
        text_of(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field `{double}` stands in it twice")
    return found


_DECODER = json.JSONDecoder(
    parse_int=Written, parse_float=Written, parse_constant=_refused, object_pairs_hook=_object
)


def objects(data: bytes, line: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield objects that stand one after the other, each with the line on which it begins.

    Args:
        data: whole ones.
        line: on which they begin.

    Raises:
        BrokenJsonError: what is none, with its line.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as cause:
        line += data.count(b"\n", 0, cause.start)
        raise BrokenJsonError(f"line {line}: it is not UTF-8.") from cause
    at, counted = 0, 0
    halves = _HALF.search(text) is not None
    while True:
        while at < len(text) and text[at] in _WHITE:
            at += 1
        if at == len(text):
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as cause:
            why = getattr(cause, "msg", None) or str(cause)
            line = line + text.count("\n", counted, getattr(cause, "pos", counted))
            raise BrokenJsonError(f"line {line}: it is no JSON: {why}.") from cause
        if halves and not _is_text(value):
            raise BrokenJsonError(f"line {line}: it has one half of a surrogate pair.")
        if not isinstance(value, dict):
            raise BrokenJsonError(f"line {line}: `{text_of(value)[:40]}` is no object.")
        yield line, value


def text_of(value: object) -> str:
    """Return a value as JSON, its numbers as they were written."""
    match value:
        case Written():
            return str(value)
        case dict():
            inner = (
                f"{json.dumps(name, ensure_ascii=False)}:{text_of(one)}"
                for name, one in value.items()
            )
            return f"{{{','.join(inner)}}}"
        case list():
            return f"[{','.join(map(text_of, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def plain_text(value: object) -> str | None:
    """Return a value as a text column has it: texts as they are, null as NULL, the rest as JSON."""
    if value is None:
        return None
    return value if isinstance(value, str) else text_of(value)

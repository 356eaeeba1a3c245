"""An object that holds the array of a file's records, as answers of web services do.

The array is read block by block; what stands around it is held, and has to be whole JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from kalla_core.sources.jsonl.records import (
    BLOCK_BYTES,
    MAX_RECORD_BYTES,
    Block,
    BrokenJsonError,
    Read,
    array_blocks,
    object_end,
)

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|["{}\[\]]', re.DOTALL)
_OBJECTS = re.compile(rb"\[\s*\{")
_MEMBER = re.compile(rb"\s*:\s*(?=(\S))")
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 64 << 10
_MOST_SHOWN = 5

Member = tuple[tuple[str, ...], int]


def enveloped_blocks(
    read: Read, names: Sequence[str], block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Yield blocks of the objects of an array that a file's only object holds.

    Args:
        names: of the members that lead to the array.

    Raises:
        BrokenJsonError: there is no such array, an object without an end, or what is around the
            array is no JSON, or has it twice.
    """
    head, start = _opened(read, names)
    around = head[: start + 1]
    behind = yield from array_blocks(read, head[start + 1 :], 1 + around.count(b"\n"), block_bytes)
    pieces, size = [behind], len(behind)
    while more := read(block_bytes):
        pieces.append(more)
        size += len(more)
        _refuse_large(size)
    _check_around(around + b"]" + b"".join(pieces), names)


def arrays_of_objects(head: bytes) -> tuple[str, ...]:
    """Return what leads to arrays of objects in a file that begins so and is one object.

    Only members whose names have no dots are looked at, which are those that `records` can say.
    """
    text = head.removeprefix(_BOM).lstrip()
    if not text.startswith(b"{") or text[object_end(text) :].strip():
        return ()
    found = [
        ".".join(path)
        for path, at in _members(text)
        if _OBJECTS.match(text, at) and all(name and "." not in name for name in path)
    ]
    return tuple(dict.fromkeys(found))


def _opened(read: Read, names: Sequence[str]) -> tuple[bytes, int]:
    """Return the first bytes of a file, and where among them the array begins."""
    wanted = tuple(names)
    head = read(_HEAD_BYTES).removeprefix(_BOM)
    while True:
        if head.strip() and not head.lstrip().startswith(b"{"):
            raise BrokenJsonError(
                f"is not one object, so it has no `{'.'.join(names)}`, which `records` says."
            )
        for path, at in _members(head):
            if path == wanted and head[at : at + 1] == b"[":
                return head, at
            if path == wanted:
                raise BrokenJsonError(
                    f"has a `{'.'.join(names)}` that is no array, so it holds no records."
                )
        _refuse_large(len(head))
        more = read(max(len(head), _HEAD_BYTES))
        if not more:
            raise BrokenJsonError(f"has no array `{'.'.join(names)}`.{_instead(head)}")
        head += more


def _instead(head: bytes) -> str:
    shown = [f"`{name}`" for name in arrays_of_objects(head)[:_MOST_SHOWN]]
    return f" Arrays of records in it: {', '.join(shown)}." if shown else ""


def _members(head: bytes) -> Iterator[Member]:
    """Yield the members of objects that lie in no array, and where their values begin.

    It ends where the bytes or the first object do.
    """
    path: list[str] = []
    opened: list[bool] = []  # whether each is an object whose members are told
    name: str | None = None
    for token in _TOKEN.finditer(head):
        sign = token[0]
        if sign == b'"':
            return
        if sign in (b"{", b"["):
            told = sign == b"{" and (not opened or (opened[-1] and name is not None))
            opened.append(told)
            path.append(name or "")
            name = None
        elif sign in (b"}", b"]"):
            if opened:
                opened.pop()
                path.pop()
            if not opened:
                return
        elif opened and opened[-1] and (value := _MEMBER.match(head, token.end())):
            name = _name(sign)
            if name is None:
                return
            yield (*path[1:], name), value.end()
            if value[1] not in b"{[":
                name = None


def _name(quoted: bytes) -> str | None:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return None


def _check_around(text: bytes, names: Sequence[str]) -> None:
    """Refuse what is no JSON when the array is empty, or where a name on the way is there twice."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs) and any(
            [name for name, _ in pairs].count(name) > 1 for name in names
        ):
            raise BrokenJsonError(f"has one of `{'.'.join(names)}` twice.")
        return found

    try:
        json.loads(text, object_pairs_hook=members)
    except (ValueError, RecursionError):
        raise BrokenJsonError(
            f"is cut off, or no JSON, before or behind the array `{'.'.join(names)}`."
        ) from None


def _refuse_large(size: int) -> None:
    if size > MAX_RECORD_BYTES:
        raise BrokenJsonError(
            f"has more than {MAX_RECORD_BYTES >> 20} MiB before or behind the array of its records."
        )

"""Text of data as a terminal may have it: nothing in it is a command to the terminal.

Control characters, `ESC` above all, have pictures (`␛`); those beyond ASCII and what turns the
direction of a line are shown by number, as `<U+202E>`. Line ends and tabs stay.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_BEYOND = (*range(0x80, 0xA0), *_TURNING)
_SHOWN = {**_PICTURES, 0x7F: "\u2421", **{code: f"<U+{code:04X}>" for code in _BEYOND}}
_IN_JSON = {code: f"\\u{code:04x}" for code in (0x7F, *_BEYOND)}


def harmless(text: str) -> str:
    """Return text whose control characters are visible."""
    return text.translate(_SHOWN)


def harmless_json(text: str) -> str:
    """Return the same JSON with such characters, which stand in strings only, as escapes."""
    return text.translate(_IN_JSON)


def harmless_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield UTF-8 text in pieces as `harmless` shows it; ends of lines may be CR and LF."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    before = ""
    for piece in pieces:
        text = before + decoder.decode(piece)
        before = "\r" if text.endswith("\r") else ""
        yield harmless(text[: len(text) - len(before)].replace("\r\n", "\n")).encode()
    yield harmless(before + decoder.decode(b"", final=True)).encode()

"""The encoding of a file's first bytes. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CYRILLIC = "\u0430-\u044f\u0410-\u042f\u0451\u0401"
_LETTERS = {
    "cp1252": "äöüÄÖÜßéèêëàâçîïôûùœñÑáíóúÁÉÍÓÚåÅæÆøØãõÃÕÇÈÀÊ€£§°ºª’‘“”–«»",  # noqa: RUF001
    "cp1250": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻčďěňřšťůžýáíéúČĎĚŇŘŠŤŮŽÝÁÍÉÚőűŐŰäöüÄÖÜßţşăîâ€§°",
    "cp850": "äöüÄÖÜßéèêëàâçîïôûùñÑáíóúåÅæÆøØÉÇ£",
}
"""What texts in an encoding of one byte are made of; the first that explains most is told."""

_MANY = (("shift_jis", "[\u3040-\u30ff\u4e00-\u9fff\uff61-\uff9f]"),
         ("gb18030", "[\u4e00-\u9fff\uff00-\uffef]"))  # fmt: skip
_CYRILLIC_ENCODINGS = ("cp1251", "koi8-r", "cp866")
_WIDE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class FoundEncoding:
    """An encoding, and the sentence that says what shows it; empty where nothing had to."""

    name: str
    evidence: str = ""


def encoding_of(head: bytes) -> FoundEncoding:
    """Return the encoding that the first bytes of a file are in."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            said = "" if name == "utf-8" else f"the file begins with the mark of {name.upper()}"
            return FoundEncoding(name, said)
    if wide := _wide(head):
        return FoundEncoding(wide, "every other byte is zero, and no mark says so")
    if _is_utf8(head):
        return FoundEncoding("utf-8")
    first = next(index for index, byte in enumerate(head) if byte > 127)
    line = head.count(b"\n", 0, first) + 1
    name = _cyrillic(head) or _of_letters(head)
    start = max(head.rfind(b"\n", 0, first), first - 8, -1) + 1
    shown = head[start : first + 8].split(b"\n")[0].strip(b"\r").decode(name, "replace")
    return FoundEncoding(
        name, f"it is not UTF-8, and the bytes 0x{head[first]:02x}… in line {line} are `{shown}`"
    )


def _wide(head: bytes) -> str:
    for width, name in ((4, "utf-32"), (2, "utf-16")):
        zeros = [head[at::width].count(0) for at in range(width)]
        if sum(zeros) >= len(head) * (0.6 if width == 4 else _WIDE_SHARE):
            return name
    return ""


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _cyrillic(head: bytes) -> str:
    """Return an encoding of Cyrillic, where letters beyond ASCII stand in rows."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", head)]
    if sum(size for size in runs if size > 2) * 2 < sum(runs):
        return ""
    texts = {name: head.decode(name, "replace") for name in _CYRILLIC_ENCODINGS}
    high = sum(runs)
    fits = {
        name: len(re.findall(f"[{_CYRILLIC}]", text)) - _turns(text) for name, text in texts.items()
    }
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] * 10 >= high * 9 else ""


def _turns(text: str) -> int:
    """Return how often a small letter is followed by a large one, which words do not do."""
    return len(re.findall("[\u0430-\u044f][\u0410-\u042f]", text))


def _of_many_bytes(head: bytes) -> str:
    for name, letters in _MANY:
        try:
            text = codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        beyond = [sign for sign in text if sign > "\x7f"]
        if len(re.findall(letters, text)) * 10 >= len(beyond) * 7:
            return name
    return ""


def _of_letters(head: bytes) -> str:
    """Return the encoding whose letters explain most; one of several bytes where none explains."""
    high = sum(byte > 127 for byte in head)
    explained = {name: _explained(head, name) for name in _LETTERS}
    best = max(explained, key=lambda name: explained[name])
    return best if explained[best] * 10 >= high * 9 else _of_many_bytes(head) or best


def _explained(head: bytes, name: str) -> int:
    return sum(head.count(sign.encode(name)) for sign in _LETTERS[name])

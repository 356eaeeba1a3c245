"""XML that others wrote, as a stream: it may define nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.parsers import expat

Start = Callable[[str, dict[str, str]], Any]


class ForbiddenXmlError(Exception):
    """XML with a document type: it needs none, and could unfold without an end."""


FAULTS = (expat.ExpatError, ForbiddenXmlError, UnicodeError)
"""What reading XML raises that is damaged."""


def parser(start: Start, end: Callable[[str], Any]) -> expat.XMLParserType:
    """Return a parser that calls these with names as they are written."""
    found = expat.ParserCreate()
    found.buffer_text = True
    found.StartElementHandler = start
    found.EndElementHandler = end
    found.StartDoctypeDeclHandler = _refuse
    return found


def local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def _refuse(*_: object) -> None:
    raise ForbiddenXmlError("its XML has a document type, which no such file has")

"""Places in a JSON document: `sources.left.primary_key[0]`, `types["due date"]`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

Location = tuple[str | int, ...]

DOCUMENT = "(document)"
"""The path of the whole document."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = re.compile(
    r'(?P<dot>\.?)(?P<name>[^.\[\]="]+)|\[(?P<index>\d+)\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]'
)


def path_text(location: Sequence[str | int]) -> str:
    """Return a location as text; names that are no words are quoted in brackets."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text or DOCUMENT


def parse_path(text: str) -> Location:
    """Read what `path_text` writes.

    Raises:
        ValueError: the text is no path; the message is a sentence.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None or (found["name"] is not None and bool(found["dot"]) is not bool(steps)):
            raise ValueError(
                f'"{text}" is not a path like options.buckets or sources.left.filters[0].'
            )
        steps.append(_step(found))
        position = found.end()
    if not steps:
        raise ValueError("an empty path names nothing.")
    return tuple(steps)


def _step(found: re.Match[str]) -> str | int:
    if found["index"] is not None:
        return int(found["index"])
    return str(json.loads(found["quoted"])) if found["quoted"] is not None else found["name"]

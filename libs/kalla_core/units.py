"""Sizes, durations and modes of files as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

_DECIMAL = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BINARY = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SHORT = {name.removesuffix("b"): factor for name, factor in _BINARY.items()}
_SIZES: Mapping[str, int] = {"": 1, "b": 1, **_DECIMAL, **_BINARY, **_SHORT}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)

_MICROSECONDS: Mapping[str, int] = {
    "": 10**6,
    "ms": 10**3,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
}
_STEP = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])", re.ASCII)
_PLAIN_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_MAX_BYTES = 2**63 - 1

PRIVATE_MODE = "0600"
"""The mode of a file that only its owner reads."""

_MODE = re.compile(r"(?:0o?)?([0-7]{3})", re.ASCII)
_OWNERS_MODE = 0o600
_ANY_MODE = 0o666


def parse_size_bytes(text: str) -> int:
    """Read `1GiB`, `1.5 GiB`, `512MB`, `512Mi` or plain bytes.

    MB is a million bytes, MiB and Mi are 2**20. A bare `M` or `G` is refused: it means one to
    some and the other to others.

    Raises:
        ValueError: anything else; the message is a sentence.
    """
    found = _SIZE.fullmatch(text.strip())
    factor = None if found is None else _SIZES.get(found[2].lower())
    if found is None or factor is None:
        raise ValueError("a size is written like 1GiB, 512MiB, 512MB or as plain bytes")
    size = int(Decimal(found[1]) * factor)
    if size > _MAX_BYTES:
        raise ValueError("this size is larger than any machine has")
    return size


def format_bytes(size: int) -> str:
    """Return a size for people: `1.5 GiB`, `812 B`."""
    for name, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} B"


def parse_duration(text: str) -> timedelta:
    """Read `250ms`, `30s`, `5m`, `1h30m`, `2d` or plain seconds.

    Raises:
        ValueError: anything else; the message is a sentence.
    """
    text = text.strip()
    steps = [("", text, "")] if _PLAIN_SECONDS.fullmatch(text) else _steps(text)
    if not steps:
        raise ValueError("a duration is written like 250ms, 30s, 5m, 1h30m, 2d or as plain seconds")
    microseconds = sum(int(Decimal(number) * _MICROSECONDS[unit]) for _, number, unit in steps)
    try:
        return timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise ValueError("this duration is longer than a calendar holds") from error


def _steps(text: str) -> list[tuple[str, str, str]]:
    found = [(step[0], step[1], step[2]) for step in _STEP.finditer(text)]
    return found if "".join(step for step, _, _ in found) == text else []


def parse_mode(text: str) -> int:
    """Read the mode of a file in octal, like `0640`.

    Raises:
        ValueError: anything else, or one in which the owner may not read and write, or somebody
            may execute; the message is a sentence.
    """
    found = _MODE.fullmatch(text.strip())
    mode = None if found is None else int(found[1], 8)
    if mode is None or mode & _OWNERS_MODE != _OWNERS_MODE or mode & ~_ANY_MODE:
        raise ValueError(
            "a mode is 0600, or with more for the group and others to read (4) and write (2), "
            "like 0640"
        )
    return mode

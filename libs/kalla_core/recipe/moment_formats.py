r"""Formats of dates and timestamps in the manner of strptime, as regular expressions.

| directive   | means                                                           |
|-------------|-----------------------------------------------------------------|
| `%d` `%m`   | day and month, one digit or two                                 |
| `%b` `%B`   | the month's English name, three letters or whole, in any case   |
| `%Y` `%y`   | the year with four digits; with two, 1969 to 2068               |
| `%H` `%I`   | hour of 24, of 12, one digit or two                             |
| `%M` `%S`   | minute and second                                               |
| `%f`        | the fraction of a second, one to six digits                     |
| `%p`        | AM or PM, in any case                                           |
| `%z`        | `Z` or an offset, `+02:00` or `+0200`                           |
| `%%`        | a percent sign                                                  |

Everything else stands for itself. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DIRECTIVES = {
    "d": "[0-9]{1,2}",
    "m": "[0-9]{1,2}",
    "b": "[A-Za-z]{3,9}",
    "B": "[A-Za-z]{3,9}",
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",
    "H": "[0-9]{1,2}",
    "I": "[0-9]{1,2}",
    "M": "[0-9]{1,2}",
    "S": "[0-9]{1,2}",
    "f": "[0-9]{1,6}",
    "p": "[AaPp][Mm]",
    "z": "Z|[+-][0-9]{2}:?[0-9]{2}",
}
_DAY, _MONTHS, _YEARS, _TIME = "d", "mbB", "Yy", "HIMSfpz"
_PIECE = re.compile(r"%(.?)|[^%]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """What a format is made of: a directive's letter, or text that stands for itself."""

    letter: str | None
    text: str = ""


def directives_of(text: str) -> tuple[str, ...]:
    """Return the letters of a format's directives, in order.

    Raises:
        ValueError: a directive that does not exist, or is there twice; in one sentence.
    """
    found = tuple(one[1] for one in _PIECE.finditer(text) if one[0].startswith("%"))
    letters = tuple(letter for letter in found if letter != "%")
    for letter in letters:
        if letter not in _DIRECTIVES:
            raise ValueError(f"`%{letter}` is no directive; there are {_listed(_DIRECTIVES)}.")
        if letters.count(letter) > 1:
            raise ValueError(f"`%{letter}` is there more than once.")
    return letters


def check_format(text: str, *, timed: bool) -> None:
    """Check that a format says all of a date, and of a time of day if and only if `timed`.

    Raises:
        ValueError: it does not; in one sentence.
    """
    letters = directives_of(text)
    for kind, choices in (("day", _DAY), ("month", _MONTHS), ("year", _YEARS)):
        if sum(letter in choices for letter in letters) != 1:
            raise ValueError(f"`{text}` needs one directive for the {kind}: {_listed(choices)}.")
    hours = sum(letter in "HI" for letter in letters)
    if not timed and any(letter in _TIME for letter in letters):
        raise ValueError(f"`{text}` has a time of day; that goes under `timestamp`.")
    if timed and hours != 1:
        raise ValueError(f"`{text}` needs one directive for the hour: %H, %I.")
    if ("I" in letters) != ("p" in letters):
        raise ValueError(f"`{text}`: %I and %p go together.")


def regex_of(text: str) -> str:
    """Return a pattern of RE2 for whole texts, with a group named after each directive."""
    return rf"\A{''.join(map(_pattern, pieces_of(text)))}\z"


def pieces_of(text: str) -> tuple[Piece, ...]:
    """Return what a format that was checked is made of, in order."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    for piece in _PIECE.finditer(text):
        if piece[0] == "%%":
            yield Piece(None, "%")
        elif piece[0].startswith("%"):
            yield Piece(piece[1])
        else:
            yield Piece(None, piece[0])


def _pattern(piece: Piece) -> str:
    if piece.letter is None:
        return re.escape(piece.text)
    return f"(?P<{piece.letter}>{_DIRECTIVES[piece.letter]})"


def _listed(letters: Iterable[str]) -> str:
    return ", ".join(f"%{letter}" for letter in letters)

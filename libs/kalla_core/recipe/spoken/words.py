"""Columns, numbers and words in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.nearest import suggestion

MOST_CHARACTERS = 2000
_TOKEN = re.compile(
    r"\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|`(?P<column>[^`]*)`"
    r"|(?P<sign>>=|<=|!=|<>|=|<|>|[(),])"
    r"|(?P<number>[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w.,-]*\w))"
    r"|(?P<glued>[+-]?\d[\d.]*,\d[\d.,]*)"
    r"|(?P<word>[^\s(),<>=!\"'`]+)"
    r"|(?P<else>\S)"
)
_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|[+-]?\d{1,3}\.\d{3},\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a sentence.

    Attributes:
        text: without its quotes.
        quote: the quotation mark it stood in; empty without.
    """

    text: str
    quote: str = ""

    @property
    def plain(self) -> str:
        """Return it in lower case; empty for what stood in quotes, which is never grammar."""
        return "" if self.quote else self.text.lower()


@dataclass(slots=True)
class Sentence:
    """A sentence that is read word by word.

    Attributes:
        place: how many words are read.
    """

    words: Sequence[Word]
    place: int = field(default=0)

    @property
    def ended(self) -> bool:
        """Whether all of it is read."""
        return self.place >= len(self.words)

    def ahead(self, count: int = 1) -> tuple[str, ...]:
        """Return the next words in lower case; fewer at the end."""
        return tuple(one.plain for one in self.words[self.place : self.place + count])

    def take(self, *phrases: str) -> str | None:
        """Read the longest of some phrases that comes next, and return it; None if none does."""
        for phrase in sorted(phrases, key=len, reverse=True):
            wanted = tuple(phrase.split())
            if self.ahead(len(wanted)) == wanted:
                self.place += len(wanted)
                return phrase
        return None

    def next(self) -> Word | None:
        """Read a word; None at the end."""
        if self.ended:
            return None
        self.place += 1
        return self.words[self.place - 1]

    def rest(self) -> str:
        """Return what is not read, cut where it is long."""
        text = " ".join(one.text for one in self.words[self.place :])
        return text if len(text) <= 60 else f"{text[:59]}…"


def sentence(text: str) -> Sentence:
    """Return a sentence as words.

    Raises:
        InvalidFilter: it is empty or too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidFilter(
            f"A sentence has {MOST_CHARACTERS:,} characters at most, not {len(text):,}."
        )
    words = []
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        quote = {"double": '"', "single": "'", "column": "`"}.get(kind, "")
        words.append(Word(found[kind], quote))
    if not words:
        raise InvalidFilter("The sentence is empty.")
    return Sentence(words)


def column(said: Sentence, columns: Mapping[str, str]) -> str | None:
    """Read the name of a column, the longest that fits; None, and nothing is read, if none does.

    Case, blanks, dashes and underscores do not matter unless two columns differ by them alone.

    Args:
        columns: name to type word.

    Raises:
        InvalidFilter: the name stands for several columns.
    """
    first = said.words[said.place] if not said.ended else None
    if first is None:
        return None
    if first.quote == "`":
        if first.text not in columns:
            raise unknown_column(first.text, columns)
        said.place += 1
        return first.text
    most = min(6, len(said.words) - said.place)
    for count in range(most, 0, -1):
        taken = said.words[said.place : said.place + count]
        if any(one.quote or not _key(one.text) for one in taken):
            continue
        exact = [name for name in columns if name == " ".join(one.text for one in taken)]
        alike = [name for name in columns if _key(name) == _key("".join(one.text for one in taken))]
        found = exact or alike
        if len(found) > 1:
            names = ", ".join(f"`{name}`" for name in found)
            raise InvalidFilter(f"`{taken[0].text}` may be {names}: write it in backticks.")
        if found and _key(found[0]):
            said.place += count
            return found[0]
    return None


def unknown_column(name: str, columns: Mapping[str, str]) -> InvalidFilter:
    """Return the error for a column that is none."""
    shown = name if len(name) <= 60 else f"{name[:59]}…"
    return InvalidFilter(f"There is no column `{shown}`. {suggestion(shown, columns)}")


def number(text: str) -> Decimal | None:
    """Return a number as English writes it, `1,250.50`; None if it is none.

    Raises:
        InvalidFilter: it is written in a way that can be read as two numbers.
    """
    if _NUMBER.fullmatch(text):
        return Decimal(text.replace(",", ""))
    if _THOUSANDS.fullmatch(text) or ("," in text and text.strip("+-0123456789.,") == ""):
        raise InvalidFilter(
            f"`{text}` can be read in two ways: write it with a point and without anything between "
            "the thousands, as 1250.50."
        )
    return None


def _key(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign not in " -_")

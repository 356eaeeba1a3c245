"""SQL text as tokens with their positions, cut as DataFusion's own tokenizer cuts it.

DataFusion tells positions only where a statement does not parse, and sqlglot has no dialect for
it. What is looked for in the text, or put into it, is therefore found here; what this lexer reads
otherwise than DataFusion (exotic string literals) it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.text import where


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    """A keyword or an unquoted identifier."""
    QUOTED = auto()
    """An identifier in double quotes or backticks."""
    STRING = auto()
    NUMBER = auto()
    PARAMETER = auto()
    """`$1` or `?`, to be filled in by a client; there is none."""
    SYMBOL = auto()
    """One character of punctuation or of an operator."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL: the characters `[start, end)` of the statement.

    Attributes:
        value: an identifier as DataFusion looks it up (unquoted ones in lower case), the content
            of a string that has no escapes, else the characters themselves.
    """

    kind: Kind
    value: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it can name something."""
        return self.kind is Kind.WORD or self.kind is Kind.QUOTED

    @property
    def is_put_in(self) -> bool:
        """Whether it is not written in the statement, but has to be put in where it stands."""
        return self.start == self.end

    def word(self, *words: str) -> bool:
        """Whether it is one of these unquoted words, given in lower case."""
        return self.kind is Kind.WORD and self.value in words

    def symbol(self, *symbols: str) -> bool:
        """Whether it is one of these characters."""
        return self.kind is Kind.SYMBOL and self.value in symbols


# Outside quotes DataFusion takes no character beyond ASCII but letters, digits and white space, so
# all that are no space may count as letters here: a statement with others does not plan.
_START = r"(?:[A-Za-z_@#]|[^\x00-\x7f\s])"
_TOKEN = re.compile(
    rf"""
      (?P<space>   \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<exotic>  (?: [nbrqNBRQ] | [bB][rR] | [rR][bB] | [nN][qQ] | [uU]& ) ['"] )
    | (?P<escaped> [eE]' (?: [^'\\] | \\. | '' )*+ ' )
    | (?P<hex>     [xX]' [^']* ' )
    | (?P<string>  ' (?: [^'] | '' )*+ ' )
    | (?P<quoted>  " (?: [^"] | "" )*+ " | ` (?: [^`] | `` )*+ ` )
    | (?P<dollar>  \$ (?P<tag> \w* ) \$ .*? \$ (?P=tag) \$ )
    | (?P<word>    {_START} (?: [$0-9] | {_START} )* )
    | (?P<number>  0[xX][0-9a-fA-F]+
                 | (?: [0-9]+ (?: \.[0-9]* )? | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ )? )
    | (?P<parameter> \$ \w+ | \? )
    | (?P<open>    ['"`$] )
    | (?P<symbol>  . )
    """,
    re.VERBOSE | re.DOTALL,
)

_KINDS = {
    "escaped": Kind.STRING,
    "hex": Kind.STRING,
    "string": Kind.STRING,
    "dollar": Kind.STRING,
    "quoted": Kind.QUOTED,
    "word": Kind.WORD,
    "number": Kind.NUMBER,
    "parameter": Kind.PARAMETER,
    "symbol": Kind.SYMBOL,
}

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


_REMEMBERED = 8


@lru_cache(_REMEMBERED)
def tokenize(sql: str) -> tuple[Token, ...]:
    """Return the tokens of `sql` in order, without white space and comments.

    Those of the last few statements are remembered: to plan one asks for them again and again.

    Raises:
        InvalidSql: a string, identifier or comment without end, or a literal of another dialect.
    """
    tokens: list[Token] = []
    offset = 0
    while match := _TOKEN.match(sql, offset):
        group = match.lastgroup if match.lastgroup != "tag" else "dollar"
        offset = match.end()
        if group == "comment":
            offset = _comment_end(sql, match.start())
        elif group in ("open", "exotic"):
            raise _unreadable(sql, match)
        elif group != "space" and group is not None:
            kind = _KINDS[group]
            tokens.append(Token(kind, _value(kind, match.group()), match.start(), offset))
    return tuple(tokens)


def folded(name: str) -> str:
    """Return an unquoted identifier as DataFusion looks it up: ASCII letters in lower case."""
    return name.translate(_LOWER)


def quoted(name: str) -> str:
    """Return `name` as SQL has to write it so that it is taken as it stands."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def _value(kind: Kind, text: str) -> str:
    if kind is Kind.WORD:
        return folded(text)
    if kind is Kind.QUOTED or (kind is Kind.STRING and text[0] == "'"):
        mark = text[0]
        return text[1:-1].replace(mark * 2, mark)
    return text


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", sql[start:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return start + mark.end()
    raise InvalidSql(**where(sql, start, "This comment has no end", "; close it with */ ."))


def _unreadable(sql: str, match: re.Match[str]) -> InvalidSql:
    text = match.group()
    if match.lastgroup == "exotic":
        what, remedy = (
            f"Literals that begin with {text} are not supported",
            "; write text as '...'.",
        )
    elif text == "$":
        what, remedy = "A lone $ means nothing here", "."
    else:
        thing = "text" if text == "'" else "quoted name"
        what, remedy = f"This {thing} has no end", f"; close it with {text} ."
    return InvalidSql(**where(sql, match.start(), what, remedy))

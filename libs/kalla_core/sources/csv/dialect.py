"""What separates, quotes and ends in one CSV source, and how its values are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow.csv

from kalla_core.recipe.source_format import NO_QUOTE, SourceFormat
from kalla_core.sources.csv.encodings import is_kept
from kalla_core.sources.csv.spelling import AS_DOCUMENTED, Spelling

QUOTE = ord('"')
NEWLINE = ord("\n")
RETURN = ord("\r")
BOM = b"\xef\xbb\xbf"
TRAILING = "__kalla_trailing"
"""The column that a trailing delimiter makes; it is never delivered."""

UTF8 = "utf-8"
SkipRow = Callable[[pyarrow.csv.InvalidRow], str]


@dataclass(frozen=True, slots=True)
class Signs:
    """The bytes of one file that are no part of values.

    Attributes:
        delimiter: between fields.
        terminator: ends records.
        quote: around fields; None if there is none such.
        escape: takes the meaning from the byte behind it.
        comment: begins a line that is no record.
    """

    delimiter: int
    terminator: int
    quote: int | None = QUOTE
    escape: int | None = None
    comment: int | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""How a CSV source is written.

    Attributes:
        nulls: unquoted texts that mean NULL, the empty one among them.
        header: whether the first record names the columns, or the number of the line that does, or
            what it starts with.
        quote: None if there is none.
        encoding: of the bytes that are cut and parsed; `transcoded` from another one before.
        stop: what the first line that is no row any more begins with, as an expression of RE2.
    """

    delimiter: str = ","
    nulls: tuple[str, ...] = ("",)
    header: bool | int | str = True
    quote: str | None = '"'
    escape: str | None = None
    comment: str | None = None
    encoding: str = UTF8
    transcoded: str | None = None
    skip_first: int = 0
    skip_last: int = 0
    stop: str | None = None
    trailing: bool = False
    spelling: Spelling = field(default=AS_DOCUMENTED)

    def signs(self, terminator: int) -> Signs:
        """Return the signs of a file whose records end with `terminator`."""
        return Signs(
            ord(self.delimiter),
            terminator,
            *(None if sign is None else ord(sign) for sign in self._optional),
        )

    def columns(self, names: Sequence[str]) -> list[str]:
        """Return the columns that a parser sees where the source has `names`."""
        return [*names, TRAILING] if self.trailing else list(names)

    def parse_options(self, on_invalid: SkipRow | None = None) -> pyarrow.csv.ParseOptions:
        """Return what Arrow's parser needs to know."""
        return pyarrow.csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.quote or False,
            double_quote=True,
            escape_char=self.escape or False,
            invalid_row_handler=on_invalid,
        )

    @property
    def _optional(self) -> tuple[str | None, ...]:
        return self.quote, self.escape, self.comment

    @staticmethod
    def of(found: SourceFormat) -> Dialect:
        """Return the dialect that a source's `format` asks for."""
        encoding = found.encoding or UTF8
        delimiter = found.delimiter or ","
        quote = None if found.quote == NO_QUOTE else found.quote or '"'
        signs = (delimiter, quote, found.escape, found.comment)
        kept = is_kept(encoding, [sign for sign in signs if sign is not None])
        return Dialect(
            delimiter=delimiter,
            nulls=tuple(dict.fromkeys(("", *found.nulls))),
            header=True if found.header is None else found.header,
            quote=quote,
            escape=found.escape,
            comment=found.comment,
            encoding=encoding if kept else UTF8,
            transcoded=None if kept else encoding,
            skip_first=found.skip_first,
            skip_last=found.skip_last,
            stop=found.stop,
            trailing=found.trailing_delimiter,
            spelling=Spelling.of(found),
        )


def terminator_of(head: bytes) -> int:
    r"""Return the byte that ends records, told from a file's first bytes.

    `\r` only where there is no `\n` at all; a `\r` before `\n` needs no care of ours.
    """
    return RETURN if RETURN in head and NEWLINE not in head else NEWLINE

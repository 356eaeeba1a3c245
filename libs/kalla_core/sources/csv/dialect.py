"""What separates, quotes and ends in one CSV source."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.sources.uri import FileOptions

QUOTE = ord('"')
NEWLINE = ord("\n")
RETURN = ord("\r")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Signs:
    """The bytes of one file that are no part of values.

    Attributes:
        delimiter: between fields.
        terminator: ends records.
        quote: around fields; None if there is none such.
    """

    delimiter: int
    terminator: int
    quote: int | None = QUOTE


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""How a CSV source is written.

    Attributes:
        nulls: unquoted texts that mean NULL, the empty one among them.
        header: whether the first record names the columns.
    """

    delimiter: str
    nulls: tuple[str, ...]
    header: bool

    def signs(self, terminator: int) -> Signs:
        """Return the signs of a file whose records end with `terminator`."""
        return Signs(ord(self.delimiter), terminator)

    @staticmethod
    def of(options: FileOptions) -> Dialect:
        """Return the dialect that a URI's options ask for."""
        return Dialect(options.delimiter, ("", *options.nulls), options.header)


def terminator_of(head: bytes) -> int:
    r"""Return the byte that ends records, told from a file's first bytes.

    `\r` only where there is no `\n` at all; a `\r` before `\n` needs no care of ours.
    """
    return RETURN if RETURN in head and NEWLINE not in head else NEWLINE

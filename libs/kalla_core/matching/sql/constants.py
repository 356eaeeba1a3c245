"""Arguments that have to be constant texts, where DataFusion finds that out at the first row."""

from __future__ import annotations

from collections.abc import Sequence

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.sites import call_sites
from kalla_core.matching.sql.text import where

_CONSTANT = {
    "date_trunc": (0, "date_trunc('month', day)"),
    "datetrunc": (0, "date_trunc('month', day)"),
    "encode": (1, "encode(data, 'hex')"),
    "decode": (1, "decode(text, 'hex')"),
    "digest": (1, "digest(data, 'sha256')"),
}
"""The place of that argument, and an example."""
_FORMATS = frozenset(
    """
    to_date to_timestamp to_timestamp_seconds to_timestamp_millis to_timestamp_micros
    to_timestamp_nanos to_unixtime
    """.split()  # noqa: SIM905
)
_UNITS = ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month",
          "quarter", "year")  # fmt: skip


def check_constants(sql: str, tokens: Sequence[Token]) -> None:
    """Return if units, encodings and formats are texts where they must be.

    Raises:
        InvalidSql: one is NULL or a column, or date_trunc has no such unit.
    """
    for site in call_sites(tokens):
        name = site.name.value
        given = [tokens[first:last] for first, last in site.arguments]
        if name in _FORMATS and any(len(one) == 1 and one[0].word("null") for one in given[1:]):
            what = f"A format of {name} is NULL"
            raise InvalidSql(**where(sql, site.name.start, what, "; leave it out, or name one."))
        place, example = _CONSTANT.get(name, (0, ""))
        if not example or place >= len(given):
            continue
        texts = [token for token in given[place] if token.kind is Kind.STRING]
        if not texts:
            what = f"{name} takes a constant text there"
            raise InvalidSql(**where(sql, site.name.start, what, f", as in {example}."))
        alone = len(given[place]) == 1
        if "trunc" in name and alone and texts[0].value.lower() not in _UNITS:
            what = f"{name} knows no unit '{texts[0].value}'"
            units = f"; it knows {', '.join(_UNITS)}."
            raise InvalidSql(**where(sql, texts[0].start, what, units))

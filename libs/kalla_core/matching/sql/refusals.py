"""What DataFusion says of an expression that it does not plan, as a sentence that names it."""

from __future__ import annotations

import re

from kalla_core.errors import InvalidSql, KallaError, TypesNotComparable
from kalla_core.matching.sql.arrow_types import all_spoken
from kalla_core.matching.sql.culprits import Culprit
from kalla_core.matching.sql.text import where

_MAX_CHARACTERS = 80
_NOT_IMPLEMENTED = "This feature is not implemented: "


def refused(sql: str, message: str, culprit: Culprit | None) -> KallaError:
    """Return the error for a message that is known for nothing else.

    Args:
        sql: the statement as the user wrote it.
        message: DataFusion's own, without what leads to it.
        culprit: the expression that it is about, if that is known.
    """
    line = message.splitlines()[0] if message else "unknown reason"
    cut = re.split(r"\s*[\[{(]?\b\w+\s?\{|\. No function matches|This issue was likely", line)[0]
    reason = all_spoken(cut).strip().rstrip(".;:")
    at = None if culprit is None else culprit.offset
    for pattern, what, remedy in _KNOWN:
        match = re.search(pattern, reason)
        if match is not None:
            given = {"it": quoted(culprit), **match.groupdict()}
            kind = TypesNotComparable if "can't cast" in pattern else InvalidSql
            return kind(**where(sql, at, what.format(**given), remedy.format(**given)))
    if _NOT_IMPLEMENTED in reason:
        what = "Not supported" if culprit is None else f"{quoted(culprit)} is not supported"
        return InvalidSql(**where(sql, at, what, f": {reason.removeprefix(_NOT_IMPLEMENTED)}."))
    what = "The SQL cannot be planned" if culprit is None else f"{quoted(culprit)} makes no sense"
    return InvalidSql(**where(sql, at, what, f": {reason}."))


def quoted(culprit: Culprit | None) -> str:
    """Return the text of a culprit, shortened; words for it if it is not known."""
    if culprit is None:
        return "A part of the SQL"
    text = culprit.text
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


_TRUTH = "; write a comparison, as in VALUE <> 0 or VALUE IS NOT NULL."
_KNOWN = (
    (
        r"logical expression WindowFunction",
        "{it} looks at many rows, so it cannot stand in WHERE or ON",
        "; compute it in a sub-query, as in FROM (SELECT *, {it} AS n FROM ...) x.",
    ),
    (
        r"logical expression AggregateFunction|^Aggregate functions are not allowed",
        "{it} looks at many rows, so it cannot stand in WHERE, ON or GROUP BY",
        "; write the condition into HAVING, or compute it in a sub-query with GROUP BY.",
    ),
    (
        r"logical expression (?:Exists|SetComparison)",
        "{it} can stand in WHERE and HAVING only",
        "; move it there, or join what its sub-query reads.",
    ),
    (
        r"Unsupported JOIN operator (?P<kind>\w+)",
        "There is no {kind} JOIN",
        "; write LEFT SEMI JOIN or LEFT ANTI JOIN, or WHERE with EXISTS.",
    ),
    (
        r"^Decimal\(precision = (?P<digits>\d+), scale = (?P<scale>-?\d+)\)",
        "There is no DECIMAL({digits}, {scale})",
        "; a decimal has 1 to 76 digits, no more of them behind the point than it has, as in "
        "DECIMAL(38, 2).",
    ),
    (
        r"^Only identifiers and literals are supported in tuples|^single expression required",
        "{it} has VALUES or rows of values where single ones are listed",
        "; write them bare, as in IN (1, 2).",
    ),
    (
        r"^Unary operator 'NOT' requires a boolean expression, got (?P<kind>.+)$",
        "{it} negates what is no condition but {kind}",
        _TRUTH,
    ),
    (
        r"^Cannot infer common argument type for logical boolean operation "
        r"(?P<left>.+?) (?:AND|OR) (?P<right>.+)$",
        "{it} joins what is {left} and what is {right}, where conditions have to stand",
        _TRUTH,
    ),
    (
        r"^expr type (?P<left>.+?) can't cast to (?P<right>.+?) in \w+$",
        "{it} compares what is {left} with a sub-query of {right}, which cannot be compared",
        "; CAST one of them.",
    ),
)  # fmt: skip

"""The casts that the author of a match SQL wrote, so that no other is shown.

A plan is full of casts that DataFusion or Kalla put there for types to meet. Whoever reads a reason
wrote none of them, and the types in them are Arrow's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
from datafusion import SessionContext

from kalla_core.matching.sql.arrow_types import UnknownType, parse_type
from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.operations import CAST, TRY_CAST, operations

_CAST = re.compile(r"\b(?:TRY_)?CAST\(")
_NAME = re.compile(r'(?:[\w$]+\.|"(?:[^"]|"")*"\.)*(?P<name>[\w$]+|"(?:[^"]|"")*")')


@dataclass(frozen=True, slots=True)
class WrittenCast:
    """One cast of a match SQL.

    Attributes:
        column: the name of the column that is cast; None of another expression.
        type: what it is cast to.
        word: `CAST` or `TRY_CAST`.
        target: the type as it is written.
    """

    column: str | None
    type: pa.DataType
    word: str
    target: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a match SQL says of casts."""

    casts: tuple[WrittenCast, ...] = ()

    def shown(self, operand: str, kind: str) -> str:
        """Return a cast of `operand` as it is written; the operand alone if no such cast is.

        Args:
            kind: what it is cast to, as pyarrow writes it.
        """
        found = self.find(operand, kind)
        return operand if found is None else f"{found.word}({operand} AS {found.target})"

    def find(self, operand: str, kind: str) -> WrittenCast | None:
        """Return the cast of `operand` to a type that is written, timestamps of whatever unit."""
        name = _NAME.fullmatch(operand)
        column = name["name"].strip('"') if name else None
        alike = (one for one in self.casts if one.column == column and _alike(str(one.type), kind))
        return next(alike, None)

    def only(self, text: str) -> str:
        """Return an expression of a plan, as DataFusion writes it, with no cast but these."""
        start = 0
        while (found := _CAST.search(text, start)) is not None:
            end = _closing(text, found.end())
            inside, _, target = text[found.end() : end].rpartition(" AS ")
            operand = self.only(inside)
            try:
                said = self.shown(operand, str(parse_type(target)))
            except UnknownType:
                said = f"{found[0]}{operand} AS {target})"
            before, after = text[: found.start()], text[end + 1 :]
            if said == operand and _needs_brackets(operand, before, after):
                said = f"({operand})"
            text, start = before + said + after, len(before) + len(said)
        return text


NOTHING = Written()


def _alike(one: str, other: str) -> bool:
    """Whether both types are written alike: TIMESTAMP holds microseconds where that is needed."""
    return _UNIT.sub("", one) == _UNIT.sub("", other)


_UNIT = re.compile(r"(?<=^timestamp\[)\w+")


def is_name(text: str) -> bool:
    """Whether an expression, as it is shown, is a column."""
    return _NAME.fullmatch(text) is not None


def written_in(sql: str, session: SessionContext) -> Written:
    """Return the casts of a match SQL that can be planned.

    Args:
        session: any; it tells what the written types are.
    """
    tokens = tokenize(sql)
    if not any(token.word("cast", "try_cast") or token.symbol(":") for token in tokens):
        return Written()
    found = []
    for one in operations(tokens, frozenset({CAST, TRY_CAST})):
        if one.name not in (CAST, TRY_CAST):
            continue
        (first, last), (from_type, to_type) = one.operands
        names = tokens[first:last]
        plain = all(token.is_name or token.symbol(".") for token in names)
        target = sql[tokens[from_type].start : tokens[to_type - 1].end]
        try:
            frame = session.sql(f"SELECT CAST(NULL AS {target}) AS x")
        except Exception:  # noqa: S112 - the bindings raise nothing narrower
            continue  # no type of its own: what cannot be planned is refused elsewhere
        column = names[-1].value if plain else None
        word = "TRY_CAST" if one.name == TRY_CAST else "CAST"
        found.append(WrittenCast(column, frame.schema().field(0).type, word, target.upper()))
    return Written(tuple(found))


def _closing(text: str, start: int) -> int:
    """Return the index of the bracket that closes the one before `start`."""
    depth, at, in_text = 1, start, False
    while at < len(text):
        in_text ^= text[at] == "'"
        depth += 0 if in_text else (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
        at += 1
    return at


_OPERATION = re.compile(r" (?:[-+*/%|&<>=]|AND|OR)+ |^\(- ")


def _needs_brackets(operand: str, before: str, after: str) -> bool:
    """Whether an expression must be kept together where it stands."""
    alone = before[-1:] in ("", "(", ",") and after[:1] in ("", ")", ",")
    in_brackets = operand.startswith("(") and _closing(operand, 1) == len(operand) - 1
    return bool(_OPERATION.search(operand)) and not alone and not in_brackets

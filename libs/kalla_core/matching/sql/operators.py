"""The operators of match SQL, and how tightly each binds: in PostgreSQL, and in DataFusion.

PostgreSQL's order of precedence is the one match SQL has. DataFusion's parser has another one
beside it (`||` like `*`, `&` above `|`, BETWEEN and IN like `=`, LIKE below it, `IS DISTINCT FROM`
taking all that follows), so that the same text may mean something else to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from kalla_core.matching.sql.lexer import Kind, Token


class Level(IntEnum):
    """PostgreSQL's levels of precedence, the loosest first."""

    OR = auto()
    AND = auto()
    NOT = auto()
    IS = auto()
    COMPARISON = auto()
    CONTAINMENT = auto()
    """BETWEEN, IN, LIKE, ILIKE, SIMILAR TO."""
    OTHER = auto()
    SUM = auto()
    PRODUCT = auto()
    ZONE = auto()
    SIGN = auto()


CHAINLESS = frozenset({Level.IS, Level.COMPARISON, Level.CONTAINMENT})
"""Levels of which PostgreSQL takes no two operators side by side: neither comes first."""


class Form(Enum):
    """What an operator takes beside what stands to its left."""

    INFIX = auto()
    """An operand to the right."""
    POSTFIX = auto()
    """Nothing more: `IS NULL`; or what stands in brackets: `IN (...)`."""
    RANGE = auto()
    """Two operands with AND between them."""
    PATTERN = auto()
    """An operand to the right, and ESCAPE with a text."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that follows an operand.

    Attributes:
        level: PostgreSQL's.
        strength: DataFusion's own figure, larger where it binds tighter.
        right: how tightly another operator must bind for DataFusion to take it into the right
            operand.
        tokens: how many it is made of.
    """

    level: Level
    strength: int
    form: Form
    tokens: int
    right: int


NOT_STRENGTH, SIGN_STRENGTH = 15, 40
"""DataFusion's figures for the operators that stand before their operand."""

# DataFusion's figures are those of sqlparser's generic dialect.
_WORDS = {"or": (Level.OR, 5), "and": (Level.AND, 10), "xor": (Level.OTHER, 24)}
_IS, _EVERYTHING = 17, 0
_LIKE, _RANGE = 19, 20
_ZONE = 41
_SYMBOLS: dict[str, tuple[Level, int]] = {
    **dict.fromkeys(("=", "==", "<>", "!=", "<", "<=", ">", ">=", "<=>"), (Level.COMPARISON, 20)),
    **dict.fromkeys(
        ("~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"),
        (Level.OTHER, 20),
    ),
    "||": (Level.OTHER, 40),
    "&": (Level.OTHER, 23),
    "^": (Level.OTHER, 22),
    "<<": (Level.OTHER, 22),
    ">>": (Level.OTHER, 22),
    "|": (Level.OTHER, 21),
    **dict.fromkeys("+-", (Level.SUM, 30)),
    **dict.fromkeys("*/%", (Level.PRODUCT, 40)),
}
_LONGEST = 4
_OPERATOR_CHARACTERS = frozenset("=<>!~|&^+-*/%")
_STATES = frozenset({"null", "true", "false", "unknown"})


def operator_at(tokens: Sequence[Token], index: int) -> Operator | None:
    """Return the operator that begins at `index`, after an operand; None if none does."""
    if index >= len(tokens):
        return None
    if tokens[index].kind is Kind.SYMBOL:
        return _symbols(tokens, index)
    return _words(tokens, index) if tokens[index].kind is Kind.WORD else None


def _symbols(tokens: Sequence[Token], index: int) -> Operator | None:
    run = [tokens[index]]
    for token in tokens[index + 1 : index + _LONGEST]:
        if token.kind is not Kind.SYMBOL or token.start != run[-1].end:
            break
        run.append(token)
    text = "".join(token.value for token in run)
    if text.startswith(("=>", "->")):
        return None
    for length in range(len(run), 0, -1):
        found = _SYMBOLS.get(text[:length])
        if found is not None:
            return Operator(*found, Form.INFIX, length, found[1])
    return None


def _words(tokens: Sequence[Token], index: int) -> Operator | None:
    values = [t.value if t.kind is not Kind.QUOTED else "" for t in tokens[index : index + 5]]
    if values[0] in _WORDS:
        level, strength = _WORDS[values[0]]
        return Operator(level, strength, Form.INFIX, 1, strength)
    if values[0] == "is":
        return _is(values)
    if values[:3] == ["at", "time", "zone"]:
        return Operator(Level.ZONE, _ZONE, Form.INFIX, 3, _ZONE)
    negated = int(values[0] == "not")
    match values[negated : negated + 2]:
        case ["in", "("]:
            return Operator(Level.CONTAINMENT, _RANGE, Form.POSTFIX, negated + 1, _RANGE)
        case ["between", "symmetric" | "asymmetric"]:
            return Operator(Level.CONTAINMENT, _RANGE, Form.RANGE, negated + 2, _RANGE)
        case ["between", *_]:
            return Operator(Level.CONTAINMENT, _RANGE, Form.RANGE, negated + 1, _RANGE)
        case ["like" | "ilike", *_]:
            return Operator(Level.CONTAINMENT, _LIKE, Form.PATTERN, negated + 1, _LIKE)
        case ["similar", "to"]:
            return Operator(Level.CONTAINMENT, _LIKE, Form.PATTERN, negated + 2, _LIKE)
    return None


def _is(values: Sequence[str]) -> Operator | None:
    negated = int(values[1:2] == ["not"])
    rest = list(values[1 + negated :])
    if rest[:2] == ["distinct", "from"]:
        return Operator(Level.IS, _IS, Form.INFIX, 3 + negated, _EVERYTHING)
    if rest and rest[0] in _STATES:
        return Operator(Level.IS, _IS, Form.POSTFIX, 2 + negated, _IS)
    return None

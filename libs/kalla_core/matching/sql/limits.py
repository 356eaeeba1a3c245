"""How large a statement may be: what is larger makes the planner slow, or overflows its stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.sites import OPENING, closing
from kalla_core.matching.sql.text import where

MAX_CHARACTERS = 50_000
MAX_DEPTH = 48
"""Brackets within brackets; DataFusion's own limit is near."""
MAX_WEIGHT = 600
"""Operators and keywords, see `_WEIGHTS`; the planner's stack overflows at some thousands."""
MAX_READS = 500
"""Tables and WITH queries read, those counted again that a WITH query reads."""

MAX_ITEMS = 1000
"""Names between commas, as after SELECT or in USING; the planner compares each with each."""
MAX_TABLES = 50
"""Tables between commas after FROM; each is a join."""
MAX_CUBE = 10
"""Columns of a CUBE, which makes a set of every choice of them."""

_HARMLESS = frozenset(",.()")
_WEIGHTS: Mapping[str, int] = {
    **dict.fromkeys(
        """
        and or not xor union intersect except case when is like ilike similar between in exists
        cast try_cast collate div over interval prior binary xor regexp rlike
        """.split(),  # noqa: SIM905
        1,
    ),
    "select": 5,
    "join": 8,
    "zone": 8,  # AT TIME ZONE; each nests the one before, and is typed anew at every level
}


def check_length(sql: str) -> None:
    """Return if `sql` is short enough to be looked at.

    Raises:
        InvalidSql: it is not.
    """
    if len(sql) > MAX_CHARACTERS:
        raise InvalidSql(
            f"The SQL is too long: {len(sql):,} characters, where {MAX_CHARACTERS:,} are allowed."
        )


def check_limits(sql: str, tokens: Sequence[Token]) -> None:
    """Return if `sql` is small enough to be planned.

    Raises:
        InvalidSql: its brackets do not match or are too many, it has too many operators, or its
            WITH queries multiply, or a list of it is too long.
    """
    _check_brackets(sql, tokens)
    weight = 0
    for token in tokens:
        weight += _weight(token)
        if weight > MAX_WEIGHT:
            what = "The SQL is too large: too many operators, sub-queries and joins"
            raise InvalidSql(**where(sql, token.start, what))
    _check_lists(sql, tokens)
    if _reads(tokens) > MAX_READS:
        raise InvalidSql(
            f"The WITH queries of the SQL read each other so often that more than {MAX_READS} "
            "tables would be read."
        )


def _check_lists(sql: str, tokens: Sequence[Token]) -> None:
    """Refuse what the planner multiplies or takes time squared for: names, tables, CUBE.

    Lists of values, arguments and elements may be as long as the statement.
    """
    lists: list[tuple[int, str]] = [(0, _ANY)]
    for at, token in enumerate(tokens):
        if token.symbol(*OPENING):
            before = tokens[at - 1].value if at and tokens[at - 1].kind is Kind.WORD else ""
            lists.append((0, before if before in _LIMITED else _ANY))
        elif token.symbol(*OPENING.values()):
            lists.pop()
        elif token.word(*_CLAUSES):
            lists[-1] = (0, token.value)
        elif token.symbol(","):
            items, kind = lists[-1][0] + 1, lists[-1][1]
            lists[-1] = (items, kind)
            if kind in _LIMITED and items >= _LIMITED[kind]:
                what = f"More than {_LIMITED[kind]:,} items after {kind.upper()}"
                raise InvalidSql(**where(sql, token.start, what))


_ANY = "values"
_CLAUSES = ("select", "from", "where", "group", "partition", "order", "having", "window", "values")
_LIMITED: Mapping[str, int] = {
    **dict.fromkeys(("select", "group", "partition", "order", "window", "using"), MAX_ITEMS),
    "from": MAX_TABLES,
    "cube": MAX_CUBE,
}


def _check_brackets(sql: str, tokens: Sequence[Token]) -> None:
    open_brackets: list[Token] = []
    for token in tokens:
        if token.symbol(*OPENING):
            open_brackets.append(token)
        elif token.symbol(*OPENING.values()) and token.value != _closes(open_brackets):
            what = f"This {token.value} closes nothing that is open"
            raise InvalidSql(**where(sql, token.start, what))
        if len(open_brackets) > MAX_DEPTH:
            what = f"The SQL is nested too deeply: more than {MAX_DEPTH} brackets"
            raise InvalidSql(**where(sql, token.start, what))
    if open_brackets:
        opened = open_brackets[-1]
        what, remedy = (
            f"This {opened.value} is not closed",
            f"; {OPENING[opened.value]} is missing.",
        )
        raise InvalidSql(**where(sql, opened.start, what, remedy))


def _closes(open_brackets: list[Token]) -> str | None:
    """Take the last open bracket off and return what closes it."""
    return OPENING[open_brackets.pop().value] if open_brackets else None


def _weight(token: Token) -> int:
    if token.kind is Kind.SYMBOL:
        return token.value not in _HARMLESS
    return _WEIGHTS.get(token.value, 0) if token.kind is Kind.WORD else 0


def _reads(tokens: Sequence[Token]) -> int:
    """Return how many tables are read once every WITH query stands where it is read.

    An estimate from above: what follows a comma and is called like a WITH query counts as one.
    """
    # By their ends, so that a WITH query comes after those it reads and those inside it.
    bodies = sorted(_with_queries(tokens), key=lambda body: body[-1])
    costs: dict[str, int] = {}
    inside: set[int] = set()
    for name, at_name, first, last in bodies:
        cost = sum(_cost(tokens, at, costs) for at in range(first, last))
        costs[name] = min(max(cost, costs.get(name, 0)), MAX_READS + 1)
        inside.update(range(at_name, last))
    return sum(_cost(tokens, at, costs) for at in range(1, len(tokens)) if at not in inside)


def _cost(tokens: Sequence[Token], at: int, costs: Mapping[str, int]) -> int:
    """Return how many tables are read for the token at `at`; 0 if it names none."""
    token, before = tokens[at], tokens[at - 1]
    if not token.is_name:
        return 0
    if before.word("from", "join"):
        return 1 + costs.get(token.value, 0)
    return 1 + costs[token.value] if before.symbol(",") and token.value in costs else 0


def _with_queries(tokens: Sequence[Token]) -> Iterator[tuple[str, int, int, int]]:
    """Yield each `name [(columns)] AS [[NOT] MATERIALIZED] (query)`.

    As its name, the index of that among the tokens, and the range `[first, last)` of the query.
    """
    for at, token in enumerate(tokens[:-2]):
        if not token.is_name:
            continue
        after = at + 1
        if tokens[after].symbol("("):
            after = closing(tokens, after) + 1
        if after < len(tokens) and tokens[after].word("as"):
            after += 1
            while after < len(tokens) and tokens[after].word("not", "materialized"):
                after += 1
            if after < len(tokens) and tokens[after].symbol("("):
                yield token.value, at, after, closing(tokens, after)

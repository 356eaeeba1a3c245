"""Brackets that make DataFusion group operators as PostgreSQL does.

Each expression of the statement is read by PostgreSQL's precedence. Where DataFusion would read
another tree, the operands concerned are put into brackets; all other text stays as it is. An
expression that cannot be read to its end here is none that DataFusion takes, or none with
operators in question, and is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.operators import (
    CHAINLESS,
    NOT_STRENGTH,
    SIGN_STRENGTH,
    Form,
    Level,
    Operator,
    operator_at,
)
from kalla_core.matching.sql.sites import BEFORE_EXPRESSION, OPENING, clauses_end, closing
from kalla_core.matching.sql.text import Splice, where


def bracketed(sql: str, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Return the tokens of `sql` with those brackets among them, as tokens of no width.

    Raises:
        InvalidSql: an operator of which DataFusion and PostgreSQL have different notions, or
            comparisons side by side of which neither comes first.
    """
    return _in_brackets(tokens, (n.inner for n in _nestings(sql, tokens) if n.is_in_question()))


def fully_bracketed(sql: str, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """Return the same with brackets around every operand that is an operation itself."""
    return _in_brackets(tokens, (nesting.inner for nesting in _nestings(sql, tokens)))


def operands_of(
    sql: str, tokens: Sequence[Token]
) -> Iterator[tuple[tuple[int, int], tuple[tuple[int, int], ...]]]:
    """Yield where each operation reaches from and to, and where its operands do, as token indices.

    Raises:
        InvalidSql: as `bracketed`.
    """
    stack = list(_Reader(sql, tokens).expressions(0, len(tokens)))
    while stack:
        node = stack.pop()
        stack += node.operands
        if node.operator is not None:
            operands = tuple((operand.first, operand.last) for operand in node.operands)
            yield (node.first, node.last), operands


def bracket_splices(tokens: Sequence[Token]) -> tuple[Splice, ...]:
    """Return what puts the tokens of no width into the text."""
    return tuple(Splice(t.start, t.end, t.value) for t in tokens if t.is_put_in)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """NOT or a sign: an operator before its operand."""

    level: Level
    right: int


_NOT = _Prefix(Level.NOT, NOT_STRENGTH)
_SIGN = _Prefix(Level.SIGN, SIGN_STRENGTH)


@dataclass(frozen=True, slots=True)
class _Node:
    """The tokens `[first, last)` as an operation, or as a value where `operator` is None."""

    first: int
    last: int
    operator: Operator | _Prefix | None = None
    operands: tuple[_Node, ...] = ()


class _Unreadable(Exception):
    """An expression breaks off; what it is, DataFusion will say."""


@dataclass(frozen=True, slots=True)
class _Nesting:
    """An operation that is an operand of another.

    Attributes:
        outer: the operator of the other.
        operator: of the operation `inner`.
        leads: whether the operator of the other stands behind it.
    """

    outer: Operator | _Prefix
    inner: _Node
    operator: Operator | _Prefix
    leads: bool

    def is_in_question(self) -> bool:
        """Whether DataFusion may group otherwise, were there no brackets."""
        outer, inner = self.outer, self.operator
        if isinstance(inner, _Prefix):
            return inner is _NOT and outer is not _NOT and outer.level > Level.AND
        if _takes_everything(inner) or _takes_everything(outer):
            return True
        if self.leads and isinstance(outer, Operator):
            return inner.right < outer.strength
        return inner.strength <= outer.right


def _takes_everything(operator: Operator | _Prefix) -> bool:
    return operator.level is Level.IS and operator.right < NOT_STRENGTH


def _in_brackets(tokens: Sequence[Token], nodes: Iterable[_Node]) -> tuple[Token, ...]:
    opened, closed = Counter[int](), Counter[int]()
    for node in nodes:
        opened[node.first] += 1
        closed[node.last - 1] += 1
    return tuple(
        token
        for index, one in enumerate(tokens)
        for token in (
            *[Token(Kind.SYMBOL, "(", one.start, one.start)] * opened[index],
            one,
            *[Token(Kind.SYMBOL, ")", one.end, one.end)] * closed[index],
        )
    )


def _nestings(sql: str, tokens: Sequence[Token]) -> Iterator[_Nesting]:
    """Yield all operations within others, of all expressions of the statement."""
    stack = list(_Reader(sql, tokens).expressions(0, len(tokens)))
    while stack:
        node = stack.pop()
        stack += node.operands
        for place, operand in enumerate(node.operands):
            if node.operator is not None and operand.operator is not None:
                yield _Nesting(node.operator, operand, operand.operator, place == 0)


class _Reader:
    """Reads expressions by precedence climbing; brackets and CASE come back as their content."""

    def __init__(self, sql: str, tokens: Sequence[Token]) -> None:
        self._sql = sql
        self._tokens = tokens
        self._inside: list[tuple[int, int]] = []

    def expressions(self, first: int, last: int) -> Iterator[_Node]:
        """Yield the expressions in the range `[first, last)`, and in all brackets within it."""
        self._inside = [(first, last)]
        while self._inside:
            at, end = self._inside.pop()
            while at < end:
                node = self._expression_at(at, end)
                if node is not None:
                    yield node
                at = node.last if node is not None else at + 1

    def _expression_at(self, at: int, end: int) -> _Node | None:
        if self._is_keyword(at, end):
            return None
        before = len(self._inside)
        try:
            return self._operation(at, end, Level.OR)
        except _Unreadable:
            # What was met in brackets is met again when the tokens are walked one by one.
            del self._inside[before:]
            return None

    def _is_keyword(self, at: int, end: int) -> bool:
        """Whether a word introduces an expression instead of being one."""
        if not self._tokens[at].word(*BEFORE_EXPRESSION) or self._tokens[at].word("not"):
            return False
        if at + 1 == end or self._tokens[at].word("interval"):
            return False
        follows = operator_at(self._tokens, at + 1)
        may_begin = self._tokens[at + 1].symbol("+", "-", "*") or self._tokens[at + 1].word("not")
        return follows is None or may_begin

    def _operation(self, at: int, end: int, least: Level) -> _Node:
        """Return the longest operation at `at` of operators that bind as `least` or tighter."""
        node = self._prefixed(at, end)
        while (operator := self._operator(node.last, end)) and operator.level >= least:
            node = self._with_right(node, operator, end)
            self._check_chain(node, end)
        return node

    def _check_chain(self, node: _Node, end: int) -> None:
        operator, following = node.operator, self._operator(node.last, end)
        if not isinstance(operator, Operator) or following is None:
            return
        open_ended = operator.level in CHAINLESS and operator.form is not Form.POSTFIX
        if open_ended and following.level is operator.level:
            raise self._chained(node.last)

    def _operator(self, at: int, end: int) -> Operator | None:
        found = operator_at(self._tokens, at) if at < end else None
        return found if found is not None and at + found.tokens <= end else None

    def _with_right(self, left: _Node, operator: Operator, end: int) -> _Node:
        self._check_known(left.last)
        self._check_no_row(left, operator)
        after = left.last + operator.tokens
        tighter = Level(operator.level + 1)
        match operator.form:
            case Form.POSTFIX:
                if after < end and self._tokens[after].symbol("("):
                    after = self._bracket(after, end)
                return _Node(left.first, after, operator, (left,))
            case Form.INFIX if self._is_quantifier(after, end):
                last = self._bracket(after + 1, end)
                return _Node(left.first, last, replace(operator, form=Form.POSTFIX), (left,))
            case Form.INFIX:
                right = self._operation(after, end, tighter)
                self._check_no_row(right, operator)
                return _Node(left.first, right.last, operator, (left, right))
            case Form.PATTERN:
                right = self._operation(after, end, tighter)
                last = right.last
                if last < end and self._tokens[last].word("escape"):
                    last = self._value(last + 1, end)
                return _Node(left.first, last, operator, (left, right))
            case Form.RANGE:
                low = self._operation(after, end, Level.IS)
                if not self._at(low.last, end).word("and"):
                    raise _Unreadable
                high = self._operation(low.last + 1, end, tighter)
                return _Node(left.first, high.last, operator, (left, low, high))

    def _is_quantifier(self, at: int, end: int) -> bool:
        """Whether `ANY (...)` begins at `at`, after which nothing is left open."""
        return (
            at + 1 < end
            and self._tokens[at].word("any", "all", "some")
            and (self._tokens[at + 1].symbol("("))
        )

    def _prefixed(self, at: int, end: int) -> _Node:
        token = self._at(at, end)
        if token.word("not"):
            operand = self._operation(at + 1, end, Level.NOT)
            return _Node(at, operand.last, _NOT, (operand,))
        if token.symbol("+", "-"):
            operand = self._operation(at + 1, end, Level.SIGN)
            return _Node(at, operand.last, _SIGN, (operand,))
        return _Node(at, self._value(at, end))

    def _value(self, at: int, end: int) -> int:
        """Return the index after the value at `at`, without operators but casts and subscripts."""
        token = self._at(at, end)
        if token.word("case"):
            at = self._case(at, end)
        elif token.symbol(*OPENING):
            at = self._bracket(at, end)
        elif token.word("interval") and at + 1 < end and not self._tokens[at + 1].symbol(".", ")"):
            at = self._interval(at + 1, end)
        elif token.is_name:
            at = self._name(at, end)
        elif token.kind in (Kind.STRING, Kind.NUMBER) or token.symbol("*"):
            at += 1
        else:
            raise _Unreadable
        return self._suffixes(at, end)

    def _name(self, at: int, end: int) -> int:
        """Return the index after a column, a call or a literal such as `DATE '...'`."""
        token = self._tokens[at]
        at += 1
        if token.word("time", "timestamp"):
            zone = self._zone(at, end)
            at = zone if zone < end and self._tokens[zone].kind is Kind.STRING else at
        if at < end and token.kind is Kind.WORD and self._tokens[at].kind is Kind.STRING:
            return at + 1
        while at < end and self._tokens[at].symbol("."):
            at += 2
        if at < end and self._tokens[at].symbol("("):
            at = self._bracket(at, end)
            last = min(clauses_end(self._tokens, at), end)
            self._inside.append((at, last))
            at = last
        return min(at, end)

    def _suffixes(self, at: int, end: int) -> int:
        while at < end:
            if self._tokens[at].symbol("["):
                at = self._bracket(at, end)
            elif self._tokens[at].symbol(".") and at + 1 < end:
                at += 2
            elif self._tokens[at].symbol(":") and self._at(at + 1, end).symbol(":"):
                at = self._type(at + 2, end)
            elif self._tokens[at].word("collate"):
                at = self._name(at + 1, end)
            else:
                break
        return min(at, end)

    def _type(self, at: int, end: int) -> int:
        word = self._at(at, end)
        at += 1
        if at < end and (word.value, self._tokens[at].value) in _TWO_WORDS:
            at += 1
        if at < end and self._tokens[at].symbol("("):
            at = self._bracket(at, end)
        return self._zone(at, end) if word.word("time", "timestamp") else at

    def _zone(self, at: int, end: int) -> int:
        """Return the index after `(6) WITH TIME ZONE`, as far as it stands there."""
        if at + 2 < end and self._tokens[at].symbol("("):
            at = min(closing(self._tokens, at) + 1, end)
        if [token.value for token in self._tokens[at + 1 : at + 3]] == ["time", "zone"]:
            return at + 3 if self._tokens[at].word("with", "without") else at
        return at

    def _interval(self, at: int, end: int) -> int:
        while at < end and self._tokens[at].symbol("+", "-"):
            at += 1
        at = self._value(at, end)
        if at < end and self._tokens[at].word(*_UNITS):
            at += 1
            if at + 1 < end and self._tokens[at].word("to") and self._tokens[at + 1].word(*_UNITS):
                at += 2
        return at

    def _case(self, at: int, end: int) -> int:
        """Return the index after END; what stands before it is met later."""
        depth, start = 0, at
        while at < end:
            token, before = self._tokens[at], self._tokens[at - 1] if at else None
            if token.symbol(*OPENING):
                at = closing(self._tokens, at)
            elif before is None or not before.symbol("."):
                depth += token.word("case") - token.word("end")
                if depth == 0:
                    self._inside.append((start + 1, at))
                    return at + 1
            at += 1
        raise _Unreadable

    def _bracket(self, at: int, end: int) -> int:
        close = closing(self._tokens, at)
        if close >= end:
            raise _Unreadable
        self._inside.append((at + 1, close))
        return close + 1

    def _at(self, at: int, end: int) -> Token:
        if at >= end:
            raise _Unreadable
        return self._tokens[at]

    def _check_known(self, at: int) -> None:
        token = self._tokens[at]
        remedy = _AMBIGUOUS.get(token.value) if token.kind is not Kind.QUOTED else None
        if remedy is not None:
            what = f"{token.value.upper()} is not the same to all databases"
            raise InvalidSql(**where(self._sql, token.start, what, f"; {remedy}."))

    def _check_no_row(self, node: _Node, operator: Operator) -> None:
        """Refuse `(a, b) = (c, d)`, which DataFusion answers as if null were equal to null."""
        if operator.level not in (Level.COMPARISON, Level.CONTAINMENT) or node.operator is not None:
            return
        opens = self._tokens[node.first]
        if not opens.symbol("(") or closing(self._tokens, node.first) != node.last - 1:
            return
        inside = self._tokens[node.first + 1 : node.last - 1]
        if not inside or inside[0].word("select", "with", "values"):
            return
        depth = 0
        for token in inside:
            depth += token.symbol(*OPENING) - token.symbol(*OPENING.values())
            if depth == 0 and token.symbol(","):
                what = "Rows of values cannot be compared"
                remedy = "; write (a, b) = (c, d) as a = c AND b = d."
                raise InvalidSql(**where(self._sql, opens.start, what, remedy))

    def _chained(self, at: int) -> InvalidSql:
        token = self._tokens[at]
        what = f"{token.value.upper()} follows a comparison, and neither comes first"
        return InvalidSql(**where(self._sql, token.start, what, "; write brackets or AND."))


_AMBIGUOUS = {
    "^": "write power(a, b), or (a | b) - (a & b) for the bits that differ",
    "xor": "write a <> b for truth values, or (a | b) - (a & b) for the bits that differ",
}
_TWO_WORDS = frozenset({("double", "precision"), ("character", "varying"), ("char", "varying")})
_UNITS = tuple(
    f"{unit}{plural}"
    for unit in ("year", "month", "week", "day", "hour", "minute", "second")
    for plural in ("", "s")
)

"""Sub-queries in conditions, as far as DataFusion 55 answers them right.

It makes joins of them, and there are places where those give other rows than the sub-query:

- one in ON that names a column from outside is joined to one input alone;
- IN becomes a mark that knows no null: what is null comes out as false, which is all the same
  under AND and OR of a condition, and wrong under NOT, IS NULL or a function;
- ANY and ALL in ON take a column of the sub-query for that of the same name to their left;
- NOT IN minds the nulls of the whole sub-query, whichever outer row it is about.

So only those places are let through that are known to be right; all else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import OPENING, closing
from kalla_core.matching.sql.text import where

_HEADS = ("where", "having", "qualify", "on", "when")
_STARTS = (*_HEADS, "select", "case", "then", "else", "by", "from", "over")
_SOURCE_ENDS = (
    "where", "group", "having", "qualify", "order", "limit", "offset", "fetch", "window", "union",
    "intersect", "except", "join", "inner", "cross", "natural", "full", "then", "left", "right",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Context:
    """What stands around a condition, up to the clause that it belongs to.

    Attributes:
        plain: nothing but AND, OR, brackets and, right before it, one NOT.
        negated: that NOT is there.
        alternative: an OR is there.
    """

    plain: bool
    negated: bool = False
    alternative: bool = False


def check_sub_queries(
    text: str, tokens: Sequence[Token], stands_alone: Callable[[str], bool]
) -> tuple[int, str, str] | None:
    """Return where a sub-query stands that DataFusion would get wrong, or None.

    Args:
        text: of the statement.
        tokens: of `text`.
        stands_alone: whether a query can be planned by itself.

    Returns:
        The offset in `text`, what is wrong, and the remedy.
    """
    for at, close, queries in _queries(text, tokens):
        alone = partial(_any_alone, stands_alone, queries)
        found = _wrong(tokens, at, close, alone)
        if found:
            return (tokens[at].start, *found)
    return None


def alone(text: str, tokens: Sequence[Token], stands_alone: Callable[[str], bool]) -> Iterator[str]:
    """Yield the sub-queries of expressions that can be planned by themselves, as statements."""
    for _, _, queries in _queries(text, tokens):
        yield from (query for query in queries[:1] if stands_alone(query))


def _queries(text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int, tuple[str, str]]]:
    """Yield where sub-queries of expressions open and close, and each with and without WITH."""
    defined = _with_clause(text, tokens)
    for at in range(len(tokens)):
        if _opens_query(tokens, at):
            close = closing(tokens, at)
            end = tokens[close].start if close < len(tokens) else len(text)
            body = text[tokens[at].end : end]
            yield at, close, (defined + body, body)


def refusal(sql: str, offset: int, what: str, remedy: str) -> InvalidSql:
    """Return the error for what `check_sub_queries` found, at an offset of the user's SQL."""
    return InvalidSql(**where(sql, offset, what, remedy))


def _any_alone(stands_alone: Callable[[str], bool], queries: Sequence[str]) -> bool:
    return any(map(stands_alone, queries))


def _wrong(
    tokens: Sequence[Token], at: int, close: int, alone: Callable[[], bool]
) -> tuple[str, str] | None:
    before, joins = tokens[at - 1], _in_on(tokens, at)
    if joins and not alone():
        return (
            "A sub-query in ON names a column from outside of it",
            "; write its condition into WHERE, or join what it reads.",
        )
    if joins and before.word("any", "all", "some") and tokens[at - 2].symbol("=", "<", ">"):
        return (
            f"{before.value.upper()} with a sub-query stands in ON",
            "; write IN instead of = ANY and NOT IN instead of <> ALL, or the condition into "
            "WHERE.",
        )
    if not before.word("in"):
        return None
    context = _context(tokens, at - 1, close)
    if not context.plain or (context.negated and context.alternative):
        return (
            "IN with a sub-query stands where null would be taken for false",
            f"; {'move it into WHERE, and ' * joins}write = ANY (SELECT ...) instead of IN, and "
            "<> ALL (SELECT ...) instead of NOT IN.",
        )
    if context.negated and not alone():
        return (
            "The sub-query of NOT IN names a column from outside of it",
            "; write <> ALL (SELECT ...) instead of NOT IN.",
        )
    return None


def _opens_query(tokens: Sequence[Token], at: int) -> bool:
    """Whether a sub-query of an expression begins at `at`; those in FROM are tables."""
    if at == 0 or not tokens[at].symbol("(") or at + 1 >= len(tokens):
        return False
    inner = at + 1
    while inner < len(tokens) and tokens[inner].symbol("("):
        if closing(tokens, inner) != closing(tokens, inner - 1) - 1:
            return False  # the first argument of a call is a sub-query, or one of several operands
        inner += 1
    if inner == len(tokens) or not tokens[inner].word("select", "with", "values"):
        return False
    before = tokens[at - 1]
    return not before.symbol("(") or tokens[at + 1].word("select", "with", "values")


def _with_clause(text: str, tokens: Sequence[Token]) -> str:
    """Return the WITH of the whole statement, which its sub-queries may name, or nothing."""
    if not tokens or not tokens[0].word("with"):
        return ""
    at = 0
    while at < len(tokens) and not tokens[at].word("select"):
        at = closing(tokens, at) + 1 if tokens[at].symbol(*OPENING) else at + 1
    return text[: tokens[at].start] if at < len(tokens) else ""


def _in_on(tokens: Sequence[Token], at: int) -> bool:
    """Whether `at` stands in the ON of a join, in its own query."""
    for before in _outwards(tokens, at):
        token = tokens[before]
        if token.word("on"):
            return not (before and tokens[before - 1].word("distinct"))
        if token.word("select", "from", *_ENDS_ON):
            return False
    return False


_ENDS_ON = ("where", "group", "having", "qualify", "order", "limit", "join")


def _outwards(tokens: Sequence[Token], at: int) -> Iterator[int]:
    """Yield the tokens before `at`, last first, without what is in closed brackets."""
    depth = 0
    for before in range(at - 1, -1, -1):
        if tokens[before].symbol(*OPENING.values()):
            depth += 1
        elif tokens[before].symbol(*OPENING):
            depth = max(depth - 1, 0)
        elif depth == 0:
            yield before


def _context(tokens: Sequence[Token], place: int, close: int) -> _Context:
    """Return what stands around the IN at `place`, whose list ends at `close`."""
    negated = tokens[place - 1].word("not")
    first, last, joined, alternative = _operand(tokens, place - negated), close, False, False
    while first > 0:
        if tokens[first - 1].word("not"):
            if negated or joined:
                return _NOT_PLAIN
            negated, first = True, first - 1
        head, backwards = _clause(tokens, range(first - 1, -1, -1), _STARTS)
        end, forwards = _clause(tokens, range(last + 1, len(tokens)), _SOURCE_ENDS)
        words = backwards | forwards
        adjoined = _adjoins(tokens, first - 1) and _adjoins(tokens, last + 1)
        if not adjoined or "," in words:
            return _NOT_PLAIN
        joined |= bool(words)
        alternative |= "or" in words
        if head >= 0 and tokens[head].word(*_HEADS):
            return _Context(True, negated, alternative)
        if head < 1 or not tokens[head].symbol("(") or end >= len(tokens):
            return _NOT_PLAIN
        first, last = head, end
    return _NOT_PLAIN


_NOT_PLAIN = _Context(plain=False)


def _operand(tokens: Sequence[Token], end: int) -> int:
    """Return the first token of the operand that ends before `end`."""
    depth = 0
    for at in range(end - 1, -1, -1):
        if tokens[at].symbol(*OPENING.values()):
            depth += 1
        elif tokens[at].symbol(*OPENING):
            depth -= 1
            if depth < 0:
                return at + 1
        elif depth == 0 and tokens[at].word("and", "or", "not", *_STARTS):
            return at + 1
    return 0


def _adjoins(tokens: Sequence[Token], at: int) -> bool:
    """Whether the token at `at` can stand beside a whole condition."""
    if at >= len(tokens):
        return True
    token = tokens[at]
    if token.symbol("("):
        return at > 0 and tokens[at - 1].word("and", "or", "not", *_HEADS)  # else it is a call
    return token.symbol(")", ";") or token.word("and", "or", *_HEADS, *_SOURCE_ENDS, "then")


def _clause(
    tokens: Sequence[Token], places: range, ends: Sequence[str]
) -> tuple[int, frozenset[str]]:
    """Walk on to where a list of conditions begins or ends; also return what joins them."""
    depth = 0
    words: set[str] = set()
    opens, closes = ("([{", ")]}") if places.step > 0 else (")]}", "([{")
    for at in places:
        token = tokens[at]
        if token.symbol(*opens):
            depth += 1
        elif token.symbol(*closes):
            if depth == 0:
                return at, frozenset(words)
            depth -= 1
        elif depth == 0:
            called = token.word("left", "right") and tokens[at + 1].symbol("(")
            if (token.word(*ends) and not called) or token.symbol(";"):
                return at, frozenset(words)
            if token.word("and", "or") or token.symbol(","):
                words.add(token.value)
    return (len(tokens) if places.step > 0 else -1), frozenset(words)

"""Where functions are called in SQL text: their names, arguments and what follows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kalla_core.matching.sql.lexer import Kind, Token

OPENING = {"(": ")", "[": "]", "{": "}"}
"""Brackets, and what closes them."""

_CLOSING = frozenset(OPENING.values())

# After one of these words an expression may begin; a name after any other is an alias.
BEFORE_EXPRESSION = frozenset(
    """
    select distinct all where and or not xor on having by when then else case between in like ilike
    similar to escape is from limit offset qualify using any some both leading trailing placing for
    filter values interval div over as with
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call: `name(...)`, and the clauses that belong to it.

    Attributes:
        name: token of the name.
        open: index of the opening parenthesis among the tokens.
        close: index of the closing one.
        arguments: token ranges `[first, last)`, one per argument.
        end: index after the last token of FILTER, WITHIN GROUP, IGNORE NULLS and OVER.
    """

    name: Token
    open: int
    close: int
    arguments: tuple[tuple[int, int], ...]
    end: int


def closing(tokens: Sequence[Token], index: int) -> int:
    """Return the index of the bracket that closes the one at `index`; the end if none does."""
    depth = 0
    for at in range(index, len(tokens)):
        if tokens[at].symbol(*OPENING):
            depth += 1
        elif tokens[at].symbol(*_CLOSING):
            depth -= 1
            if depth == 0:
                return at
    return len(tokens)


def call_sites(tokens: Sequence[Token]) -> Iterator[CallSite]:
    """Yield the calls `name(...)` in order of their names, outer before inner.

    Qualified names (`schema.name(...)`), types (`decimal(12, 2)`) and keywords before a
    parenthesis (`IN (...)`) come too: what to make of a name is the caller's business.
    Definitions, as in `WITH name(a, b) AS (...)` and `AS name(a, b)`, do not.
    """
    for index in range(len(tokens) - 1):
        if tokens[index].is_name and tokens[index + 1].symbol("("):
            close = closing(tokens, index + 1)
            if not _defines(tokens, index, close):
                yield CallSite(
                    name=tokens[index],
                    open=index + 1,
                    close=close,
                    arguments=_arguments(tokens, index + 1, close),
                    end=clauses_end(tokens, close + 1),
                )


def may_begin_expression(tokens: Sequence[Token], index: int) -> bool:
    """Whether the name at `index` can be a value, judged by what stands before it."""
    if index == 0:
        return True
    before = tokens[index - 1]
    if before.kind is Kind.SYMBOL:
        return before.value not in (".", ")", "]", "}")
    return before.word(*BEFORE_EXPRESSION) and not before.word("as")


def has_order(tokens: Sequence[Token], first: int, last: int) -> bool:
    """Whether ORDER BY stands in the range `[first, last)`, not counting what is in brackets."""
    at = first
    while at < last:
        if tokens[at].symbol(*OPENING):
            at = closing(tokens, at)
        elif tokens[at].word("order") and at + 1 < last and tokens[at + 1].word("by"):
            return True
        at += 1
    return False


def is_ordered(tokens: Sequence[Token], site: CallSite) -> bool:
    """Whether the call says in which order it takes its rows."""
    if has_order(tokens, site.open + 1, site.close):
        return True
    at = site.close + 1
    while at < site.end:
        if tokens[at].symbol("("):
            inside = (at + 1, closing(tokens, at))
            if not _filters(tokens, at) and has_order(tokens, *inside):
                return True
            at = inside[1]
        elif tokens[at].word("over") and at + 1 < site.end and tokens[at + 1].is_name:
            return _window_is_ordered(tokens, tokens[at + 1].value)
        at += 1
    return False


def _filters(tokens: Sequence[Token], index: int) -> bool:
    return tokens[index - 1].word("filter")


def _window_is_ordered(tokens: Sequence[Token], name: str) -> bool:
    """Whether `WINDOW name AS (...)` has an ORDER BY."""
    for at in range(len(tokens) - 2):
        defines = tokens[at].is_name and tokens[at].value == name and tokens[at + 1].word("as")
        if defines and tokens[at + 2].symbol("("):
            return has_order(tokens, at + 3, closing(tokens, at + 2))
    return False


def _defines(tokens: Sequence[Token], index: int, close: int) -> bool:
    if index and tokens[index - 1].word("as"):
        return True
    following = tokens[close + 1 : close + 3]
    return len(following) == 2 and following[0].word("as") and following[1].symbol("(")


def _arguments(tokens: Sequence[Token], open_: int, close: int) -> tuple[tuple[int, int], ...]:
    if close == open_ + 1:
        return ()
    ranges, first, at = [], open_ + 1, open_ + 1
    while at < close:
        if tokens[at].symbol(*OPENING):
            at = min(closing(tokens, at), close)
        elif tokens[at].symbol(","):
            ranges.append((first, at))
            first = at + 1
        at += 1
    return (*ranges, (first, close))


def clauses_end(tokens: Sequence[Token], at: int) -> int:
    """Return the index after FILTER (...), WITHIN GROUP (...), IGNORE NULLS and OVER."""
    while at < len(tokens):
        words = [token.value for token in tokens[at : at + 2]]
        if words == ["filter", "("]:
            at = closing(tokens, at + 1) + 1
        elif words == ["within", "group"]:
            at = closing(tokens, at + 2) + 1
        elif words in (["ignore", "nulls"], ["respect", "nulls"]):
            at += 2
        elif words[:1] == ["over"]:
            named = at + 1 < len(tokens) and tokens[at + 1].is_name
            return at + 2 if named else closing(tokens, at + 1) + 1
        else:
            break
    return min(at, len(tokens))

"""Which operations stand in SQL text, and from where to where their operands reach.

DataFusion's plans tell what an operation is made of, but not where it was written, and they do not
show what is inside sub-queries, FILTER and windows. So the operands are found here, in the order of
precedence in which DataFusion's parser finds them. Looser operators than comparisons (AND, OR, NOT,
LIKE, IS) only end operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.sites import closing

CAST, TRY_CAST = "cast", "try_cast"
IN_QUERY = "in query"
"""IN, or a comparison with ANY or ALL, and a sub-query: a value, and that in its brackets."""

CASE, CASE_OF = "case", "case of"
"""The results of a CASE, and the value of one with the values that it is compared with."""

Range = tuple[int, int]
"""Indices of tokens, `[first, last)`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its operands.

    Attributes:
        name: the operator; `negate` for a minus before one operand, `between` and `in` in words,
            for a call the function's name, `cast` also for `::`.
        place: tokens from the first to the last of it, clauses such as OVER included.
        operands: in order; those of a call without DISTINCT and ORDER BY, and of one that takes a
            part of a moment that moment alone; of a cast its value and its type.
    """

    name: str
    place: Range
    operands: tuple[Range, ...]


def operations(tokens: Sequence[Token], calls: frozenset[str]) -> tuple[Operation, ...]:
    """Return the arithmetic, the comparisons and the calls in a statement, inner ones first.

    Args:
        tokens: of the statement.
        calls: the names of the functions that are asked for, in lower case.
    """
    search = _Search(tokens, calls)
    search.scan(0, len(tokens))
    return tuple(search.found)


_SUM, _PRODUCT, _SIGN, _COMPARISON = 30, 40, 45, 20
_SYMBOLS = (
    ("||", _PRODUCT), ("<=>", _COMPARISON), ("<<", 22), (">>", 22), ("->", 16), ("<=", _COMPARISON),
    (">=", _COMPARISON), ("<>", _COMPARISON), ("!=", _COMPARISON), ("==", _COMPARISON),
    ("+", _SUM), ("-", _SUM), ("*", _PRODUCT), ("/", _PRODUCT), ("%", _PRODUCT),
    ("&", 23), ("^", 22), ("|", 21), ("=", _COMPARISON), ("<", _COMPARISON), (">", _COMPARISON),
)  # fmt: skip
_LONGEST_SYMBOL = 3
_NO_OPERAND = frozenset(
    """
    all and as asc between by cross desc distinct else end escape except for from full group having
    ilike in inner intersect into is join lateral left like limit natural not offset on or order
    outer over placing qualify right rlike select set similar then union using values when where
    window with xor
    """.split()  # noqa: SIM905
)
_CALLED_ALSO = frozenset({"left", "right"})
_LITERAL_TYPES = frozenset({"date", "interval", "time", "timestamp", "timestamptz"})
_UNITS = frozenset({"year", "month", "week", "day", "hour", "minute", "second", "quarter"})
_PARTS_OF_MOMENTS = frozenset(
    {"date_bin", "date_trunc", "datetrunc", "date_part", "datepart", "extract"}
)
_CLAUSES = ("filter", "over", "within", "ignore", "respect")


class _Search:
    """Reads expressions wherever one may begin, and notes their operations."""

    def __init__(self, tokens: Sequence[Token], calls: frozenset[str]) -> None:
        self._tokens = tokens
        self._calls = calls
        self.found: list[Operation] = []

    def scan(self, first: int, last: int) -> None:
        """Read all expressions in a range, stepping over what is none."""
        at = first
        while at < last:
            end = self._expression(at, last, 0)
            at = max(end, at + 1)

    def _expression(self, first: int, last: int, level: int) -> int:
        """Return the end of the expression at `first`; `first` itself where none begins."""
        end = self._operand(first, last)
        while first < end < last:
            after = self._operation(first, end, last, level)
            if after == end:
                break
            end = after
        return end

    def _operation(self, first: int, at: int, last: int, level: int) -> int:
        """Return the end of the operation whose operator is at `at`, `at` if none binds here."""
        token = self._tokens[at]
        if token.word("between") and level <= _COMPARISON:
            return self._between(first, at, last)
        if token.word("not") and at + 1 < last and level <= _COMPARISON:
            if self._tokens[at + 1].word("between"):
                return self._between(first, at, last, negated=1)
            if self._tokens[at + 1].word("in"):
                return self._in(first, at, last, negated=1)
        if token.word("in") and level <= _COMPARISON:
            return self._in(first, at, last)
        if token.word("is") and level <= _COMPARISON:
            return self._distinct(first, at, last)
        name, binds = self._symbol(at, last)
        if not name or binds < level:
            return at
        right = at + len(name)
        if binds == _COMPARISON and self._is_quantified(right, last):
            return self._in_query(first, at, right + 1, last)
        end = self._expression(right, last, binds + 1)
        if end == right:
            return at
        self.found.append(Operation(name, (first, end), ((first, at), (right, end))))
        return end

    def _symbol(self, at: int, last: int) -> tuple[str, int]:
        text = "".join(self._adjacent(at, last))
        return next(((s, binds) for s, binds in _SYMBOLS if text.startswith(s)), ("", 0))

    def _adjacent(self, at: int, last: int) -> list[str]:
        """Return the characters of symbols from `at` on that have nothing between them."""
        found: list[str] = []
        for index in range(at, min(at + _LONGEST_SYMBOL, last)):
            token = self._tokens[index]
            if token.kind is not Kind.SYMBOL or (
                found and token.start != self._tokens[index - 1].end
            ):
                break
            found.append(token.value)
        return found

    def _between(self, first: int, at: int, last: int, negated: int = 0) -> int:
        low = at + 1 + negated
        middle = self._expression(low, last, _COMPARISON + 1)
        if middle == low or middle >= last or not self._tokens[middle].word("and"):
            return at
        end = self._expression(middle + 1, last, _COMPARISON + 1)
        operands = ((first, at), (low, middle), (middle + 1, end))
        self.found.append(Operation("between", (first, end), operands))
        return end

    def _in(self, first: int, at: int, last: int, negated: int = 0) -> int:
        bracket = at + 1 + negated
        if bracket >= last or not self._tokens[bracket].symbol("("):
            return at
        if self._begins_query(bracket, last):
            return self._in_query(first, at, bracket, last)
        close = min(closing(self._tokens, bracket), last - 1)
        self.scan(bracket + 1, close)
        listed = self._listed(bracket + 1, close)
        self.found.append(Operation("in", (first, close + 1), ((first, at), *listed)))
        return close + 1

    def _in_query(self, first: int, at: int, bracket: int, last: int) -> int:
        """Note that a value is compared with what a sub-query gives.

        Args:
            first: of the value.
            at: its end.
            bracket: which opens the sub-query.
            last: the end of all that may be read.
        """
        close = min(closing(self._tokens, bracket), last - 1)
        self.scan(bracket + 1, close)
        operands = ((first, at), (bracket, close + 1))
        self.found.append(Operation(IN_QUERY, (first, close + 1), operands))
        return close + 1

    def _is_quantified(self, at: int, last: int) -> bool:
        """Whether ANY, ALL or SOME with a sub-query begins at `at`."""
        words = at < last and self._tokens[at].word("any", "all", "some")
        return words and self._begins_query(at + 1, last)

    def _begins_query(self, bracket: int, last: int) -> bool:
        return (
            bracket + 1 < last
            and self._tokens[bracket].symbol("(")
            and self._tokens[bracket + 1].word("select", "with", "values")
        )

    def _distinct(self, first: int, at: int, last: int) -> int:
        words = [token.value for token in self._tokens[at : at + 4]]
        width = 4 if words[:4] == ["is", "not", "distinct", "from"] else 3
        if width == 3 and words[:3] != ["is", "distinct", "from"]:
            return at
        end = self._expression(at + width, last, _COMPARISON + 1)
        name = " ".join(words[:width])
        self.found.append(Operation(name, (first, end), ((first, at), (at + width, end))))
        return end

    def _operand(self, first: int, last: int) -> int:
        """Return the end of what stands before and after operators, `first` if nothing does."""
        if first >= last:
            return first
        token = self._tokens[first]
        if token.symbol("-", "+"):
            end = self._expression(first + 1, last, _SIGN)
            if end > first + 1 and token.symbol("-"):
                self.found.append(Operation("negate", (first, end), ((first + 1, end),)))
            return end if end > first + 1 else first
        end = self._primary(first, last)
        return self._suffixes(first, end, last) if end > first else first

    def _primary(self, first: int, last: int) -> int:
        token = self._tokens[first]
        if token.symbol("(", "[", "{"):
            return self._brackets(first, last)
        if token.kind is Kind.SYMBOL:
            return first
        if not token.is_name:
            return first + 1
        if token.word("case"):
            return self._case(first, last)
        follows = self._tokens[first + 1] if first + 1 < last else None
        if token.word(*_LITERAL_TYPES):
            text = self._type(first, last)
            if text < last and self._tokens[text].kind is Kind.STRING:
                unit = text + 1 < last and self._tokens[text + 1].word(*_UNITS)
                return text + (2 if unit and token.word("interval") else 1)
        called = follows is not None and follows.symbol("(")
        if token.word(*_NO_OPERAND) and not (called and token.word(*_CALLED_ALSO)):
            return first
        return self._name(first, last)

    def _brackets(self, first: int, last: int) -> int:
        close = min(closing(self._tokens, first), last)
        self.scan(first + 1, close)
        return min(close + 1, last)

    def _case(self, first: int, last: int) -> int:
        depth = 0
        for at in range(first, last):
            if self._tokens[at].word("case"):
                depth += 1
            elif self._tokens[at].word("end"):
                depth -= 1
                if depth == 0:
                    self.scan(first + 1, at)
                    if CASE in self._calls:
                        self._branches(first, at)
                    return at + 1
        return first

    def _branches(self, first: int, end: int) -> None:
        """Note what a CASE compares, and its results.

        Args:
            first: the index of CASE.
            end: the index of its END.
        """
        marks, at = [first], first + 1
        while at < end:
            token = self._tokens[at]
            if token.word("when", "then", "else"):
                marks.append(at)
            if token.symbol("(", "[", "{"):
                at = closing(self._tokens, at)
            at = self._after_case(at) if token.word("case") else at + 1
        parts = [(mark + 1, stop) for mark, stop in pairwise([*marks, end])]
        begun = {part: self._tokens[part[0] - 1].value for part in parts if part[0] < part[1]}
        value = parts[0] if parts[0] in begun else None
        asked = [part for part, word in begun.items() if word == "when"]
        results = tuple(part for part, word in begun.items() if word in ("then", "else"))
        if value is not None and asked:
            self.found.append(Operation(CASE_OF, (first, end + 1), (value, *asked)))
        if len(results) > 1:
            self.found.append(Operation(CASE, (first, end + 1), results))

    def _after_case(self, first: int) -> int:
        depth, at = 1, first + 1
        while depth and at < len(self._tokens):
            depth += self._tokens[at].word("case") - self._tokens[at].word("end")
            at += 1
        return at

    def _name(self, first: int, last: int) -> int:
        """Return the end of a column, which may be qualified, or of a call with its clauses."""
        at = first + 1
        while at + 1 < last and self._tokens[at].symbol(".") and self._tokens[at + 1].is_name:
            at += 2
        if at >= last or not self._tokens[at].symbol("("):
            return at
        opened = at
        closed = min(closing(self._tokens, at), last)
        end = self._clauses(self._brackets(at, last), last)
        name = self._tokens[first]
        if at == first + 1 and name.value in self._calls:
            operands = tuple(
                (
                    start + self._tokens[start].word("distinct", "all"),
                    self._before_order(start, stop),
                )
                for start, stop in self._listed(opened + 1, closed)
            )
            if name.value in _PARTS_OF_MOMENTS:
                operands = self._moment(operands)
            elif name.value in (CAST, TRY_CAST):
                operands = self._parted(opened + 1, closed)
            self.found.append(Operation(name.value, (first, end), operands))
        return end

    def _parted(self, first: int, last: int) -> tuple[Range, ...]:
        """Return the value and the type around the AS of a cast."""
        at = first
        while at < last and not self._tokens[at].word("as"):
            at = closing(self._tokens, at) + 1 if self._tokens[at].symbol("(", "[", "{") else at + 1
        return ((first, min(at, last)), (min(at + 1, last), last))

    def _moment(self, operands: tuple[Range, ...]) -> tuple[Range, ...]:
        if len(operands) != 1:
            return operands[1:]
        ((first, last),) = operands
        after = [at + 1 for at in range(first, last) if self._tokens[at].word("from")]
        return ((after[0], last),) if after else ()

    def _clauses(self, at: int, last: int) -> int:
        while at < last and self._tokens[at].word(*_CLAUSES):
            if self._tokens[at].word("over") and at + 1 < last and self._tokens[at + 1].is_name:
                return at + 2
            bracket = at + (2 if self._tokens[at].word("within", "ignore", "respect") else 1)
            nulls = self._tokens[at].word("ignore", "respect")
            if nulls or bracket >= last or not self._tokens[bracket].symbol("("):
                at = min(bracket, last)
                continue
            at = self._brackets(bracket, last)
        return at

    def _suffixes(self, first: int, at: int, last: int) -> int:
        """Return the end of casts with `::`, subscripts, AT TIME ZONE and COLLATE."""
        zoned = False  # what follows the zone is a cast of the zone
        while at < last:
            token = self._tokens[at]
            words = [one.value for one in self._tokens[at : min(at + 3, last)]]
            if words[:2] == [":", ":"]:
                value, at = at, self._type(at + 2, last)
                if CAST in self._calls and not zoned:
                    operands = ((first, value), (value + 2, at))
                    self.found.append(Operation(CAST, (first, at), operands))
            elif token.symbol("["):
                at = self._brackets(at, last)
            elif words == ["at", "time", "zone"]:
                zoned = True
                at = self._primary(at + 3, last) if at + 3 < last else last
            elif token.word("collate"):
                at = min(at + 2, last)
            else:
                break
        return at

    def _type(self, at: int, last: int) -> int:
        at += 1
        if at < last and self._tokens[at].word("precision", "varying", "unsigned"):
            at += 1
        if at < last and self._tokens[at].symbol("("):
            at = min(closing(self._tokens, at) + 1, last)
        words = [one.value for one in self._tokens[at : min(at + 3, last)]]
        return at + 3 if words in (["with", "time", "zone"], ["without", "time", "zone"]) else at

    def _listed(self, first: int, last: int) -> list[Range]:
        """Return the ranges between commas that are in no brackets."""
        ranges, start, at = [], first, first
        while at < last:
            if self._tokens[at].symbol("(", "[", "{"):
                at = closing(self._tokens, at)
            elif self._tokens[at].symbol(","):
                ranges.append((start, at))
                start = at + 1
            at += 1
        return [*ranges, (start, last)] if start < last else ranges

    def _before_order(self, first: int, last: int) -> int:
        at = first
        while at < last and not self._tokens[at].word("order"):
            at = closing(self._tokens, at) + 1 if self._tokens[at].symbol("(", "[", "{") else at + 1
        return min(at, last)

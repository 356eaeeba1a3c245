"""Whether match SQL may be run bucket by bucket, and by which key.

Cutting the sides by a hash of a key and running the SQL unchanged on each bucket is exact if
every join, aggregate, window, DISTINCT and set operation only ever looks at rows of one key
together. The check walks the optimised plan upwards and remembers, for each component of the key,
which symbols *are* the hashed value in every row (`strict`), and which are it or null (`weak`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.lineage import Branches, Call, Column, Constant, Symbol
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.plans.trace import Traced
from kalla_core.matching.sql.query import Side

ANY_SCAN = 0
"""Scan number of the columns in a key: the key is the same for every scan of its table."""

Keys = Mapping[Side, tuple[Symbol, ...]]
Component = frozenset[Symbol]


class NotExact(Exception):
    """Cutting the sides like this could change the answer; the message is a sentence."""


class Spread(Enum):
    """How the rows of an operator lie over the pieces."""

    CUT = "each row is in one piece"
    WHOLE = "every piece has all rows"
    EMPTY = "there are no rows"


@dataclass(frozen=True, slots=True)
class Stream:
    """The rows of one operator, as they come in every piece.

    Attributes:
        strict: per component of the key, the symbols that are the hashed value.
        weak: per component, the symbols that are the hashed value or null.
    """

    spread: Spread
    strict: tuple[Component, ...]
    weak: tuple[Component, ...]

    def either(self, index: int) -> Component:
        """Return the symbols that are the hashed value, if anything."""
        return self.strict[index] | self.weak[index]


@dataclass(slots=True)
class Check:
    """One way to cut the sides, tried on a plan.

    Attributes:
        keys: the key of each side that is cut, as symbols over ANY_SCAN; the sides have the same
            number of components, none if the rows are cut arbitrarily.
        cut: the sides that are cut; the others are in every piece as a whole.
        nulls_together: set when an operator treats nulls of the key as equal.
    """

    keys: Keys
    cut: frozenset[Side]
    sides: Mapping[str, Side]
    nulls_together: bool = field(default=False, init=False)

    @property
    def _components(self) -> range:
        return range(len(next(iter(self.keys.values()), ())))

    def run(self, traced: Traced) -> None:
        """Check the whole plan.

        Raises:
            NotExact: some operator could look at rows of several pieces together.
        """
        if self.stream(traced).spread is Spread.WHOLE:
            raise NotExact("Every piece would bring out the same rows.")

    def stream(self, traced: Traced) -> Stream:
        """Return how the rows of an operator lie, having checked it and all below.

        Raises:
            NotExact: some operator could look at rows of several pieces together.
        """
        inputs = [self.stream(below) for below in traced.inputs]
        if traced.obstacle:
            raise NotExact(traced.obstacle)
        match traced.node:
            case lp.Scan():
                return self._scan(traced, traced.node)
            case lp.Aliased() | lp.Projected() | lp.Filtered():
                return inputs[0]
            case lp.Joined():
                return self._join(traced, traced.node, inputs[0], inputs[1])
            case lp.Aggregated():
                return self._aggregate(traced, traced.node, inputs[0])
            case lp.Windowed():
                return self._windows(traced, inputs[0])
            case lp.Sorted():
                return self._sorted(traced.node, inputs[0])
            case lp.Limited():
                raise NotExact("LIMIT takes rows of the whole.")
            case lp.United():
                return self._union(traced, inputs)
            case lp.Constant():
                return self._stream(Spread.WHOLE if traced.node.rows else Spread.EMPTY)
            case _:
                raise NotExact(f"{type(traced.node).__name__} is not known to the analysis.")

    def _stream(self, spread: Spread) -> Stream:
        nothing = tuple(frozenset[Symbol]() for _ in self._components)
        return Stream(spread, nothing, nothing)

    def _scan(self, traced: Traced, node: lp.Scan) -> Stream:
        side = self.sides.get(node.table)
        if side is None or side not in self.cut:
            return self._stream(Spread.WHOLE)
        key = self.keys.get(side, ())
        strict = tuple(frozenset((at_scan(symbol, traced.scan),)) for symbol in key)
        return Stream(Spread.CUT, strict, tuple(frozenset() for _ in key))

    def _covers(self, symbols: tuple[Symbol, ...], stream: Stream) -> bool:
        """Whether rows that share `symbols`, nulls included, share the whole key."""
        given = frozenset(symbols)
        covered = [any(_follows(s, given) for s in stream.strict[j]) for j in self._components]
        return bool(covered) and all(covered)

    def _aggregate(self, traced: Traced, node: lp.Aggregated, below: Stream) -> Stream:
        if below.spread is Spread.WHOLE:
            return below
        if not node.groups:
            raise NotExact("An aggregate without GROUP BY looks at all rows together.")
        if below.spread is Spread.EMPTY:
            return below
        if not self._covers(traced.classes[0], below):
            raise NotExact("GROUP BY or DISTINCT looks at rows of several keys together.")
        self.nulls_together = True
        return below

    def _windows(self, traced: Traced, below: Stream) -> Stream:
        if below.spread is not Spread.CUT:
            return below
        if not all(self._covers(partition, below) for partition in traced.classes):
            raise NotExact("A window looks at rows of several keys together.")
        self.nulls_together = True
        return below

    def _sorted(self, node: lp.Sorted, below: Stream) -> Stream:
        if node.fetch is not None and below.spread is not Spread.WHOLE:
            raise NotExact("ORDER BY with LIMIT takes rows of the whole.")
        return below

    def _union(self, traced: Traced, inputs: list[Stream]) -> Stream:
        filled = [i for i, stream in enumerate(inputs) if stream.spread is not Spread.EMPTY]
        if len({inputs[i].spread for i in filled}) > 1:
            raise NotExact("UNION puts rows of a side beside rows that every piece has.")
        if not filled:
            return inputs[0]
        strict: list[set[Symbol]] = [set() for _ in self._components]
        weak: list[set[Symbol]] = [set() for _ in self._components]
        for symbol in traced.symbols:
            if not isinstance(symbol, Branches):
                continue
            for j in self._components:
                if all(symbol.parts[i] in inputs[i].strict[j] for i in filled):
                    strict[j].add(symbol)
                elif all(symbol.parts[i] in inputs[i].either(j) for i in filled):
                    weak[j].add(symbol)
        spread = inputs[filled[0]].spread
        return Stream(spread, tuple(map(frozenset, strict)), tuple(map(frozenset, weak)))

    def _join(self, traced: Traced, node: lp.Joined, left: Stream, right: Stream) -> Stream:
        both = left.spread is not Spread.WHOLE and right.spread is not Spread.WHOLE
        if both:
            self._check_both_cut(traced, node, left, right)
        else:
            _check_one_whole(node, left, right)
        whole = left.spread is Spread.WHOLE and right.spread is Spread.WHOLE
        spread = Spread.WHOLE if whole else Spread.CUT
        if node.kind is JoinKind.INNER:
            return self._inner(traced, node, left, right)
        if node.kind.one_sided:
            return left if node.kind.value.startswith("Left") else right
        return self._outer(traced, node, left, right, spread)

    def _check_both_cut(self, traced: Traced, node: lp.Joined, left: Stream, right: Stream) -> None:
        if node.null_aware:
            raise NotExact("NOT IN keeps nothing if there is a null in any piece.")
        for j in self._components:
            a = left.strict[j] if node.nulls_equal else left.either(j)
            b = right.strict[j] if node.nulls_equal else right.either(j)
            if not any(pair.left in a and pair.right in b for pair in traced.on):
                raise NotExact(f"{_worded(node.kind)} is not on the whole key.")
        if not self._components:
            raise NotExact(f"{_worded(node.kind)} has no key to cut both of its inputs by.")
        self.nulls_together = self.nulls_together or node.nulls_equal

    def _inner(self, traced: Traced, node: lp.Joined, left: Stream, right: Stream) -> Stream:
        strict = []
        for j in self._components:
            symbols = set(left.strict[j] | right.strict[j])
            weak = left.weak[j] | right.weak[j]
            for pair in () if node.nulls_equal else traced.on:
                if {pair.left, pair.right} & (symbols | weak):
                    symbols |= {pair.left, pair.right}
            strict.append(frozenset(symbols))
        weak_of_both = tuple(left.weak[j] | right.weak[j] for j in self._components)
        whole = left.spread is Spread.WHOLE and right.spread is Spread.WHOLE
        return Stream(Spread.WHOLE if whole else Spread.CUT, tuple(strict), weak_of_both)

    def _outer(
        self, traced: Traced, node: lp.Joined, left: Stream, right: Stream, spread: Spread
    ) -> Stream:
        pairs = () if node.nulls_equal else traced.on
        keeps_left, keeps_right = node.kind.keeps_left_input, node.kind.keeps_right_input
        width = len(traced.inputs[0].symbols)
        nulled_left = zip(traced.symbols[:width], traced.inputs[0].symbols, strict=True)
        nulled_right = zip(traced.symbols[width:], traced.inputs[1].symbols, strict=True)
        renamed = (list(nulled_left), list(nulled_right))
        strict, weak = [], []
        for j in self._components:
            only_left = left.strict[j] if not keeps_right else frozenset()
            only_right = right.strict[j] if not keeps_left else frozenset()
            loose = (left.weak[j] if not keeps_right else frozenset()) | (
                right.weak[j] if not keeps_left else frozenset()
            )
            in_left, in_right = left.either(j), right.either(j)
            in_left |= {pair.left for pair in pairs if pair.right in right.either(j)}
            in_right |= {pair.right for pair in pairs if pair.left in left.either(j)}
            if keeps_right:
                loose |= {new for new, old in renamed[0] if old in in_left}
            if keeps_left:
                loose |= {new for new, old in renamed[1] if old in in_right}
            strict.append(frozenset(only_left | only_right))
            weak.append(frozenset(loose))
        return Stream(spread, tuple(strict), tuple(weak))


def _check_one_whole(node: lp.Joined, left: Stream, right: Stream) -> None:
    """Raise if rows of an input that every piece has would come out of each of them."""
    if left.spread is Spread.WHOLE and right.spread is not Spread.WHOLE:
        repeats = node.kind.keeps_left_input or node.kind is JoinKind.LEFT_SEMI
    elif right.spread is Spread.WHOLE and left.spread is not Spread.WHOLE:
        repeats = node.kind.keeps_right_input or node.kind is JoinKind.RIGHT_SEMI
    else:
        return
    if repeats:
        raise NotExact(f"{_worded(node.kind)} keeps rows that every piece has.")


def _follows(symbol: Symbol, given: frozenset[Symbol]) -> bool:
    """Whether rows that agree on `given` agree on `symbol`."""
    if symbol in given or isinstance(symbol, Constant):
        return True
    return isinstance(symbol, Call) and all(_follows(part, given) for part in symbol.parts)


def _worded(kind: JoinKind) -> str:
    words = {
        "Inner": "A join", "Left": "LEFT JOIN", "Right": "RIGHT JOIN", "Full": "FULL JOIN"
    }  # fmt: skip
    if kind.value in words:
        return words[kind.value]
    return "EXISTS, IN or a semi join" if kind.value.endswith("Semi") else "A join by exclusion"


def at_scan(symbol: Symbol, scan: int) -> Symbol:
    """Return `symbol` over the columns of another scan of the same table."""
    if isinstance(symbol, Column):
        return Column(symbol.table, scan, symbol.name)
    if isinstance(symbol, Call):
        return Call(symbol.kind, symbol.text, tuple(at_scan(part, scan) for part in symbol.parts))
    return symbol


def bases(symbol: Symbol) -> tuple[tuple[str, Symbol], ...]:
    """Return (table, symbol over ANY_SCAN) for each single table that gives `symbol`.

    A column of a UNION gives one per branch; a symbol that mixes tables, or is not seen through,
    gives none.
    """
    if isinstance(symbol, Branches):
        return tuple(chain.from_iterable(bases(part) for part in symbol.parts))
    tables = _tables(symbol)
    if tables is None or len(tables) != 1:
        return ()
    return ((next(iter(tables))[0], at_scan(symbol, ANY_SCAN)),)


def _tables(symbol: Symbol) -> frozenset[tuple[str, int]] | None:
    """Return the scans that `symbol` reads, None if it is not seen through."""
    if isinstance(symbol, Column):
        return frozenset(((symbol.table, symbol.scan),))
    if isinstance(symbol, Constant):
        return frozenset()
    if not isinstance(symbol, Call):
        return None
    parts = [_tables(part) for part in symbol.parts]
    found: frozenset[tuple[str, int]] = frozenset()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found

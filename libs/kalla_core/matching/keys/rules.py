"""The rules of a match SQL: what tells why a row is in no pair.

A query without UNION is one rule. One with UNION is a rule per branch, each with keys and
conditions of its own, as if no other branch were there; where there are several UNIONs, one for
each choice of a branch of each. Where one then has no key, the alternatives of an OR that compare
columns are rules likewise. A row may fall short of every rule in another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from datafusion import DataFrame, LogicalPlan, SessionContext

from kalla_core.matching.keys.beyond import beyond_pairs, chooses
from kalla_core.matching.keys.candidates import candidates
from kalla_core.matching.keys.conditions import Checked, Condition, checked_conditions, is_key
from kalla_core.matching.keys.keys import Copartition, KeyComponent
from kalla_core.matching.plans.lineage import Reader
from kalla_core.matching.plans.logical import DISTINCT_ON
from kalla_core.matching.plans.pairwise import Pairwise
from kalla_core.matching.plans.requirements import Requirement, requirements
from kalla_core.matching.plans.trace import Traced, Tracer
from kalla_core.matching.row_ids.branches import Chooser, names, ways
from kalla_core.matching.row_ids.carried import CannotCarry, Carried, refusals_told
from kalla_core.matching.row_ids.rebuild import Rebuilder
from kalla_core.matching.sql.query import MatchQuery, Side

_MOST_RULES = 32
"""Beyond so many the query is one rule, which knows what holds in all branches of a UNION."""


class _TooMany(Exception):
    """A query has more rules than are told apart."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to be a pair.

    Attributes:
        name: as in `Branch 2 of the UNION` or `Alternative 1 of the OR`; empty if there is only
            one rule.
        keys: the equalities that its pairs fulfil and that can be computed from a single row of
            each source; may be empty.
        checked: the conditions beside the keys, and how to evaluate them.
        beyond: what it asks for that no pair alone can tell, in words.
        chooses: it may leave out a pair because of other rows, as windows and sums do.
        stands_for_many: it stands for branches or alternatives that are too many to be told apart.
    """

    name: str
    keys: tuple[KeyComponent, ...]
    checked: tuple[Checked, ...]
    beyond: tuple[str, ...]
    chooses: bool
    stands_for_many: bool = False

    @property
    def asked(self) -> tuple[object, ...]:
        """What its keys ask for; two rules whose keys are the same have the same."""
        return tuple(key.asked for key in self.keys)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions on a pair beside the keys."""
        return tuple(one.condition for one in self.checked)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a match SQL.

    Attributes:
        keys: what rows are to be cut by, so that as many as can be meet in one bucket: those of
            all rules that have keys; empty if they have no key in common.
    """

    rules: tuple[Rule, ...]
    keys: tuple[KeyComponent, ...]


@dataclass(frozen=True, slots=True)
class RuleFinder:
    """Finds the rules of a match SQL.

    Attributes:
        numbered: session with the source tables and ROW.
        sides: table name to side.
        copartition: the key by which the sides are cut, if there is one; every pair fulfils it.
    """

    query: MatchQuery
    numbered: SessionContext
    sides: Mapping[str, Side]
    reader: Reader
    copartition: Copartition | None

    def rules(self, original: DataFrame, traced: Traced) -> Rules:
        """Return the rules.

        Args:
            original: the match SQL over tables without ROW.
            traced: the whole plan.
        """
        found = self._rules((("", traced),))
        plan = original.logical_plan()
        said = plan.display_indent()
        steps = (DISTINCT_ON,) if "DistinctOn:" in said else ()
        try:
            if "Union" in said:
                branches = self._branches(plan)
                found = self._rules(branches, steps) if branches else found
            if " OR " in said and not all(rule.keys for rule in found.rules):
                apart = self._rules(self._branches(plan, alternatives=True), steps)
                found = apart if any(rule.keys for rule in apart.rules) else found
        except _TooMany:
            told = (replace(rule, stands_for_many=True) for rule in found.rules)
            found = replace(found, rules=tuple(told))
        return found

    def _rules(self, branches: Sequence[tuple[str, Traced]], steps: tuple[str, ...] = ()) -> Rules:
        """Return the rules of some branches.

        Args:
            steps: what the match SQL does besides, which the branches do not show.
        """
        keys_of = [self._keys(branch) for _, branch in branches]
        common = _common([keys for keys in keys_of if keys])
        return Rules(
            tuple(
                self._rule(name, branch, common if common and keys else keys, steps)
                for (name, branch), keys in zip(branches, keys_of, strict=True)
            ),
            common,
        )

    def _branches(
        self, plan: LogicalPlan, *, alternatives: bool = False
    ) -> tuple[tuple[str, Traced], ...]:
        """Return the plan as each of its branches alone, where that can give a pair.

        None if an operator cannot be looked through.

        Raises:
            _TooMany: there are more than can be told apart.
        """
        found: list[tuple[Chooser, tuple[Carried, LogicalPlan]]] = []
        try:
            for way in ways(
                lambda chooser: self._rebuilt(plan, chooser), alternatives=alternatives
            ):
                found.append(way)
                if len(found) > _MOST_RULES:
                    raise _TooMany
        except CannotCarry:
            return ()
        tracer = Tracer(self.reader, self.sides)
        named = zip(names([chooser for chooser, _ in found]), found, strict=True)
        traced = [
            (name, tracer.trace(optimised))
            for name, (_, (carried, optimised)) in named
            if carried.meets
        ]
        able = tuple((name, branch) for name, branch in traced if self._reads_both(branch))
        return able if len(able) > 1 else tuple(("", branch) for _, branch in able)

    def _rebuilt(self, plan: LogicalPlan, chooser: Chooser) -> tuple[Carried, LogicalPlan]:
        """Return the plan with row numbers, by the ways chosen, and what is made of it at last."""
        keys = {side: self.query.side(side).primary_key for side in Side}
        with refusals_told():
            carried = Rebuilder(self.numbered, self.sides, keys, chooser).rebuild(plan)
            return carried, carried.frame.optimized_logical_plan()

    def _reads_both(self, traced: Traced) -> bool:
        """Whether rows of both sides come out: a branch of a condition never true reads none."""
        tables = {getattr(below.node, "table", "") for below in traced.walk()}
        return {self.sides[name] for name in tables if name in self.sides} == set(Side)

    def _keys(self, traced: Traced) -> tuple[KeyComponent, ...]:
        if self.copartition is not None:
            return self.copartition.keys
        required = tuple(requirements(traced))
        possible = candidates(traced, self.reader, self.sides).components
        return tuple(key for key in possible if any(is_key(one, [key]) for one in required))

    def _rule(
        self, name: str, traced: Traced, keys: Sequence[KeyComponent], steps: tuple[str, ...]
    ) -> Rule:
        required: tuple[Requirement, ...] = tuple(requirements(traced))
        written = self.reader.written
        told = checked_conditions(required, keys, Pairwise(self.numbered, self.sides), written)
        beyond = (*beyond_pairs(traced, told.untold, written), *steps)
        return Rule(name, tuple(keys), told.checked, beyond, bool(steps) or chooses(traced))


def _common(several: Sequence[tuple[KeyComponent, ...]]) -> tuple[KeyComponent, ...]:
    """Return the components that all have."""
    if not several:
        return ()
    first, *others = several
    asked = [{key.asked for key in keys} for keys in others]
    return tuple(key for key in first if all(key.asked in keys for keys in asked))

"""The passes of a recipe, planned over its sources, and the columns that its rules name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.ranks import has_distance, is_ordered, is_score
from kalla_core.columns import first_place_of
from kalla_core.engine.run.demands import fault_of, plan_over
from kalla_core.errors import Fault, InvalidSql, KallaError, RecipeInvalid, UnknownColumn
from kalla_core.evidence.schema import MatchedLayout, UnitedLayout, united_layout
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Identification, Planned
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.nearest import nearest, suggestion
from kalla_core.recipe.passes import UNNAMED, Accept, Choose, Pass, SqlPass, SubsetSumPass
from kalla_core.recipe.paths import Location, path_text
from kalla_core.sources.protocol import PinnedSource


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """A pass with its match SQL planned; of one by sums, the SQL that its blocks make.

    Attributes:
        ranks: positions of the rank columns in the output, in order.
        layout: how rows of matched are made of its output.
    """

    rule: Pass
    planned: Planned
    ranks: tuple[int, ...]
    layout: MatchedLayout


@dataclass(frozen=True, slots=True)
class PlannedPasses:
    """All passes of a recipe.

    Attributes:
        layout: the columns of matched, of all passes together.
    """

    recipe: Recipe
    passes: tuple[PlannedPass, ...]
    layout: UnitedLayout

    @property
    def by_primary_key(self) -> bool:
        """Whether a pass tells rows apart by their primary key, so that it has to be unique."""
        ways = {one.planned.identification for one in self.passes}
        return ways != {Identification.ROW_IDS}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user, each once."""
        return tuple(dict.fromkeys(w for one in self.passes for w in one.planned.warnings))

    def as_one(self) -> Planned:
        """Return the first pass's plan, with why each pass is carried out as it is."""
        first = self.passes[0].planned
        told = [_sentence(number, one) for number, one in enumerate(self.passes, 1)]
        told.append("On a cluster all executors read the rows, and one carries out all passes.")
        choice = replace(first.choice, why=(*first.why, *told))
        return replace(first, choice=choice, warnings=self.warnings)


def _sentence(number: int, one: PlannedPass) -> str:
    rule = one.rule
    if isinstance(rule, SubsetSumPass):
        what = f"one row of the {rule.one.value} and up to {rule.max_items} that add up to it"
    elif rule.balance is not None:
        what = "groups whose sums agree"
    else:
        by = ", ".join(term.text for term in rule.rank)
        ranked = f" by {by}" if by else ""
        what = f"{rule.cardinality.value}, {rule.choose.value}{ranked}, ties {rule.on_tie.value}"
    ends = "proposes matches" if rule.accept is Accept.SUGGEST else "consumes rows"
    return (
        f"Pass {number}, {rule.name}: {what}; {ends}; rows are cut by {one.planned.strategy.value}."
    )


def rules_of(recipe: Recipe) -> tuple[Pass, ...]:
    """Return the passes of a recipe; a join that only compares or adds up is one pass as well."""
    return recipe.passes or (SqlPass(UNNAMED, recipe.match_sql),)


def plan_passes(
    recipe: Recipe, pinned: Sequence[PinnedSource], started_at: datetime
) -> PlannedPasses:
    """Plan all passes of a recipe over its pinned sources: left, right, extras.

    Raises:
        RecipeInvalid: with all that is wrong with them.
    """
    schemas = {side: source.schema for side, source in zip(Side, pinned, strict=False)}
    faults = [*_named_faults(recipe, schemas)]
    passes: list[PlannedPass] = []
    for index, rule in enumerate(rules_of(recipe)):
        place: Location = ("passes", index) if _listed(recipe) else ()
        if isinstance(rule, SubsetSumPass):
            wrong = [*_sum_faults(rule, place, schemas)]
            faults += wrong
            if wrong:
                continue
        try:
            planned = plan_over(rule.sql, pinned, started_at)
        except KallaError as error:
            faults.append(fault_of(error, (*place, _sql_field(rule))))
            continue
        wrong = [*_rank_faults(rule, place, planned)]
        faults += wrong
        if not wrong:
            passes.append(_planned_pass(recipe, rule, planned))
    if not faults:
        try:
            return _united(recipe, passes)
        except KallaError as error:
            faults.append(fault_of(error, ("passes",)))
    raise RecipeInvalid(faults)


def first_pass(recipe: Recipe, planned: Planned) -> PlannedPass | None:
    """Return the first pass as `plan_passes` would, if nothing is wrong with it.

    Args:
        planned: the recipe's `match_sql`, which need not be that of the first pass; None then.
    """
    rule = rules_of(recipe)[0]
    return _planned_pass(recipe, rule, planned) if rule.sql == recipe.match_sql else None


def _united(recipe: Recipe, passes: Sequence[PlannedPass]) -> PlannedPasses:
    """Return the passes together; amounts that others have as another type are left out.

    Raises:
        InvalidSql: columns of two match SQLs do not go together.
    """
    try:
        layout = united_layout([one.layout for one in passes])
    except InvalidSql:
        if not any(isinstance(one.rule, SubsetSumPass) and one.layout.columns for one in passes):
            raise
        bare = UnitedLayout.of_pass(pa.schema([]), (), compares=bool(recipe.compared))
        sums = [isinstance(one.rule, SubsetSumPass) for one in passes]
        pairs = zip(passes, sums, strict=True)
        return _united(recipe, [replace(one, layout=bare) if of else one for one, of in pairs])
    return PlannedPasses(recipe, tuple(passes), layout)


def _listed(recipe: Recipe) -> bool:
    first = recipe.passes[0] if recipe.passes else None
    return first is not None and not (len(recipe.passes) == 1 and first.name == UNNAMED)


def _sql_field(rule: Pass) -> str:
    return "match_sql" if isinstance(rule, SqlPass) else "block"


def _planned_pass(recipe: Recipe, rule: Pass, planned: Planned) -> PlannedPass:
    names = planned.output.names
    terms = rule.rank if isinstance(rule, SqlPass) else ()
    ranks = tuple(first_place_of(term.column, names) or 0 for term in terms)
    layout = UnitedLayout.of_pass(
        planned.output, planned.output_sides, compares=bool(recipe.compared)
    )
    return PlannedPass(rule, planned, ranks, layout)


def _rank_faults(rule: Pass, place: Location, planned: Planned) -> Iterator[Fault]:
    if not isinstance(rule, SqlPass):
        return
    for index, term in enumerate(rule.rank):
        at, where = first_place_of(term.column, planned.output.names), (*place, "rank", index)
        if at is None:
            yield _unknown(term.column, planned.output.names, where, "The match SQL selects")
            continue
        kind = planned.output.field(at).type
        if not is_ordered(kind):
            yield _unfit(where, f"`{term.column}` is {kind}, whose values have no order.")
        elif index == 0 and rule.choose is Choose.ASSIGN and not is_score(kind):
            message = f"`{term.column}` is {kind}; an assignment adds up numbers."
            yield _unfit(where, message)
        elif index == 0 and rule.margin is not None and not has_distance(kind):
            message = f"`{term.column}` is {kind}; a margin is of numbers, or of dates, in days."
            yield _unfit((*place, "margin"), message)


def _named_faults(recipe: Recipe, schemas: Mapping[Side, pa.Schema]) -> Iterator[Fault]:
    """Yield what is wrong with the columns of control totals, comparisons and balances."""
    amounts = recipe.amounts
    if amounts is not None:
        columns = {Side.LEFT: amounts.left, Side.RIGHT: amounts.right}
        yield from _amount_faults(columns, ("amounts",), schemas)
        for index, side in enumerate(Side):
            if amounts.currency is not None:
                where: Location = ("amounts", "currency", index)
                yield from _missing(amounts.currency[index], schemas[side], where)
    for number, one in enumerate(recipe.compared):
        place = ("compare", number)
        faults = [
            *_missing(one.left, schemas[Side.LEFT], (*place, "left")),
            *_missing(one.right, schemas[Side.RIGHT], (*place, "right")),
        ]
        yield from faults
        if not faults:
            kinds = (schemas[Side.LEFT].field(one.left), schemas[Side.RIGHT].field(one.right))
            yield from _comparison_faults(kinds, place, one.tolerance is not None)
    for index, rule in enumerate(recipe.passes):
        if isinstance(rule, SqlPass) and rule.balance is not None:
            columns = {Side.LEFT: rule.balance.left, Side.RIGHT: rule.balance.right}
            yield from _amount_faults(columns, ("passes", index, "balance"), schemas)


def _comparison_faults(
    fields: tuple[pa.Field, pa.Field], place: Location, tolerates: bool
) -> Iterator[Fault]:
    left, right = (_kind(field.type) for field in fields)
    if left != right and "null" not in (left, right):
        message = (
            f"`{fields[0].name}` is {fields[0].type} and `{fields[1].name}` {fields[1].type}: "
            "give one of them another type in `types`."
        )
        yield Fault("types_not_comparable", path_text(place), message)
    elif tolerates and left != "number":
        yield _unfit((*place, "tolerance"), f"A tolerance is of numbers, and these are {left}s.")


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    for word, fits in _KINDS.items():
        if any(fit(kind) for fit in fits):
            return word
    return str(kind)


_KINDS = {
    "null": (pa.types.is_null,),
    "number": (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating),
    "text": (pa.types.is_string, pa.types.is_large_string, lambda k: k == pa.string_view()),
    "date": (pa.types.is_date, pa.types.is_timestamp),
}


def _sum_faults(
    rule: SubsetSumPass, place: Location, schemas: Mapping[Side, pa.Schema]
) -> Iterator[Fault]:
    for number, pair in enumerate(rule.block):
        for index, side in enumerate(Side):
            yield from _missing(pair[index], schemas[side], (*place, "block", number, index))
    for index, side in enumerate(Side):
        yield from _amount_faults({side: rule.amount[index]}, (*place, "amount"), schemas)
    if rule.days is None:
        return
    for index, (side, name) in enumerate(zip(Side, (rule.days.left, rule.days.right), strict=True)):
        where = (*place, "days", "columns", index)
        faults = [*_missing(name, schemas[side], where)]
        yield from faults
        if not faults and _kind(schemas[side].field(name).type) != "date":
            kind = schemas[side].field(name).type
            yield _unfit(where, f"`{name}` is {kind} and must be a date or a timestamp.")


def _amount_faults(
    columns: Mapping[Side, str], place: Location, schemas: Mapping[Side, pa.Schema]
) -> Iterator[Fault]:
    for side, name in columns.items():
        where = (*place, side.word) if len(columns) > 1 else (*place, list(Side).index(side))
        faults = [*_missing(name, schemas[side], where)]
        yield from faults
        if faults:
            continue
        kind = schemas[side].field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_decimal128(kind)):
            message = (
                f"`{name}` is {kind}; amounts are added up exactly, so they must be whole numbers "
                'or decimals: `types`: {"' + name + '": "decimal(18,2)"}.'
            )
            yield _unfit(where, message)


def _missing(name: str, schema: pa.Schema, place: Location) -> Iterator[Fault]:
    if name not in schema.names:
        yield _unknown(name, schema.names, place, "There is")


def _unknown(name: str, known: Sequence[str], place: Location, where: str) -> Fault:
    message = f"{where} no column `{name}`. {suggestion(name, known)}"
    details = {"column": name, "nearest": nearest(name, known)}
    return Fault(UnknownColumn.code, path_text(place), message, details)


def _unfit(place: Location, message: str) -> Fault:
    return Fault("types_not_comparable", path_text(place), message)


def exact(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return amounts as decimals of 38 digits, as many behind the point as they have."""
    kind = values.type
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    return pc.cast(values, pa.decimal128(38, scale))

"""What identifies the source rows of a result row: row ids, or primary keys in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from datafusion import DataFrame, Expr, SessionContext, col

from kalla_core.errors import SidesNotIdentified
from kalla_core.matching.plans.expressions import column_refs, quoted
from kalla_core.matching.row_ids.carried import CannotCarry, Carried, refusals_told
from kalla_core.matching.row_ids.chance import Chance
from kalla_core.matching.row_ids.identity import SourceColumn, source_columns
from kalla_core.matching.row_ids.origins import HIDDEN, Origin, RowId
from kalla_core.matching.row_ids.rebuild import Rebuilder
from kalla_core.matching.sql.query import ROW, MatchQuery, Side


class Identification(StrEnum):
    """What names the source rows of a result row."""

    ROW_IDS = "row_ids"
    PRIMARY_KEYS = "primary_keys"


@dataclass(frozen=True, slots=True)
class Identified:
    """A match SQL whose rows name their source rows.

    Attributes:
        frame: to be run: the user's columns and the hidden ones, mixed.
        analysed: what decides how it may be cut; the same but for the look-up of primary keys.
        origins: the hidden columns.
        warnings: what is left to chance.
        chance: it must not be computed in more than one fragment, for that reason.
    """

    frame: DataFrame
    analysed: DataFrame
    origins: tuple[Origin, ...]
    by: Identification
    warnings: tuple[str, ...] = ()
    chance: bool = False


def identified(
    plain: DataFrame,
    numbered: SessionContext,
    query: MatchQuery,
    sides: Mapping[str, Side],
    *,
    computed_keys: bool = False,
    shared: Mapping[str, Carried] | None = None,
    tried: bool = True,
) -> Identified:
    """Return the match SQL with hidden columns that name the rows of both sides.

    Args:
        plain: the match SQL over tables without ROW.
        numbered: the same tables with ROW.
        sides: table name to side.
        computed_keys: as `Rebuilder` has it.
        shared: likewise.
        tried: whether it is to be found out here that what is planned can be run.

    Raises:
        SidesNotIdentified: neither row ids nor primary keys name a row of both sides.
    """
    try:
        carried = _carried(plain, numbered, query, sides, computed_keys, shared or {}, tried)
    except CannotCarry as obstacle:
        return _by_primary_keys(plain, numbered, query, sides, str(obstacle))
    _check_both_sides(carried, query)
    frame, warnings = carried.frame, carried.warnings
    by = Identification.ROW_IDS
    return Identified(frame, frame, carried.origins, by, warnings, carried.chance)


def _carried(
    plain: DataFrame,
    numbered: SessionContext,
    query: MatchQuery,
    sides: Mapping[str, Side],
    computed_keys: bool,
    shared: Mapping[str, Carried],
    tried: bool,
) -> Carried:
    keys = {side: query.side(side).primary_key for side in Side}
    with refusals_told():
        rebuilder = Rebuilder(numbered, sides, keys, computed_keys=computed_keys, shared=shared)
        carried = rebuilder.rebuild(plain.logical_plan())
        if tried:
            carried.frame.execution_plan()  # what can be planned cannot always be run
    return carried


def _check_both_sides(carried: Carried, query: MatchQuery) -> None:
    for side in Side:
        if side not in carried.sides:
            shape = query.side(side)
            raise SidesNotIdentified(
                f"The rows of the result do not say which row of {shape.alias} they are about: "
                f"join {side.value}, instead of only testing it with IN, EXISTS or EXCEPT, and "
                f"select its {_listed(shape.primary_key)}.",
                side=side.word,
                columns=shape.primary_key,
            )
    if not carried.meets:
        raise SidesNotIdentified(
            "No row of the result is about a row of both sides: join left_src and right_src, "
            "instead of putting the rows of one below those of the other."
        )


def _by_primary_keys(
    plain: DataFrame,
    numbered: SessionContext,
    query: MatchQuery,
    sides: Mapping[str, Side],
    obstacle: str,
) -> Identified:
    """Look the row ids up by the primary keys that are in the output."""
    base = numbered.create_dataframe_from_logical_plan(plain.logical_plan())
    traced = source_columns(plain.optimized_logical_plan(), sides)
    refs = column_refs(base)
    names = {side: _key_names(query, side) for side in Side}
    keys: list[Expr] = []
    for side in Side:
        for name, alias in names[side].items():
            key = SourceColumn(side, name)
            if key not in traced:
                raise _unnamed(query, side, name, obstacle)
            keys.append(refs[traced.index(key)].alias(alias))
    frame = base.select(*refs, *keys)
    origins = []
    for side in Side:
        table, conditions = _looked_up(numbered, side, names[side])
        frame = frame.join_on(table, *conditions, how="inner")
        origins.append(RowId(side, _row_name(side)))
    warning = (
        f"Row numbers cannot travel through {obstacle}; result rows are told apart by their "
        "primary keys, which must be unique."
    )
    warnings = [warning]
    keyed = {name: query.side(side).primary_key for name, side in sides.items()}
    chance = Chance(numbered, keyed)
    if chance.in_limit(plain.logical_plan()):
        warnings.append("Which rows LIMIT keeps is chance where its ORDER BY ties.")
    if chance.in_distinct_on(plain.logical_plan()):
        warnings.append(
            "Which of several rows DISTINCT ON keeps is chance where its ORDER BY ties."
        )
    by = Identification.PRIMARY_KEYS
    return Identified(frame, base, tuple(origins), by, tuple(warnings))


def _looked_up(
    numbered: SessionContext, side: Side, names: Mapping[str, str]
) -> tuple[DataFrame, list[Expr]]:
    """Return the keys and row ids of a table, and what joins them to the result's keys."""
    table = f"{HIDDEN}{side.word}"
    renamed = [
        col(f"{side.value}.{quoted(name)}").alias(f"{alias}_of") for name, alias in names.items()
    ]
    row = col(f"{side.value}.{quoted(ROW)}").alias(_row_name(side))
    frame = numbered.table(quoted(side.value)).select(*renamed, row).alias(quoted(table))
    return frame, [col(alias) == col(f"{alias}_of") for alias in names.values()]


def _key_names(query: MatchQuery, side: Side) -> dict[str, str]:
    key = query.side(side).primary_key
    return {name: f"{HIDDEN}k{side.word[0]}{i}" for i, name in enumerate(key)}


def _row_name(side: Side) -> str:
    return f"{HIDDEN}row_{side.word}"


def _unnamed(query: MatchQuery, side: Side, name: str, obstacle: str) -> SidesNotIdentified:
    shape = query.side(side)
    return SidesNotIdentified(
        f"Row numbers cannot travel through {obstacle}, so the result must hold the primary keys "
        f"of both sides unchanged: select {_listed(shape.primary_key)} of {shape.alias} "
        f"({side.value}); {name} is missing.",
        side=side.word,
        columns=shape.primary_key,
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)

"""What has to fit between the fields of a reconciliation's rules, looked at in the raw document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kalla_core.errors import Fault
from kalla_core.recipe.passes import Accept, Cardinality, Choose, OnTie, PassKind
from kalla_core.recipe.paths import Location, path_text

CODE = "invalid_passes"
RULES = ("cardinality", "rank", "choose", "on_tie", "margin")
_RECONCILING = ("passes", *RULES, "rest", "amounts", "compare")
_OF_SQL = (*RULES, "match_sql", "match_sql_file", "group_by", "balance")
_OF_SUMS = ("one", "block", "amount", "tolerance", "days", "max_items", "max_candidates")
_DEMANDED_OF_SUMS = ("one", "block", "amount")


def rule_faults(document: object) -> Iterator[Fault]:
    """Yield what does not fit between match SQL, passes and the rules of either."""
    if not isinstance(document, Mapping):
        return
    passes = document.get("passes")
    if passes is None:
        yield from _sql_faults(document, ())
        yield from _choice_faults(document, ())
        yield from _rest_faults(document, document, ())
    else:
        yield from _not_beside_passes(document)
    if isinstance(passes, list):
        yield from _pass_list_faults(passes)
        for index, one in enumerate(passes):
            if isinstance(one, Mapping):
                yield from _rest_faults(one, document, ("passes", index))
    asked = [name for name in _RECONCILING if document.get(name) is not None]
    if asked and passes is None and document.get("groups") == "members":
        message = f"With `{asked[0]}` every match has its `match_group`: leave this out."
        yield _fault(("groups",), message)


def _not_beside_passes(document: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("match_sql", "match_sql_file"):
        if document.get(name) is not None:
            yield _fault((name,), "A recipe has either a match SQL or passes, each with its own.")
    for name in (*RULES, "rest"):
        if document.get(name) is not None:
            yield _fault((name,), "Where there are passes, each of them says this for itself.")
    if document.get("groups") == "members":
        message = "Where there are passes, every match has its `match_group`: leave this out."
        yield _fault(("groups",), message)


def _pass_list_faults(passes: list[Any]) -> Iterator[Fault]:
    if not passes:
        yield Fault("empty", "passes", "Needs at least one.")
    seen: set[str] = set()
    for index, one in enumerate(passes):
        if not isinstance(one, Mapping):
            continue
        name, place = one.get("name"), ("passes", index)
        if isinstance(name, str):
            if name in seen:
                yield _fault((*place, "name"), f"There is a pass `{name}` already.")
            seen.add(name)
        yield from _pass_faults(one, place)


def _pass_faults(one: Mapping[str, Any], place: Location) -> Iterator[Fault]:
    if one.get("kind") == PassKind.SUBSET_SUM:
        for name in _OF_SQL:
            if one.get(name) is not None:
                yield _fault((*place, name), "A pass of the kind subset_sum does not take this.")
        for name in _DEMANDED_OF_SUMS:
            if one.get(name) is None:
                yield _missing((*place, name))
        return
    yield from _sql_faults(one, place)
    yield from _choice_faults(one, place)
    for name in _OF_SUMS:
        if one.get(name) is not None:
            message = "Only passes with `kind`: `subset_sum` take this."
            yield _fault((*place, name), message)
    yield from _group_faults(one, place)


def _sql_faults(one: Mapping[str, Any], place: Location) -> Iterator[Fault]:
    sql, file = one.get("match_sql"), one.get("match_sql_file")
    if sql is None and file is None:
        yield _missing((*place, "match_sql"))
    elif sql is not None and file is not None:
        yield _fault((*place, "match_sql_file"), "Is said in `match_sql` as well: leave one out.")
    elif file is not None:
        message = "A file is read by whoever has it: send its text as `match_sql`."
        yield _fault((*place, "match_sql_file"), message)


def _choice_faults(one: Mapping[str, Any], place: Location) -> Iterator[Fault]:
    cardinality = one.get("cardinality") or Cardinality.MANY_TO_MANY
    loose = cardinality == Cardinality.MANY_TO_MANY
    choose = one.get("choose") or (Choose.ALL if loose else Choose.BEST)
    if choose == Choose.ASSIGN and loose:
        message = (
            "Without bound every candidate adds to the total: an assignment needs the "
            "`cardinality` 1:1, 1:N or N:1."
        )
        yield _fault((*place, "choose"), message)
    if choose == Choose.ASSIGN and one.get("on_tie") == OnTie.FIRST:
        message = "Assignments of equal total are held, never told apart by key: leave it out."
        yield _fault((*place, "on_tie"), message)
    if choose == Choose.ASSIGN and not _begins_descending(one.get("rank")):
        message = 'An assignment needs a `rank` that begins with a score, as "similarity desc".'
        yield _fault((*place, "choose"), message)
    if one.get("margin") is None:
        return
    if choose != Choose.BEST:
        yield _fault((*place, "margin"), "Only the best of several has a margin: `choose`: `best`.")
    elif not one.get("rank"):
        yield _fault((*place, "margin"), "A margin is of the first column of `rank`: name one.")
    elif loose:
        message = "Without bound nothing competes: a margin needs another `cardinality`."
        yield _fault((*place, "margin"), message)


def _group_faults(one: Mapping[str, Any], place: Location) -> Iterator[Fault]:
    group, balance = one.get("group_by"), one.get("balance")
    rests = one.get("rest") is not None
    if rests and balance is not None:
        message = "With `rest` a group's sums are those of `amounts`, and its tolerance is there."
        yield _fault((*place, "balance"), message)
    elif (group is None) != (balance is None) and not rests:
        lacking = "group_by" if group is None else "balance"
        yield _missing((*place, lacking))
    if group is None:
        return
    for name in RULES:
        if one.get(name) is not None and one.get(name) != Cardinality.MANY_TO_MANY:
            message = "A group takes all candidates that hang together, however many: leave it out."
            yield _fault((*place, name), message)


def _rest_faults(
    one: Mapping[str, Any], document: Mapping[str, Any], place: Location
) -> Iterator[Fault]:
    if one.get("rest") is None:
        return
    if document.get("amounts") is None:
        yield _fault((*place, "rest"), "A rest is of the columns of `amounts`: name them.")
    if one.get("accept") == Accept.SUGGEST:
        message = "A match that is only suggested settles nothing, so that all of it stays open."
        yield _fault((*place, "rest"), message)


def _begins_descending(rank: object) -> bool:
    first = rank[0] if isinstance(rank, list) and rank else None
    return isinstance(first, str) and first.lower().endswith(" desc")


def _missing(place: Location) -> Fault:
    return Fault("missing", path_text(place), "This field is missing.")


def _fault(place: Location, message: str) -> Fault:
    return Fault(CODE, path_text(place), message)

"""Calls of Kalla's own functions: each gets the variant made for the types of its arguments.

A Python UDF has one exact signature, and DataFusion would cast other arguments to it in silence,
decimals to doubles among them. So calls on unlike types get unlike names in the text, under which
the variants for those types are registered. The types are DataFusion's own finding: a stand-in that
accepts nothing makes it refuse the call and say of which types the arguments are. That works
wherever an expression may stand, also where the bindings cannot look (FILTER, windows,
correlated sub-queries).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import pyarrow as pa
from datafusion import ScalarUDF, SessionContext, udf

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.functions import FUNCTIONS, LITERALS, RESULTS, variant
from kalla_core.matching.plans.planning import PlanningFailed, analysed
from kalla_core.matching.sql.arrow_types import UnknownType, parse_types, spoken
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import CallSite, call_sites
from kalla_core.matching.sql.text import Splice, spliced, where

MAX_CALLS = 100
SAME = "same"
"""The function that is no UDF: see `null_safe`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A variant that prepared SQL calls.

    Attributes:
        name: what the SQL calls it: the function's own name for the first types it is called
            with, `tolerance_match__1` and so on for others.
        function: one of `FUNCTIONS`.
        argument_types: exact types, in order.
    """

    name: str
    function: str
    argument_types: tuple[pa.DataType, ...]


def own_calls(sql: str, tokens: Sequence[Token]) -> tuple[CallSite, ...]:
    """Return the calls of Kalla's functions.

    Raises:
        InvalidSql: one has too many or too few arguments, an argument that has to be a literal is
            none or makes no sense, or there are too many calls.
    """
    sites = tuple(
        site
        for site in call_sites(tokens)
        if site.name.value in FUNCTIONS and not is_qualified(tokens, site)
    )
    for site in sites:
        check_arity(sql, site, FUNCTIONS[site.name.value])
        if site.name.value in LITERALS:
            _check_literal(sql, tokens, site)
    if len(sites) > MAX_CALLS:
        raise InvalidSql(f"The SQL calls Kalla's functions more than {MAX_CALLS} times.")
    return sites


def register_stand_ins(session: SessionContext) -> None:
    """Let `session` type-check Kalla's functions under their own names, with any arguments."""
    for function, arity in {**FUNCTIONS, SAME: 2}.items():
        session.register_udf(_stand_in(function, function, [pa.string()] * arity))


def register(session: SessionContext, calls: Sequence[Call]) -> None:
    """Make the variants known to `session`."""
    for call in calls:
        session.register_udf(variant(call.function, call.name, call.argument_types))


def resolve(
    session: SessionContext,
    sql: str,
    tokens: Sequence[Token],
    sites: Sequence[CallSite],
    splices: Sequence[Splice],
) -> tuple[tuple[Splice, ...], tuple[Call, ...]]:
    """Return the names to put into the SQL beside `splices`, and what to register under them.

    Calls of one function on the same types get the same name, so that what is written in SELECT
    is still what is written in GROUP BY.

    Args:
        session: a planning session with the tables.
        sql: the user's text.
        tokens: of `sql`.
        sites: what `own_calls` found in it.
        splices: what else has to be put in for the SQL to plan.

    Raises:
        TypesNotComparable: a function makes no sense of its arguments.
        PlanningFailed: DataFusion refuses the statement for another reason.
    """
    types = _types_of_sites(session, sql, tokens, sites, splices)
    calls: dict[tuple[str, tuple[pa.DataType, ...]], Call] = {}
    names = []
    for site in sites:
        function, arguments = site.name.value, types[site]
        number = sum(known == function for known, _ in calls)
        call = Call(f"{function}__{number}" if number else function, function, arguments)
        call = calls.setdefault((function, arguments), call)
        if call.name != function:
            names.append(Splice(site.name.start, site.name.end, call.name))
    return tuple(names), tuple(calls.values())


_REFUSED = re.compile(
    r"arguments to satisfy a call to '(?P<name>\w+)' function: "
    r"coercion from (?P<types>.*?) to the signature",
    re.DOTALL,
)
# No value is of this type, and none but NULL is cast to it.
_UNLIKE_ANY = pa.struct([pa.field("__kalla", pa.int8())])

_Types = tuple[pa.DataType, ...]


def _types_of_sites(
    session: SessionContext,
    sql: str,
    tokens: Sequence[Token],
    sites: Sequence[CallSite],
    splices: Sequence[Splice],
) -> Mapping[CallSite, _Types]:
    """Return the argument types of each call.

    First each call has a name of its own. Where that does not plan, because SELECT no longer says
    what GROUP BY says, calls that are written alike share one.
    """
    if not sites:
        return {}
    apart = {site: f"{site.name.value}__{number}" for number, site in enumerate(sites)}
    try:
        types = _probe(session, sql, apart, splices)
    except PlanningFailed:
        apart = _named_by_text(tokens, sites)
        types = _probe(session, sql, apart, splices)
    return {site: types[name] for site, name in apart.items()}


def _named_by_text(tokens: Sequence[Token], sites: Sequence[CallSite]) -> dict[CallSite, str]:
    names: dict[tuple[str, ...], str] = {}
    return {
        site: names.setdefault(
            tuple(token.value for token in tokens[site.open - 1 : site.close + 1]),
            f"{site.name.value}__{number}",
        )
        for number, site in enumerate(sites)
    }


def _probe(
    session: SessionContext,
    sql: str,
    names: Mapping[CallSite, str],
    splices: Sequence[Splice],
) -> Mapping[str, _Types]:
    """Return the argument types by name, asking DataFusion until it refuses no stand-in."""
    by_name = {name: site for site, name in reversed(tuple(names.items()))}
    for name, site in by_name.items():
        types = [_UNLIKE_ANY] * FUNCTIONS[site.name.value]
        session.register_udf(_stand_in(name, site.name.value, types))
    calls = (Splice(site.name.start, site.name.end, name) for site, name in names.items())
    text = spliced(sql, (*splices, *calls))
    known: dict[str, _Types] = {}
    while refusal := _refusal(session, text, by_name.keys() - known.keys()):
        name, site = refusal["name"], by_name[refusal["name"]]
        known[name] = _argument_types(sql, site, refusal["types"])
        session.register_udf(_variant(sql, site, name, known[name]))
    nothing_but_null = {
        name: (pa.null(),) * FUNCTIONS[site.name.value] for name, site in by_name.items()
    }
    return {**nothing_but_null, **known}


def _refusal(session: SessionContext, text: str, names: Set[str]) -> re.Match[str] | None:
    """Return DataFusion's refusal of one of `names`, None when the statement plans."""
    try:
        analysed(session, text)
    except PlanningFailed as error:
        refusal = _REFUSED.search(str(error))
        if refusal is None or refusal["name"] not in names:
            raise
        return refusal
    return None


def _argument_types(sql: str, site: CallSite, listed: str) -> _Types:
    try:
        return parse_types(listed)
    except UnknownType as error:
        what = f"{site.name.value} cannot take a {spoken(str(error))}"
        remedy = "; cast it in the match SQL."
        raise TypesNotComparable(**where(sql, site.name.start, what, remedy)) from None


def _variant(sql: str, site: CallSite, name: str, types: _Types) -> ScalarUDF:
    try:
        return variant(site.name.value, name, types)
    except TypesNotComparable as error:
        place = where(sql, site.name.start, error.message.removesuffix("."))
        raise TypesNotComparable(**place, **error.details) from None


def _stand_in(name: str, function: str, types: Sequence[pa.DataType]) -> ScalarUDF:
    return udf(_never_run, list(types), RESULTS.get(function, pa.bool_()), "immutable", name)


def _never_run(*_arrays: pa.Array) -> pa.Array:
    raise RuntimeError("a stand-in is for planning only")


def check_arity(sql: str, site: CallSite, takes: int) -> None:
    """Raise InvalidSql unless the call has as many arguments as the function takes."""
    function, has = site.name.value, len(site.arguments)
    if takes != has:
        what = f"{function} takes {takes} argument{'s' if takes > 1 else ''}, not {has}"
        raise InvalidSql(**where(sql, site.name.start, what))


def _check_literal(sql: str, tokens: Sequence[Token], site: CallSite) -> None:
    """Raise InvalidSql unless the second argument is a text in single quotes that makes sense."""
    what, check = LITERALS[site.name.value]
    first, last = site.arguments[1]
    token = tokens[first]
    if last - first != 1 or sql[token.start] != "'":
        raise InvalidSql(**where(sql, token.start, f"{what} is a text in single quotes"))
    try:
        check(token.value)
    except InvalidSql as error:
        raise InvalidSql(**where(sql, token.start, error.message.removesuffix("."))) from None


def is_qualified(tokens: Sequence[Token], site: CallSite) -> bool:
    """Whether a schema or a table stands before the name, so that it is none of Kalla's."""
    return site.open >= 2 and tokens[site.open - 2].symbol(".")

"""What DataFusion says when it does not plan a statement, said so that the author can act on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from datafusion import LogicalPlan, SessionContext

from kalla_core.errors import (
    ForbiddenSql,
    InvalidSql,
    KallaError,
)
from kalla_core.functions import FUNCTIONS
from kalla_core.matching.sql.arrow_types import spoken
from kalla_core.matching.sql.culprits import Refusal
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.misnamed import (
    ambiguous,
    no_column,
    no_function,
    no_such_table,
    no_table_function,
    same_names,
    same_tables,
)
from kalla_core.matching.sql.mistyped import no_common_type, wrong_arguments
from kalla_core.matching.sql.places import place_of
from kalla_core.matching.sql.query import MatchQuery
from kalla_core.matching.sql.refusals import refused
from kalla_core.matching.sql.said import Said
from kalla_core.matching.sql.statement import table_function, unknown_table
from kalla_core.matching.sql.tables import table_names
from kalla_core.matching.sql.text import Splice, offset_at, original_offset, spliced, where


def fault(
    message: str,
    query: MatchQuery,
    tokens: Sequence[Token],
    splices: Sequence[Splice],
    functions: Collection[str],
    refusal: Refusal,
) -> KallaError:
    """Return the error that tells what DataFusion means.

    Args:
        message: DataFusion's own.
        query: the SQL and its tables.
        tokens: of the SQL.
        splices: what had been put into the SQL when DataFusion saw it.
        functions: names of the functions there are.
        refusal: asks DataFusion what it says to another statement.
    """
    said = Said(query, tokens, splices, functions, message, refusal)
    plain = _plain(message)
    for pattern, translate in _TRANSLATIONS:
        match = pattern.search(plain)
        if match is not None:
            return translate(said, match)
    return refused(query.sql, plain, said.culprit())


def functions_of(session: SessionContext) -> frozenset[str]:
    """Return the names of all functions of a session that people may call."""
    names = {*session.udfs(), *session.udafs(), *session.udwfs(), *FUNCTIONS}
    return frozenset(name for name in names if "__" not in name)


def check_tables_read(query: MatchQuery, tokens: Sequence[Token], plan: LogicalPlan) -> None:
    """Return if `plan` names the job's tables as they are called, without a schema.

    Raises:
        ForbiddenSql: it says `public.left_src`. (Other schemas hold nothing that could be read.)
    """
    names = table_names(query)
    qualified = {prefix + name for prefix in ("public.", "datafusion.public.") for name in names}
    for line in plan.display_indent().splitlines():
        _indent, scans, name = line.partition("TableScan: ")
        if scans and name in qualified and name not in names:
            raise unknown_table(query.sql, name, place_of(tokens, name), names)


_CAUSES = re.compile(
    r"^(?:DataFusion error: |type_coercion\s+caused by\s+"
    r"|Optimizer rule '\w+' failed\s+caused by\s+"
    r"|Error during planning: |Internal error: |SQL error: |Schema error: |Execution error: "
    r"|Arrow error: |Invalid or Unsupported Configuration: "
    r"|External error: |check_analyzed_plan\s+caused by\s+)+"
)


def _plain(message: str) -> str:
    return _CAUSES.sub("", message.strip())


def _does_not_parse(said: Said, match: re.Match[str]) -> KallaError:
    what = match["what"].replace('\\"', '"').replace("\\'", "'").strip()
    if match["line"] is None:
        at: int | None = said.tokens[-1].end if said.tokens else None
        what = re.sub(r", found: EOF$", ", but the statement ends there", what)
    else:
        seen = spliced(said.sql, said.splices)
        at = original_offset(
            said.splices, offset_at(seen, int(match["line"]), int(match["column"]))
        )
    what = what.replace("Expected: ", "expected ").replace(", found: ", ", found ")
    return InvalidSql(**where(said.sql, at, f"The SQL cannot be read: {what}"))


def _too_deep(said: Said, _match: re.Match[str]) -> KallaError:
    return InvalidSql("The SQL is nested too deeply.")


def _wrong_call(said: Said, match: re.Match[str]) -> KallaError:
    what = f"{match['name']} does not take what it is given here"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _not_grouped(said: Said, match: re.Match[str]) -> KallaError:
    name = match["name"]
    what = f"{name} is neither in GROUP BY nor in an aggregate"
    return InvalidSql(
        **where(said.sql, said.place(name), what, "; put it into GROUP BY, or write max(...).")
    )


def _no_condition(said: Said, match: re.Match[str]) -> KallaError:
    what = f"The condition {match['name']} is {spoken(match['type'])}, not true or false"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _bad_text(said: Said, match: re.Match[str]) -> KallaError:
    value = match["value"]
    what = f"'{value}' is not a valid {spoken(match['type'])}"
    return InvalidSql(**where(said.sql, _string_place(said.tokens, value), what))


def _bad_moment(said: Said, match: re.Match[str]) -> KallaError:
    value = match["value"]
    what = f"'{value}' is not a valid {match['kind']}"
    short = re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", value)
    remedy = f"; write its seconds too: '{value}:00'." if short else "."
    return InvalidSql(**where(said.sql, _string_place(said.tokens, value), what, remedy))


def _not_supported(said: Said, match: re.Match[str]) -> KallaError:
    name = match["name"]
    if name == "TableFunction":
        return table_function(said.sql, "table", said.place("table"))
    what = f"{name.upper()} is not supported"
    return InvalidSql(**where(said.sql, said.place(name), what))


def _no_operator(said: Said, match: re.Match[str]) -> KallaError:
    what = f"There is no operator {match['name'].upper()}"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _no_type(said: Said, match: re.Match[str]) -> KallaError:
    what = f"There is no type {match['name']}"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _correlated(said: Said, match: re.Match[str]) -> KallaError:
    return InvalidSql(
        "A part of the SQL reads columns of a table outside it where that cannot be done: in "
        "LATERAL or unnest(...) in FROM, or deep inside a sub-query. Put it into SELECT, as in "
        "SELECT unnest(l.tags), or join without it."
    )


def _no_query(said: Said, match: re.Match[str]) -> KallaError:
    what = "Match SQL is one SELECT, it only reads"
    return ForbiddenSql(**where(said.sql, said.tokens[0].start, what))


def _string_place(tokens: Sequence[Token], value: str) -> int | None:
    return next((token.start for token in tokens if token.value == value), None)


_Translate = Callable[[Said, re.Match[str]], KallaError]

_TRANSLATIONS: tuple[tuple[re.Pattern[str], _Translate], ...] = tuple(
    (re.compile(pattern, re.DOTALL), translate)
    for pattern, translate in (
        (
            r'^(?:Parser|Tokenizer)Error\("(?P<what>.*?)'
            r'(?: at Line: (?P<line>\d+), Column: (?P<column>\d+))?"\)',
            _does_not_parse,
        ),
        (r"^RecursionLimitExceeded", _too_deep),
        (r"does not support logical expression OuterReferenceColumn", _correlated),
        (
            r"No field named (?P<name>.+?)\.(?: Did you mean .*?)?"
            r"(?:\nColumn names are case.*?)?(?:\nValid fields are (?P<fields>.*))?$",
            no_column,
        ),
        (r"Ambiguous reference to unqualified field (?P<name>\S+)", ambiguous),
        (r"^table '(?P<name>.*?)' not found", no_such_table),
        (r"^table function '(?P<name>.*?)' not found", no_table_function),
        (r"^Invalid function '(?P<name>.*?)'", no_function),
        (
            r"given name and argument types '(?P<name>\w+)\((?P<types>.*?)\)'\.",
            wrong_arguments,
        ),
        (
            r"call to '(?P<name>\w+)' function: coercion from (?P<types>.*?) to the signature",
            wrong_arguments,
        ),
        (r"Function '(?P<name>\w+)' failed to match any signature", _wrong_call),
        (
            r"Cannot coerce arithmetic expression (?P<left>.+?) [-+*/%] (?P<right>.+?) to valid",
            no_common_type,
        ),
        (
            r"Cannot infer common argument type for \w+ operation "
            r"(?P<left>.+?) (?:=|!=|<=|>=|<|>|IS (?:NOT )?DISTINCT FROM|\W+) (?P<right>.+)$",
            no_common_type,
        ),
        (
            r"common type to coerce (?P<left>.+?) and (?P<right>.+?)(?: in .*)?$",
            no_common_type,
        ),
        (r'column "(?P<name>.+?)" must appear in the GROUP BY', _not_grouped),
        (
            r'unique expression names but the expression "(?P<first>.*?)" at position \d+ and '
            r'"(?P<second>.*?)" at position \d+ have the same name',
            same_names,
        ),
        (r"duplicate (?:un)?qualified field name (?P<name>.+)$", same_tables),
        (
            r"non-boolean predicate '(?P<name>.*?)' returning (?P<type>.+)$",
            _no_condition,
        ),
        (
            r"Cannot cast string '(?P<value>.*?)' to value of (?P<type>.+?) type",
            _bad_text,
        ),
        (r"Error parsing (?P<kind>timestamp) from '(?P<value>.*?)'", _bad_moment),
        (r'Invalid input syntax for type (?P<kind>interval): "(?P<value>.*?)"', _bad_moment),
        (r"Unsupported ast node (?:in sqltorel: )?(?P<name>\w+)", _not_supported),
        (r"(?:Operator|Unsupported binary operator:) (?P<name>\S+?)(?: is not|$)", _no_operator),
        (r"Unsupported SQL type (?P<name>\w+)", _no_type),
        (
            r"^(?:DDL|DML|Statement) not supported|Unsupported SQL statement|not implemented yet$",
            _no_query,
        ),
    )
)

"""What DataFusion says when it does not plan a statement, said so that the author can act on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from datafusion import LogicalPlan, SessionContext

from kalla_core.errors import (
    ForbiddenSql,
    InvalidSql,
    KallaError,
    TypesNotComparable,
    UnknownColumn,
)
from kalla_core.functions import FUNCTIONS
from kalla_core.matching.arrow_types import (
    UnknownType,
    all_spoken,
    kind_of,
    parse_type,
    split,
    spoken,
)
from kalla_core.matching.forbidden import CLOCK
from kalla_core.matching.lexer import Token, folded, quoted, tokenize
from kalla_core.matching.places import place_of
from kalla_core.matching.query import MatchQuery
from kalla_core.matching.statement import table_function, unknown_table
from kalla_core.matching.tables import table_names
from kalla_core.matching.text import Splice, offset_at, original_offset, spliced, where
from kalla_core.recipe.nearest import listed, nearest, suggestion


@dataclass(frozen=True, slots=True)
class _Said:
    """What was refused, and what is known about it.

    Attributes:
        splices: what was put into the user's SQL before it was planned.
        functions: names of all functions there are.
    """

    query: MatchQuery
    tokens: Sequence[Token]
    splices: Sequence[Splice]
    functions: Collection[str]

    @property
    def sql(self) -> str:
        """The user's own text."""
        return self.query.sql

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(table_names(self.query))

    def may_be(self, column: str, kind: str) -> bool:
        """Whether a table has a column of a name and a kind."""
        shapes = (self.query.left, self.query.right, *self.query.extras)
        return any(
            folded(field.name) == folded(column) and kind_of(field.type) == kind
            for shape in shapes
            for field in shape.schema
        )

    def place(self, text: str) -> int | None:
        """Return where `text` stands."""
        return place_of(self.tokens, text)


def fault(
    message: str,
    query: MatchQuery,
    tokens: Sequence[Token],
    splices: Sequence[Splice],
    functions: Collection[str],
) -> KallaError:
    """Return the error that tells what DataFusion means.

    Args:
        message: DataFusion's own.
        query: the SQL and its tables.
        tokens: of the SQL.
        splices: what had been put into the SQL when DataFusion saw it.
        functions: names of the functions there are.
    """
    said = _Said(query, tokens, splices, functions)
    plain = _plain(message)
    for pattern, translate in _TRANSLATIONS:
        match = pattern.search(plain)
        if match is not None:
            return translate(said, match)
    return _unknown(said, plain)


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


def _does_not_parse(said: _Said, match: re.Match[str]) -> KallaError:
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


def _too_deep(said: _Said, _match: re.Match[str]) -> KallaError:
    return InvalidSql("The SQL is nested too deeply.")


def _no_column(said: _Said, match: re.Match[str]) -> KallaError:
    written = [token.value for token in tokenize(match["name"]) if token.is_name]
    fields = tuple(_fields(match["fields"] or ""))
    name, qualifier = written[-1], ".".join(written[:-1])
    at = said.place(match["name"])
    shown = ".".join(written)
    what = f'There is no column "{shown}"'
    if qualifier and fields and all(qualifier != table for table, _ in fields):
        remedy = _no_table(said, qualifier, name, fields)
    else:
        remedy = _like_columns(name, qualifier, fields)
    details = {"name": shown, "nearest": nearest(name, [column for _, column in fields])}
    return UnknownColumn(**where(said.sql, at, what, remedy), **details)


def _no_table(said: _Said, qualifier: str, name: str, fields: Sequence[tuple[str, str]]) -> str:
    """Say what to write in place of a qualifier that names no table in reach."""
    holders = [f"{quoted(table)}.{quoted(name)}" for table, column in fields if column == name]
    if holders:
        return f"; {qualifier} is not the name of a table here, write {' or '.join(holders)}."
    tables = dict.fromkeys(table for table, _ in fields if table)
    return f"; {qualifier} is not the name of a table here. {suggestion(qualifier, tables)}"


def _like_columns(name: str, qualifier: str, fields: Sequence[tuple[str, str]]) -> str:
    """Say which columns may have been meant."""
    reachable = [column for table, column in fields if qualifier in ("", table)]
    same = [column for column in reachable if column.casefold() == name.casefold()]
    if same and quoted(same[0]) == same[0]:
        return f"; write {same[0]}: names in double quotes are taken as they stand."
    if same:
        return f"; write {quoted(same[0])}: names without double quotes are read in lower case."
    bare = [column for column in reachable if column.strip().casefold() == name.casefold()]
    if bare:
        return f"; write {quoted(bare[0])}: there are blanks around its name."
    holders = [quoted(table) for table, column in fields if column == name]
    if holders:
        return f"; a column of that name is in {' and '.join(holders)}."
    named = dict.fromkeys(map(quoted, reachable))
    return ". " + suggestion(name, named) if named else "."


def _fields(listed: str) -> Iterator[tuple[str, str]]:
    """Yield table and column of each field in a list such as `l.id, l."Odd".`."""
    for part in split(listed.strip().removesuffix(".")):
        names = [token.value for token in tokenize(part) if token.is_name]
        if names:
            yield ".".join(names[:-1]), names[-1]


def _ambiguous(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["name"].strip('"')
    what = f'Several tables have a column "{name}"'
    remedy = f"; write the name of the table before it, as in TABLE.{quoted(name)}."
    if any(token.word("except", "intersect") for token in said.tokens):
        remedy += " In EXCEPT and INTERSECT the columns of each SELECT need names of their own: AS."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy))


def _no_such_table(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["name"].removeprefix("datafusion.public.")
    return unknown_table(said.sql, name, said.place(name), said.tables)


def _no_table_function(said: _Said, match: re.Match[str]) -> KallaError:
    return table_function(said.sql, match["name"], said.place(match["name"]))


def _no_function(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["name"]
    if name in CLOCK:
        what, remedy = f"{name}() takes no arguments", "."
    else:
        close = nearest(name, said.functions)
        what = f"There is no function {name}"
        remedy = f". Did you mean {listed(close)}?" if close else "."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy), name=name)


def _wrong_arguments(said: _Said, match: re.Match[str]) -> KallaError:
    function = match["name"]
    types = ", ".join(spoken(part) for part in split(match["types"]))
    what = f"{function} does not take ({types})"
    return TypesNotComparable(
        **where(said.sql, said.place(function), what, "; CAST what it is given.")
    )


def _wrong_call(said: _Said, match: re.Match[str]) -> KallaError:
    what = f"{match['name']} does not take what it is given here"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _no_common_type(said: _Said, match: re.Match[str]) -> KallaError:
    types = match["left"].strip(), match["right"].strip()
    if compared := _compared(said, *types):
        what, place = compared
        return TypesNotComparable(**where(said.sql, place, what, "; CAST one of them."))
    left, right = map(spoken, types)
    what = f"A value of type {left} and one of type {right} do not go together"
    return TypesNotComparable(**where(said.sql, None, what, "; CAST one of them."))


_OPERATORS = ("not", "like", "ilike", "is", "distinct", "from")


def _compared(said: _Said, left: str, right: str) -> tuple[str, int] | None:
    """Return which columns of two types stand beside one operator, and where, if any do."""
    try:
        wanted = kind_of(parse_type(left)), kind_of(parse_type(right))
    except UnknownType:
        return None
    columns = list(_qualified(said.tokens))
    for (start, one), (other_start, other) in pairwise(columns):
        between = said.tokens[start + 3 : other_start]
        beside = all(token.word(*_OPERATORS) for token in between if token.is_name)
        names = [".".join(token.value for token in column[::2]) for column in (one, other)]
        if wanted[0] == wanted[1] and any(token.symbol("=", "<", ">") for token in between):
            continue  # values of one kind can be compared: another operator is meant
        if beside and all(map(said.may_be, (one[2].value, other[2].value), wanted)):
            what = f"{names[0]} is {wanted[0]} and {names[1]} is {wanted[1]}"
            return f"{what}, which do not go together", one[0].start
    return None


def _qualified(tokens: Sequence[Token]) -> Iterator[tuple[int, Sequence[Token]]]:
    """Yield each `TABLE.COLUMN`, and which token it begins with."""
    for at, three in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        if three[0].is_name and three[1].value == "." and three[2].is_name:
            yield at, three


def _not_grouped(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["name"]
    what = f"{name} is neither in GROUP BY nor in an aggregate"
    return InvalidSql(
        **where(said.sql, said.place(name), what, "; put it into GROUP BY, or write max(...).")
    )


def _same_names(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["second"].rpartition(" AS ")[2]
    what = f'Two columns of one SELECT have the name "{name}"'
    return InvalidSql(**where(said.sql, None, what, "; give one of them another with AS."))


def _same_tables(said: _Said, match: re.Match[str]) -> KallaError:
    *tables, name = [token.value for token in tokenize(match["name"]) if token.is_name]
    if tables:
        table = ".".join(tables)
        what = f'Two tables have the name "{table}"'
        remedy = "; give one of them another with AS."
        return InvalidSql(**where(said.sql, said.place(table), what, remedy))
    what = f'Two values have the name "{name}"'
    remedy = ", which leaves casts out; compute one of them in a sub-query, with a name of its own."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy))


def _no_condition(said: _Said, match: re.Match[str]) -> KallaError:
    what = f"The condition {match['name']} is {spoken(match['type'])}, not true or false"
    return InvalidSql(**where(said.sql, said.place(match["name"]), what))


def _bad_text(said: _Said, match: re.Match[str]) -> KallaError:
    value = match["value"]
    what = f"'{value}' is not a valid {spoken(match['type'])}"
    return InvalidSql(**where(said.sql, _string_place(said.tokens, value), what))


def _bad_moment(said: _Said, match: re.Match[str]) -> KallaError:
    what = f"'{match['value']}' is not a valid {match['kind']}"
    return InvalidSql(**where(said.sql, _string_place(said.tokens, match["value"]), what))


def _not_supported(said: _Said, match: re.Match[str]) -> KallaError:
    name = match["name"]
    if name == "TableFunction":
        return table_function(said.sql, "table", said.place("table"))
    what = f"{name.upper()} is not supported"
    return InvalidSql(**where(said.sql, said.place(name), what))


def _correlated(said: _Said, match: re.Match[str]) -> KallaError:
    return InvalidSql(
        "A part of the SQL reads columns of a table outside it where that cannot be done: in "
        "LATERAL or unnest(...) in FROM, or deep inside a sub-query. Put it into SELECT, as in "
        "SELECT unnest(l.tags), or join without it."
    )


def _no_query(said: _Said, match: re.Match[str]) -> KallaError:
    what = "Match SQL is one SELECT, it only reads"
    return ForbiddenSql(**where(said.sql, said.tokens[0].start, what))


def _unknown(said: _Said, message: str) -> KallaError:
    """Say what is not known here in DataFusion's words, but for those meant for programmers."""
    line = message.splitlines()[0] if message else "unknown reason"
    cut = re.split(r"\s*[\[{(]?\b\w+\s?\{|\. No function matches|This issue was likely", line)[0]
    reason = all_spoken(cut).strip().rstrip(".;:")
    if _NOT_IMPLEMENTED in reason:
        return InvalidSql(f"Not supported: {reason.removeprefix(_NOT_IMPLEMENTED)}.")
    return InvalidSql(f"The SQL cannot be planned: {reason}.")


_NOT_IMPLEMENTED = "This feature is not implemented: "


def _string_place(tokens: Sequence[Token], value: str) -> int | None:
    return next((token.start for token in tokens if token.value == value), None)


_Translate = Callable[[_Said, re.Match[str]], KallaError]

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
            _no_column,
        ),
        (r"Ambiguous reference to unqualified field (?P<name>\S+)", _ambiguous),
        (r"^table '(?P<name>.*?)' not found", _no_such_table),
        (r"^table function '(?P<name>.*?)' not found", _no_table_function),
        (r"^Invalid function '(?P<name>.*?)'", _no_function),
        (
            r"given name and argument types '(?P<name>\w+)\((?P<types>.*?)\)'\.",
            _wrong_arguments,
        ),
        (
            r"call to '(?P<name>\w+)' function: coercion from (?P<types>.*?) to the signature",
            _wrong_arguments,
        ),
        (r"Function '(?P<name>\w+)' failed to match any signature", _wrong_call),
        (
            r"Cannot coerce arithmetic expression (?P<left>.+?) [-+*/%] (?P<right>.+?) to valid",
            _no_common_type,
        ),
        (
            r"Cannot infer common argument type for \w+ operation "
            r"(?P<left>.+?) (?:=|!=|<=|>=|<|>|IS (?:NOT )?DISTINCT FROM|\W+) (?P<right>.+)$",
            _no_common_type,
        ),
        (
            r"common type to coerce (?P<left>.+?) and (?P<right>.+?)(?: in .*)?$",
            _no_common_type,
        ),
        (r'column "(?P<name>.+?)" must appear in the GROUP BY', _not_grouped),
        (
            r'unique expression names but the expression "(?P<first>.*?)" at position \d+ and '
            r'"(?P<second>.*?)" at position \d+ have the same name',
            _same_names,
        ),
        (r"duplicate (?:un)?qualified field name (?P<name>.+)$", _same_tables),
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
        (r"Unsupported ast node (?P<name>\w+)", _not_supported),
        (
            r"^(?:DDL|DML|Statement) not supported|Unsupported SQL statement|not implemented yet$",
            _no_query,
        ),
    )
)

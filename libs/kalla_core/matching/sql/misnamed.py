"""Names in match SQL that stand for nothing, or for several things: what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kalla_core.errors import InvalidSql, KallaError, UnknownColumn
from kalla_core.matching.sql.arrow_types import split
from kalla_core.matching.sql.forbidden import CLOCK
from kalla_core.matching.sql.lexer import quoted, tokenize
from kalla_core.matching.sql.said import Said
from kalla_core.matching.sql.statement import table_function, unknown_table
from kalla_core.matching.sql.text import where
from kalla_core.recipe.nearest import listed, nearest, suggestion


def no_column(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which column was meant, or which table."""
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


def _no_table(said: Said, qualifier: str, name: str, fields: Sequence[tuple[str, str]]) -> str:
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


def ambiguous(said: Said, match: re.Match[str]) -> KallaError:
    """Tell how to say which table's column is meant."""
    name = match["name"].strip('"')
    what = f'Several tables have a column "{name}"'
    remedy = f"; write the name of the table before it, as in TABLE.{quoted(name)}."
    if any(token.word("except", "intersect") for token in said.tokens):
        remedy += " In EXCEPT and INTERSECT the columns of each SELECT need names of their own: AS."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy))


def no_such_table(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which tables there are."""
    name = match["name"].removeprefix("datafusion.public.")
    return unknown_table(said.sql, name, said.place(name), said.tables)


def no_table_function(said: Said, match: re.Match[str]) -> KallaError:
    """Tell that functions in FROM are not read."""
    return table_function(said.sql, match["name"], said.place(match["name"]))


def no_function(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which function was meant."""
    name = match["name"]
    if name in CLOCK:
        what, remedy = f"{name}() takes no arguments", "."
    else:
        close = nearest(name, said.functions)
        what = f"There is no function {name}"
        remedy = f". Did you mean {listed(close)}?" if close else "."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy), name=name)


def same_names(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which name two columns have."""
    name = match["second"].rpartition(" AS ")[2]
    what = f'Two columns of one SELECT have the name "{name}"'
    return InvalidSql(**where(said.sql, None, what, "; give one of them another with AS."))


def same_tables(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which name two tables or values have."""
    *tables, name = [token.value for token in tokenize(match["name"]) if token.is_name]
    if tables:
        table = ".".join(tables)
        what = f'Two tables have the name "{table}"'
        remedy = "; give one of them another with AS."
        return InvalidSql(**where(said.sql, said.place(table), what, remedy))
    what = f'Two values have the name "{name}"'
    remedy = ", which leaves casts out; compute one of them in a sub-query, with a name of its own."
    return InvalidSql(**where(said.sql, said.place(name), what, remedy))

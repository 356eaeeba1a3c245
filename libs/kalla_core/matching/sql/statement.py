"""Whether SQL is one read-only SELECT over the job's own tables, judged by its text.

The text is judged so that a refusal can say what is wrong and where, and before anything is
planned. It is not the last word: the session that plans the statement knows no other tables, no
files, no catalogues and no volatile functions, and accepts nothing but queries.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Any

from kalla_core.errors import ForbiddenSql, InvalidSql
from kalla_core.matching.sql.forbidden import FILE_FUNCTIONS, SESSION_FUNCTIONS, VOLATILE
from kalla_core.matching.sql.lexer import Kind, Token, folded, tokenize
from kalla_core.matching.sql.limits import check_length, check_limits
from kalla_core.matching.sql.sites import call_sites
from kalla_core.matching.sql.text import Splice, spliced, where
from kalla_core.recipe.nearest import suggestion

_QUERY = ("select", "with", "values", "from")

_STATEMENTS = frozenset(
    """
    alter analyze attach begin cache call clear close cluster comment commit copy create deallocate
    declare delete deny desc describe detach discard drop end execute explain export fetch flush
    grant import insert install kill listen load lock merge msck notify open optimize pragma prepare
    refresh reindex release rename repair replace reset revoke rollback savepoint set show start
    summarize transaction truncate uncache unload unlock update upsert use vacuum
    """.split()  # noqa: SIM905
)


def check_statement(sql: str, allowed_tables: Collection[str]) -> None:
    """Return if `sql` may be planned, judged without the schemas of its tables.

    Args:
        sql: as the user wrote it.
        allowed_tables: names of the job's tables; any letter case finds them.

    Raises:
        ForbiddenSql: it would do more than read `allowed_tables`.
        InvalidSql: it cannot be read at all, is empty, too long or too deeply nested.
    """
    check_text(sql)
    _check_tables(sql, allowed_tables)


def check_text(sql: str) -> tuple[Token, ...]:
    """Return the tokens of `sql` after all checks of `check_statement` but that of the tables.

    Raises:
        ForbiddenSql: as `check_statement`.
        InvalidSql: as `check_statement`.
    """
    check_length(sql)
    tokens = tokenize(sql)
    check_limits(sql, tokens)
    _check_one_query(sql, tokens)
    _check_gaps(sql, tokens)
    _check_clauses(sql, tokens)
    _check_parameters(sql, tokens)
    _check_functions(sql, tokens)
    return tokens


def unknown_table(sql: str, name: str, offset: int | None, known: Collection[str]) -> ForbiddenSql:
    """Return the refusal of a table that is not one of the job's.

    Args:
        sql: the statement.
        name: with its schema and catalogue, if the user wrote them.
        offset: where it stands; None if that is not known.
        known: names of the job's tables.
    """
    if any(mark in name for mark in "/\\*") or name.lower().endswith(_FILE_ENDINGS):
        what = f"Match SQL cannot read files: '{name}'"
        return ForbiddenSql(**where(sql, offset, what, "; make it a source or an extra."))
    if "information_schema" in name.lower():
        return ForbiddenSql(**where(sql, offset, "Match SQL cannot read information_schema"))
    what = f'"{name}" is not a table of this job'
    return ForbiddenSql(**where(sql, offset, what, f". {suggestion(name, known)}"))


def table_function(sql: str, name: str, offset: int | None) -> ForbiddenSql:
    """Return the refusal of a function in FROM."""
    what = f"Functions cannot be read as tables: {name}(...)"
    return ForbiddenSql(**where(sql, offset, what, "; match SQL reads the job's tables only."))


_FILE_ENDINGS = (".csv", ".parquet", ".json", ".avro", ".arrow", ".gz", ".txt", ".ndjson")


def _check_one_query(sql: str, tokens: Sequence[Token]) -> None:
    end = next((i for i, token in enumerate(tokens) if token.symbol(";")), len(tokens))
    more = next((token for token in tokens[end:] if not token.symbol(";")), None)
    first = next((token for token in tokens[:end] if not token.symbol("(")), None)
    if first is None:
        raise InvalidSql(
            "The match SQL is empty." if more is None else "It begins with a semicolon."
        )
    if first.value in _STATEMENTS and first.kind is Kind.WORD:
        raise _not_a_query(sql, first)
    if not first.word(*_QUERY):
        found = sql[first.start : first.end]
        what = f"Match SQL begins with SELECT or WITH, not with {found}"
        raise InvalidSql(**where(sql, first.start, what))
    if more is not None:
        raise ForbiddenSql(**where(sql, more.start, "Match SQL is one statement, not several"))


def _not_a_query(sql: str, token: Token) -> ForbiddenSql:
    what = f"{token.value.upper()} is not allowed"
    return ForbiddenSql(
        **where(sql, token.start, what, "; match SQL is one SELECT, it only reads.")
    )


def _check_gaps(sql: str, tokens: Sequence[Token]) -> None:
    """Check that no clause begins where a table or a value belongs: it would pass for a name."""
    for before, token in pairwise(tokens):
        after_table = before.word("from", "join") and token.word(*_AFTER_TABLES)
        if after_table or (before.symbol(",") and token.word(*_RESERVED)):
            missing = "A table" if after_table else "A table or a value"
            sign = "the comma" if before.symbol(",") else before.value.upper()
            what = f"{missing} is missing between {sign} and {token.value.upper()}"
            raise InvalidSql(**where(sql, token.start, what))


_RESERVED = ("from", "where", "group", "having")
_AFTER_TABLES = (
    *("where", "group", "having", "order", "limit", "offset", "on", "using", "join", "inner"),
    *("cross", "natural", "union", "intersect", "except", "qualify", "window"),
)


def _check_clauses(sql: str, tokens: Sequence[Token]) -> None:
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else None
        after = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.kind is not Kind.WORD or (before is not None and before.symbol(".")):
            continue
        if after is None or (after.kind is Kind.SYMBOL and after.value != "("):
            continue
        if token.value == "into" and after.is_name:
            what = "SELECT ... INTO is not allowed"
            raise ForbiddenSql(**where(sql, token.start, what, "; match SQL only reads."))
        if token.value == "for" and after.word("update", "share", "xml", "json", "browse"):
            raise ForbiddenSql(
                **where(sql, token.start, f"FOR {after.value.upper()} is not allowed")
            )
        if token.value == "tablesample":
            what = "TABLESAMPLE is not allowed"
            raise ForbiddenSql(
                **where(sql, token.start, what, "; every run must give the same rows.")
            )
        opened = before is not None and before.symbol("(")
        if opened and token.value in _STATEMENTS and after.kind is Kind.WORD:
            raise _not_a_query(sql, token)


def _check_parameters(sql: str, tokens: Sequence[Token]) -> None:
    for index, token in enumerate(tokens):
        named = token.symbol(":") and _begins_parameter(tokens, index)
        if token.kind is Kind.PARAMETER or named:
            found = sql[token.start : tokens[index + 1].end] if named else token.value
            what = f"Match SQL has no parameters: {found}"
            raise InvalidSql(**where(sql, token.start, what, "; write the value itself."))
        operator, remedy = _of_lists(tokens, index)
        if operator:
            what = f"There is no operator {operator}"
            raise InvalidSql(**where(sql, token.start, what, remedy))
        if token.kind is Kind.WORD and token.value.startswith("@"):
            raise InvalidSql(
                **where(sql, token.start, f"Match SQL has no variables: {token.value}")
            )


def _of_lists(tokens: Sequence[Token], index: int) -> tuple[str, str]:
    """Return PostgreSQL's operator for lists at `index` and what to write instead, or nothing."""
    follows = tokens[index + 1] if index + 1 < len(tokens) else None
    if follows is None or follows.start != tokens[index].end:
        return "", ""
    if tokens[index].value == "@" and follows.symbol(">"):
        return "@>", "; write array_has_all(a, b), whether a holds all of b."
    if tokens[index].symbol("<") and follows.value.startswith("@"):
        return "<@", "; write array_has_all(b, a), whether b holds all of a."
    if tokens[index].symbol("&") and follows.symbol("&"):
        return "&&", "; write AND between conditions, array_has_any(a, b) between lists."
    return "", ""


def _begins_parameter(tokens: Sequence[Token], index: int) -> bool:
    """Whether the colon at `index` is that of `:name`, not of a cast, a slice or a struct."""
    if index + 1 == len(tokens) or not tokens[index + 1].is_name or index == 0:
        return False
    before = tokens[index - 1]
    adjacent = tokens[index + 1].start == tokens[index].end
    return adjacent and before.symbol("=", "<", ">", "+", "-", "*", "/", "(", ",", "|")


def _check_functions(sql: str, tokens: Sequence[Token]) -> None:
    for site in call_sites(tokens):
        name = folded(site.name.value)
        if name in VOLATILE:
            what, remedy = (
                f"{name}() gives another answer every time",
                "; a run must be repeatable.",
            )
        elif name in FILE_FUNCTIONS | SESSION_FUNCTIONS:
            what, remedy = f"{name}() depends on how the data is read", "; match SQL cannot use it."
        else:
            continue
        raise ForbiddenSql(**where(sql, site.name.start, what, remedy))


def _check_tables(sql: str, allowed: Collection[str]) -> None:
    known = {*allowed, *(folded(name) for name in allowed)}
    for name, offset, is_function in _tables_read(sql):
        if is_function:
            raise table_function(sql, name, offset)
        if name not in known:
            raise unknown_table(sql, name, offset, allowed)


def _tables_read(sql: str) -> Iterator[tuple[str, int | None, bool]]:
    """Yield name, offset and whether it is a function, of each table that no WITH defines.

    Yields nothing for a statement sqlglot cannot read: it has no dialect of DataFusion's.
    """
    # Imported here because it takes longer than all the rest, and planning does without.
    import sqlglot
    from sqlglot import exp

    # It warns of what it cannot read, which is no news to whoever wrote it for DataFusion.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        tree = sqlglot.parse_one(_in_double_quotes(sql), read="postgres")
    except Exception:  # not only its own errors: what it cannot read may also crash it
        return
    defined = {_spelt(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        source = table.this
        if isinstance(source, exp.Func):
            yield source.name or source.sql_name().lower(), _offset(source), True
        elif isinstance(source, exp.Identifier):
            parts = [_spelt(part) for part in table.parts if isinstance(part, exp.Identifier)]
            if parts != [_spelt(source)] or parts[0] not in defined:
                yield ".".join(parts), _offset(source), False


def _in_double_quotes(sql: str) -> str:
    """Return `sql` of the same length with names in double quotes instead of backticks."""
    return spliced(
        sql,
        (
            Splice(token.start, token.end, sql[token.start : token.end].replace("`", '"'))
            for token in tokenize(sql)
            if token.kind is Kind.QUOTED and sql[token.start] == "`"
        ),
    )


def _spelt(identifier: Any) -> str:
    """Return an sqlglot identifier as DataFusion looks it up."""
    name = str(identifier.this)
    return name if identifier.args.get("quoted") else folded(name)


def _offset(node: Any) -> int | None:
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts, default=None)

"""How DuckDB, PostgreSQL and DataFusion group the operators of an expression."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from typing import Any

import duckdb
import pyarrow as pa
from datafusion import DataFrame, Expr

from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.grouping import bracket_splices, bracketed, fully_bracketed
from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.text import spliced
from tests.support.postgres import Database

COLUMNS = "abcdefgh"
SYMBOLS = (
    *("=", "<>", "!=", "<", "<=", ">", ">=", "~", "!~", "~*", "!~*", "~~", "!~~", "~~*", "!~~*"),
    *("||", "&", "|", "<<", ">>", "+", "-", "*", "/", "%"),
)
OPERATIONS = (
    *("{} or {}", "{} and {}", "not {}", "- {}", "{} is null", "{} is not true", "{} is unknown"),
    *("{} is distinct from {}", "{} is not distinct from {}", "{} = any({})", "{}::bigint"),
    *("{} between {} and {}", "{} not between {} and {}", "{} in ({})", "{} not in ({})"),
    *("{} like {}", "{} not like {}", "{} ilike {}", "{} similar to {}", "{} like {} escape '!'"),
    *(f"{{}} {symbol} {{}}" for symbol in SYMBOLS),
)
"""Every operator that DataFusion carries out, and some that it refuses."""

# All columns are boolean there, and every symbol is an operator on booleans, so that PostgreSQL
# never refuses an expression for its types.
_POSTGRES = (
    f"CREATE TABLE t ({', '.join(f'{name} boolean' for name in COLUMNS)})",
    "CREATE FUNCTION first_of(boolean, boolean) RETURNS boolean LANGUAGE sql AS 'SELECT $1'",
    "CREATE FUNCTION itself(boolean) RETURNS boolean LANGUAGE sql AS 'SELECT $1'",
    "CREATE OPERATOR public.- (RIGHTARG = boolean, FUNCTION = itself)",
    *(
        f"CREATE OPERATOR public.{symbol}"
        " (LEFTARG = boolean, RIGHTARG = boolean, FUNCTION = first_of)"
        for symbol in SYMBOLS[SYMBOLS.index("~") :]
    ),
)
_BEYOND_POSTGRES = ("::bigint", "similar to", "any(", "escape")
"""What does not work on booleans, whatever operators there are."""

Tree = tuple[Any, ...] | str


def pairs() -> Iterator[str]:
    """Yield every operation with every other in place of each of its operands."""
    for outer, inner in product(OPERATIONS, OPERATIONS):
        for place in range(outer.count("{}")):
            slots = ["{}"] * outer.count("{}")
            slots[place] = inner
            yield _filled(outer.format(*slots))


def longer(seed: int) -> str:
    """Return an expression of three to seven operations, the same for the same seed."""
    rng = random.Random(seed)
    text = "{}"
    for _ in range(rng.randint(3, 7)):
        slots = ["{}"] * text.count("{}")
        if len(slots) > len(COLUMNS) - 2:
            break
        slots[rng.randrange(len(slots))] = rng.choice(OPERATIONS)
        text = text.format(*slots)
    return _filled(text)


def settled(expression: str) -> str:
    """Return the expression with the brackets that Kalla puts in."""
    return spliced(expression, bracket_splices(bracketed(expression, tokenize(expression))))


def in_brackets(expression: str) -> str:
    """Return the expression with all operands that are operations in brackets."""
    tokens = fully_bracketed(expression, tokenize(expression))
    return spliced(expression, bracket_splices(tokens))


def duckdb_tree(expression: str) -> Tree | None:
    """Return what DuckDB reads; None where it takes it for no expression."""
    asked = "SELECT json_serialize_sql(?)"
    ((text,),) = _duckdb().execute(asked, [f"SELECT {expression}"]).fetchall()
    if json.loads(text)["error"]:
        return None
    return re.sub(r'"query_location(_length)?":\d+,?', "", text)


def datafusion_trees(expression: str) -> list[Tree]:
    """Return what DataFusion reads over booleans, numbers and text, or its refusal."""
    return [_datafusion_tree(frame, expression) for frame in _frames()]


@contextmanager
def postgres_reader(database: Database) -> Iterator[Callable[[str], str | None]]:
    """What PostgreSQL reads, in brackets; None where it takes it for no expression."""
    database.run(*_POSTGRES)
    with database.connection() as connection, connection.cursor() as cursor:

        def read(expression: str) -> str | None:
            try:
                cursor.execute(
                    f"CREATE OR REPLACE TEMP VIEW v AS SELECT ({expression}) AS x FROM t"
                )
            except connection.ProgrammingError:
                return None
            cursor.execute("SELECT pg_get_viewdef('v'::regclass)")
            return str(cursor.fetchall()[0][0])

        yield read


def postgres_knows(expression: str) -> bool:
    """Whether the expression has nothing that PostgreSQL takes for no boolean."""
    return not any(word in expression for word in _BEYOND_POSTGRES)


def _filled(text: str) -> str:
    names = iter(COLUMNS)
    return re.sub(r"\{\}", lambda _: next(names), text)


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@cache
def _frames() -> tuple[DataFrame, ...]:
    session = new_session()
    values = (pa.array([True]), pa.array([1]), pa.array(["a"]))
    batches = [pa.record_batch([value] * len(COLUMNS), list(COLUMNS)) for value in values]
    return tuple(session.create_dataframe([[batch]]) for batch in batches)


def _datafusion_tree(frame: DataFrame, expression: str) -> Tree:
    try:
        return _tree(frame.parse_sql_expr(expression))
    except Exception as error:
        # A syntax error is told with its place, which brackets move.
        return re.sub(r"ParserError.*|c[0-9a-f]{32}\.|Location\(\d+,\d+\)", "", str(error))


def _tree(expr: Expr) -> Tree:
    if expr.variant_name() in ("Column", "Literal"):
        return str(expr.canonical_name()).split(".")[-1]
    return (expr.rex_call_operator(), *(_tree(each) for each in expr.rex_call_operands()))

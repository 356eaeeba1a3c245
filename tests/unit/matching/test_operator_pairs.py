"""Operators bind as in PostgreSQL: all pairs of them, read by DuckDB, PostgreSQL and DataFusion.

What Kalla takes for the grouping is written out with brackets everywhere. DuckDB must read the bare
text as it reads that one; where it departs or cannot read it, PostgreSQL must. And DataFusion must
read what Kalla makes of the bare text as it reads the one with all brackets.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kalla_core.errors import InvalidSql
from tests.support.postgres import new_database, shared_server
from tests.unit.matching.groupings import (
    datafusion_trees,
    duckdb_tree,
    in_brackets,
    longer,
    pairs,
    postgres_knows,
    postgres_reader,
    settled,
)

PAIRS = sorted(set(pairs()))


def taken(expressions: Iterable[str]) -> list[str]:
    """The expressions that Kalla does not refuse."""
    found = []
    for expression in expressions:
        try:
            settled(expression)
        except InvalidSql:
            continue
        found.append(expression)
    return found


TAKEN = taken(PAIRS)


def test_datafusion_reads_every_pair_of_operators_as_it_is_settled() -> None:
    read = {each: datafusion_trees(settled(each)) for each in TAKEN}

    assert read == {each: datafusion_trees(in_brackets(each)) for each in TAKEN}


def test_the_brackets_are_needed() -> None:
    changed = [each for each in TAKEN if settled(each) != each]

    differ = [e for e in changed if datafusion_trees(e) != datafusion_trees(in_brackets(e))]

    assert len(TAKEN) > 1500
    assert len(differ) > 250


def test_every_pair_of_operators_groups_as_in_duckdb_or_else_in_postgresql() -> None:
    departs = [
        each
        for each in TAKEN
        if (tree := duckdb_tree(each)) is not None and tree != duckdb_tree(in_brackets(each))
    ]

    with postgres_reader(new_database(shared_server())) as read:
        wrong = [e for e in departs if postgres_knows(e) and read(e) != read(in_brackets(e))]

    assert 0 < len(departs) < len(TAKEN) / 10
    assert wrong == []


@pytest.mark.full
def test_every_pair_of_operators_groups_as_in_postgresql() -> None:
    known = [each for each in TAKEN if postgres_knows(each)]

    with postgres_reader(new_database(shared_server())) as read:
        read_there = {each: tree for each in known if (tree := read(each)) is not None}
        expected = {each: read(in_brackets(each)) for each in read_there}

    assert len(read_there) > 1000
    assert read_there == expected


def test_what_is_refused_is_a_syntax_error_in_postgresql_too() -> None:
    refused = [each for each in PAIRS if each not in TAKEN and postgres_knows(each)]

    with postgres_reader(new_database(shared_server())) as read:
        readable = [each for each in refused if read(each) is not None]

    assert len(refused) > 50
    assert readable == []


@pytest.mark.full
def test_longer_expressions_group_as_in_postgresql() -> None:
    many = [each for each in taken(map(longer, range(4000))) if postgres_knows(each)]

    with postgres_reader(new_database(shared_server())) as read:
        read_there = {each: tree for each in many if (tree := read(each)) is not None}
        expected = {each: read(in_brackets(each)) for each in read_there}

    assert len(read_there) > 500
    assert read_there == expected


@pytest.mark.parametrize("first", [0, pytest.param(300, marks=pytest.mark.full)])
def test_datafusion_reads_longer_expressions_as_they_are_settled(first: int) -> None:
    many = taken(map(longer, range(first, first + max(first * 10, 300))))

    read = {each: datafusion_trees(settled(each)) for each in many}

    assert read == {each: datafusion_trees(in_brackets(each)) for each in many}

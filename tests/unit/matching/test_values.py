"""Functions give the values that DuckDB gives, or where that departs PostgreSQL, or say why not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.matching.values import (
    FAMILIES,
    Engine,
    Unable,
    duckdb_engine,
    expressions,
    kalla,
    postgres_engine,
    same,
)

_STAYS_DATE = (
    "a date beside whole days, months or years stays a date: the same moment, another type"
)
_WHOLE = "a sum of integers is an integer, and so is what it is divided by another into"
DEPARTURES = {
    "upper(u)": "the capital of ß is SS, as Unicode has it",
    "day + interval '1 month'": _STAYS_DATE,
    "day - interval '1 year'": _STAYS_DATE,
    "day + interval '1 day'": _STAYS_DATE,
    "date '2024-01-31' + interval '1 month'": _STAYS_DATE,
    "cast(h as int)": "floats round half away from zero, as decimals do, not to even",
    "sum(n) / 2": _WHOLE,
    "sum(n) / count(n)": _WHOLE,
    "array_remove(make_array(1, 2, 2), 2)": "the first one only; array_remove_all takes them all",
}
"""Expressions whose values neither DuckDB nor PostgreSQL gives."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Engine]:
    with postgres_engine() as engine:
        yield engine


@pytest.mark.parametrize("family", FAMILIES)
def test_values_are_those_of_duckdb_or_else_of_postgresql(family: str, postgres: Engine) -> None:
    total = family == "aggregates"

    departs = {
        ours
        for ours, in_duckdb, in_postgres in expressions(family)
        if not agrees(ours, total, duckdb_engine(), in_duckdb)
        and not agrees(ours, total, postgres, in_postgres)
    }

    assert departs == {ours for ours, *_ in expressions(family)} & DEPARTURES.keys()


def test_the_table_is_as_large_as_it_has_to_be_and_has_every_departure() -> None:
    every = [ours for family in FAMILIES for ours, *_ in expressions(family)]

    assert len(every) > 500
    assert len(set(every)) == len(every)
    assert set(every) >= DEPARTURES.keys()


def agrees(ours: str, total: bool, other: Engine, theirs: str) -> bool:
    """Whether another engine gives the values that Kalla gives, for every row."""
    try:
        return same(kalla(ours, total), other(theirs, total))
    except Unable:
        return False

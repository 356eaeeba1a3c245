"""Keys that are computed: the same rows meet, however they are read, cut and held."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from kalla_core.engine.budget import Budget
from kalla_core.errors import UserError
from tests.support.key_expressions import SHAPES, KeyCase, key_cases, some
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation

ALL = list(key_cases())
TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=3000, run_bytes=1000)
WAYS: Mapping[str, tuple[Budget, Mapping[str, Any]]] = {
    "buckets": (AMPLE, {"buckets": 5}),
    "parts and buckets": (AMPLE, {"buckets": 3, "partitions": 3}),
    "next to no memory": (TIGHT, {"partitions": 2}),
    "one large bucket": (TIGHT, {"buckets": 1}),
    "narrow rows first": (replace(AMPLE, whole_bytes=4000), {}),
}
RIGHT_SHAPES = ("no value", "values", "no row")


def outcome(books: Reconciliation, share: Budget, options: Mapping[str, Any]) -> Ran | str:
    try:
        return books.run(share, **options)
    except UserError as error:
        return error.code


def is_the_same_every_way(
    folder: Path, case: KeyCase, left: str, right: str, ways: Collection[str] = WAYS
) -> None:
    books = Reconciliation(folder, case.sql)
    books.put("left", case.table(left))
    books.put("right", case.table(right))
    whole = outcome(books, AMPLE, {})

    for name in ways:
        share, options = WAYS[name]
        got = outcome(books, share, options)

        if isinstance(whole, str) or isinstance(got, str):
            assert got == whole, name
        else:
            assert got.has_the_rows_of(whole), name


@pytest.mark.parametrize("case", some(ALL, 10), ids=str)
def test_computed_keys_find_the_same_partners_every_way(tmp_path: Path, case: KeyCase) -> None:
    is_the_same_every_way(tmp_path, case, "nulls first", "values")


@pytest.mark.parametrize("left", SHAPES)
def test_a_key_with_a_stand_in_for_null_finds_them_in_every_shape(
    tmp_path: Path, left: str
) -> None:
    case = KeyCase("text", "coalesce({0}, {1})")

    is_the_same_every_way(tmp_path, case, left, "values")


@pytest.mark.full
@pytest.mark.parametrize("at", range(len(ALL)), ids=lambda at: str(ALL[at]))
def test_every_form_over_every_type_finds_them_in_every_shape(tmp_path: Path, at: int) -> None:
    """Each shape with one way, another one for the next form: all meet, none costs five runs."""
    ways = cycle(WAYS)
    for _ in range(at % len(WAYS)):
        next(ways)

    for left, right in product(SHAPES, RIGHT_SHAPES):
        is_the_same_every_way(tmp_path, ALL[at], left, right, [next(ways)])

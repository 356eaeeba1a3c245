"""Whole runs of random passes over random tables, against a model in plain Python."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from tests.support.passes_by_hand import Row, Rule, reconciled
from tests.support.reconciled import TwoTables, Wrote, table
from tests.support.runs import AMPLE
from tests.support.spread import Layout, spread

COLUMNS = {
    "id": pa.int64(),
    "ref": pa.string(),
    "amount": pa.decimal128(12, 2),
    "day": pa.int64(),
}
TIGHT = replace(AMPLE, whole_bytes=500, join_bytes=400, run_bytes=300)
SNUG = replace(AMPLE, whole_bytes=640)
"""Few rows take less than half of it, more take most of it, and many are spooled."""
RULE = st.builds(
    Rule,
    name=st.just(""),
    kind=st.sampled_from(["best", "best", "best", "assign", "sums", "groups", "all"]),
    cardinality=st.sampled_from(["1:1", "1:1", "1:N", "N:1"]),
    within=st.integers(0, 2),
    rank=st.sampled_from([("diff",), ("diff", "lag desc"), ("lag desc",)]),
    on_tie=st.sampled_from(["hold", "first"]),
    margin=st.none() | st.sampled_from(["0.5", "1", "1.5"]),
    suggests=st.booleans(),
    one=st.sampled_from(["left", "right"]),
    rest=st.none() | st.none() | st.sampled_from(["0", "0.5"]),
)


@st.composite
def rows(draw: st.DrawFn, most: int) -> list[Row]:
    amounts = st.integers(2, 9).map(lambda n: Decimal(n) / 2)
    row = st.tuples(st.sampled_from("AAB"), amounts, st.integers(0, 2))
    return [
        {"id": number, "ref": ref, "amount": amount, "day": day}
        for number, (ref, amount, day) in enumerate(draw(st.lists(row, max_size=most)))
    ]


def fitting(rule: Rule, name: str) -> Rule:
    """Return a rule whose parts go together, with a name."""
    loose = rule.kind in ("all", "groups", "sums")
    rest = None if rule.suggests else rule.rest
    return replace(rule, name=name, cardinality="N:M" if loose else rule.cardinality, rest=rest)


def as_table(some: Sequence[Row]) -> pa.Table:
    return table([tuple(row.values()) for row in some], **COLUMNS)


def pairs(wrote: Wrote, output: str, name: str) -> set[tuple[int, int]]:
    if output not in wrote.tables:
        return set()
    return {(int(a), int(b)) for _, a, b in wrote.of_pass(output, name)}


def is_what_the_model_says(
    rules: Sequence[Rule], left: Sequence[Row], right: Sequence[Row], way: dict[str, Any]
) -> None:
    named = [fitting(rule, f"p{number}") for number, rule in enumerate(rules)]
    document = {
        "passes": [rule.document() for rule in named],
        "amounts": {"left": "amount", "right": "amount", "currency": ["ref", "ref"]},
    }
    with TemporaryDirectory() as folder:
        two = TwoTables(Path(folder)).put(as_table(left), as_table(right))
        wrote = two.run(document)
        otherwise = two.run(document, **way)
        snug = two.run(document, share=SNUG)
        recipe = parse_recipe(two.document(document))
        layout = Layout(parts=way.get("partitions", 2), buckets=way.get("buckets", 3))
        on_executors = spread(recipe, two.folder, layout, TIGHT)

    expected = reconciled(named, left, right)
    for rule in named:
        accepted = expected.suggested if rule.suggests else expected.matched
        output = "suggested" if rule.suggests else "matched"
        assert pairs(wrote, output, rule.name) == accepted[rule.name], rule
        assert pairs(wrote, "ambiguous", rule.name) == expected.ambiguous[rule.name], rule
    for side, open_ in ((Side.LEFT, expected.left), (Side.RIGHT, expected.right)):
        assert set(wrote.reasons(side)) == {str(row["id"]) for row in open_}
    no_row_is_used_too_often(wrote, named)
    for n, (side, every, open_) in enumerate(
        (("left", left, expected.left), ("right", right, expected.right))
    ):
        rests = expected.rests[n]
        if any(rule.rest is not None for rule in named):
            told = wrote.tables[f"partly_matched_{side}"].to_pylist()
            assert {int(row["record_key"]): row["open_amount"] for row in told} == rests
            assert all(row["open_amount"] + row["settled_amount"] == row["amount"] for row in told)
        totals_are_exact(wrote, open_, rests, every, side)
    assert wrote.same_as(otherwise)
    assert wrote.same_as(snug)
    assert wrote.same_as(on_executors)


def no_row_is_used_too_often(wrote: Wrote, rules: Sequence[Rule]) -> None:
    users: dict[tuple[str, int], set[str]] = {}
    for rule in rules:
        mine = pairs(wrote, "suggested" if rule.suggests else "matched", rule.name)
        for place, one in ((0, rule.one_left), (1, rule.one_right)):
            uses = Counter(pair[place] for pair in mine)
            assert not one or max(uses.values(), default=0) <= 1
            for row in uses if not rule.suggests else ():
                users.setdefault((("left", "right")[place], row), set()).add(rule.name)
    assert all(len(names) == 1 for names in users.values())


def totals_are_exact(
    wrote: Wrote, open_: Sequence[Row], rests: dict[int, Decimal], every: Sequence[Row], side: str
) -> None:
    totals = wrote.told.control_totals
    assert totals is not None
    for one in totals[side]:
        sums = [
            sum((r["amount"] for r in some if r["ref"] == one["currency"]), Decimal(0))
            for some in (every, open_)
        ]
        partly = (rests.get(r["id"], Decimal(0)) for r in every if r["ref"] == one["currency"])
        rest = sum(partly, Decimal(0))
        told = [Decimal(one["amounts"][name]) for name in ("total", "unmatched", "matched")]
        assert told == [*sums, sums[0] - sums[1] - rest]
        assert Decimal(one["amounts"].get("rest", 0)) == rest
    assert len(totals[side]) == len({row["ref"] for row in every})


WAYS = st.fixed_dictionaries(
    {
        "share": st.sampled_from([AMPLE, TIGHT]),
        "partitions": st.integers(1, 8),
        "buckets": st.sampled_from([1, 2, 5, 16]),
    }
)
SMALL = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)


@SMALL
@given(st.lists(RULE, min_size=2, max_size=3), rows(9), rows(9), WAYS)
def test_passes_do_what_the_model_says_however_they_are_carried_out(
    rules: list[Rule], left: list[Row], right: list[Row], way: dict[str, Any]
) -> None:
    is_what_the_model_says(rules, left, right, way)


@pytest.mark.full
@settings(SMALL, max_examples=600, derandomize=False)
@given(st.lists(RULE, min_size=1, max_size=4), rows(12), rows(12), WAYS)
def test_any_passes_do_what_the_model_says_however_they_are_carried_out(
    rules: list[Rule], left: list[Row], right: list[Row], way: dict[str, Any]
) -> None:
    is_what_the_model_says(rules, left, right, way)

"""Every construct of SQL, repeated until it is too much: planned soon, or refused in words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support.machine import slowness

JOINED = "FROM left_src l JOIN right_src r ON l.id = r.id"
IN_TURN: Mapping[str, str] = {
    "intervals": "SELECT l.id, r.id rid, {INTERVAL } '1 day' x " + JOINED,
    "dates": "SELECT l.id, r.id rid, {DATE } '2024-01-01' x " + JOINED,
    "time zones": "SELECT l.id, r.id rid, l.at{ AT TIME ZONE 'UTC'} x " + JOINED,
    "casts": "SELECT l.id, r.id rid, l.id{::INT} x " + JOINED,
    "signs": "SELECT l.id, r.id rid, {- }l.id x " + JOINED,
    "not": f"SELECT l.id, r.id rid {JOINED} WHERE {{NOT }}l.id = 1",
    "is null": f"SELECT l.id, r.id rid {JOINED} WHERE l.id{{ IS NULL}}",
    "is true": f"SELECT l.id, r.id rid {JOINED} WHERE (l.id = 1){{ IS NOT UNKNOWN}}",
    "like": f"SELECT l.id, r.id rid {JOINED} WHERE l.ref{{ LIKE 'a'}}",
    "between": f"SELECT l.id, r.id rid {JOINED} WHERE l.id{{ BETWEEN 1 AND 2}}",
    "in": f"SELECT l.id, r.id rid {JOINED} WHERE l.id{{ IN (1)}}",
    "and": f"SELECT l.id, r.id rid {JOINED} WHERE true{{ AND l.k = r.k}}",
    "prior": "SELECT l.id, r.id rid, {PRIOR }l.id x " + JOINED,
    "collate": "SELECT l.id, r.id rid, l.ref{ COLLATE x} x " + JOINED,
    "div": "SELECT l.id, r.id rid, l.id{ DIV 1} x " + JOINED,
    "brackets": "SELECT l.id, r.id rid, {(}l.id x " + JOINED,
    "elements": "SELECT l.id, r.id rid, l.tags{[1]} x " + JOINED,
    "dots": "SELECT l.id, r.id rid, l{.id} x " + JOINED,
    "columns": "SELECT l.id, r.id rid{, l.id} " + JOINED,
    "cases": "SELECT l.id, r.id rid, CASE{ WHEN l.id = 1 THEN 1} END x " + JOINED,
    "unions": f"SELECT l.id, r.id rid {JOINED}{{ UNION ALL SELECT l.id, r.id rid {JOINED}}}",
    "tables": "SELECT l.id, r.id rid FROM left_src l, right_src r{, fx} WHERE l.id = r.id",
    "using": "SELECT l.id, r.k rid FROM left_src l JOIN right_src r USING (id{, id})",
    "values": f"SELECT l.id, r.id rid {JOINED} WHERE l.id IN (1{{, 2}})",
    "arguments": "SELECT l.id, r.id rid, concat(l.ref{, l.ref}) x " + JOINED,
    "windows": "SELECT l.id, r.id rid{, count(*) OVER (ORDER BY l.id)} " + JOINED,
    "partitions": "SELECT l.id, r.id rid, count(*) OVER (PARTITION BY l.id{, l.k}) x " + JOINED,
    "sort keys": f"SELECT l.id, r.id rid {JOINED} ORDER BY l.id{{, l.id}}",
    "groups": f"SELECT l.id, r.id rid {JOINED} GROUP BY r.id, l.id{{, l.id}}",
    "cube": f"SELECT count(*) {JOINED} GROUP BY CUBE (l.id{{, l.k}})",
    "rollup": f"SELECT count(*) {JOINED} GROUP BY ROLLUP (l.id{{, l.k}})",
    "lambdas": "SELECT l.id, r.id rid, {x -> }l.id x " + JOINED,
    "types": "SELECT l.id, r.id rid, CAST(l.tags AS {ARRAY<}INT) x " + JOINED,
    "digits": "SELECT l.id, r.id rid, 1{9} x " + JOINED,
    "comments": f"SELECT l.id, r.id rid {JOINED} {{/* }}",
    "semicolons": f"SELECT l.id, r.id rid {JOINED}{{;}}",
}
CHILD = """
import json, resource, sys
from kalla_core.errors import InvalidSql, KallaError
from kalla_core.matching.strategy.planned import plan_match
from tests.unit.matching.nasty import query
for sql in json.load(sys.stdin):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    try:
        plan_match(query(sql))
        said = "planned"
    except KallaError as error:
        said = error.code
    print(said, resource.getrusage(resource.RUSAGE_SELF).ru_utime - before, flush=True)
"""
SOON_S = 8.0
"""Of processor time; what was found took minutes, or the process with it."""


def said_of(texts: list[str]) -> list[tuple[str, float]]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    lines = [line.split() for line in child.stdout.splitlines()]
    assert child.returncode == 0, f"{texts[len(lines)][:200]}: {child.returncode}"
    slow = slowness()
    return [(word, float(seconds) / slow) for word, seconds in lines]


def repeated(form: str, count: int) -> str:
    before, rest = form.split("{", 1)
    part, after = rest.split("}", 1)
    return before + part * count + after


@pytest.mark.parametrize("count", [60, pytest.param(700, marks=pytest.mark.full), 2500])
def test_a_construct_repeated_is_planned_soon_or_refused_in_words(count: int) -> None:
    texts = [repeated(form, count) for form in IN_TURN.values()]

    outcomes = dict(zip(IN_TURN, said_of(texts), strict=True))

    words = {"planned", "invalid_sql", "types_not_comparable", "unknown_column",
             "sides_not_identified", "forbidden_sql"}  # fmt: skip
    assert {name: word for name, (word, _) in outcomes.items() if word not in words} == {}
    assert {name: took for name, (_, took) in outcomes.items() if took > SOON_S} == {}

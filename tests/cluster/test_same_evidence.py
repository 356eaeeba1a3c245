"""On executors a recipe has the evidence that it has on one machine, to the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.errors import UserError
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import read_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.integration.test_engine_shapes import RUN, given
from tests.support.covering import every_row, pairwise_rows
from tests.support.key_expressions import KeyCase, key_cases
from tests.support.real_cluster import Cluster, real_cluster
from tests.support.tables import Reconciliation, sorted_rows
from tests.unit.matching.shapes import Shape

SIZE = 2000
PARAMETERS: Mapping[str, list[Any]] = {
    "pattern": ["one_to_one", "split", "batch", "cross", "hard"],
    "parts": [None, 1, 3],
    "buckets": [None, 5],
    "format": ["csv", "parquet"],
}
COVERING = pairwise_rows(PARAMETERS)
SOME = RUN[3::24]
KEY_CASES = list(key_cases())
SOME_KEYS = (
    KeyCase("text", "coalesce({0}, {1})"),
    KeyCase("decimal", "CAST({0} AS BIGINT) % 7"),
    KeyCase("timestamp", "CAST({0} AS VARCHAR)"),
    KeyCase("dictionary", "concat_ws('-', {0}, 'x')"),
)
DOZEN = RUN[1::16][:12]


def name_of(row: Mapping[str, Any]) -> str:
    return "-".join(map(str, row.values()))


def the_truth_holds(cluster: Cluster, row: Mapping[str, Any], folder: Path) -> None:
    dataset = generate(row["pattern"], SIZE, 7, folder / "data", row["format"])
    recipe = load_recipe(dataset.recipe_path)
    options = replace(recipe.options, partitions=row["parts"], buckets=row["buckets"])

    cluster.run(replace(recipe, options=options), folder / "out")

    report = check(folder / "out", dataset.truth)
    assert report.ok, str(report)


def the_evidence_is_the_same(cluster: Cluster, books: Reconciliation, folder: Path) -> None:
    local = books.run()
    options = replace(books.options, buckets=5, partitions=3)

    job = cluster.run(replace(books.recipe(), options=options), folder / "out")

    assert job["engine"] == "cluster"
    with read_evidence(folder / "out") as evidence:
        got = {name: _rows(evidence.table(name)) for name in (MATCHED, *UNMATCHED.values())}
        assert evidence.metadata.strategy == local.outcome.strategy
    assert got[MATCHED] == _rows(local.matched)
    for side in Side:
        assert got[UNMATCHED[side]] == _rows(local.unmatched[side])


def _rows(table: Any) -> Any:
    """Return rows without the moment of the run, which is another one."""
    return sorted_rows(table.drop_columns([c for c in table.column_names if c == "matched_at"]))


@pytest.mark.parametrize("row", COVERING, ids=name_of)
def test_the_evidence_of_a_cluster_equals_the_truth(
    cluster: Cluster, row: Mapping[str, Any], tmp_path: Path
) -> None:
    the_truth_holds(cluster, row, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("row", every_row(PARAMETERS), ids=name_of)
def test_the_evidence_of_a_cluster_equals_the_truth_for_every_combination(
    cluster: Cluster, row: Mapping[str, Any], tmp_path: Path
) -> None:
    the_truth_holds(cluster, row, tmp_path)


@pytest.mark.parametrize("shape", SOME, ids=str)
def test_a_shape_has_the_same_evidence_on_a_cluster(
    cluster: Cluster, shape: Shape, tmp_path: Path
) -> None:
    the_evidence_is_the_same(cluster, given(tmp_path, shape), tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("shape", [shape for shape in RUN if shape not in SOME], ids=str)
def test_every_shape_has_the_same_evidence_on_a_cluster(
    cluster: Cluster, shape: Shape, tmp_path: Path
) -> None:
    the_evidence_is_the_same(cluster, given(tmp_path, shape), tmp_path)


def keyed(folder: Path, case: KeyCase) -> Reconciliation:
    books = Reconciliation(folder, case.sql)
    books.put("left", case.table("nulls first"))
    books.put("right", case.table("values"))
    return books


@pytest.mark.parametrize("case", SOME_KEYS, ids=str)
def test_computed_keys_have_the_same_evidence_on_a_cluster(
    cluster: Cluster, case: KeyCase, tmp_path: Path
) -> None:
    the_evidence_is_the_same(cluster, keyed(tmp_path, case), tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("case", [case for case in KEY_CASES if case not in SOME_KEYS], ids=str)
def test_all_computed_keys_have_the_same_evidence_on_a_cluster(
    cluster: Cluster, case: KeyCase, tmp_path: Path
) -> None:
    books = keyed(tmp_path, case)
    try:
        books.run()
    except UserError:
        return  # a key of types that do not go together

    the_evidence_is_the_same(cluster, books, tmp_path)


IDS: Mapping[str, Sequence[int | None]] = {
    "rising": range(900),
    "rising within parts that overlap": [n % 300 for n in range(900)],
    "rising but for two of one part": [*range(500), 499, *range(501, 900)],
    "rising but for two of two parts": [*range(300), 299, *range(301, 900)],
    "falling": range(900, 0, -1),
    "null somewhere": [*range(899), None],
}


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_primary_keys_are_counted_on_a_cluster_as_on_one_machine(
    cluster: Cluster, ids: Sequence[int | None], tmp_path: Path
) -> None:
    books = Reconciliation(tmp_path, "SELECT l.k FROM l JOIN r ON l.k = r.k")
    table = pa.table({"id": pa.array(ids, pa.int64()), "k": range(900)})
    books.put("left", table)
    books.put("right", table.set_column(0, "id", pa.array(range(900))))
    counts = {side: found.keys for side, found in books.run().outcome.sides.items()}
    options = replace(books.options, partitions=3)

    cluster.run(replace(books.recipe(), options=options), tmp_path / "out")

    with read_evidence(tmp_path / "out") as evidence:
        told = {Side.LEFT: evidence.metadata.left, Side.RIGHT: evidence.metadata.right}
    assert {s: KeyCounts(one.duplicate_keys, one.null_keys) for s, one in told.items()} == counts


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (
            "SELECT id, rid FROM (SELECT l.id, r.id rid, row_number() OVER (PARTITION BY l.k "
            "ORDER BY l.id, r.id) n FROM l JOIN r ON l.k = r.k AND l.m <= r.n) p WHERE n = 1",
            "not_chosen",
        ),
        ("SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND l.m < r.n", "key_not_found"),
        (
            "WITH x AS (SELECT * FROM l WHERE m < 3) SELECT x.id, r.id rid FROM x "
            "JOIN r ON lpad(CAST(CAST(x.k AS INT) AS VARCHAR), 3, '0') = r.k AND x.m < r.n",
            "predicate_failed",
        ),
        (
            "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND l.m < r.n UNION "
            "SELECT l.id, r.id rid FROM l JOIN r ON l.id = r.id + 7 AND l.m < r.n - 2",
            "predicate_failed",
        ),
    ],
    ids=["chosen by a window", "near keys", "conversions under a filter", "branches of a UNION"],
)
def test_reasons_are_the_same_on_a_cluster(
    cluster: Cluster, sql: str, code: str, tmp_path: Path
) -> None:
    books = Reconciliation(tmp_path, sql)
    ids = list(range(60))
    ours = ["n/a" if n % 7 == 3 else str(n % 20) for n in ids]
    theirs = [f"{n % 25:03}" if n % 2 else f"{n % 25} " if n % 3 else str(n % 25) for n in ids]
    marks = [3 if key == "n/a" else n % 3 for n, key in zip(ids, ours, strict=True)]
    books.put("left", pa.table({"id": ids, "k": ours, "m": marks}))
    books.put("right", pa.table({"id": ids, "k": theirs, "n": [n % 4 for n in ids]}))

    the_evidence_is_the_same(cluster, books, tmp_path)

    told = [reason for side in Side for reason in books.run().reasons(side).values()]
    assert code in {reason for reason, _, _ in told}


@pytest.fixture(scope="module", params=[1, 5])
def other_size(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("other")
    with real_cluster(folder, executors=request.param, memory="10GiB") as running:
        yield running


@pytest.mark.full
@pytest.mark.parametrize("shape", DOZEN, ids=str)
def test_one_executor_and_five_bring_out_the_same(
    other_size: Cluster, shape: Shape, tmp_path: Path
) -> None:
    the_evidence_is_the_same(other_size, given(tmp_path, shape), tmp_path)

"""The processes of a run together stay within the memory limit, whatever the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.engine.budget import MIB
from tests.support.cgroups import memory_box
from tests.support.command import KALLA, write_csv

SIZE = 300_000
GROUPED = 2_000
DAYS = 28
LARGE = 5_000_000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", SIZE, 7, tmp_path_factory.mktemp("data"), "csv")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", LARGE, 7, tmp_path_factory.mktemp("large"), "parquet")


TOTALS = (
    "SELECT x.day, x.total FROM (SELECT day, sum(amount) AS total FROM l GROUP BY day) x "
    "JOIN (SELECT day, sum(amount) AS total FROM r GROUP BY day) y "
    "ON x.day = y.day AND x.total = y.total"
)


def recipe_file(folder: Path, match_sql: str, **more: str) -> Path:
    """Write a recipe over `l.csv` and `r.csv` of a folder; return its path."""
    sides = {"left": "l", "right": "r"}
    recipe = {
        "recipe_id": "groups",
        "name": "Groups",
        "match_sql": match_sql,
        "sources": {
            side: {"alias": name, "type": "file", "uri": f"{name}.csv", "primary_key": ["id"]}
            for side, name in sides.items()
        },
        **more,
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe))
    return path


def boxed_run(dataset: Dataset, output: Path, limit_mib: int, *flags: str) -> int:
    """Run a data set where more memory than the limit ends it; return the rows it read."""
    command = [*KALLA, "run", str(dataset.recipe_path), "--output", str(output)]
    limits = ["--memory-limit", f"{limit_mib}MiB", "--slots", "2", "--json"]

    with memory_box(limit_mib * MIB) as box:
        done = box.run([*command, *limits, *flags], timeout_seconds=600)
        kills = box.kills

    assert done.returncode == 0, done.stderr
    assert kills == 0
    rows: int = json.loads(done.stdout)["left_record_count"]
    return rows


def test_a_run_through_the_spool_stays_within_its_limit(dataset: Dataset, tmp_path: Path) -> None:
    rows = boxed_run(dataset, tmp_path / "out", 512, "--buckets", "16", "--partitions", "8")

    assert rows == SIZE


@pytest.mark.parametrize(
    "match_sql",
    [
        TOTALS,
        "SELECT l.day FROM l JOIN r ON l.day = r.day GROUP BY l.day",
    ],
    ids=["totals", "folded"],
)
def test_groups_that_match_groups_are_paired_within_the_smallest_limit(
    tmp_path: Path, match_sql: str
) -> None:
    days = [f"2026-02-{row % DAYS + 1:02d}" for row in range(GROUPED)]
    amounts = [f"{row % 100}.00" for row in range(GROUPED)]
    for side in ("l", "r"):
        rows = map(",".join, zip(map(str, range(GROUPED)), days, amounts, strict=True))
        write_csv(tmp_path / f"{side}.csv", "id,day,amount", list(rows))
    recipe = recipe_file(tmp_path, match_sql)
    command = [*KALLA, "run", str(recipe), "--output", str(tmp_path / "out"), "--json"]

    with memory_box(512 * MIB) as box:
        done = box.run([*command, "--memory-limit", "512MiB"], timeout_seconds=120)
        kills = box.kills

    sizes = [days.count(day) for day in set(days)]
    assert (done.returncode, kills) == (0, 0), done.stderr
    assert json.loads(done.stdout)["matched_count"] == sum(size * size for size in sizes)


FOLDED = {
    "totals": ("SELECT l.day, count(*) AS n FROM l JOIN r ON l.day = r.day GROUP BY l.day", ()),
    "totals by buckets": (
        "SELECT r.day, sum(l.amount) AS a FROM r JOIN l ON l.day = r.day GROUP BY r.day",
        ("--buckets", "4"),
    ),
    "distinct": ("SELECT DISTINCT l.day FROM l JOIN r ON l.day = r.day", ()),
    "having": (
        "SELECT l.day FROM l JOIN r ON l.day = r.day GROUP BY l.day "
        "HAVING sum(l.amount) = sum(r.amount)",
        (),
    ),
}
QUICK = "totals by buckets"


@pytest.mark.parametrize("groups", ["pairs", "members"])
@pytest.mark.parametrize(
    "shape",
    [pytest.param(name, marks=() if name == QUICK else pytest.mark.full) for name in FOLDED],
)
def test_millions_of_pairs_of_one_key_that_are_folded_into_a_row_fit_into_the_smallest_limit(
    tmp_path: Path, shape: str, groups: str
) -> None:
    for side in ("l", "r"):
        rows = [f"{row},2026-02-01,{row % 100}.00" for row in range(GROUPED)]
        write_csv(tmp_path / f"{side}.csv", "id,day,amount", rows)
    match_sql, flags = FOLDED[shape]
    recipe = recipe_file(tmp_path, match_sql, groups=groups)
    allowed = ("--set", "options.max_pairs_per_row=1000", "--json")
    command = [*KALLA, "run", str(recipe), "--output", str(tmp_path / "out"), *allowed, *flags]

    with memory_box(512 * MIB) as box:
        done = box.run([*command, "--memory-limit", "512MiB"], timeout_seconds=300)
        kills = box.kills

    assert (done.returncode, kills) == (0, 0), done.stderr
    told = json.loads(done.stdout)
    assert told["matched_count"] == (GROUPED**2 if groups == "pairs" else 2 * GROUPED)
    assert told["matched_left_count"] == told["matched_right_count"] == GROUPED


def test_two_large_groups_are_told_by_their_members_within_the_smallest_limit(
    tmp_path: Path,
) -> None:
    for side in ("l", "r"):
        rows = [f"{row},2026-02-01,{row % 100}.00" for row in range(GROUPED)]
        write_csv(tmp_path / f"{side}.csv", "id,day,amount", rows)
    recipe = recipe_file(tmp_path, f"SELECT DISTINCT day FROM ({TOTALS}) t", groups="members")
    command = [*KALLA, "run", str(recipe), "--output", str(tmp_path / "out"), "--json"]

    with memory_box(512 * MIB) as box:
        done = box.run([*command, "--memory-limit", "512MiB"], timeout_seconds=120)
        kills = box.kills

    assert (done.returncode, kills) == (0, 0), done.stderr
    told = json.loads(done.stdout)
    assert (told["matched_count"], told["matched_group_count"]) == (2 * GROUPED, 1)
    assert told["matched_left_count"] == told["matched_right_count"] == GROUPED


@pytest.mark.full
@pytest.mark.parametrize("partitions", ["1", "32"])
def test_a_run_that_finds_its_own_way_stays_within_its_limit(
    dataset: Dataset, tmp_path: Path, partitions: str
) -> None:
    rows = boxed_run(dataset, tmp_path / "out", 512, "--partitions", partitions)

    assert rows == SIZE


@pytest.mark.full
@pytest.mark.parametrize("limit_mib", [512, 1024, 2048])
def test_five_million_rows_a_side_stay_within_every_limit(
    large: Dataset, tmp_path: Path, limit_mib: int
) -> None:
    rows = boxed_run(large, tmp_path / "out", limit_mib)

    assert rows == LARGE

"""Figures come from neighbouring runs, and who failed has none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchmarks.ratios import Outcome, Scenario, Trial, ratio
from benchmarks.report import Setting, document, markdown, rows
from benchmarks.run import SMALL, parse_size


def outcome(*seconds: float, failure: str | None = None) -> Outcome:
    trials = tuple(
        Trial(number, time, cpu_seconds=2 * time, rss_bytes=number * 2**20)
        for number, time in enumerate(seconds, start=1)
    )
    return Outcome(trials, pss_bytes=3 * 2**20, failure=failure)


def scenario(**outcomes: Outcome) -> Scenario:
    return Scenario("split", 1_000, "csv", 1, 1_000, 3_600, 3_500, outcomes)


SETTING = Setting(
    taken_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    cores=2,
    memory_limit="2GiB",
    rounds=3,
    machine={
        "processor": "Some CPU",
        "cores": "8",
        "memory": "16 GiB",
        "system": "Linux 6",
        "python": "3.11.7",
    },
    versions={"kalla": {"kalla": "0.1.0"}, "duckdb": {"duckdb": "1.4"}},
    command="python -m benchmarks.run --size 1k",
)


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_all_times() -> None:
    kalla, peer = outcome(1.0, 10.0, 3.0), outcome(2.0, 5.0, 3.0)

    assert ratio(kalla, peer) == 1.0
    assert (kalla.seconds, peer.seconds) == (3.0, 3.0)


def test_a_machine_that_slows_down_for_a_round_slows_both() -> None:
    kalla, peer = outcome(1.0, 8.0, 1.0), outcome(2.0, 16.0, 2.0)

    assert ratio(kalla, peer) == 0.5


def test_who_failed_has_neither_time_nor_ratio() -> None:
    failed, peer = outcome(1.0, failure="exit code 3"), outcome(2.0)

    assert failed.seconds is None
    assert ratio(failed, peer) is None
    assert ratio(peer, failed) is None


def test_the_table_has_kallas_time_divided_by_that_of_each_peer() -> None:
    cells = rows(scenario(kalla=outcome(3.0), duckdb=outcome(2.0), polars=outcome(failure="x")))

    assert cells == [
        ("kalla", "3.00", "3.00 to 3.00", "6.00", "3 MiB", ""),
        ("duckdb", "2.00", "2.00 to 2.00", "4.00", "3 MiB", "1.50"),
        ("polars", "failed", "", "", "", ""),
    ]


def test_the_page_carries_date_machine_versions_command_and_failures() -> None:
    failed = outcome(failure="exit code 3:\nout of memory")

    page = markdown([scenario(kalla=outcome(3.0), duckdb=failed)], SETTING)

    for expected in (
        "Benchmarks of 2026-01-02",
        "Some CPU, 2 of 8 cores, 16 GiB of memory",
        "kalla: kalla 0.1.0; duckdb: duckdb 1.4.",
        "python -m benchmarks.run --size 1k",
        "## split, 1,000 invoices, csv, 3,500 pairs",
        "| kalla | 3.00 |",
        "duckdb failed: exit code 3: out of memory",
    ):
        assert expected in page


def test_the_document_carries_every_single_run() -> None:
    written = document(
        [scenario(kalla=outcome(3.0, 5.0, 4.0), duckdb=outcome(2.0, 2.0, 2.0))], SETTING
    )

    kalla = written["scenarios"][0]["outcomes"]["kalla"]
    duckdb = written["scenarios"][0]["outcomes"]["duckdb"]
    assert written["taken_at"] == "2026-01-02T03:04:05+00:00"
    assert [trial["seconds"] for trial in kalla["trials"]] == [3.0, 5.0, 4.0]
    assert (kalla["median_seconds"], duckdb["kalla_ratio"]) == (4.0, 2.0)


@pytest.mark.parametrize(
    ("text", "size"), [("small", SMALL), ("5m", 5_000_000), ("250K", 250_000), ("12", 12)]
)
def test_sizes_are_written_as_people_do(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1g", "-5", "1.5m"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)

"""Peers give the right rows, with all columns, or their time would mean nothing."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.contenders import KALLA, Contender, Limits, contenders
from benchmarks.generate import Format, PatternName, generate
from benchmarks.generate.ledger import schemas
from benchmarks.ratios import Outcome, ratio
from benchmarks.rounds import Course, run_scenario

PEERS = [contender for contender in contenders() if contender.name != KALLA]
LIMITS = Limits(memory="1GiB", threads=2)

# Every peer does every pattern, and every pattern comes in both formats.
COVERING = [
    (PatternName.ONE_TO_ONE, Format.CSV),
    (PatternName.SPLIT, Format.PARQUET),
    (PatternName.BATCH, Format.CSV),
    (PatternName.CROSS, Format.PARQUET),
    (PatternName.HARD, Format.CSV),
    (PatternName.HARD, Format.PARQUET),
]


@pytest.mark.parametrize(("pattern", "format_"), COVERING)
def test_the_rows_of_every_peer_equal_the_truth(
    pattern: PatternName, format_: Format, tmp_path: Path
) -> None:
    dataset = generate(pattern, 2_000, 8, tmp_path / "data", format_)

    scenario = run_scenario(dataset, PEERS, Course(LIMITS, rounds=0, work=tmp_path / "out"))

    failures = {name: outcome.failure for name, outcome in scenario.outcomes.items()}
    assert failures == dict.fromkeys((peer.name for peer in PEERS), None)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_writes_all_columns_with_their_types(peer: Contender, tmp_path: Path) -> None:
    dataset = generate(PatternName.ONE_TO_ONE, 500, 8, tmp_path / "data", Format.CSV)
    left, right = schemas(PatternName.ONE_TO_ONE)

    subprocess.run(peer.command(dataset, tmp_path / "out", LIMITS), check=True, timeout=60)

    for name, schema in (("unmatched_left", left), ("unmatched_right", right)):
        written = pq.read_schema(tmp_path / "out" / f"{name}.parquet")
        assert written.names == schema.names
        assert [field.type for field in written if "amount" in field.name] == [
            field.type for field in schema if "amount" in field.name
        ]


def test_contenders_are_taken_in_turn_after_a_warm_up(tmp_path: Path) -> None:
    dataset = generate(PatternName.SPLIT, 500, 8, tmp_path / "data", Format.CSV)
    one, other = (replace(PEERS[0], name=name) for name in ("one", "other"))
    said: list[str] = []

    course = Course(LIMITS, rounds=2, work=tmp_path / "out", tell=said.append)
    scenario = run_scenario(dataset, [one, other], course)

    assert [line.split(":")[0] for line in said] == [
        "one, warm-up",
        "other, warm-up",
        "one, round 1",
        "other, round 1",
        "one, round 2",
        "other, round 2",
    ]
    assert [trial.round for trial in scenario.outcomes["one"].trials] == [1, 2]
    assert ratio(scenario.outcomes["one"], scenario.outcomes["other"]) is not None


def test_a_contender_whose_rows_are_wrong_is_out(tmp_path: Path) -> None:
    dataset = generate(PatternName.SPLIT, 500, 8, tmp_path / "data", Format.CSV)
    other = generate(PatternName.SPLIT, 500, 9, tmp_path / "other", Format.CSV)
    peer = PEERS[0]
    mistaken = Contender(
        peer.name,
        peer.versions,
        lambda _, out, limits: peer.command(other, out, limits),
        peer.check,
    )

    scenario = run_scenario(dataset, [mistaken], Course(LIMITS, rounds=2, work=tmp_path / "out"))

    outcome = scenario.outcomes[peer.name]
    assert outcome.failure is not None
    assert outcome.failure.startswith("wrong rows: matched: ")
    assert outcome.trials == Outcome().trials


def test_a_contender_that_breaks_off_is_out_with_what_it_said(tmp_path: Path) -> None:
    dataset = generate(PatternName.SPLIT, 500, 8, tmp_path / "data", Format.CSV)
    dataset.right.unlink()

    scenario = run_scenario(dataset, PEERS[:1], Course(LIMITS, rounds=2, work=tmp_path / "out"))

    failure = scenario.outcomes[PEERS[0].name].failure
    assert failure is not None
    assert failure.startswith("exit code 1: ")
    assert "right.csv" in failure

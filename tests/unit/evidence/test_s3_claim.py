"""A claim on a prefix: whose it is, for how long, and when another may take it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.errors import OutputInUse
from kalla_core.evidence.s3_claim import Claim, HeldClaim, claim_of, may_be_taken
from kalla_core.s3.bucket import Bucket
from kalla_core.s3.bucket import bucket as open_bucket
from kalla_core.s3.location import S3Location
from tests.support.s3 import TestBucket, s3_server, set_variables
from tests.support.s3_proxy import Refuse, S3Proxy, Unconditionally, always, s3_proxy

MINE = Claim("run-1", 2, "mine", "here")
THEIRS = Claim("run-2", 1, "theirs", "there")
PATIENCE_S = 30


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    with s3_proxy(s3_server().endpoint) as running:
        set_variables(monkeypatch, s3_server().environment(running.endpoint))
        yield running


@pytest.fixture
def stored(proxy: S3Proxy) -> TestBucket:
    return s3_server().new_bucket()


@pytest.fixture
def store(stored: TestBucket) -> Bucket:
    return open_bucket(stored.name)


def acquired(
    store: Bucket, folder: Path, run_id: str, lease_s: float, attempt: int = 1
) -> HeldClaim:
    workspace = folder / run_id
    workspace.mkdir(exist_ok=True)
    prefix = S3Location(store.name, "runs/7/")
    return HeldClaim.acquire(store, prefix, run_id, attempt, workspace, lease_s)


def acquired_soon(store: Bucket, folder: Path, run_id: str, lease_s: float) -> HeldClaim:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return acquired(store, folder, run_id, lease_s)
        except OutputInUse:
            assert time.monotonic() < until


@pytest.mark.parametrize(
    ("found", "age_s", "expected"),
    [
        (THEIRS, 59, False),
        (THEIRS, 61, True),
        (replace(THEIRS, place="here"), 1, True),
        (replace(THEIRS, place=None), 1, False),
        (replace(THEIRS, run_id="run-1"), 1, True),
        (replace(THEIRS, run_id="run-1", attempt=2), 1, False),
        (replace(THEIRS, run_id="run-1", attempt=3), 1, False),
        (None, 59, False),
        (None, 61, True),
    ],
)
def test_a_claim_may_be_taken_when_its_holder_is_gone_or_of_an_earlier_attempt(
    found: Claim | None, age_s: float, expected: bool
) -> None:
    assert may_be_taken(found, age_s, MINE, lease_s=60) is expected


def test_what_nobody_can_place_is_never_taken_for_ones_own() -> None:
    nowhere = replace(MINE, place=None)

    assert not may_be_taken(replace(THEIRS, place=None), 1, nowhere, lease_s=60)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'"x"', b"\xff", b'{"keys": 5}', b'{"keys":[]}']
)
def test_what_is_no_claim_is_not_taken_for_one(body: bytes) -> None:
    assert claim_of(body) is None
    assert claim_of(MINE.as_bytes()) == MINE


def test_a_claim_that_is_renewed_outlives_its_lease(store: Bucket, tmp_path: Path) -> None:
    held = acquired(store, tmp_path, "run-1", lease_s=2)
    until = time.monotonic() + 4

    refusals = 0
    while time.monotonic() < until:
        with pytest.raises(OutputInUse, match="runs/7/"):
            acquired(store, tmp_path, "run-2", lease_s=2)
        refusals += 1
    held.journal(("runs/7/matched.parquet",))
    held.release()

    assert refusals
    assert not held.is_lost


def test_a_claim_that_cannot_be_renewed_is_lost_to_the_next_with_its_journal(
    proxy: S3Proxy, store: Bucket, stored: TestBucket, tmp_path: Path
) -> None:
    early = acquired(store, tmp_path, "run-1", lease_s=2)
    early.journal(("runs/7/matched.parquet",))
    early.abandon()

    late = acquired_soon(store, tmp_path, "run-2", lease_s=2)
    with pytest.raises(OutputInUse):
        early.journal(("runs/7/unmatched_left.parquet",))
    early.release()
    still = stored.keys()
    late.release()

    assert early.is_lost
    assert late.leftover == ("runs/7/matched.parquet",)
    assert still == {"runs/7/.kalla/claim.json"}
    assert stored.keys() == set()


def test_a_renewal_that_fails_is_made_up_for_by_the_next(
    proxy: S3Proxy, store: Bucket, tmp_path: Path
) -> None:
    held = acquired(store, tmp_path, "run-1", lease_s=1)
    begun = len(proxy.requests)
    denied = Refuse(403, "AccessDenied")
    proxy.rule = lambda request: denied if request.number <= begun + 2 else None

    until = time.monotonic() + PATIENCE_S
    while len(proxy.requests) < begun + 4:
        assert time.monotonic() < until
    held.journal(())
    held.release()

    assert not held.is_lost


@pytest.mark.parametrize(
    "rule",
    [
        always(Unconditionally()),
        lambda request: Refuse(501, "NotImplemented") if request.conditional else None,
    ],
    ids=["silently", "loudly"],
)
def test_a_store_without_conditional_writes_keeps_runs_apart_that_do_not_begin_together(
    proxy: S3Proxy, store: Bucket, stored: TestBucket, tmp_path: Path, rule: object
) -> None:
    held = acquired(store, tmp_path, "run-1", lease_s=60)
    proxy.rule = rule  # type: ignore[assignment]

    held.journal(("runs/7/matched.parquet",))
    with pytest.raises(OutputInUse):
        acquired(store, tmp_path, "run-2", lease_s=60)
    held.journal(())
    held.release()

    assert stored.keys() == set()

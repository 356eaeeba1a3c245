"""Runs into a bucket that are killed, refused or left alone by the store at any request.

What counts is evidence with a metadata.json. There is that of the old run or that of the new one,
complete, or there is none; and the next claim removes whatever does not count.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kalla_core.evidence.names import OF_EVERY_RUN
from kalla_core.evidence.output import claim_output
from kalla_core.evidence.reader import open_evidence
from tests.support.evidence import commit_evidence
from tests.support.s3 import TestBucket, s3_server, set_variables
from tests.support.s3_proxy import SLOW_DOWN, Drop, Fault, Refuse, S3Proxy, s3_proxy

PREFIX = "runs/7/"
METADATA_KEY = f"{PREFIX}metadata.json"
CLAIM_KEY = f"{PREFIX}.kalla/claim.json"
ALL = {f"{PREFIX}{name}" for name in OF_EVERY_RUN}
HELPER = "tests.unit.evidence.s3_runs"
DENIED = Refuse(403, "AccessDenied")
Meddling = Callable[[int, int], Fault | None]
"""What happens to the n-th request of the run with that process id, from 1."""


@dataclass
class Runs:
    """Runs in processes of their own, whose requests can be meddled with."""

    process: subprocess.Popen[str]
    proxy: S3Proxy
    workspace: Path

    def run(self, bucket: TestBucket, meddling: Meddling, *, commits: bool = True) -> int:
        """Let the run `new` commit its evidence, or give up; return its exit status."""
        arguments = {
            "output": f"s3://{bucket.name}/{PREFIX}",
            "run_id": "new",
            "overwrite": True,
            "workspace": str(self.workspace),
            "commits": commits,
        }
        pid = int(self._told(json.dumps(arguments)))
        begun = len(self.proxy.requests)
        self.proxy.rule = lambda request: meddling(pid, request.number - begun)
        return int(self._told(""))

    def _told(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with (
        s3_proxy(s3_server().endpoint) as proxy,
        subprocess.Popen(
            [sys.executable, "-m", HELPER],
            env={
                **os.environ,
                **s3_server().environment(proxy.endpoint),
                "KALLA_S3_ATTEMPTS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        yield Runs(process, proxy, tmp_path_factory.mktemp("workspace"))
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    set_variables(monkeypatch, s3_server().environment())
    return s3_server().new_bucket()


def place(bucket: TestBucket) -> str:
    return f"s3://{bucket.name}/{PREFIX}"


def old_evidence(bucket: TestBucket) -> dict[str, bytes]:
    commit_evidence(place(bucket), "old", matched=5, left=0, right=3)
    return {key: bucket.get(key) for key in ALL}


def lay(bucket: TestBucket, objects: dict[str, bytes]) -> None:
    for key in bucket.keys() - set(objects):
        bucket.delete(key)
    for key, content in objects.items():
        bucket.put(key, content)


def whose(bucket: TestBucket) -> str | None:
    """Whose evidence there is, which then is complete and true; None if nothing counts."""
    keys = bucket.keys()
    if METADATA_KEY not in keys:
        return None
    with open_evidence(place(bucket), verify=True) as evidence:
        return evidence.metadata.run_id


def give_up(bucket: TestBucket, workspace: Path) -> None:
    with claim_output(place(bucket), "next", True, workspace=workspace):
        pass


def killed_at(nth: int) -> Meddling:
    def kill(pid: int, number: int) -> Fault | None:
        if number != nth:
            return None
        os.kill(pid, signal.SIGKILL)
        return Drop()

    return kill


def refused_at(nth: int) -> Meddling:
    return lambda _pid, number: DENIED if number == nth else None


def refused_twice_at(nth: int) -> Meddling:
    """Refuse what would undo it as well."""
    return lambda _pid, number: DENIED if number in (nth, nth + 1) else None


def lost_at(nth: int) -> Meddling:
    return lambda _pid, number: Drop(carried_out=True) if number == nth else None


def left_alone_from(nth: int) -> Meddling:
    return lambda _pid, number: SLOW_DOWN if number >= nth else None


def killed_behind_the_removal_of_metadata(runs: Runs) -> Meddling:
    def kill(pid: int, number: int) -> Fault | None:
        last = runs.proxy.requests[-2]
        if (last.method, last.key) == ("DELETE", METADATA_KEY):
            os.kill(pid, signal.SIGKILL)
            return Drop()
        return None

    return kill


def is_stopped_well(
    runs: Runs,
    bucket: TestBucket,
    meddled: Callable[[int], Meddling],
    before: str | None,
    step: int,
) -> None:
    objects = old_evidence(bucket) if before else {}
    left = []
    nth, over = 1, False

    while not over:
        lay(bucket, objects)
        begun = len(runs.proxy.requests)
        status = runs.run(bucket, meddled(nth))
        over = len(runs.proxy.requests) - begun < nth
        nth += step
        left.append(whose(bucket))
        tidy = bucket.keys() - {CLAIM_KEY} == (ALL if left[-1] else set())
        give_up(bucket, runs.workspace)

        assert left[-1] in (before, None, "new")
        assert (left[-1] == "new") == (status == 0) or meddled in (killed_at, lost_at)
        assert tidy or meddled in (killed_at, refused_twice_at, left_alone_from)
        assert bucket.keys() == (ALL if left[-1] else set())
        assert bucket.uploads() == set()
        assert list(runs.workspace.iterdir()) == []

    assert left[0] == before
    assert None in left or step > 1
    assert left[-1] == "new"
    assert nth > 20


EVERY_WAY = (killed_at, refused_at, refused_twice_at, lost_at, left_alone_from)


@pytest.mark.parametrize(
    ("meddled", "before", "step"),
    [
        (killed_at, "old", 13),
        (refused_at, None, 17),
        (refused_twice_at, "old", 24),
        (lost_at, "old", 22),
        (left_alone_from, "old", 19),
    ],
)
def test_a_run_that_is_stopped_leaves_all_or_nothing_and_the_next_claim_sweeps(
    runs: Runs,
    bucket: TestBucket,
    meddled: Callable[[int], Meddling],
    before: str | None,
    step: int,
) -> None:
    is_stopped_well(runs, bucket, meddled, before, step)


@pytest.mark.full
@pytest.mark.parametrize("meddled", EVERY_WAY)
@pytest.mark.parametrize("before", [None, "old"], ids=["fresh", "replacing"])
def test_a_run_that_is_stopped_at_any_request_leaves_all_or_nothing(
    runs: Runs, bucket: TestBucket, meddled: Callable[[int], Meddling], before: str | None
) -> None:
    is_stopped_well(runs, bucket, meddled, before, 1)


def test_a_claim_that_is_killed_while_it_sweeps_leaves_the_rest_to_the_next(
    runs: Runs, bucket: TestBucket
) -> None:
    lay(bucket, old_evidence(bucket))
    runs.run(bucket, killed_behind_the_removal_of_metadata(runs))
    half = {key: bucket.get(key) for key in sorted(bucket.keys())}

    nth, over = 1, False
    while not over:
        lay(bucket, half)
        begun = len(runs.proxy.requests)
        runs.run(bucket, killed_at(nth), commits=False)
        over = len(runs.proxy.requests) - begun < nth
        nth += 5
        give_up(bucket, runs.workspace)

        assert bucket.keys() == set()

    assert set(half) == {CLAIM_KEY, *ALL} - {METADATA_KEY}
    assert nth > 6

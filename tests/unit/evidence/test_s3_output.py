"""Evidence in a bucket: all of it, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kalla_core.errors import (
    KallaError,
    OutputExists,
    OutputInUse,
    OutputNotWritable,
)
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import OF_EVERY_RUN
from kalla_core.evidence.output import Output, claim_output, tidy_output
from kalla_core.evidence.s3_claim import HeldClaim
from kalla_core.s3.bucket import bucket as open_bucket
from kalla_core.s3.location import S3Location
from kalla_core.s3.multipart import PART_BYTES, abort, complete, upload
from kalla_core.s3.troubles import S3Error
from tests.support.evidence import metadata, write_outputs
from tests.support.s3 import TestBucket, s3_server, set_variables

ALL = {f"runs/7/{name}" for name in OF_EVERY_RUN}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    set_variables(monkeypatch, s3_server().environment())
    return s3_server().new_bucket()


def staged(output: Output, run_id: str = "run-1", matched: int = 2) -> RunMetadata:
    files = write_outputs(output.staging, run_id, matched=matched, left=1, right=0)
    return metadata(run_id, files, matched=matched, left=1, right=0)


def committed(bucket: TestBucket, workspace: Path, run_id: str, **claim: bool) -> None:
    with claim_output(place(bucket), run_id, workspace=workspace, **claim) as output:
        output.commit(staged(output, run_id))


def place(bucket: TestBucket) -> str:
    return f"s3://{bucket.name}/runs/7"


def test_nothing_shows_before_the_commit_and_everything_after_it(
    bucket: TestBucket, tmp_path: Path
) -> None:
    with claim_output(place(bucket), "run-1", workspace=tmp_path) as output:
        described = staged(output)
        before = bucket.keys() & ALL
        output.commit(described)
        after = bucket.keys() & ALL

    assert output.location == f"s3://{bucket.name}/runs/7/"
    assert before == set()
    assert after == ALL
    assert bucket.keys() == ALL
    assert bucket.uploads() == set()
    assert json.loads(bucket.get("runs/7/metadata.json"))["run_id"] == "run-1"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_nothing(bucket: TestBucket, tmp_path: Path) -> None:
    with claim_output(place(bucket), "run-1", workspace=tmp_path) as output:
        store = open_bucket(bucket.name)
        output.adopt([upload(store, _file(output, b"part"), "runs/7/matched.parquet/1.parquet")])
        staged(output)

    assert bucket.keys() == set()
    assert bucket.uploads() == set()
    assert list(tmp_path.iterdir()) == []


def test_evidence_of_another_run_is_kept_unless_overwriting_is_asked_for(
    bucket: TestBucket, tmp_path: Path
) -> None:
    committed(bucket, tmp_path, "run-1")
    bucket.put("runs/7/matched.parquet/part-9.parquet", b"of a cluster")

    with pytest.raises(OutputExists, match="run-1"):
        committed(bucket, tmp_path, "run-2")
    kept = json.loads(bucket.get("runs/7/metadata.json"))["run_id"]
    committed(bucket, tmp_path, "run-2", overwrite=True)

    assert kept == "run-1"
    assert json.loads(bucket.get("runs/7/metadata.json"))["run_id"] == "run-2"
    assert bucket.keys() == ALL


def test_a_run_may_replace_its_own_evidence(bucket: TestBucket, tmp_path: Path) -> None:
    committed(bucket, tmp_path, "run-1")

    committed(bucket, tmp_path, "run-1")

    assert bucket.keys() == ALL


def test_files_under_the_names_of_evidence_that_nobody_owns_are_kept(
    bucket: TestBucket, tmp_path: Path
) -> None:
    bucket.put("runs/7/matched.parquet", b"somebody's own")

    with pytest.raises(OutputExists, match=r"matched\.parquet"):
        committed(bucket, tmp_path, "run-1")

    assert bucket.keys() == {"runs/7/matched.parquet"}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_two_runs_at_the_same_prefix_are_kept_apart(
    bucket: TestBucket, tmp_path: Path, elsewhere: bool
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()

    with (
        claim_output(place(bucket), "run-1", workspace=tmp_path) as output,
        pytest.raises(OutputInUse, match=f"s3://{bucket.name}/runs/7/"),
        claim_output(place(bucket), "run-2", workspace=other if elsewhere else tmp_path),
    ):
        pass
    committed(bucket, tmp_path, "run-3")

    assert output.location
    assert bucket.keys() == ALL


def test_a_later_attempt_takes_the_place_and_the_earlier_one_cannot_commit(
    bucket: TestBucket, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()

    with claim_output(place(bucket), "run-1", workspace=tmp_path) as early:
        described = staged(early)
        with claim_output(place(bucket), "run-1", attempt=2, workspace=other) as late:
            with pytest.raises(OutputInUse):
                early.commit(described)
            late.commit(staged(late, matched=5))

    assert json.loads(bucket.get("runs/7/metadata.json"))["matched_count"] == 5
    assert bucket.keys() == ALL
    assert bucket.uploads() == set()


def test_files_of_other_processes_are_completed_by_the_one_that_commits(
    bucket: TestBucket, tmp_path: Path
) -> None:
    with claim_output(place(bucket), "run-1", workspace=tmp_path) as output:
        described = staged(output)
        moved = [output.staging / file.name for file in described.files]
        store = open_bucket(bucket.name)
        uploads = [upload(store, path, f"runs/7/{path.name}") for path in moved]
        for path in moved:
            path.unlink()
        output.adopt(uploads)
        before = bucket.keys() & ALL
        output.commit(described)

    assert output.parts == f"s3://{bucket.name}/runs/7/"
    assert before == set()
    assert bucket.keys() == ALL


def test_what_was_uploaded_and_what_is_listed_must_be_the_same(
    bucket: TestBucket, tmp_path: Path
) -> None:
    with claim_output(place(bucket), "run-1", workspace=tmp_path) as output:
        described = staged(output)
        (output.staging / "matched.parquet").write_bytes(b"cut off")

        with pytest.raises(ValueError, match=r"matched\.parquet"):
            output.commit(described)
        with pytest.raises(ValueError, match="elsewhere"):
            output.adopt(
                [upload(open_bucket(bucket.name), _file(output, b"x"), "elsewhere/matched.parquet")]
            )


def test_an_upload_of_several_parts_is_one_file_once_it_is_completed(
    bucket: TestBucket, tmp_path: Path
) -> None:
    store = open_bucket(bucket.name)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (PART_BYTES // 100))

    pending = upload(store, path, "large")
    before = bucket.keys()
    complete(store, pending)
    complete(store, pending)
    abort(store, pending)

    assert len(pending.etags) == 3
    assert before == set()
    assert bucket.get("large") == path.read_bytes()


def test_an_upload_that_was_aborted_cannot_be_completed(bucket: TestBucket, tmp_path: Path) -> None:
    store = open_bucket(bucket.name)
    path = tmp_path / "small"
    path.write_bytes(b"small")

    pending = upload(store, path, "small")
    abort(store, pending)

    with pytest.raises(S3Error):
        complete(store, pending)
    assert bucket.keys() == set()
    assert bucket.uploads() == set()


def test_a_bucket_that_is_not_there_is_named(bucket: TestBucket, tmp_path: Path) -> None:
    with (
        pytest.raises(OutputNotWritable, match=r"s3://kalla-nowhere/x/ .*no such bucket"),
        claim_output("s3://kalla-nowhere/x", "run-1", workspace=tmp_path),
    ):
        pass

    assert list(tmp_path.iterdir()) == []


def test_the_message_of_a_wrong_address_does_not_repeat_it(tmp_path: Path) -> None:
    with (
        pytest.raises(KallaError) as raised,
        claim_output("s3://AKIA:hushhush@bucket/x", "run-1", workspace=tmp_path),
    ):
        pass

    assert "hushhush" not in str(raised.value)


def _file(output: Output, content: bytes) -> Path:
    path = output.scratch / "file"
    path.write_bytes(content)
    return path


def test_what_a_run_left_that_was_killed_and_is_over_is_removed_and_evidence_stays(
    bucket: TestBucket, tmp_path: Path
) -> None:
    def left_by(run_id: str) -> None:
        claim = HeldClaim.acquire(
            open_bucket(bucket.name), S3Location(bucket.name, "runs/7/"), run_id, 3, tmp_path
        )
        claim.abandon()
        (tmp_path / "part").write_bytes(bytes(PART_BYTES))
        upload(open_bucket(bucket.name), tmp_path / "part", "runs/7/matched.parquet")

    committed(bucket, tmp_path, "run-1")
    left_by("run-1")
    left = bucket.keys() - ALL, bucket.uploads()

    tidy_output(place(bucket), "run-2")
    of_another = bucket.keys() - ALL, bucket.uploads()
    tidy_output(place(bucket), "run-1")
    tidy_output(place(bucket), "run-1")

    assert left == of_another
    assert left[0] == {"runs/7/.kalla/claim.json"}
    assert left[1]
    assert bucket.keys() == ALL
    assert not bucket.uploads()

"""Reading from an S3 that is slow, flaky, dead, or says no; and objects that change meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import (
    KallaError,
    SourceChanged,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.sources.registry import connector_for
from tests.support.command import kalla
from tests.support.machine import stretched
from tests.support.s3 import KEY_ID, SECRET, TestBucket, s3_server, set_variables
from tests.support.s3_proxy import (
    BROKEN,
    SLOW_DOWN,
    CutOff,
    Delay,
    Drop,
    Fault,
    InPages,
    Refuse,
    Request,
    S3Proxy,
    Stall,
    Unconditionally,
    always,
    in_turn,
    no_fault,
    s3_proxy,
)
from tests.support.sources import file_spec, read_table

ROWS = 60_000
QUICK = {
    "KALLA_S3_CONNECT_TIMEOUT": "1s",
    "KALLA_S3_READ_TIMEOUT": "500ms",
    "KALLA_S3_RETRY_TIMEOUT": "2s",
}
PATIENT = {"KALLA_S3_ATTEMPTS": "12", "KALLA_S3_READ_TIMEOUT": "5s"}
NAMES = ("n.csv", "n.csv.gz", "n.parquet")
FLAKY = {
    "drops": in_turn(Drop(), None),
    "slow down": in_turn(SLOW_DOWN, SLOW_DOWN, None),
    "internal errors": in_turn(BROKEN, None),
    "cut off": in_turn(CutOff(0.5), None, CutOff(0.0), None, None),
    "latency": always(Delay(0.05)),
    "all of it": in_turn(Drop(), None, CutOff(0.9), SLOW_DOWN, None, Delay(0.1), None, BROKEN),
}


def numbers() -> pa.Table:
    """A table of which every file takes several requests to read."""
    return pa.table(
        {
            "n": pa.array(range(ROWS), pa.int64()),
            "text": [f"row {n * 7919 % ROWS:06} {n * 104_729 % 999_983:06}" for n in range(ROWS)],
        }
    )


def content(name: str, table: pa.Table) -> bytes:
    if name.endswith(".parquet"):
        out = io.BytesIO()
        pq.write_table(table, out, row_group_size=10_000, use_dictionary=False)
        return out.getvalue()
    lines = [
        f"{n},{text}\n" for n, text in zip(*(c.to_pylist() for c in table.columns), strict=True)
    ]
    data = ("n,text\n" + "".join(lines)).encode()
    return gzip.compress(data, 1) if name.endswith(".gz") else data


@pytest.fixture(scope="module")
def stored() -> TestBucket:
    bucket = s3_server().new_bucket()
    for name in NAMES:
        bucket.put(name, content(name, numbers()))
    return bucket


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    with s3_proxy(s3_server().endpoint) as running:
        set_variables(monkeypatch, {**s3_server().environment(running.endpoint), **QUICK})
        yield running


def failure(uri: str) -> KallaError:
    """The error of a read; that the source is named and no secret is in it goes without saying."""
    with pytest.raises(KallaError) as raised:
        read_table(file_spec(uri), parts=3)
    assert "`ledger`" in str(raised.value)
    assert raised.value.details["source"] == "ledger"
    assert SECRET not in repr(raised.value) + repr(raised.value.details)
    return raised.value


@pytest.mark.parametrize(
    ("name", "how"), [*product(("n.csv", "n.parquet"), FLAKY), ("n.csv.gz", "all of it")]
)
def test_a_flaky_store_is_read_to_the_row(
    stored: TestBucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    set_variables(monkeypatch, PATIENT)
    proxy.rule = FLAKY[how]

    found = read_table(file_spec(f"s3://{stored.name}/{name}"), parts=3)

    assert found.equals(numbers())
    assert len(proxy.requests) > 5


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Stall(), "timeout"),
        (SLOW_DOWN, "SlowDown"),
        (BROKEN, "InternalError"),
        (Drop(), "connection"),
        (CutOff(0.5, stall=True), "timed out|timeout"),
        (CutOff(0.5), "bytes read|incomplete|broken|more expected"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_a_store_that_stops_working_while_it_is_read_is_given_up_in_time(
    stored: TestBucket, proxy: S3Proxy, name: str, fault: Fault, why: str
) -> None:
    spec = file_spec(f"s3://{stored.name}/{name}")
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)
        proxy.rule = lambda request: fault if request.reads_rows else None
        begun = time.monotonic()
        with pytest.raises(SourceUnavailable, match=f"(?i)`ledger`.*{name}.*({why})"):
            list(connector.read(pinned, parts[1]))

    # Two seconds of tries, half a second for the last one; the rest is noise.
    assert time.monotonic() - begun < stretched(10)


@pytest.mark.parametrize("fault", [Stall(), SLOW_DOWN, Drop()], ids=lambda f: type(f).__name__)
def test_a_store_that_never_works_is_given_up_in_time(
    stored: TestBucket, proxy: S3Proxy, fault: Fault
) -> None:
    proxy.rule = always(fault)

    begun = time.monotonic()
    error = failure(f"s3://{stored.name}/n.csv")

    assert isinstance(error, SourceUnavailable)
    assert time.monotonic() - begun < stretched(10)


def test_a_store_that_is_not_there_is_told_within_the_timeouts(
    stored: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_proxy(s3_server().endpoint) as ended:
        pass
    set_variables(monkeypatch, {**s3_server().environment(ended.endpoint), **QUICK})

    begun = time.monotonic()
    error = failure(f"s3://{stored.name}/n.csv")

    assert isinstance(error, SourceUnavailable)
    assert "could not connect" in str(error)
    assert time.monotonic() - begun < stretched(10)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "access denied"),
        (403, "InvalidAccessKeyId", "credentials .*InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch", "credentials .*SignatureDoesNotMatch"),
        (400, "ExpiredToken", "credentials .*ExpiredToken"),
        (403, "RequestTimeTooSkewed", "credentials .*RequestTimeTooSkewed"),
    ],
)
def test_a_refusal_says_why_at_once_though_the_first_question_gets_no_reason(
    stored: TestBucket, proxy: S3Proxy, status: int, code: str, said: str
) -> None:
    proxy.rule = always(Refuse(status, code, f"{KEY_ID} may not"))

    error = failure(f"s3://{stored.name}/n.csv")

    assert isinstance(error, SourceUnreadable)
    assert re.search(said, str(error))
    assert len(proxy.requests) <= 3  # the client library asks once more where the bucket is


def test_rights_that_end_while_it_is_read_are_told(stored: TestBucket, proxy: S3Proxy) -> None:
    proxy.rule = lambda request: (
        Refuse(400, "ExpiredToken", "The provided token has expired.")
        if request.number > 6
        else None
    )

    error = failure(f"s3://{stored.name}/n.parquet")

    assert isinstance(error, SourceUnreadable)
    assert "ExpiredToken: The provided token has expired" in str(error)


def test_a_bucket_that_is_not_there_is_told(proxy: S3Proxy) -> None:
    error = failure("s3://kalla-there-is-none/n.csv")

    assert isinstance(error, SourceNotFound)
    assert "no such bucket" in str(error)


def test_without_credentials_it_is_said_that_there_are_none(
    stored: TestBucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    error = failure(f"s3://{stored.name}/n.csv")

    assert isinstance(error, SourceUnreadable)
    assert "credentials" in str(error)
    assert proxy.requests == []


@pytest.fixture
def own(proxy: S3Proxy) -> TestBucket:
    bucket = s3_server().new_bucket()
    for name in NAMES:
        bucket.put(name, content(name, numbers()))
    return bucket


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gone", [False, True], ids=["replaced", "deleted"])
def test_an_object_that_changes_between_two_parts_is_found_out(
    own: TestBucket, name: str, gone: bool
) -> None:
    spec = file_spec(f"s3://{own.name}/{name}")
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)
        first = list(connector.read(pinned, parts[0]))
        own.delete(name) if gone else own.put(name, content(name, numbers().slice(1)))
        with pytest.raises(SourceChanged, match=rf"`ledger`.*{re.escape(name)}"):
            list(connector.read(pinned, parts[-1]))

    assert first


def long_rows(seed: int) -> pa.Table:
    """Rows that fill several blocks of what is fetched ahead, in whatever format."""
    text = b64encode(random.Random(seed).randbytes(9 << 20)).decode()
    size = len(text) // 9000
    pieces = [text[n * size : (n + 1) * size] for n in range(9000)]
    return pa.table({"n": pa.array(range(9000), pa.int64()), "text": pieces})


@pytest.mark.parametrize(
    ("name", "fault"), [*((name, None) for name in NAMES), ("n.csv", Unconditionally())]
)
def test_an_object_that_is_replaced_at_any_request_of_a_read_is_never_a_mixture(
    proxy: S3Proxy, name: str, fault: Fault | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, PATIENT)  # it is not about time, and machines may be slow
    bucket = s3_server().new_bucket()
    contents = [content(name, long_rows(seed)) for seed in (1, 2)]
    spec = file_spec(bucket.put(name, contents[0]))
    connector = connector_for(spec)
    messages = []

    def replaced_at(request: Request) -> Fault | None:
        if request.number == at:
            bucket.put(name, contents[1])
        return fault

    proxy.rule = always(fault) if fault else no_fault
    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        before = len(proxy.requests)
        rows = sum(batch.num_rows for batch in connector.read(pinned, part))
        requests = len(proxy.requests) - before
        for nth in range(1, requests + 1):
            bucket.put(name, contents[0])
            at = len(proxy.requests) + nth
            proxy.rule = replaced_at
            with pytest.raises(SourceChanged, match=rf"`ledger`.*{re.escape(name)}") as raised:
                list(connector.read(pinned, part))
            messages.append(str(raised.value))

    assert rows == 9000
    assert requests >= 4
    assert sum("since it was pinned" in each for each in messages) >= requests - 1


@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_is_replaced_while_its_types_are_told_is_found_out(
    own: TestBucket, proxy: S3Proxy, name: str
) -> None:
    other = content(name, numbers().slice(1))
    proxy.rule = lambda request: own.put(name, other) and None if request.number == 3 else None

    assert isinstance(failure(f"s3://{own.name}/{name}"), SourceChanged)


def test_a_folder_of_more_than_a_page_is_read_whole(proxy: S3Proxy) -> None:
    bucket = s3_server().new_bucket()
    for n in range(7):
        bucket.put(f"f/{n}.csv", f"n\n{n}\n".encode())
    proxy.rule = lambda request: InPages(3) if "list-type" in request.query else None

    found = read_table(file_spec(f"s3://{bucket.name}/f/"), parts=2)

    assert sum("continuation-token" in request.query for request in proxy.requests) >= 2
    assert found.column("n").to_pylist() == list(range(7))


def recipe(folder: Path, stored: TestBucket) -> Path:
    source = {"type": "s3", "primary_key": ["n"]}
    document = {
        "recipe_id": "faults",
        "name": "Faults",
        "match_sql": "SELECT l.n, r.n FROM left_src l JOIN right_src r ON l.n = r.n",
        "sources": {
            "left": {**source, "alias": "ours", "uri": f"s3://{stored.name}/n.csv"},
            "right": {**source, "alias": "theirs", "uri": f"s3://{stored.name}/n.parquet"},
        },
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(document))
    return path


def test_a_run_through_a_flaky_store_ends_well_from_source_to_evidence(
    stored: TestBucket, proxy: S3Proxy, tmp_path: Path
) -> None:
    proxy.rule = in_turn(None, None, Drop(), None, None, CutOff(0.5), None, SLOW_DOWN)
    output = f"s3://{s3_server().new_bucket().name}/run"

    done = kalla(
        "run",
        recipe(tmp_path, stored),
        "--output",
        output,
        "--json",
        cwd=tmp_path,
        environment=PATIENT,
    )

    assert done.exit_code == 0, done.err
    assert json.loads(done.out)["matched_count"] == ROWS


def test_a_run_says_which_of_its_sources_did_not_answer_and_leaves_nothing(
    stored: TestBucket, proxy: S3Proxy, tmp_path: Path
) -> None:
    proxy.rule = lambda request: (
        SLOW_DOWN if request.key == "n.parquet" and request.number > 12 else None
    )

    done = kalla(
        "run", recipe(tmp_path, stored), "--output", "out", cwd=tmp_path, environment=QUICK
    )

    assert done.exit_code == 3
    assert "(source_unavailable)" in done.paragraph
    assert "`theirs`" in done.paragraph
    assert "SlowDown" in done.paragraph
    assert SECRET not in done.err
    assert not (tmp_path / "out").exists()

"""What a coordinator with bounds lets requests name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kalla_coordinator.jobs.allowed import Allowed
from kalla_core.errors import InvalidUri, NotAllowed, RecipeInvalid
from kalla_core.sources.access_json import access_json, access_of
from tests.support.jobs import request

ALLOWED = Allowed(Path("/staging"), hosts=frozenset({"host"}), callback_hosts=frozenset({"app"}))


def test_a_job_may_name_the_hosts_that_are_allowed() -> None:
    ALLOWED.check(request(callback_url="http://APP:8080/worker"))


def test_a_job_may_not_be_told_to_call_another_host() -> None:
    with pytest.raises(NotAllowed):
        ALLOWED.check(request(callback_url="http://app@other/worker"))


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://other/db?table=t",
        "postgres://host/db?table=t&host=other",
        "postgres://host/db?table=t&hostaddr=10.0.0.1",
        "postgres://host:1,other:2/db?table=t",
        "postgres:///db?table=t",
        "bigquery://other/table",
    ],
)
def test_a_source_on_another_host_is_refused_however_it_is_written(uri: str) -> None:
    with pytest.raises(NotAllowed):
        ALLOWED.check_sources(["postgres://host/db?table=t", uri])


def test_files_and_buckets_are_on_no_host() -> None:
    ALLOWED.check_sources(["a.csv", "file:///a.csv", "s3://bucket/a.csv"])


def test_without_bounds_every_host_is_allowed() -> None:
    Allowed(Path("/staging")).check_sources(["postgres://other/db?table=t"])


def test_an_output_lies_below_the_staging_path_or_where_it_is_allowed(tmp_path: Path) -> None:
    allowed = Allowed(tmp_path / "staging", roots=(tmp_path / "results",))
    wanted = {
        "mine": "staging/mine",
        "runs/mine/again": "staging/runs/mine/again",
        f"file://{tmp_path}/results/a%20b%25": "results/a b%",
        f"{tmp_path}/results/a": "results/a",
        f"file://{tmp_path}/results/b": "results/b",
    }

    found = {one: allowed.output(request("mine", output_path=one)) for one in wanted}

    assert found == {one: str(tmp_path / path) for one, path in wanted.items()}
    assert allowed.output(request(output_path="s3://bucket/a")) == "s3://bucket/a"


@pytest.mark.parametrize("output", ["runs/other", "runs/other/deeper", "runs/mine/../other"])
def test_an_output_in_the_folder_of_another_run_is_refused(output: str, tmp_path: Path) -> None:
    allowed = Allowed(tmp_path / "staging")

    with pytest.raises(NotAllowed, match="another run"):
        allowed.output(request("mine", output_path=output))


@pytest.mark.parametrize(
    "output",
    [
        "../a",
        "a/../../b",
        "/etc/a",
        "file:///etc/a",
        ".",
        "runs",
        "jobs.sqlite",
        "jobs.sqlite-wal/a",
    ],
)
def test_an_output_elsewhere_or_in_the_coordinators_own_files_is_refused(
    output: str, tmp_path: Path
) -> None:
    with pytest.raises(NotAllowed):
        Allowed(tmp_path, roots=()).output(request(output_path=output))


@pytest.mark.parametrize("output", ["http://host/a", "x://../../../etc/a", "a\0b", "loop/a"])
def test_what_is_neither_a_folder_nor_in_a_bucket_is_no_output(output: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(InvalidUri):
        Allowed(tmp_path).output(request(output_path=output))


@pytest.mark.parametrize(
    "uri",
    [
        "{staging}/jobs.sqlite?format=csv",
        "file://{staging}/jobs%2Esqlite?format=csv",
        "{staging}/runs/../jobs.sqlite-wal?format=csv",
        "{staging}/link.csv",
    ],
)
def test_nobody_reads_what_others_have_asked_for(uri: str, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "jobs.sqlite")

    with pytest.raises(NotAllowed):
        Allowed(tmp_path).check_sources([uri.format(staging=tmp_path)])


def test_a_source_may_name_no_variable_but_those_that_are_listed() -> None:
    uri = "postgres://user:${env:PGPASS}@host/db?table=t"

    Allowed(Path("/staging"), env=frozenset({"PGPASS"})).check_sources([uri])

    for env in (frozenset[str](), frozenset({"pgpass", "OTHER"})):
        with pytest.raises(NotAllowed, match="PGPASS"):
            Allowed(Path("/staging"), env=env).check_sources([uri])


def test_in_a_path_nothing_stands_for_a_variable() -> None:
    Allowed(Path("/staging")).check_sources(["/data/${env:PGPASS}.csv"])


def test_those_who_read_the_sources_are_bound_as_well(tmp_path: Path) -> None:
    allowed = Allowed(
        tmp_path, roots=(tmp_path / "in",), env=frozenset({"PGPASS"}), secrets=(tmp_path / "token",)
    )

    access = replace(allowed.access, thread_bytes=7, threads=3)

    found = access_of(access_json(access))

    assert found == access
    assert (found.allowed_roots, found.allowed_env) == (
        (tmp_path, tmp_path / "in"),
        frozenset({"PGPASS"}),
    )
    assert tmp_path / "runs" in found.closed
    assert {tmp_path / "jobs.sqlite-wal", tmp_path / "token"} <= {*found.secrets}


def test_only_listed_buckets_are_read_and_written() -> None:
    bound = Allowed(Path("/staging"), buckets=frozenset({"books"}))

    bound.check_sources(["s3://books/a.csv?format=csv", "a.csv"])
    assert bound.output(request(output_path="s3://books/out")) == "s3://books/out"
    for bucket in ("other", "books.other", "Books", "books?x"):
        with pytest.raises(NotAllowed, match="--allowed-buckets"):
            bound.output(request(output_path=f"s3://{bucket}/out"))
    with pytest.raises(NotAllowed, match="--allowed-buckets"):
        bound.check_sources(["s3://other/books/a.csv"])


@pytest.mark.parametrize("uri", ["/proc/self/environ?format=csv", "/dev/fd/../environ"])
def test_what_the_kernel_tells_of_processes_is_no_source(uri: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        Allowed(tmp_path).check_sources([uri])


@pytest.mark.parametrize("name", ["jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "token"])
def test_a_hard_link_to_a_secret_is_as_secret(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("admin TOKEN")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").hardlink_to(tmp_path / name)
    allowed = Allowed(tmp_path, secrets=(tmp_path / "token",))

    with pytest.raises(NotAllowed):
        allowed.check_sources([f"{tmp_path}/in/a.csv"])


@pytest.mark.parametrize("source", ["", "runs", "runs/", "runs/mine/.."])
def test_the_coordinators_own_folders_are_no_source(source: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="own folder"):
        Allowed(tmp_path).check_sources([f"{tmp_path}/{source}"])


@pytest.mark.parametrize(
    "url", ["s3://bucket/a", "http://app:0/hook", "http://app:99999/x", "ftp://app/x"]
)
def test_a_callback_that_can_never_be_called_is_refused(url: str) -> None:
    with pytest.raises((InvalidUri, RecipeInvalid)):
        Allowed(Path("/staging")).check(request(callback_url=url))

"""What a coordinator with bounds lets requests name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_coordinator.jobs.allowed import Allowed
from kalla_core.errors import NotAllowed
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

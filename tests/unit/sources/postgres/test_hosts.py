"""The hosts that a Postgres URI may lead to."""

import pytest

from kalla_core.errors import InvalidUri
from kalla_core.sources.postgres.uri import hosts_of


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("postgres://db/books?table=t", {"db"}),
        ("postgresql://u:p@DB.Example:5432/books?table=t", {"db.example"}),
        ("postgres://u:${env:PG}@db/books?table=t", {"db"}),
        ("postgres://[::1]:5432/books?table=t", {"::1"}),
        ("postgres:///books?table=t", {""}),
        ("postgres:///books?table=t&host=/var/Run", {"/var/Run"}),
    ],
)
def test_the_host_of_a_uri_is_where_it_leads(uri: str, hosts: set[str]) -> None:
    assert hosts_of(uri) == hosts


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("postgres://db/books?table=t&host=other", "other"),
        ("postgres://db/books?table=t&hostaddr=10.0.0.1", "10.0.0.1"),
        ("postgres://db/books?table=t&host=db,other", "other"),
        ("postgres://db/books?table=t&host=db%2Cother", "other"),
        ("postgres://db:5432,other:5432/books?table=t", "other"),
        ("postgres://db%2Cother/books?table=t", "other"),
        ("postgres://d%62,[::1]:5432/books?table=t", "::1"),
        ("postgres://db,/books?table=t", ""),
        ("postgres://db/books?table=t&host=", ""),
        ("postgres://%6Fther/books?table=t", "other"),
        ("postgres://${env:HOST}/books?table=t", "${env"),
        ("postgres://db/books?table=t&service=other", "service=other"),
    ],
)
def test_no_spelling_of_another_host_is_missed(uri: str, other: str) -> None:
    assert other in hosts_of(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://user@other@db/books?table=t",
        "postgres://db/books@other?table=t",
        "postgres://db/books?table=t&%68ost=other",
        "postgres://db/books?table=t&host=db&host=other",
        "postgres://db/books?table=t#&host=other",
    ],
)
def test_what_drivers_could_read_in_another_way_is_refused(uri: str) -> None:
    with pytest.raises(InvalidUri):
        hosts_of(uri)

"""A password shows in no error text, however its URI is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import KallaError
from kalla_core.observe.secrets import mask_text
from kalla_core.sources.mysql.uri import mysql_hosts, parse_mysql_uri
from kalla_core.sources.postgres.uri import hosts_of, parse_postgres_uri
from kalla_core.sources.protocol import EVERYTHING
from kalla_core.sources.uri import mask, parse_file_uri
from tests.support.chance import often

MARKER = "SECRET"
SCHEMES = st.sampled_from(["postgres", "postgresql", "POSTGRES", "file", "mysql"])
SLASHES = st.sampled_from([":/", "://", ":///"])
ODD = st.sampled_from(["", "%2x", "%", " ", "@", ":", "/", "?", "#", "[", "\\", "%00", "ß", "\n"])
HOSTS = st.sampled_from(["h", "h:5432", "h:port", "[::1]", "a,b", ""])
TAILS = st.sampled_from(
    ["", "/db", "/db?table=t", "?table=t", "/db?table=t&sslmode=require", "/%2"]
)


@given(SCHEMES, SLASHES, ODD, ODD, HOSTS, TAILS)
@settings(max_examples=often(400))
def test_no_malformed_uri_tells_its_password(
    scheme: str, slashes: str, before: str, after: str, host: str, tail: str
) -> None:
    uri = f"{scheme}{slashes}u:{before}{MARKER}{after}@{host}{tail}"
    texts = [mask(uri)]
    for read in (
        lambda: parse_postgres_uri(uri, EVERYTHING),
        lambda: hosts_of(uri),
        lambda: parse_mysql_uri(uri, EVERYTHING),
        lambda: mysql_hosts(uri),
    ):
        try:
            read()
        except KallaError as error:
            texts += [str(error), repr(error.details)]
    if scheme == "file":
        try:
            parse_file_uri(uri)
        except KallaError as error:
            texts += [str(error), repr(error.details)]

    local = scheme == "file" and not uri.startswith("file://u")
    assert local or not any(MARKER in text for text in texts), texts
    assert all(mask_text(text) == mask_text(mask_text(text)) for text in texts)


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://u:%2xSECRET@h/db?table=t",
        "postgres://u:a SECRET@h/db?table=t",
        "postgres:/u:SECRET@h/db?table=t",
        "file://u:SECRET@h/a.csv",
        "postgres://u:SECRET",
        "postgres://u:SECRET/db?table=t",
        "postgres://u:a?SECRET@h/db?table=t",
        "mysql://u:a?SECRET@h/db?table=t",
    ],
)
def test_a_password_is_masked_where_people_mistype(uri: str) -> None:
    assert MARKER not in mask(uri)


def test_a_port_and_a_path_stay() -> None:
    assert mask("postgres://db:5432/x?table=t") == "postgres://db:5432/x?table=t"
    assert mask("postgres://a:1,b:2/x") == "postgres://a:1,b:2/x"
    assert mask("s3://bucket/a:b.csv") == "s3://bucket/a:b.csv"
    assert mask("/data/a:b@c.csv") == "/data/a:b@c.csv"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("sslkeylogfile=/tmp/x", "sslkeylogfile"),
        ("oauth_issuer=https://evil", "oauth_issuer"),
        ("oauth_client_id=x", "oauth_client_id"),
        ("gsslib=x", "gsslib"),
        ("SSLMODE=require", "sslmode"),
        ("aplication_name=x", "did you mean `application_name`"),
    ],
)
def test_only_options_that_are_known_to_be_harmless_reach_libpq(option: str, words: str) -> None:
    with pytest.raises(KallaError, match=words):
        parse_postgres_uri(f"postgres://h/db?table=t&{option}", EVERYTHING)

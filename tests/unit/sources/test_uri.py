import os
from pathlib import Path

import pytest

from kalla_core.errors import InvalidUri, NotAllowed
from kalla_core.recipe.source_format import AmountForm, SourceFormat
from kalla_core.sources.uri import (
    FileFormat,
    FileOptions,
    absolute,
    check_secrets,
    expand_secrets,
    mask,
    parse_file_uri,
    scheme_of,
)

PLUS, BLANKS = AmountForm.PLUS, AmountForm.BLANKS


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("data/in.csv", "data/in.csv"),
        ("/data/my file #1 (50%).csv", "/data/my file #1 (50%).csv"),
        ("what?.csv", "what?.csv"),
        ("what?.csv?header=false", "what?.csv"),
        ("file:///data/in.csv", "/data/in.csv"),
        ("file:/data/in.csv", "/data/in.csv"),
        ("file://localhost/data/in.csv", "/data/in.csv"),
        ("FILE:///data/my%20file%3Fheader=true.csv", "/data/my file?header=true.csv"),
        ("s3://bucket/a b.csv?format=csv", "s3://bucket/a b.csv"),
    ],
)
def test_a_path_is_taken_literally_and_a_file_uri_decoded(uri: str, location: str) -> None:
    assert parse_file_uri(uri).location == location


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", SourceFormat()),
        ("?delimiter=;", SourceFormat(delimiter=";")),
        ("?delimiter=%3B&header=false", SourceFormat(delimiter=";", header=False)),
        ("?delimiter=|&null=NULL&null=%5CN", SourceFormat(delimiter="|", nulls=("NULL", "\\N"))),
        ("?delimiter=tab", SourceFormat(delimiter="\t")),
        ("?delimiter=\\t", SourceFormat(delimiter="\t")),
        ("?delimiter=%09", SourceFormat(delimiter="\t")),
        ("?null=+", SourceFormat(nulls=("+",))),
        ("?null=N/A", SourceFormat(nulls=("N/A",))),
        ("?null=N/A&null=n/a&delimiter=;", SourceFormat(delimiter=";", nulls=("N/A", "n/a"))),
        ("?delimiter=/&null=?", SourceFormat(delimiter="/", nulls=("?",))),
        ("?null=a=b?null=c", SourceFormat(nulls=("a=b?null=c",))),
        ("?null=-/-&header=false", SourceFormat(nulls=("-/-",), header=False)),
        ("?header=TRUE", SourceFormat(header=True)),
        ("?header=0&skip_first=3", SourceFormat(header=False, skip_first=3)),
        ("?header=12&skip_last=1", SourceFormat(header=12, skip_last=1)),
        ("?header=Buchungstag", SourceFormat(header="Buchungstag")),
        ("?encoding=latin1&decimal=,", SourceFormat(encoding="iso8859-1", decimal=",")),
        ("?date=%d.%m.%Y&date=%25d/%m/%y", SourceFormat(dates=("%d.%m.%Y", "%d/%m/%y"))),
        ("?trailing_delimiter=yes", SourceFormat(trailing_delimiter=True)),
        ("?true=Y&false=N", SourceFormat(true_words=("Y",), false_words=("N",))),
        ("?amounts=plus&amounts=blanks", SourceFormat(amounts=(PLUS, BLANKS))),
        ("?amounts=all", SourceFormat(amounts=tuple(AmountForm))),
        ("?row_number=line&stop=Total", SourceFormat(row_number="line", stop="Total")),
    ],
)
def test_options_follow_the_last_question_mark(query: str, options: SourceFormat) -> None:
    assert parse_file_uri(f"in.csv{query}").options == FileOptions(written=options)


@pytest.mark.parametrize("word", ["csv", "CSV", "Csv"])
def test_what_files_are_is_an_option_in_any_case(word: str) -> None:
    options = parse_file_uri(f"in.data?format={word}&decimal=,").options

    assert options == FileOptions(FileFormat.CSV, SourceFormat(decimal=","))


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("in.csv?delimeter=;", "unknown option `delimeter`. Did you mean `delimiter`"),
        ("in.csv?password=hunter2", "unknown option"),
        ("in.csv?delimiter=;;", "one ASCII character"),
        ("in.csv?delimiter=%22", "one ASCII character"),
        ("in.csv?delimiter=é", "one ASCII character"),
        ("in.csv?delimiter=", "one ASCII character"),
        ("in.xlsx?sheet=0", "Must be a sheet's name, or its number from 1, not 0"),
        ("in.csv?header=", "Must be a line's number from 1 to 1000, what that line starts with"),
        ("in.csv?skip_last=some", "`skip_last`: Must be a whole number"),
        ("in.csv?trailing_delimiter=some", "Must be true or false"),
        ("in.csv?date=%d.%m", "`%d.%m` needs one directive for the year"),
        ("in.csv?date=%d&stop=(&amounts=roman", "`stop`: Must be a regular expression"),
        ("in.csv?format=docx", "or `xlsx`, not `docx`"),
        ("in.csv?header=true&header=false", "more than once"),
        ("file://otherhost/in.csv", "host otherhost"),
        ("file://", "names no file"),
        ("?header=true", "names no file"),
    ],
)
def test_what_cannot_be_understood_is_an_error_that_says_why(uri: str, says: str) -> None:
    with pytest.raises(InvalidUri) as caught:
        parse_file_uri(uri)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("a.csv", "file"),
        ("C:\\a.csv", "file"),
        ("file:///a.csv", "file"),
        ("S3://bucket/a.csv", "s3"),
        ("postgres://host/db?table=t", "postgres"),
    ],
)
def test_the_scheme_of_a_path_is_file(uri: str, scheme: str) -> None:
    assert scheme_of(uri) == scheme


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("in.csv", "/base/in.csv"),
        ("../in.csv?header=false", "/in.csv?header=false"),
        ("folder/", "/base/folder/"),
        ("/elsewhere/in.csv", "/elsewhere/in.csv"),
        ("file:///elsewhere/a%3Fnull=b.csv", "file:///elsewhere/a%3Fnull%3Db.csv"),
        ("s3://bucket/in.csv", "s3://bucket/in.csv"),
        ("postgres://host/db?table=t", "postgres://host/db?table=t"),
    ],
)
def test_relative_paths_are_completed_and_stay_what_they_were(uri: str, expected: str) -> None:
    found = absolute(uri, Path("/base"))

    assert found == expected
    assert absolute(found, Path("/other")) == found


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("data/in@home:5.csv", "data/in@home:5.csv"),
        ("postgres://user:secret@host:5432/db?table=t", "postgres://user:***@host:5432/db?table=t"),
        ("postgres://user@host:5432/db?table=t", "postgres://user@host:5432/db?table=t"),
        ("postgres://host:5432/db?table=t", "postgres://host:5432/db?table=t"),
        ("postgres://user:${env:PGPASS}@host/db", "postgres://user:***@host/db"),
        (
            "postgres://host/db?user=u&password=secret&table=t",
            "postgres://host/db?user=u&password=***&table=t",
        ),
        (
            "s3://bucket/key.csv?secret_access_key=secret",
            "s3://bucket/key.csv?secret_access_key=***",
        ),
    ],
)
def test_secrets_are_masked_and_the_rest_is_shown(uri: str, shown: str) -> None:
    assert mask(uri) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://user:SECRET@x/y@host/db",
        "postgres://user:a/SECRET@host/db",
        "postgres://user:a?SECRET@host/db",
        "postgres://user:a@SECRET@host/db",
        "postgres://user:SECRET@",
        "postgres://host/db?sslpassword=SECRET",
        "postgres://host/db?PASSWORD=SECRET",
        "postgres://host/db?a=b&aws_session_token=SECRET",
    ],
)
def test_no_secret_is_shown_of_a_uri_that_is_not_well_formed(uri: str) -> None:
    assert "SECRET" not in mask(uri)


def test_secrets_come_from_the_environment_percent_encoded() -> None:
    uri = "postgres://user:${env:PGPASS}@host/db"

    assert expand_secrets(uri, {"PGPASS": "p@ss/word"}) == "postgres://user:p%40ss%2Fword@host/db"


def test_a_secret_that_is_not_set_is_told_by_its_name() -> None:
    with pytest.raises(InvalidUri, match="variable PGPASS"):
        expand_secrets("postgres://user:${env:PGPASS}@host/db", {})


def test_a_service_gives_sources_only_the_variables_that_its_operator_allows() -> None:
    uri = "postgres://user:${env:PGPASS}@host/${env:PATH}"
    check_secrets(uri, None)
    check_secrets(uri, {"PGPASS", "PATH"})
    check_secrets("postgres://user@host/db", ())

    with pytest.raises(NotAllowed, match=r"variable PATH, .*\(KALLA_ALLOWED_ENV\)") as told:
        check_secrets(uri, {"PGPASS"})

    assert told.value.code == "not_allowed"
    assert (told.value.details["variable"], told.value.details["setting"]) == (
        "PATH",
        "KALLA_ALLOWED_ENV",
    )
    assert os.environ["PATH"] not in str(told.value)

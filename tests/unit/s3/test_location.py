"""Addresses in S3."""

import pytest

from kalla_core.errors import InvalidUri
from kalla_core.s3.location import S3Location, is_s3


@pytest.mark.parametrize(
    ("uri", "bucket", "key", "is_folder"),
    [
        ("s3://data/in/a.csv", "data", "in/a.csv", False),
        ("S3://data/in/", "data", "in/", True),
        ("s3://data", "data", "", True),
        ("s3://data/", "data", "", True),
        ("s3://data/a b/%41#x.csv", "data", "a b/%41#x.csv", False),
    ],
)
def test_an_address_is_a_bucket_and_a_key_taken_literally(
    uri: str, bucket: str, key: str, is_folder: bool
) -> None:
    found = S3Location.parse(uri)

    assert (found.bucket, found.key, found.is_folder) == (bucket, key, is_folder)
    assert S3Location.parse(str(found)) == found


def test_what_lies_below_an_address_has_one_slash_in_between() -> None:
    names = [str(S3Location("b", key).below("m")) for key in ("", "runs/1", "runs/1/")]

    assert names == ["s3://b/m", "s3://b/runs/1/m", "s3://b/runs/1/m"]


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://KEY:hushhush@b/k", "/a/b", "s3:/b/k"])
def test_an_address_without_a_bucket_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InvalidUri, match="s3://bucket/key") as raised:
        S3Location.parse(uri)

    assert "hushhush" not in str(raised.value)


@pytest.mark.parametrize("key", ["../other/a.csv", "in/../../other", "..", "in/.", "./a.csv"])
def test_a_key_that_would_lead_into_another_bucket_were_it_a_path_is_refused(key: str) -> None:
    with pytest.raises(InvalidUri, match=r"no steps"):
        S3Location.parse(f"s3://allowed/{key}")

    assert S3Location.parse("s3://allowed/in/..a/b..csv").key == "in/..a/b..csv"


def test_a_path_is_not_taken_for_an_address() -> None:
    assert [is_s3(text) for text in ("s3://b", "S3://b", "s3/b", "file:///s3://b")] == [
        True,
        True,
        False,
        False,
    ]

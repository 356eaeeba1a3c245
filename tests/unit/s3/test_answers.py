"""What the failures of the client library mean."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from kalla_core.s3.answers import error_of
from kalla_core.s3.troubles import Trouble


def answer(code: str, status: int, said: str = "") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": said}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "trouble"),
    [
        ("NoSuchBucket", 404, Trouble.NO_BUCKET),
        ("NoSuchKey", 404, Trouble.NO_KEY),
        ("404", 404, Trouble.NO_KEY),
        ("403", 403, Trouble.DENIED),
        ("AccessDenied", 403, Trouble.DENIED),
        ("ExpiredToken", 400, Trouble.CREDENTIALS),
        ("PreconditionFailed", 412, Trouble.CHANGED),
        ("NotImplemented", 501, Trouble.UNSUPPORTED),
        ("SlowDown", 503, Trouble.BUSY),
        ("NeverHeardOf", 500, Trouble.BUSY),
        ("NeverHeardOf", 429, Trouble.BUSY),
        ("NeverHeardOf", 400, Trouble.REFUSED),
    ],
)
def test_an_answer_is_told_by_its_code_and_else_by_its_status(
    code: str, status: int, trouble: Trouble
) -> None:
    assert error_of(answer(code, status)).trouble is trouble


@pytest.mark.parametrize(
    ("cause", "trouble"),
    [
        (EndpointConnectionError(endpoint_url="http://x"), Trouble.BUSY),
        (ReadTimeoutError(endpoint_url="http://x"), Trouble.BUSY),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Trouble.BUSY),
        (SSLError(endpoint_url="https://x", error="self-signed"), Trouble.REFUSED),
        (NoCredentialsError(), Trouble.CREDENTIALS),
    ],
)
def test_what_is_lost_on_the_way_may_pass_and_what_is_set_up_wrong_may_not(
    cause: Exception, trouble: Trouble
) -> None:
    assert error_of(cause).trouble is trouble  # type: ignore[arg-type]


def test_what_the_store_says_is_in_the_sentence_and_an_answer_without_words_is_marked() -> None:
    said = error_of(answer("ExpiredToken", 400, "The token has expired."))
    silent = error_of(answer("403", 403))

    assert said.sentence.endswith("(ExpiredToken: The token has expired).")
    assert (said.unexplained, silent.unexplained) == (False, True)

"""What went wrong with S3, told from what the client library raises. Pure.

Only imported where something is asked of S3: the client library takes long to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)

from kalla_core.s3.troubles import S3Error, Trouble

_CODES: Mapping[str, Trouble] = {
    "NoSuchBucket": Trouble.NO_BUCKET,
    "NoSuchKey": Trouble.NO_KEY,
    "NoSuchUpload": Trouble.NO_KEY,
    "NoSuchVersion": Trouble.NO_KEY,
    "NotFound": Trouble.NO_KEY,
    "404": Trouble.NO_KEY,
    "AccessDenied": Trouble.DENIED,
    "AllAccessDisabled": Trouble.DENIED,
    "AccountProblem": Trouble.DENIED,
    "403": Trouble.DENIED,
    "InvalidAccessKeyId": Trouble.CREDENTIALS,
    "SignatureDoesNotMatch": Trouble.CREDENTIALS,
    "ExpiredToken": Trouble.CREDENTIALS,
    "ExpiredTokenException": Trouble.CREDENTIALS,
    "InvalidToken": Trouble.CREDENTIALS,
    "InvalidClientTokenId": Trouble.CREDENTIALS,
    "TokenRefreshRequired": Trouble.CREDENTIALS,
    "InvalidSecurity": Trouble.CREDENTIALS,
    "AuthFailure": Trouble.CREDENTIALS,
    "RequestTimeTooSkewed": Trouble.CREDENTIALS,
    "AuthorizationHeaderMalformed": Trouble.CREDENTIALS,
    "PreconditionFailed": Trouble.CHANGED,
    "412": Trouble.CHANGED,
    "InvalidRange": Trouble.CHANGED,
    "416": Trouble.CHANGED,
    "ConditionalRequestConflict": Trouble.CONFLICT,
    "OperationAborted": Trouble.CONFLICT,
    "NotImplemented": Trouble.UNSUPPORTED,
    "SlowDown": Trouble.BUSY,
    "ServiceUnavailable": Trouble.BUSY,
    "InternalError": Trouble.BUSY,
    "RequestTimeout": Trouble.BUSY,
    "RequestTimeoutException": Trouble.BUSY,
    "Throttling": Trouble.BUSY,
    "ThrottlingException": Trouble.BUSY,
    "RequestLimitExceeded": Trouble.BUSY,
    "BadDigest": Trouble.BUSY,
    "IncompleteBody": Trouble.BUSY,
}
_STATUSES: Mapping[int, Trouble] = {
    401: Trouble.CREDENTIALS,
    403: Trouble.DENIED,
    404: Trouble.NO_KEY,
    408: Trouble.BUSY,
    409: Trouble.CONFLICT,
    412: Trouble.CHANGED,
    416: Trouble.CHANGED,
    429: Trouble.BUSY,
    501: Trouble.UNSUPPORTED,
}
_SENTENCES: Mapping[Trouble, str] = {
    Trouble.NO_BUCKET: "cannot be found: there is no such bucket.",
    Trouble.NO_KEY: "does not exist.",
    Trouble.DENIED: "may not be used by these credentials, or does not exist: access denied.",
    Trouble.CHANGED: "has changed.",
}
_WITHOUT_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    NoAuthTokenError,
    UnknownCredentialError,
    ProfileNotFound,
    SSOError,
    LoginError,
)
_LOST_ON_THE_WAY = (ConnectionError, HTTPClientError, IncompleteReadError)


def error_of(cause: BotoCoreError | ClientError) -> S3Error:
    """Return what an error of the client library means."""
    if isinstance(cause, ClientError):
        return _of_answer(cause)
    if isinstance(cause, _WITHOUT_CREDENTIALS):
        return S3Error(Trouble.CREDENTIALS, f"cannot be asked for: {_words(cause)}.")
    if isinstance(cause, SSLError):
        return S3Error(Trouble.REFUSED, f"cannot be reached safely: {_words(cause)}.")
    if isinstance(cause, _LOST_ON_THE_WAY):
        return S3Error(Trouble.BUSY, f"does not answer: {_words(cause)}.")
    return S3Error(Trouble.REFUSED, f"cannot be asked for: {_words(cause)}.")


def _of_answer(cause: ClientError) -> S3Error:
    answer: Mapping[str, Any] = cause.response
    code = str(answer.get("Error", {}).get("Code", ""))
    said = str(answer.get("Error", {}).get("Message", "")).strip().rstrip(".")
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    trouble = _CODES.get(code) or _STATUSES.get(status)
    if trouble is None:
        trouble = Trouble.BUSY if status >= 500 else Trouble.REFUSED
    sentence = _SENTENCES.get(trouble)
    if sentence is None:
        about = ": ".join(filter(None, (code, said))) or f"HTTP status {status}"
        is_key = trouble is Trouble.CREDENTIALS
        who = "was refused because of the credentials" if is_key else "was refused"
        sentence = f"{'is busy' if trouble is Trouble.BUSY else who} ({about})."
    return S3Error(trouble, sentence, unexplained=code.isdigit())


def _words(cause: Exception) -> str:
    text = str(cause).strip().rstrip(".")
    return text[:1].lower() + text[1:]

"""Requests to one bucket, each tried as often as the settings say. Safe to use from threads.

The client library takes long to load, and few runs need it: it is imported by the first request.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from kalla_core.errors import InvalidSetting
from kalla_core.s3.retry import RequestRetry
from kalla_core.s3.troubles import S3Error, Trouble

if TYPE_CHECKING:
    from kalla_core.settings.s3 import S3Settings

T = TypeVar("T")

_CONNECTIONS = 32
_DEFAULT_REGION = "us-east-1"
_OURS = ("AWS_", "KALLA_S3_")
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object as it is now.

    Attributes:
        etag: without its quotes.
        version: None where the bucket keeps no versions, or nobody asked for it.
    """

    key: str
    size_bytes: int
    etag: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class SmallObject:
    """All of an object; `age_s` is seconds since it was written, by the clock of the store."""

    body: bytes
    etag: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies right in a folder: objects, and the prefixes of folders in it; both sorted."""

    objects: tuple[S3Object, ...]
    folders: tuple[str, ...]


class Bucket:
    """One bucket. All methods raise `S3Error`, never what the client library raises."""

    def __init__(self, name: str, client: Any, retry: RequestRetry) -> None:
        self.name = name
        self._client = client
        self._retry = retry

    def ask(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """Carry out an operation, named as botocore does, whose answer has no body to read."""

        def attempt() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(self._client, operation)(
                Bucket=self.name, **arguments
            )
            return answer

        return self._tried(attempt)

    def read(self, which: S3Object, start: int, end: int, stop: threading.Event) -> bytes:
        """Return the bytes `[start, end)` of an object that is still what it was.

        Raises:
            S3Error: `CHANGED` when it is not; `BUSY` also when `stop` was set meanwhile.
        """
        from botocore.exceptions import IncompleteReadError

        def attempt() -> bytes:
            answer = self._client.get_object(
                Bucket=self.name,
                Key=which.key,
                Range=f"bytes={start}-{end - 1}",
                IfMatch=f'"{which.etag}"',
            )
            with closing(answer["Body"]) as body:
                if _differs(_object(which.key, answer), which):
                    raise S3Error(Trouble.CHANGED, "has changed.")
                data: bytes = body.read()
            if len(data) != end - start:
                raise IncompleteReadError(actual_bytes=len(data), expected_bytes=end - start)
            return data

        return self._tried(attempt, stop)

    def get(self, key: str) -> SmallObject:
        """Return all of a small object."""

        def attempt() -> SmallObject:
            answer = self._client.get_object(Bucket=self.name, Key=key)
            with closing(answer["Body"]) as body:
                return SmallObject(body.read(), _object(key, answer).etag, _age_s(answer))

        return self._tried(attempt)

    def head(self, key: str) -> S3Object:
        """Return what an object is."""
        try:
            return _object(key, self.ask("head_object", Key=key))
        except S3Error as error:
            if error.unexplained and error.trouble is not Trouble.NO_KEY:
                self._explain(key)
            raise

    def list(self, prefix: str, delimiter: str = "") -> Listing:
        """Return all objects whose key begins with `prefix`, page after page.

        Args:
            prefix: where to look.
            delimiter: `/` leaves what lies in folders below to the folders.
        """
        objects: list[S3Object] = []
        folders: list[str] = []
        for page in self._pages(
            "list_objects_v2", "ContinuationToken", Prefix=prefix, Delimiter=delimiter
        ):
            objects += [
                S3Object(one["Key"], one["Size"], one["ETag"].strip('"'))
                for one in page.get("Contents", ())
            ]
            folders += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
        return Listing(tuple(objects), tuple(folders))

    def put(self, key: str, body: bytes, *, expected: str | None = None) -> str | None:
        """Write a small object if the key is as expected; return its ETag, None if it was not.

        Args:
            key: where.
            body: what.
            expected: ETag of what is to be replaced; None where nothing may be there.

        A store without conditional writes writes in any case.
        """
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": f'"{expected}"'}
        try:
            answer = self.ask("put_object", Key=key, Body=body, **condition)
        except S3Error as error:
            if error.trouble is Trouble.UNSUPPORTED:
                return str(self.ask("put_object", Key=key, Body=body)["ETag"]).strip('"')
            if error.trouble in (Trouble.CHANGED, Trouble.NO_KEY):
                return self._etag_if(key, body)
            raise
        return str(answer["ETag"]).strip('"')

    def delete(self, key: str) -> None:
        """Remove an object; that it is not there is fine."""
        self.ask("delete_object", Key=key)

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield key and id of each upload below a prefix that nobody has completed."""
        marker: dict[str, Any] = {}
        while True:
            page = self.ask("list_multipart_uploads", Prefix=prefix, **marker)
            for one in page.get("Uploads", ()):
                yield one["Key"], one["UploadId"]
            if not page.get("IsTruncated"):
                return
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def _etag_if(self, key: str, body: bytes) -> str | None:
        """Return the ETag of an object with this content: an answer to its write was lost."""
        try:
            found = self.get(key)
        except S3Error as error:
            if error.trouble is Trouble.NO_KEY:
                return None
            raise
        return found.etag if found.body == body else None

    def _explain(self, key: str) -> None:
        """Ask for a byte, because a refusal of that says why; raise what it says."""

        def attempt() -> None:
            answer = self._client.get_object(Bucket=self.name, Key=key, Range="bytes=0-0")
            answer["Body"].close()

        self._tried(attempt)

    def _pages(self, operation: str, token: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        following: dict[str, Any] = {}
        while True:
            page = self.ask(operation, **arguments, **following)
            yield page
            if not page.get("IsTruncated"):
                return
            following = {token: page[f"Next{token}"]}

    def _tried(self, attempt: Callable[[], T], stop: threading.Event | None = None) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        from kalla_core.s3.answers import error_of

        begun = time.monotonic()
        waiting = stop or threading.Event()
        tried = 0
        while True:
            try:
                return attempt()
            except (BotoCoreError, ClientError) as cause:
                error = error_of(cause)
            tried += 1
            elapsed = time.monotonic() - begun
            wait = self._retry.wait_s(error.trouble, tried, elapsed, random.random())  # noqa: S311 - only spreads load
            if wait is None or waiting.wait(wait):
                raise error from None


def bucket(
    name: str, settings: S3Settings | None = None, keys: tuple[str, str] | None = None
) -> Bucket:
    """Return a bucket, as the settings of this process say where and how.

    Args:
        name: of the bucket.
        settings: in place of those of the environment.
        keys: name and secret of a key; None for what every AWS tool would find.

    Raises:
        InvalidSetting: an address that is none, or is http:// without AWS_ALLOW_HTTP.
        S3Error: the profile that is to be used is not there.
    """
    own = tuple(sorted((k, v) for k, v in os.environ.items() if k.upper().startswith(_OURS)))
    with _making:
        found = _settings(own) if settings is None else settings
        _check_endpoint(found)
        retry = RequestRetry(found.attempts, found.retry_timeout.total_seconds())
        return Bucket(name, _client(found, own, keys), retry)


@lru_cache(maxsize=16)
def _settings(_environment: tuple[tuple[str, str], ...]) -> S3Settings:
    """Read the settings, once for the same variables: that takes as long as a request."""
    from kalla_core.settings.s3 import load_s3_settings

    return load_s3_settings()


@lru_cache(maxsize=16)
def _client(
    settings: S3Settings,
    _environment: tuple[tuple[str, str], ...],
    keys: tuple[str, str] | None,
) -> Any:
    """Make a client, or take the one that was made under the same settings and credentials."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    from kalla_core.s3.answers import error_of

    name, secret = keys or (None, None)
    config = Config(
        connect_timeout=settings.connect_timeout.total_seconds(),
        read_timeout=settings.read_timeout.total_seconds(),
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": settings.addressing_style},
        request_checksum_calculation="when_required",  # others than AWS know no checksums
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if settings.anonymous else None,
    )
    try:
        session = Session()
        return session.create_client(
            "s3",
            region_name=settings.region or session.get_config_variable("region") or _DEFAULT_REGION,
            endpoint_url=settings.endpoint_url,
            aws_access_key_id=name,
            aws_secret_access_key=secret,
            config=config,
        )
    except (BotoCoreError, ValueError) as cause:
        if isinstance(cause, BotoCoreError):
            raise error_of(cause) from cause
        raise InvalidSetting(f"S3 cannot be set up: {cause}.") from cause


def _check_endpoint(settings: S3Settings) -> None:
    endpoint = settings.endpoint_url
    if endpoint is None:
        return
    scheme = endpoint.partition("://")[0].lower()
    if scheme == "http" and not settings.allow_http:
        raise InvalidSetting(
            "The address of S3 begins with http://, over which rows and evidence travel without"
            " encryption. Use https://, or set AWS_ALLOW_HTTP=true.",
            settings=["AWS_ALLOW_HTTP"],
        )
    if scheme not in ("http", "https"):
        raise InvalidSetting(
            "The address of S3 is one like https://minio.example:9000.",
            settings=["AWS_ENDPOINT_URL"],
        )


def _object(key: str, answer: Mapping[str, Any]) -> S3Object:
    version = answer.get("VersionId")
    return S3Object(
        key=key,
        size_bytes=int(answer["ContentLength"]),
        etag=str(answer["ETag"]).strip('"'),
        version=None if version in (None, "null") else str(version),
    )


def _age_s(answer: Mapping[str, Any]) -> float:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = datetime.now(UTC) if date is None else parsedate_to_datetime(date)
    written: datetime = answer["LastModified"]
    return (now - written).total_seconds()


def _differs(now: S3Object, then: S3Object) -> bool:
    """Whether an answer is of another state; a store may not know of conditions."""
    versions = (now.version, then.version)
    return now.etag != then.etag or (None not in versions and versions[0] != versions[1])

"""Settings of S3 and stores that speak its language.

Credentials are not among them: they come the way every AWS tool finds them (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, a profile, a web identity, the role of the
container or of the machine), and are renewed before they expire.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from kalla_core import units
from kalla_core.settings.declare import Declared, load, setting


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    return units.parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class S3Settings(Declared):
    """Where S3 is, and how long it is waited for."""

    endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
        shown="that of AWS in the region",
        meaning="Address of an S3-compatible store, as `https://minio.example:9000`.",
        default=None,
    )
    allow_http: bool = setting(
        "AWS_ALLOW_HTTP",
        shown="off",
        meaning="Let the address be `http://`, so that rows travel without encryption.",
        default=False,
    )
    region: str | None = setting(
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        shown="that of the profile, else us-east-1",
        meaning="Region of the buckets.",
        default=None,
    )
    path_style: bool | None = setting(
        "KALLA_S3_PATH_STYLE",
        shown="on with an address of its own, off with AWS",
        meaning="Name the bucket in the path instead of in the host.",
        default=None,
    )
    anonymous: bool = setting(
        "AWS_SKIP_SIGNATURE",
        shown="off",
        meaning="Ask without credentials, as public buckets allow.",
        default=False,
    )
    connect_timeout: Duration = setting(
        "KALLA_S3_CONNECT_TIMEOUT",
        shown="5s",
        meaning="How long a connection may take.",
        default=timedelta(seconds=5),
        gt=timedelta(0),
    )
    read_timeout: Duration = setting(
        "KALLA_S3_READ_TIMEOUT",
        shown="20s",
        meaning="How long nothing may come before the request counts as failed.",
        default=timedelta(seconds=20),
        gt=timedelta(0),
    )
    attempts: int = setting(
        "KALLA_S3_ATTEMPTS",
        shown="6",
        meaning="How often a request is tried, with longer and longer waits in between.",
        default=6,
        ge=1,
        le=100,
    )
    retry_timeout: Duration = setting(
        "KALLA_S3_RETRY_TIMEOUT",
        shown="60s",
        meaning="A request is not tried again when so much time has passed since the first try.",
        default=timedelta(seconds=60),
        ge=timedelta(0),
    )

    @property
    def addressing_style(self) -> str:
        """`path` or `virtual`, as botocore calls them."""
        wanted = self.endpoint_url is not None if self.path_style is None else self.path_style
        return "path" if wanted else "virtual"


def load_s3_settings() -> S3Settings:
    """Read the settings of S3; see `load`."""
    return load(S3Settings)

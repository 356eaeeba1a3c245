"""A real S3 API server for tests, one for each process that runs them; it ends with them.

It is moto. What it does as AWS does, as far as Kalla needs it: If-Match and If-None-Match on
GET, PUT and the completion of uploads, ranges, listings in pages, versions, codes of missing
buckets and keys. What it does not: it takes any credentials, is never busy, and tells no
half-truths; those the tests bring about with `tests.support.s3_proxy`.
"""

import atexit
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session

KEY_ID, SECRET = "AKIATESTTESTTESTTEST", "a-very-secret-access-key"
_PATIENCE_S = 60


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint: str

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables by which Kalla finds it; at another address if there is a proxy."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def bucket(self, name: str) -> "TestBucket":
        """Return a bucket that is there."""
        return TestBucket(name, _client(self.endpoint))

    def new_bucket(self, versions: bool = False) -> "TestBucket":
        """Make a bucket of its own for a test."""
        made = TestBucket(f"kalla-{uuid.uuid4().hex[:12]}", _client(self.endpoint))
        made.client.create_bucket(
            Bucket=made.name,
            CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        )
        if versions:
            made.client.put_bucket_versioning(
                Bucket=made.name, VersioningConfiguration={"Status": "Enabled"}
            )
        return made


@dataclass(frozen=True)
class TestBucket:
    """A bucket, seen past Kalla."""

    __test__ = False

    name: str
    client: Any

    def put(self, key: str, body: bytes) -> str:
        """Write an object; return its address."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"s3://{self.name}/{key}"

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self) -> set[str]:
        """Return all keys."""
        answer = self.client.list_objects_v2(Bucket=self.name)
        return {one["Key"] for one in answer.get("Contents", ())}

    def uploads(self) -> set[str]:
        """Return the keys of uploads that nobody has completed."""
        answer = self.client.list_multipart_uploads(Bucket=self.name)
        return {one["Key"] for one in answer.get("Uploads", ())}


@cache
def s3_server() -> S3Server:
    """Return the server of this process, started at the first call."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, process)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, "the S3 server did not start"
    return S3Server(f"http://127.0.0.1:{port}")


@cache
def _client(endpoint: str) -> Any:
    return Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}),
    )


def set_variables(monkeypatch: Any, variables: Mapping[str, str]) -> None:
    """Set variables for a test, and take those away that would lead elsewhere."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()

"""`s3://bucket/key`, taken apart. Keys are taken literally: nothing in them is percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kalla_core.errors import InvalidUri

SCHEME = "s3://"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_STEPS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class S3Location:
    """An object or, if `key` is empty or ends with `/`, everything whose key begins with it."""

    bucket: str
    key: str

    @staticmethod
    def parse(uri: str) -> S3Location:
        """Take a URI without options apart.

        Raises:
            InvalidUri: it names no bucket, and what it does name is not told, it may be a secret;
                or a step of its key is `.` or `..`: whatever tidies addresses on the way to the
                store would make another bucket of that.
        """
        bucket, _, key = uri[len(SCHEME) :].partition("/")
        if not is_s3(uri) or not _BUCKET.fullmatch(bucket):
            raise InvalidUri(
                "An S3 address is `s3://bucket/key` or `s3://bucket/folder/`. Credentials do not"
                " belong into it: they come from the environment, as for every AWS tool."
            )
        if _STEPS.intersection(key.split("/")):
            raise InvalidUri("A key in S3 has no steps `.` or `..` between its slashes.")
        return S3Location(bucket, key)

    @property
    def is_folder(self) -> bool:
        """Whether this can only be a prefix of keys."""
        return self.key == "" or self.key.endswith("/")

    def as_folder(self) -> S3Location:
        """Return the prefix of all keys below this one."""
        return self if self.is_folder else S3Location(self.bucket, f"{self.key}/")

    def below(self, name: str) -> S3Location:
        """Return what `name` is below this folder."""
        return S3Location(self.bucket, f"{self.as_folder().key}{name}")

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def is_s3(text: str) -> bool:
    """Whether a text is meant as an address in S3."""
    return text[: len(SCHEME)].lower() == SCHEME

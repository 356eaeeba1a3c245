"""A local file into a key that stays invisible until somebody, anywhere, completes it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kalla_core.s3.bucket import Bucket
from kalla_core.s3.troubles import S3Error, Trouble

PART_BYTES = 8 << 20
MOST_PARTS = 10_000
_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A file whose bytes are all at the store, and which nobody can see. Plain data.

    Attributes:
        etags: of its parts, in order.
    """

    key: str
    upload_id: str
    etags: tuple[str, ...]
    size_bytes: int


def upload(bucket: Bucket, path: Path, key: str) -> PendingUpload:
    """Bring a file's bytes to the store, some parts at once; a few parts are held in memory.

    A failure aborts the upload, as far as the store still answers.

    Raises:
        S3Error: the store does not take it.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    upload_id = begin(bucket, key)
    pool = ThreadPoolExecutor(_AT_ONCE, "upload")
    try:
        etags = pool.map(
            lambda piece: _upload_part(bucket, path, key, upload_id, *piece), _pieces(size)
        )
        return PendingUpload(key, upload_id, tuple(etags), size)
    except BaseException:
        pool.shutdown(cancel_futures=True)
        with suppress(S3Error):
            abort_by_id(bucket, key, upload_id)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def begin(bucket: Bucket, key: str) -> str:
    """Begin an upload whose parts are put one by one; return its id."""
    return str(bucket.ask("create_multipart_upload", Key=key)["UploadId"])


def put_part(bucket: Bucket, key: str, upload_id: str, number: int, data: bytes) -> str:
    """Put a part of an upload, from 1 on, all but the last of 5 MiB or more; return its ETag."""
    digest = hashlib.md5(data, usedforsecurity=False).digest()  # what every store checks
    answer = bucket.ask(
        "upload_part",
        Key=key,
        UploadId=upload_id,
        PartNumber=number,
        Body=data,
        ContentMD5=base64.b64encode(digest).decode(),
    )
    return str(answer["ETag"])


def complete(bucket: Bucket, pending: PendingUpload) -> None:
    """Let the file appear under its key, in the place of what was there. Safe to repeat.

    Raises:
        S3Error: `NO_KEY` when the upload is gone and the file is not there either.
    """
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(pending.etags, start=1)]
    try:
        bucket.ask(
            "complete_multipart_upload",
            Key=pending.key,
            UploadId=pending.upload_id,
            MultipartUpload={"Parts": parts},
        )
    except S3Error as error:
        if error.trouble is not Trouble.NO_KEY or not _is_there(bucket, pending):
            raise


def abort(bucket: Bucket, pending: PendingUpload) -> None:
    """Forget the bytes; that it has ended already is fine."""
    abort_by_id(bucket, pending.key, pending.upload_id)


def abort_by_id(bucket: Bucket, key: str, upload_id: str) -> None:
    """Forget the bytes of an upload of which nothing else is known."""
    try:
        bucket.ask("abort_multipart_upload", Key=key, UploadId=upload_id)
    except S3Error as error:
        if error.trouble is not Trouble.NO_KEY:
            raise


def _pieces(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each part; an empty file is one empty part."""
    part = max(PART_BYTES, -(-size // MOST_PARTS))
    for number, start in enumerate(range(0, max(size, 1), part), start=1):
        yield number, start, min(start + part, size)


def _upload_part(
    bucket: Bucket, path: Path, key: str, upload_id: str, number: int, start: int, end: int
) -> str:
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(end - start)
    return put_part(bucket, key, upload_id, number, data)


def _is_there(bucket: Bucket, pending: PendingUpload) -> bool:
    """Whether the upload was completed, by an earlier try whose answer was lost."""
    try:
        found = bucket.head(pending.key)
    except S3Error:
        return False
    expected = _joint_etag(pending.etags)
    return found.size_bytes == pending.size_bytes and expected in (None, found.etag)


def _joint_etag(etags: tuple[str, ...]) -> str | None:
    """Return the ETag of the whole, where those of its parts are MD5 sums."""
    try:
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    except ValueError:
        return None
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"

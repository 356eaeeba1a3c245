"""Part files of other processes, moved to where nobody else writes, and checked there.

Executors write into a folder that all of them share; one that was given up may go on writing into
it for a while. What is committed is therefore moved out of it, file by file, and only then looked
at: a regular file with no other name, as long as was reported, with the rows and the SHA-256 that
were reported. In S3 an upload becomes an object when it is completed, and is looked at then.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kalla_core.errors import EvidenceDamaged
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.footer import FooterError, read_footer, rows_of
from kalla_core.evidence.held import open_held
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.s3.bucket import Bucket
from kalla_core.s3.ranges import RangeReader

_THREADS = 4
_LARGEST_FOOTER = 64 << 20


def collect(shared: Path, staging: Path, files: Sequence[WrittenFile]) -> None:
    """Move the files named from one folder to another, and check them.

    Args:
        shared: where other processes wrote; on the file system of `staging`.
        staging: this process's own; folders in it are made as needed.
        files: as they were reported, named `OUTPUT.parquet/PART.parquet`.

    Raises:
        EvidenceDamaged: one is not there, or not what was reported.
        OutOfDisk, OutputNotWritable: it cannot be moved.
    """
    with disk_errors(staging):
        for file in files:
            (staging / file.name).parent.mkdir(exist_ok=True)
            _move(shared / file.name, staging / file.name)
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(lambda file: _check(staging, file), files):
            pass


def check_object(store: Bucket, key: str, file: WrittenFile) -> None:
    """Check an object by its length and its footer.

    Raises:
        EvidenceDamaged: it is not what was reported.
        S3Error: it cannot be read.
    """
    found = store.head(key)
    _demand(file, found.size_bytes == file.bytes, f"it has {found.size_bytes} bytes")
    stop = threading.Event()
    with RangeReader(found.size_bytes, lambda a, b: store.read(found, a, b, stop)) as data:
        _check_rows(io.BufferedReader(data), file)


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        raise _damaged(target.name, "it is not there") from None


def _check(staging: Path, file: WrittenFile) -> None:
    try:
        held = open_held(Path(os.path.realpath(staging)), file.name)
    except OSError as error:
        raise _damaged(file.name, error.strerror or str(error)) from error
    try:
        _demand(file, held.links == 1, "it has another name as well")
        _demand(file, held.size_bytes == file.bytes, f"it has {held.size_bytes} bytes")
        _check_rows(held.reader(), file)
        _demand(file, held.sha256() == file.sha256, "its SHA-256 is another")
    finally:
        held.close()


def _check_rows(data: io.BufferedReader, file: WrittenFile) -> None:
    try:
        rows = rows_of(read_footer(data, _LARGEST_FOOTER)[0])
    except FooterError as error:
        raise _damaged(file.name, f"it is {error}") from error
    _demand(file, rows == file.rows, f"it has {rows} rows")


def _demand(file: WrittenFile, holds: bool, what: str) -> None:
    if not holds:
        raise _damaged(file.name, f"{what}; reported were {file.rows} rows in {file.bytes} bytes")


def _damaged(name: str, what: str) -> EvidenceDamaged:
    return EvidenceDamaged(
        f"The part {name} of the evidence is not what its executor reported: {what}.", part=name
    )

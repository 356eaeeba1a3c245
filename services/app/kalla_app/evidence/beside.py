"""Files that lie beside a copy of evidence and can be made from it again. Blocking.

They are Arrow files, written whole or not at all, and say which files they were made of, so that
one that was made of others is none.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

_MADE_OF = b"kalla.made_of"
_TOLD = b"kalla.told"

Told = Mapping[str, object]
"""What a file says of itself, as JSON."""


def made_of(files: Sequence[Path]) -> str:
    """Return what files do not share with others that took their place.

    Raises:
        OSError: one of them is not there.
    """
    found = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    return json.dumps(found)


@contextmanager
def written(
    path: Path, field: pa.Field, of: str, told: Told, *, packed: bool
) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    """Write a file of one column; it is there when the block has ended, and only then.

    Args:
        of: as `made_of` says.
        packed: whether columns are compressed.
    """
    schema = pa.schema([field], {_MADE_OF: of, _TOLD: json.dumps(told)})
    options = pa.ipc.IpcWriteOptions(compression="lz4" if packed else None, use_threads=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with (
            pa.OSFile(str(unfinished), "wb") as sink,
            pa.ipc.new_file(sink, schema, options=options) as writer,
        ):
            yield writer
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path, of: str, *, mapped: bool = False) -> pa.ipc.RecordBatchFileReader | None:
    """Open a file; None if there is none that was made of these files.

    Args:
        mapped: into memory, which what is packed gains nothing from.
    """
    try:
        source = pa.memory_map(str(path)) if mapped else pa.OSFile(str(path))
        reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(use_threads=False))
    except (OSError, pa.ArrowInvalid):
        return None
    return reader if (reader.schema.metadata or {}).get(_MADE_OF) == of.encode() else None


def told_by(reader: pa.ipc.RecordBatchFileReader) -> Told:
    """Return what a file says of itself."""
    return dict(json.loads(reader.schema.metadata[_TOLD]))

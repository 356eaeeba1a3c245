"""The files of a set of a run, opened; what their footers say is kept. Blocking."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.errors import NotFound
from kalla_core.answers.selection import REASON
from kalla_core.evidence.names import METADATA

_BUFFER_BYTES = 1 << 18


def sets_of(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each set, as the metadata of the run lists them.

    Raises:
        OSError: there is none.
    """
    metadata = json.loads((folder / METADATA).read_bytes())
    found: dict[str, list[Path]] = {}
    for file in metadata["files"]:
        name = str(file["name"])
        found.setdefault(name.partition(".parquet")[0], []).append(folder / name)
    return found


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the files of a set.

    Raises:
        NotFound: the run has no such set.
        OSError: there is no evidence.
    """
    sets = sets_of(folder)
    if name not in sets:
        there = ", ".join(sorted(sets))
        raise NotFound(f"The run has no rows {name}; it has {there}.", name=name)
    return sets[name]


def identity(path: Path) -> tuple[int, int]:
    """Return what a file does not share with another one that took its place.

    Raises:
        OSError: there is none.
    """
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def opened(path: Path, repeated: Collection[str | None] = ()) -> pq.ParquetFile:
    """Open a file; what its footer says is kept for the next time.

    Args:
        repeated: columns that are read as a dictionary.

    Raises:
        OSError, pa.ArrowInvalid: it cannot be read.
    """
    footer = _footer(path, identity(path))
    return pq.ParquetFile(
        path, metadata=footer, buffer_size=_BUFFER_BYTES, read_dictionary=list(repeated)
    )


@lru_cache(maxsize=128)
def _footer(path: Path, _identity: tuple[int, int]) -> pq.FileMetaData:
    return pq.read_metadata(path)


@lru_cache(maxsize=1024)
def counted(path: Path, _identity: tuple[int, int]) -> Mapping[str, int]:
    """Return how many rows of a file have each reason."""
    counted: Counter[str] = Counter()
    with opened(path, [REASON]) as file:
        for batch in file.iter_batches(columns=[REASON]):
            for one in pc.value_counts(batch.column(0)).to_pylist():
                counted[str(one["values"])] += one["counts"]
    return counted

"""Each file of evidence against what metadata.json says of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.answers.verification.damage import Check, Damage
from kalla_core.errors import SourceUnreadable
from kalla_core.evidence.metadata import RunMetadata, WrittenFile
from kalla_core.evidence.names import ALWAYS, MATCHED, METADATA, SOMETIMES, UNMATCHED
from kalla_core.evidence.places import Place, StoredFile
from kalla_core.matching.sql.query import Side
from kalla_core.units import format_bytes


def check_files(place: Place, metadata: RunMetadata) -> Check:
    """Read every file to its last byte.

    Raises:
        OutputUnavailable: the store does not answer; that is no damage.
    """
    damages = [found for written in metadata.files for found in _of_file(place, written)]
    total = format_bytes(sum(written.bytes for written in metadata.files))
    count = len(metadata.files)
    covered = f"{count} file{'s' if count != 1 else ''}, {total}: length, SHA-256, rows"
    return Check("files", covered, tuple(damages))


def check_counts(metadata: RunMetadata) -> Check:
    """Compare the counts of the metadata with the rows that it says its files have."""
    sides = ((Side.LEFT, metadata.left), (Side.RIGHT, metadata.right))
    counts = {MATCHED: ("matched_count", metadata.matched_count)} | {
        UNMATCHED[side]: (f"unmatched_{side.word}_count", one.unmatched) for side, one in sides
    }
    damages = []
    for output, (name, count) in counts.items():
        parts = [one for one in metadata.files if one.name.split("/")[0] == output]
        rows = sum(one.rows for one in parts)
        if not parts:
            damages.append(Damage(output, "the output", "a file", "none in metadata.json"))
        elif rows != count:
            damages.append(Damage(output, name, f"{count:,} rows", f"{rows:,} rows"))
    for side, one in sides:
        if one.records != one.matched + one.unmatched:
            damages.append(
                Damage(
                    METADATA,
                    f"rows of the {side.word} side add up",
                    f"{one.records:,} records",
                    f"{one.matched:,} matched + {one.unmatched:,} unmatched"
                    f" = {one.matched + one.unmatched:,}",
                )
            )
    covered = "records = matched + unmatched on each side; rows of the files"
    return Check("counts", covered, tuple(damages))


def check_strangers(location: str | Path, metadata: RunMetadata) -> Check:
    """Look for files among the outputs that metadata.json does not know: readers would read them.

    Args:
        location: a folder; of a bucket nothing is listed.
    """
    folder = Path(os.path.realpath(location))
    known = {written.name for written in metadata.files}
    found = [
        str(path.relative_to(folder))
        for output in sorted({name.split("/")[0] for name in known} | {*ALWAYS, *SOMETIMES})
        for path in _files_at(folder / output)
    ]
    damages = [
        Damage(name, "the file", "not to be there", "a file that metadata.json does not know")
        for name in found
        if name not in known
    ]
    return Check("strangers", "no outputs and no parts of outputs beside these", tuple(damages))


def _files_at(output: Path) -> list[Path]:
    """Return the file of an output, or those in its folder; none where it is not there."""
    if output.is_dir():
        return [path for path in sorted(output.rglob("*")) if not path.is_dir()]
    return [output] if output.exists() else []


def _of_file(place: Place, written: WrittenFile) -> Iterator[Damage]:
    try:
        stored = place.open(written.name)
    except SourceUnreadable as error:
        yield Damage(written.name, "the file", "to be readable", str(error))
        return
    with closing(stored):
        if stored.size_bytes != written.bytes:
            found = f"{stored.size_bytes:,} bytes"
            yield Damage(written.name, "its length", f"{written.bytes:,} bytes", found)
        digest = stored.sha256()
        if digest != written.sha256:
            yield Damage(written.name, "its SHA-256", written.sha256, digest)
        yield from _of_rows(stored, written)


def _of_rows(stored: StoredFile, written: WrittenFile) -> Iterator[Damage]:
    try:
        with stored.arrow() as file:
            rows = pq.read_metadata(file).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        yield Damage(written.name, "its content", "Parquet", f"{error}")
        return
    if rows != written.rows:
        yield Damage(written.name, "its rows", f"{written.rows:,}", f"{rows:,}")

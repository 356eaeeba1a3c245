"""The findings of a run whose evidence lies somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from kalla_core.evidence.finding import Finding
from kalla_core.evidence.findings import findings_in
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import unmatched_names
from kalla_core.evidence.places import place_of
from kalla_core.matching.sql.query import Side


def findings(output: str | Path, metadata: RunMetadata, side: Side) -> tuple[Finding, ...]:
    """Return the reasons in the evidence of one side; see `findings_in`."""
    return findings_in(_opened(output, metadata, side))


def _opened(output: str | Path, metadata: RunMetadata, side: Side) -> Iterator[pq.ParquetFile]:
    place = place_of(output)
    for name in unmatched_names(side, [file.name for file in metadata.files]):
        with (
            closing(place.open(name)) as stored,
            stored.arrow() as raw,
            pq.ParquetFile(raw) as file,
        ):
            yield file

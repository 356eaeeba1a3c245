"""What every store's files can be. What reads a format is loaded when a source has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

from kalla_core.sources.formats import FormatReader
from kalla_core.sources.parquet.format import ParquetFormat
from kalla_core.sources.uri import FileFormat


@dataclass(frozen=True)
class FileFormats(Mapping[FileFormat, FormatReader]):
    """The reader of each format.

    Attributes:
        threads: cores to use for what is looked at before it is read.
    """

    parquet: ParquetFormat = field(default_factory=ParquetFormat)
    threads: int = 1

    def __getitem__(self, file_format: FileFormat) -> FormatReader:
        """Return the reader of a format."""
        match file_format:
            case FileFormat.CSV:
                return self._csv
            case FileFormat.PARQUET:
                return self.parquet
            case FileFormat.FIXED | FileFormat.ODS | FileFormat.XLSX:
                return _transcribed(file_format)
            case _:
                return _streamed(file_format)

    @cached_property
    def _csv(self) -> FormatReader:
        from kalla_core.sources.csv.format import CsvFormat

        return CsvFormat(self.threads)  # it keeps what it has read of a small source

    def __iter__(self) -> Iterator[FileFormat]:
        """Yield all formats."""
        return iter(FileFormat)

    def __len__(self) -> int:
        """Return how many formats there are."""
        return len(FileFormat)


@cache
def _transcribed(file_format: FileFormat) -> FormatReader:
    from kalla_core.sources.sheets.ods import ODS
    from kalla_core.sources.sheets.xlsx import XLSX
    from kalla_core.sources.transcripts.fixed import FIXED
    from kalla_core.sources.transcripts.format import TranscribedFormat

    known = {FileFormat.FIXED: FIXED, FileFormat.ODS: ODS, FileFormat.XLSX: XLSX}
    return TranscribedFormat(known[file_format])


@cache
def _streamed(file_format: FileFormat) -> FormatReader:
    from kalla_core.sources.avro.reader import AvroKind
    from kalla_core.sources.banks.reader import BAI2, CAMT053, MT940
    from kalla_core.sources.databases.duck import DuckKind
    from kalla_core.sources.databases.sqlite import SqliteKind
    from kalla_core.sources.jsonl.reader import JsonKind
    from kalla_core.sources.streams.format import StreamFormat
    from kalla_core.sources.streams.kind import Kind

    kinds: Mapping[FileFormat, Kind] = {
        FileFormat.AVRO: AvroKind(),
        FileFormat.BAI2: BAI2,
        FileFormat.CAMT053: CAMT053,
        FileFormat.DUCKDB: DuckKind(),
        FileFormat.JSON: JsonKind(),
        FileFormat.MT940: MT940,
        FileFormat.SQLITE: SqliteKind(),
    }
    return StreamFormat(kinds[file_format])

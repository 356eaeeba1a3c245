"""`kalla export`: rows of evidence in another format, to a file or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kalla_core.answers.encode import Format, csv_for_spreadsheets, encoded, sheets
from kalla_core.answers.selection import REASON, Selected, Selection, select, sets_of
from kalla_core.cli.console import discard
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.harmless import harmless_lines
from kalla_core.cli.name_lists import listed
from kalla_core.cli.written_file import refuse_evidence, write_file
from kalla_core.errors import InvalidSetting
from kalla_core.evidence.reader import Evidence, open_evidence

_FORMATS = {
    "csv": Format.CSV,
    "xlsx": Format.XLSX,
    "parquet": Format.PARQUET,
    "arrow": Format.ARROW,
}


@dataclass(frozen=True, slots=True)
class ExportFlags:
    """The flags of `kalla export` as they were given; `formats` are names of flags."""

    formats: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    output: Path | None = None
    raw: bool = False


def export(out: str, flags: ExportFlags) -> ExitCode:
    """Write what is asked for.

    Raises:
        KallaError: the evidence cannot be read, the flags do not go together, or the file cannot
            be written; a file that was there stays as it was.
    """
    chosen = _format(flags)
    columns = listed(flags.columns, "--columns")
    if flags.output is None and chosen is not Format.CSV and sys.stdout.isatty():
        raise InvalidSetting(
            f"--{flags.formats[0]} is not for a terminal; name a file with --output.",
            settings=["--output"],
        )
    refuse_evidence(flags.output, out)
    with open_evidence(out) as evidence:
        rows = [
            select(evidence, Selection(name, flags.reasons, columns))
            for name in _sets(evidence, flags, chosen)
        ]
        pieces = _pieces(chosen, rows, raw=flags.raw)
        if flags.output is None:
            _to_standard_output(pieces)
        else:
            write_file(flags.output, pieces)
    return ExitCode.SUCCEEDED


def _format(flags: ExportFlags) -> Format:
    if len(flags.formats) != 1:
        raise InvalidSetting(
            "Say in which format: one of --csv, --xlsx, --parquet and --arrow.",
            settings=["--csv", "--xlsx", "--parquet", "--arrow"],
        )
    return _FORMATS[flags.formats[0]]


def _sets(evidence: Evidence, flags: ExportFlags, chosen: Format) -> tuple[str, ...]:
    there = sets_of(evidence)
    if flags.reasons and not flags.sets:
        there = tuple(one for one in there if REASON in evidence.schema(f"{one}.parquet").names)
    asked = tuple(dict.fromkeys(flags.sets))
    if chosen is Format.XLSX:
        return asked or there
    if len(asked) != 1:
        raise InvalidSetting(
            f"Say which rows with --set: one of {', '.join(there)}. "
            "Only Excel has room for several, as sheets.",
            settings=["--set"],
        )
    return asked


def _pieces(chosen: Format, rows: list[Selected], *, raw: bool) -> Iterator[bytes]:
    if chosen is Format.XLSX:
        return sheets((one.name, one.schema, one.batches()) for one in rows)
    (only,) = rows
    if chosen is Format.CSV and not raw:
        return csv_for_spreadsheets(only.schema, only.batches())
    return encoded(chosen, only.schema, only.batches())


def _to_standard_output(pieces: Iterator[bytes]) -> None:
    """Write until everything is there, or nobody reads any more, which is no fault.

    A terminal gets text whose control characters are visible; all else the bytes as they are.
    """
    if sys.stdout.isatty():
        pieces = harmless_lines(pieces)
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard(sys.stdout)

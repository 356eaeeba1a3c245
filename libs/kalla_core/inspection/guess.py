"""How a source seems to be written, and its preview when it is read so."""

from __future__ import annotations

from dataclasses import fields, replace

from kalla_core.errors import InvalidFormat, SourceUnreadable
from kalla_core.inspection.preview import Preview, preview
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat
from kalla_core.sources.csv.guess.found import Guess, guess
from kalla_core.sources.files import FileConnector
from kalla_core.sources.jsonl.envelope import arrays_of_objects
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.sources.registry import connector_for
from kalla_core.sources.uri import FileFormat

_SHEETS = (FileFormat.ODS, FileFormat.XLSX)
_OF_TEXT = ("delimiter", "quote", "escape", "comment", "encoding", "trailing_delimiter")


def guess_source(spec: SourceSpec, access: SourceAccess = EVERYTHING) -> Guess:
    """Return how a source seems to be written; what its `format` says stays as it says.

    Raises:
        InvalidFormat: it is no file.
        SourceUnreadable: it holds no table of text.
        KallaError: it cannot be opened.
    """
    connector = connector_for(spec, access)
    if not isinstance(connector, FileConnector):
        raise InvalidFormat("Only how files are written is guessed.")
    seen = connector.glance(spec)
    named = None if seen.kind is seen.said else seen.kind.value
    told = (f"format={seen.kind}: {seen.shown}.",) if seen.shown else ()
    if seen.kind is FileFormat.JSON and spec.format.records is None:
        return _json(spec, seen.head, told, named)
    if seen.kind not in (FileFormat.CSV, *_SHEETS):
        return Guess(spec.format, {}, told, (), named)
    found = guess(seen.head, seen.tail, whole=seen.whole)
    if found is None:
        raise SourceUnreadable(
            f"Nothing in `{spec.uri}` looks like a table of text: no lines in a row have as many"
            " fields, whatever separates them."
        )
    format_, evidence = found.format, found.evidence
    if seen.kind in _SHEETS:
        evidence = tuple(one for one in evidence if not one.startswith(("delimiter", "encoding")))
        format_ = replace(format_, **{name: getattr(AS_USUAL, name) for name in _OF_TEXT})
    return replace(
        found,
        format=_said_first(spec.format, format_),
        evidence=(*told, *evidence),
        file_format=named,
    )


def _json(spec: SourceSpec, head: bytes, told: tuple[str, ...], named: str | None) -> Guess:
    """Return which array holds the records, where a file is one object."""
    arrays = arrays_of_objects(head)
    if len(arrays) == 1:
        said = f"records: the file is one object, and `{arrays[0]}` its only array of objects."
        return Guess(replace(spec.format, records=arrays[0]), {}, (*told, said), (), named)
    unsaid: tuple[str, ...] = ()
    if arrays:
        shown = ", ".join(f"`{name}`" for name in arrays)
        unsaid = (f"The file is one object with several arrays of objects: {shown}; say which one"
                  " holds the `records`.",)  # fmt: skip
    return Guess(spec.format, {}, told, unsaid, named)


def guessed_preview(spec: SourceSpec, rows: int, access: SourceAccess = EVERYTHING) -> Preview:
    """Look at a source as it seems to be written.

    Raises:
        KallaError: as `guess_source` and `preview`.
    """
    found = guess_source(spec, access)
    as_found = replace(
        spec,
        uri=found.uri(spec.uri or ""),
        format=found.format,
        types={**found.types, **spec.types},
    )
    return replace(preview(as_found, rows, access), guess=found)


def forgiving_preview(spec: SourceSpec, rows: int, access: SourceAccess = EVERYTHING) -> Preview:
    """Look at a source as it is said to be written; as it seems to be, where that cannot be read.

    Raises:
        KallaError: it cannot be read either way.
    """
    try:
        return preview(spec, rows, access)
    except SourceUnreadable as failure:
        if spec.format != AS_USUAL:
            raise
        try:
            guessed = guessed_preview(spec, rows, access)
        except (SourceUnreadable, InvalidFormat):
            raise failure from None
        return replace(guessed, failure=str(failure))


def _said_first(said: SourceFormat, guessed: SourceFormat) -> SourceFormat:
    given = {
        field.name: getattr(said, field.name)
        for field in fields(SourceFormat)
        if getattr(said, field.name) != getattr(AS_USUAL, field.name)
    }
    if "header" in given:
        given.setdefault("skip_first", 0)  # what was guessed counts from another header
    return replace(guessed, **given)

"""What has to fit between the fields of a document.

These look at the raw document and take nothing for granted, so that they still speak when some
field elsewhere has the wrong type: a recipe's faults are told all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kalla_core.errors import Fault
from kalla_core.recipe.fields import MAX_EXTRAS
from kalla_core.recipe.model import SourceType
from kalla_core.recipe.paths import Location, path_text
from kalla_core.recipe.uris import contradiction

_LATE_URI = (SourceType.FILE, SourceType.CSV_UPLOAD)
_RESERVED = "__kalla"


@dataclass(frozen=True, slots=True)
class InDocument:
    """A source in a raw document: where it is, and the table name it has beside its alias."""

    location: Location
    table: str | None = None


def value_at(document: object, location: Location) -> object:
    """Return what stands at a place of a raw document; None where nothing does."""
    value = document
    for step in location:
        if isinstance(step, int):
            inside = isinstance(value, list) and step < len(value)
            value = value[step] if isinstance(value, list) and inside else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def source_faults(document: object, location: Location) -> Iterator[Fault]:
    """Yield what does not fit inside one source."""
    source = value_at(document, location)
    if not isinstance(source, Mapping):
        return
    source_type = _source_type(source.get("type"))
    uri = source.get("uri")
    if uri is None and source_type is not None and source_type not in _LATE_URI:
        yield missing_uri(path_text(location))
    if isinstance(uri, str) and uri.strip() and source_type is not None:
        reason = contradiction(source_type, uri)
        if reason is not None:
            yield Fault("invalid_uri", path_text((*location, "uri")), reason)
    for name in ("primary_key", "schema"):
        yield from repeated_columns(source.get(name), (*location, name))


def missing_uri(path: str) -> Fault:
    """Return the fault of the source at `path`, which has to say where it lies."""
    return Fault("missing", f"{path}.uri", "This field is missing: where does the source lie?")


def repeated_columns(columns: object, location: Location) -> Iterator[Fault]:
    """Yield a fault for each column that a list has named before."""
    seen: set[str] = set()
    for index, column in enumerate(columns if isinstance(columns, list) else ()):
        if not isinstance(column, str):
            continue
        if column in seen:
            message = f"The column `{column}` is there already."
            yield Fault("duplicate_column", path_text((*location, index)), message)
        seen.add(column)


def alias_faults(document: object, places: Sequence[InDocument]) -> Iterator[Fault]:
    """Yield a fault for each alias that names another table too; SQL does not tell case."""
    taken = {place.table: place for place in places if place.table is not None}
    owners: dict[str, InDocument] = dict(taken)
    for place in places:
        alias = value_at(document, (*place.location, "alias"))
        if not isinstance(alias, str):
            continue
        folded, path = alias.casefold(), path_text((*place.location, "alias"))
        owner = owners.setdefault(folded, place)
        if folded.startswith(_RESERVED):
            yield Fault(
                "alias_clash", path, f"Names that begin with `{_RESERVED}` are Kalla's own."
            )
        elif owner is not place:
            message = f"`{alias}` names {path_text(owner.location)} already (case does not count)."
            yield Fault("alias_clash", path, message)


def extra_places(document: object) -> Iterable[InDocument]:
    """Return the places of the extras, as many as a recipe may have."""
    extras = value_at(document, ("extras",))
    count = min(len(extras), MAX_EXTRAS) if isinstance(extras, list) else 0
    return [InDocument(("extras", index)) for index in range(count)]


def _source_type(word: object) -> SourceType | None:
    return SourceType(word) if isinstance(word, str) and word in set(SourceType) else None

"""Samples of both sources of a recipe that does not exist yet, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from kalla_core.errors import InvalidFormat, SourceUnreadable
from kalla_core.inference.sample import MAX_ROWS, Sampler, agreed
from kalla_core.inspection.guess import guess_source
from kalla_core.inspection.preview import demand_source
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.source_format import AS_USUAL
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.sources.registry import connector_for

_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
ROW_NUMBER = "row_number"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of a source, or all.

    Attributes:
        spec: the source, with the format that it is read in.
        rows: of the whole source.
        whole: whether the sample has all of them.
        guess: how a file seems to be written, where that is not as usual.
    """

    spec: SourceSpec
    table: pa.Table
    rows: int
    whole: bool
    guess: Guess | None = None

    @property
    def undecidable(self) -> tuple[str, ...]:
        """What the bytes of a file do not tell, in sentences."""
        return () if self.guess is None else tuple(self.guess.undecidable)


def source_for(
    uri: str, alias: str, access: SourceAccess = EVERYTHING
) -> tuple[SourceSpec, Guess | None]:
    """Return a source with the format that it seems to be written in.

    Raises:
        KallaError: it cannot be read.
    """
    spec = replace(demand_source(uri, {}, []), alias=alias)
    failure: SourceUnreadable | None = None
    try:
        connector = connector_for(spec, access)
        with connector.pin(spec) as pinned:
            connector.preview(pinned, 1000)
    except SourceUnreadable as error:
        failure = error
    if failure is None and not uri.lower().partition("?")[0].endswith(_TEXT_ENDINGS):
        return spec, None
    try:
        found = guess_source(spec, access)
    except (InvalidFormat, SourceUnreadable):
        if failure is not None:
            raise failure from None
        return spec, None
    if failure is None and found.format == AS_USUAL:
        return spec, None
    return replace(spec, format=found.format, types=dict(found.types)), found


def samples(
    left: tuple[SourceSpec, Guess | None], right: tuple[SourceSpec, Guess | None],
    most: int = MAX_ROWS, access: SourceAccess = EVERYTHING,
) -> tuple[Sample, Sample]:  # fmt: skip
    """Read both sources once, and keep rows that have partners.

    Raises:
        KallaError: one cannot be read.
    """
    taken = [_sampled(spec, most, access) for spec, _ in (left, right)]
    tables = agreed(taken[0][0], taken[1][0], most)
    first, second = (
        Sample(spec, table, rows, len(table) == rows, guess)
        for (spec, guess), (_, rows), table in zip((left, right), taken, tables, strict=True)
    )
    return first, second


def numbered(spec: SourceSpec) -> SourceSpec | None:
    """Return a source of text whose rows are numbered; None where it is none."""
    path = (spec.uri or "").lower().partition("?")[0]
    if not path.endswith(_TEXT_ENDINGS):
        return None
    return replace(spec, format=replace(spec.format, row_number=ROW_NUMBER))


def _sampled(spec: SourceSpec, most: int, access: SourceAccess) -> tuple[Sampler, int]:
    connector = connector_for(spec, access)
    with connector.pin(spec) as pinned:
        sampler, rows = Sampler(pinned.schema, most), 0
        for part in connector.plan(pinned, 1):
            for batch in connector.read(pinned, part):
                sampler.add(batch)
                rows += len(batch)
    return sampler, rows


def alias_of(uri: str, side: str) -> str:
    """Return a name for a source that match SQL takes without quotes."""
    stem = Path(uri.partition("?")[0].rstrip("/")).name.partition(".")[0].lower()
    table = uri.partition("table=")[2].partition("&")[0].lower()
    name = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in table or stem)
    plain = name.strip("_")
    return plain if plain and not plain[0].isdigit() and len(plain) <= 40 else f"{side}_rows"

"""How the values of a source are written, and how they become what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.written_numbers import NumberForm
from kalla_core.recipe.moment_formats import regex_of
from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.csv import moments

TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")
_ISO_PROBES = ("2026-05-12", "2026-05-12 10:00:00", "2026-05-12T10:00", "2026-05-12T10:00:00Z")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How values are written that are not written as documented.

    Attributes:
        numbers: None where numbers are as documented.
        dates: formats; ISO 8601 is taken as well, unless one of them could mean something else.
        true_words: what is true, the usual words among them.
    """

    numbers: NumberForm | None = None
    dates: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    true_words: tuple[str, ...] = TRUE
    false_words: tuple[str, ...] = FALSE

    @staticmethod
    def of(found: SourceFormat) -> Spelling:
        """Return the spelling that a source's `format` describes."""
        return Spelling(
            numbers=NumberForm.of(found),
            dates=found.dates,
            timestamps=found.timestamps,
            true_words=(*found.true_words, *TRUE),
            false_words=(*found.false_words, *FALSE),
        )

    def rewrites(self, wanted: pa.DataType) -> bool:
        """Return whether texts have to be rewritten before they are cast to a type."""
        types = pa.types
        if types.is_integer(wanted) or types.is_decimal(wanted) or types.is_floating(wanted):
            return self.numbers is not None
        return bool(self.formats(wanted))

    def rewritten(
        self, texts: pa.Array, wanted: pa.DataType, currency: str | None = None
    ) -> pa.Array:
        """Return texts as documented for a type that is to be rewritten.

        Null stands for a text that is no such value; ask for the texts that were null before.
        """
        formats = self.formats(wanted)
        if not formats:
            return texts if self.numbers is None else self.numbers.rewritten(texts, currency)
        found = moments.rewritten(texts, formats)
        if _takes_iso(formats):
            iso = pc.match_substring_regex(texts, _ISO)
            found = pc.coalesce(found, pc.if_else(iso, texts, None))
        return found

    def formats(self, wanted: pa.DataType) -> tuple[str, ...]:
        """Return the formats of a type of dates or timestamps; none for other types."""
        if pa.types.is_date(wanted):
            return self.dates
        if pa.types.is_timestamp(wanted):
            zoned = wanted.tz is not None
            return tuple(one for one in self.timestamps if moments.is_zoned([one]) == zoned)
        return ()


AS_DOCUMENTED = Spelling()

_ISO = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?\z"


def _takes_iso(formats: Sequence[str]) -> bool:
    patterns = [regex_of(one).replace(r"\z", r"\Z") for one in formats]
    return not any(re.match(pattern, probe) for pattern in patterns for probe in _ISO_PROBES)

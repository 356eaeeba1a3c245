"""Which rows of a set somebody asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a set.

    Attributes:
        q: text that some column holds, in whatever case; empty for all rows.
        reasons: codes; only rows that have one. All rows where there are none.
        sort: a column, with a minus before it the greatest first; None for the order of the file.
        keys: only rows without a partner that have one of these keys; None for all.
        without: rows with these keys are left out.
    """

    set: str
    q: str = ""
    reasons: tuple[str, ...] = ()
    sort: str | None = None
    keys: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether no row is left out."""
        return not (self.q or self.reasons or self.without) and self.keys is None

    @property
    def by(self) -> str | None:
        """The column that rows are ordered by."""
        return None if self.sort is None else self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort is not None and self.sort.startswith("-")

    @property
    def bytes(self) -> int:
        """What it takes where it is kept, about."""
        texts = (self.q, *self.reasons, *(self.keys or ()), *self.without)
        return sum(60 + 4 * len(text) for text in texts)

"""References of which one text lists several, as a payment does that settles some invoices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.reference_lists import extracted
from kalla_core.inference.anchors import Anchor, Sides
from kalla_core.inference.classes import Class, Kind
from kalla_core.inference.joining import Ints, Pairs, joined
from kalla_core.inference.overlaps import Texts, patterns_of
from kalla_core.inference.profiles import dictionary_codes
from kalla_core.inference.transforms import REFERENCE, quoted
from kalla_core.inference.values import column_sql

Bools = npt.NDArray[np.bool_]
MOST = 12
_SEVERAL = 0.03
_MORE = 1.1
_LEAST_MET = 0.3
_PRIOR = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A column of references, and one of texts that list them.

    Attributes:
        texts_side: 0 where the left has the texts, 1 where the right has.
        count: how many references a text has at most, `MOST` at most.
    """

    references: Texts
    texts: Texts
    pattern: str
    texts_side: int
    count: int
    classes: tuple[Class, ...]

    @property
    def says(self) -> str:
        """Return it in words."""
        found = f"what `{self.pattern}` finds in `{self.texts.column}`"
        return f"`{self.references.column}` is among {found}"

    def conditions(self) -> Iterator[str]:
        """Yield the condition for each place in the list, with the aliases `l` and `r`."""
        aliases = ("r", "l") if self.texts_side == 0 else ("l", "r")
        whole = REFERENCE.of(column_sql(self.references.column, aliases[0]))
        text = column_sql(self.texts.column, aliases[1])
        for place in range(1, self.count + 1):
            piece = f"extract_refs({text}, {quoted(self.pattern)})[{place}]"
            yield f"{whole} = {REFERENCE.of(piece)}"


def listed(source: int, sides: Sides, best: Anchor, free: tuple[Bools, Bools]) -> Listed | None:
    """Return texts that list references of the other side; None where no text has several."""
    found: Listed | None = None
    for texts_side in (0, 1):
        for texts in sides.texts[texts_side]:
            for references in sides.texts[1 - texts_side]:
                one = _listed(source, references, texts, texts_side, free)
                if one is not None and (found is None or _size(one) > _size(found)):
                    found = one
    return found if found is not None and _size(found) > _MORE * len(best.pairs) else None


def _size(one: Listed) -> int:
    return sum(len(each.pairs) for each in one.classes)


def _listed(
    source: int, references: Texts, texts: Texts, texts_side: int, free: tuple[Bools, Bools]
) -> Listed | None:
    if references.number or texts.number:
        return None
    pattern = next(patterns_of(references), None)
    if pattern is None:
        return None
    counts = pc.count_substring_regex(texts.unique, pattern)
    if (pc.mean(pc.greater_equal(counts, 2)).as_py() or 0.0) < _SEVERAL:
        return None
    pairs = _pairs(references, texts, pattern, texts_side)
    pairs = pairs.where(free[0][pairs.left] & free[1][pairs.right])
    rows = len(references.rows)
    met = len(np.unique(pairs.left if texts_side == 1 else pairs.right))
    if met < _LEAST_MET * rows or met < 3:
        return None
    kind = Kind.MANY_LEFT if texts_side == 1 else Kind.MANY_RIGHT
    count = min(MOST, int(pc.max(counts).as_py()) + 1)
    mine = Class(source, kind, 0, False, 0, pairs, _PRIOR)
    return Listed(references, texts, pattern, texts_side, count, (mine,))


def _pairs(references: Texts, texts: Texts, pattern: str, texts_side: int) -> Pairs:
    lists = extracted(texts.unique, pa.repeat(pattern, len(texts.unique)))
    flat = REFERENCE.apply(lists.flatten())
    owners = pc.list_parent_indices(lists).to_numpy()
    whole = REFERENCE.apply(references.unique)
    codes = dictionary_codes(pa.chunked_array([whole, flat], pa.string()))
    of_reference = np.append(codes[: len(whole)], -1)[references.rows]
    value_pairs = joined(texts.rows, owners.astype(np.int64))
    rows, values = value_pairs.left, codes[len(whole) :][value_pairs.right]
    met = joined(of_reference, values)
    left: Ints = met.left
    right: Ints = rows[met.right]
    both = (left, right) if texts_side == 1 else (right, left)
    unique = np.unique(np.stack(both), axis=1)
    return Pairs(unique[0], unique[1])

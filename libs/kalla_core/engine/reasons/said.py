"""What is said of unmatched rows, in pieces, until it is put together where it is written.

A sentence is mostly the same for many rows but for a few values; so who hands it on to somebody
else, who puts it together, hands on these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import Ints, one_chunk
from kalla_core.errors import EngineFailure
from kalla_core.evidence.build import Reasons


class Reason(StrEnum):
    """The codes of `rejection_reason`, from the nearest to a match to the farthest."""

    NOT_CHOSEN = "not_chosen"
    PREDICATE_FAILED = "predicate_failed"
    KEY_NOT_FOUND = "key_not_found"
    KEY_NULL = "key_null"
    NO_MATCH = "no_match"


Codes = npt.NDArray[np.int8]
"""Positions among the reasons."""

_REASONS = pa.array(list(Reason), pa.string())


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences that are still in pieces: what is put together first is copied once more.

    Attributes:
        pieces: one after the other, the same text for all or one for each; none of them null.
        count: how many sentences there are.
    """

    pieces: Sequence[pa.Array | str]
    count: int

    def some(self, at: Ints) -> Sentences:
        """Return those at these places."""
        if len(at) == 0 or (at[-1] - at[0] == len(at) - 1 and bool((at[1:] > at[:-1]).all())):
            first = int(at[0]) if len(at) else 0
            return self._each(lambda piece: piece.slice(first, len(at)), len(at))
        places = pa.array(at)
        return self._each(lambda piece: piece.take(places), len(at))

    def whole(self) -> pa.Array:
        """Return them as text."""
        return joined(self.pieces, self.count)

    def _each(self, change: Callable[[pa.Array], pa.Array], count: int) -> Sentences:
        pieces = [piece if isinstance(piece, str) else change(piece) for piece in self.pieces]
        return Sentences(pieces, count)


@dataclass(frozen=True, slots=True)
class Lot:
    """What is said of some rows in the same words.

    Attributes:
        at: their places among all rows, ascending.
        sentences: one for each of them.
        closest: string, for each the key text of a row of the other side, or null.
    """

    at: Ints
    sentences: Sentences
    closest: pa.Array


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of rows: each is in one of the lots."""

    codes: Codes
    lots: Sequence[Lot]

    def reasons(self) -> Reasons:
        """Return it as text, in the order of the rows."""
        order = np.empty(len(self.codes), dtype=np.int64)
        order[np.concatenate([lot.at for lot in self.lots])] = np.arange(len(order))
        return Reasons(
            pc.take(_REASONS, pa.array(self.codes)),
            _arranged([lot.sentences.whole() for lot in self.lots], order),
            _arranged([lot.closest for lot in self.lots], order),
        )


def said_in(reasons: Reasons) -> Said:
    """Return reasons that are text already."""
    codes = pc.index_in(reasons.rejection_reason, _REASONS).cast(pa.int8())
    if codes.null_count:
        raise EngineFailure("Rows are in no pair for a reason that joins do not have.")
    count = len(codes)
    sentences = Sentences([reasons.reason_detail], count)
    return Said(codes.to_numpy(), [Lot(np.arange(count), sentences, reasons.closest_candidate)])


def one_after_another(some: Sequence[Sentences]) -> Sentences:
    """Return all of several lots of sentences, whose pieces need not be alike."""
    count = sum(one.count for one in some)
    forms = {tuple(p if isinstance(p, str) else None for p in one.pieces) for one in some}
    if len(forms) > 1:
        return Sentences([pa.concat_arrays([one.whole() for one in some])], count)
    pieces = [
        both[0] if isinstance(both[0], str) else pa.concat_arrays(both)
        for both in zip(*(one.pieces for one in some), strict=True)
    ]
    return Sentences(pieces, count)


def joined(pieces: Sequence[pa.Array | str], count: int) -> pa.Array:
    """Return `count` texts, string, made of pieces as `Sentences` has them."""
    if count == 0:
        return pa.array([], pa.string())
    together = pc.binary_join_element_wise(*fewest(pieces), "")
    return together if isinstance(together, pa.Array) else pa.repeat(together, count)


def fewest(pieces: Sequence[pa.Array | str]) -> list[pa.Array | str]:
    """Return the pieces with one in the place of several that are the same for all rows."""
    merged: list[pa.Array | str] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif not (isinstance(piece, str) and not piece):
            merged.append(piece)
    return merged


def _arranged(texts: Sequence[pa.Array], order: Ints) -> pa.Array:
    """Return texts in an order of all of them; putting them together first would copy them."""
    some = [text for text in texts if len(text)]
    if len(some) == 1:  # all are of one lot, which is in their order
        return some[0]
    return one_chunk(pc.take(pa.chunked_array(some, pa.string()), pa.array(order)))

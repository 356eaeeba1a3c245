"""The keys of one side of evidence as numbers, some classes of them at a time.

A key is told by 64 bits of its hash. Where that may lead to a false alarm the texts decide, see
`shared_texts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side

Ints = npt.NDArray[np.int64]

MOST_AT_ONCE = 1 << 23
"""Keys of a class, about: 24 bytes each."""

_TEXTS = 100
RULE = "rule_name"


@dataclass(frozen=True, slots=True)
class SideKeys:
    """The keys of one class, in the order of the files.

    Attributes:
        matched: of each row of `matched` that names a row of this side.
        partners: the key of the other side in the same row; 0 where there is none.
        rules: the place in `rule_names` of the rule of the same row.
        unmatched: of each unmatched row.
    """

    matched: Ints
    partners: Ints
    rules: Ints
    unmatched: Ints
    rule_names: tuple[str, ...]


def classes(evidence: Evidence, side: Side, at_once: int = MOST_AT_ONCE) -> Iterator[SideKeys]:
    """Yield all keys of a side; equal keys are in one class, and a class fits into memory."""
    rows = evidence.rows(MATCHED) + evidence.rows(UNMATCHED[side])
    count = -(-max(rows, 1) // at_once)
    for number in range(count):
        yield _class_of(evidence, side, number, count)


def shared_texts(evidence: Evidence, side: Side, suspicious: Ints) -> list[str]:
    """Return keys, of those with one of some hashes, that are matched and unmatched; not all."""
    few = np.unique(suspicious)[:_TEXTS]
    matched = _texts(evidence, MATCHED, f"{side.word}_key", few)
    unmatched = _texts(evidence, UNMATCHED[side], "record_key", few)
    return sorted(set(matched) & set(unmatched))


def repeated_texts(
    evidence: Evidence, output: str, column: str, suspicious: Ints, rule: str | None = None
) -> list[str]:
    """Return keys, of those with one of some hashes, that rows of an output have twice."""
    texts = sorted(_texts(evidence, output, column, np.unique(suspicious)[:_TEXTS], rule))
    return sorted({one for one, other in pairwise(texts) if one == other})


def texts_of(evidence: Evidence, output: str, column: str, hashes: Ints) -> dict[int, str]:
    """Return the keys of an output that have one of some hashes, by their hash."""
    found: dict[int, str] = {}
    for batch in evidence.batches(output, columns=[column]):
        texts = batch.column(column).drop_null()
        own = text_hashes(texts)
        hits = np.flatnonzero(np.isin(own, hashes))
        found |= zip(own[hits].tolist(), texts.take(pa.array(hits)).to_pylist(), strict=True)
        if len(found) == len(hashes):
            break
    return found


def _class_of(evidence: Evidence, side: Side, number: int, count: int) -> SideKeys:
    own, other = f"{side.word}_key", f"{side.other.word}_key"
    parts: list[tuple[Ints, Ints, Ints]] = []
    names: dict[str, int] = {}
    for batch in evidence.batches(MATCHED, columns=[own, other, RULE]):
        kept = batch.filter(batch.column(own).is_valid())
        hashes, partners = text_hashes(kept.column(own)), text_hashes(kept.column(other))
        rules = _places(kept.column(RULE), names)
        chosen = _in_class(hashes, number, count)
        parts.append((hashes[chosen], partners[chosen], rules[chosen]))
    left_over = []
    for batch in evidence.batches(UNMATCHED[side], columns=["record_key"]):
        hashes = text_hashes(batch.column(0).drop_null())
        left_over.append(hashes[_in_class(hashes, number, count)])
    matched, partners, rules = (
        (np.concatenate(some) for some in zip(*parts, strict=True)) if parts else [_NONE] * 3
    )
    unmatched = np.concatenate(left_over) if left_over else _NONE
    return SideKeys(matched, partners, rules, unmatched, tuple(names))


_NONE = np.empty(0, dtype=np.int64)


def _places(rules: pa.Array, names: dict[str, int]) -> Ints:
    encoded = rules.fill_null("").dictionary_encode()
    places = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
    found: Ints = np.array(places, dtype=np.int64)[encoded.indices.to_numpy()]
    return found


def _in_class(hashes: Ints, number: int, count: int) -> npt.NDArray[np.bool_]:
    chosen: npt.NDArray[np.bool_] = (hashes % count) == number
    return chosen


def _texts(
    evidence: Evidence, output: str, column: str, hashes: Ints, rule: str | None = None
) -> list[str]:
    found: list[str] = []
    for batch in evidence.batches(output, columns=[column] if rule is None else [column, RULE]):
        kept = batch if rule is None else batch.filter(pc.equal(batch.column(RULE), rule))
        texts = kept.column(column).drop_null()
        found += texts.filter(pa.array(np.isin(text_hashes(texts), hashes))).to_pylist()
    return found

"""What became of the keys of one side of a run, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.selection import REASON
from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side

Ints = npt.NDArray[np.int64]

ABSENT, IS_MATCHED, IS_OPEN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class States:
    """The keys of one class, each once, in the order of their hashes.

    Attributes:
        keys: hashes.
        states: `IS_MATCHED`, `IS_OPEN`, or both of rows that share a key.
        partners: a sum over the hashes of all its partners; 0 where it has none.
        reasons: hash of the reason of an open row; 0 where it is matched.
    """

    keys: Ints
    states: Ints
    partners: Ints
    reasons: Ints


def states_of(evidence: Evidence, side: Side, number: int, count: int) -> States:
    """Return what became of the keys of one class out of `count`."""
    own, other = f"{side.word}_key", f"{side.other.word}_key"
    keys: list[Ints] = []
    states: list[Ints] = []
    partners: list[Ints] = []
    reasons: list[Ints] = []
    for batch in evidence.batches(MATCHED, columns=[own, other]):
        kept = batch.filter(batch.column(own).is_valid())
        hashes = text_hashes(kept.column(own))
        chosen = hashes % count == number
        keys.append(hashes[chosen])
        partners.append(text_hashes(kept.column(other))[chosen])
        states.append(np.full(int(chosen.sum()), IS_MATCHED))
        reasons.append(np.zeros(int(chosen.sum()), np.int64))
    for batch in evidence.batches(UNMATCHED[side], columns=["record_key", REASON]):
        kept = batch.filter(batch.column("record_key").is_valid())
        hashes = text_hashes(kept.column("record_key"))
        chosen = hashes % count == number
        keys.append(hashes[chosen])
        partners.append(np.zeros(int(chosen.sum()), np.int64))
        states.append(np.full(int(chosen.sum()), IS_OPEN))
        reasons.append(text_hashes(kept.column(REASON))[chosen])
    return _each_once(*(_joined(one) for one in (keys, states, partners, reasons)))


def _joined(arrays: list[Ints]) -> Ints:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _each_once(keys: Ints, states: Ints, partners: Ints, reasons: Ints) -> States:
    once, places = np.unique(keys, return_inverse=True)
    merged = np.zeros(len(once), np.int64)
    np.bitwise_or.at(merged, places, states)
    sums = [np.zeros(len(once), np.int64) for _ in range(2)]
    for total, values in zip(sums, (partners, reasons), strict=True):
        np.add.at(total, places, values)  # wraps around, which a fingerprint may
    return States(once, merged, *sums)


def reason_names(evidence: Evidence, side: Side) -> dict[int, str]:
    """Return the reasons of a side by their hash."""
    names: set[str] = set()
    for batch in evidence.batches(UNMATCHED[side], columns=[REASON]):
        names.update(pc.unique(batch.column(0)).to_pylist())
    listed = sorted(name for name in names if name is not None)
    hashes = text_hashes(pa.array(listed, pa.string())).tolist()
    return dict(zip(hashes, listed, strict=True))

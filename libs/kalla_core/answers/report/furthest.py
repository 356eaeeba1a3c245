"""Which groups of several rows a report shows: those whose sums differ most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import SideColumns
from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import GROUP_FIELD
from kalla_core.matching.sql.query import Side

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_COMPARED = 1 << 22
"""Rows of groups that are compared, of 40 bytes each; of more the first groups are shown."""


def furthest_groups(
    evidence: Evidence, columns: Mapping[Side, SideColumns], groups: Ints, most: int
) -> list[str]:
    """Return the ids of some groups, those whose sums differ most first.

    Args:
        groups: hashes of the ids, ascending; of those that may be chosen.
    """
    if not len(groups):
        return []
    known = evidence.rows(MATCHED) <= MOST_COMPARED
    chosen = _furthest(evidence, columns, groups)[:most] if known else groups[:most]
    names = _names_of(evidence, {int(one) for one in chosen})
    return [names[int(one)] for one in chosen if int(one) in names]


def _furthest(evidence: Evidence, columns: Mapping[Side, SideColumns], groups: Ints) -> Ints:
    keys = [f"{side.word}_key" for side in Side]
    amounts = [columns[side].matched_amount for side in Side]
    if None in amounts:
        return groups
    read = list(dict.fromkeys([GROUP_FIELD.name, *keys, *(one for one in amounts if one)]))
    differences = np.zeros(len(groups), dtype=np.float64)
    parts: list[list[tuple[Ints, Ints, Floats]]] = [[], []]
    for batch in evidence.batches(MATCHED, columns=read):
        hashes = text_hashes(batch.column(GROUP_FIELD.name))
        at = np.minimum(np.searchsorted(groups, hashes), len(groups) - 1)
        mine = groups[at] == hashes
        for some, key, amount in zip(parts, keys, amounts, strict=True):
            there = mine & np.asarray(batch.column(key).is_valid())
            mask = pa.array(there)
            values = batch.column(amount).filter(mask).cast(pa.float64()).fill_null(0.0)
            own = text_hashes(batch.column(key).filter(mask))
            some.append((at[there], own, values.to_numpy(zero_copy_only=False)))
    for some, sign in zip(parts, (1, -1), strict=True):
        places, own, values = (np.concatenate(one) for one in zip(*some, strict=True))
        order = np.lexsort((own, places))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (np.diff(places[order]) != 0) | (np.diff(own[order]) != 0)
        once = order[first]
        np.add.at(differences, places[once], sign * values[once])
    return groups[np.argsort(-np.abs(differences), kind="stable")]


def _names_of(evidence: Evidence, hashes: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for batch in evidence.batches(MATCHED, columns=[GROUP_FIELD.name]):
        names = pc.unique(batch.column(0).drop_null())
        for name, value in zip(names.to_pylist(), text_hashes(names).tolist(), strict=True):
            if value in hashes:
                found |= {value: name}
        if len(found) == len(hashes):
            break
    return found

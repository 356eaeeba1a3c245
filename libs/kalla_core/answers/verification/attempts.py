"""What passes made of unmatched rows: of each row each pass, and of no other row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.answers.verification.damage import Check, Damage
from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.names import ATTEMPTS, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import MATCH_RULE
from kalla_core.matching.sql.query import Side

Ints = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
_WORD = np.iinfo(np.uint64).max


def check_attempts(evidence: Evidence) -> Check:
    """Compare the rows of each pass and side with the unmatched rows of that side.

    Keys are compared by the sum of their hashes, so that nothing is held, however many there are.
    """
    rows: Counter[tuple[str, str]] = Counter()
    sums: Counter[tuple[str, str]] = Counter()
    for batch in evidence.batches(ATTEMPTS, columns=["side", "rule_name", "record_key"]):
        hashes = _hashes(batch.column("record_key"))
        words, rules = (batch.column(name).dictionary_encode() for name in ("side", "rule_name"))
        for which in np.unique(np.stack([_places(words), _places(rules)]), axis=1).T:
            word, rule = words.dictionary[int(which[0])], rules.dictionary[int(which[1])]
            mine = hashes[(_places(words) == which[0]) & (_places(rules) == which[1])]
            rows[str(word), str(rule)] += len(mine)
            sums[str(word), str(rule)] += _sum(mine)
    passes = _passes(evidence)
    damages = [*_compared(evidence, passes, rows, sums)]
    known = {(side.word, name) for side in Side for name in passes}
    damages += [
        Damage(
            ATTEMPTS,
            f"the pass {rule!r} on the side {word!r}",
            "none of that name",
            f"{rows[word, rule]:,} rows",
        )
        for word, rule in sorted(rows.keys() - known)
    ]
    covered = f"{rows.total():,} rows: each unmatched row once for each of {len(passes)} passes"
    return Check("attempts", covered, tuple(damages))


def _passes(evidence: Evidence) -> list[str]:
    listed = evidence.metadata.recipe.get("passes") or [{}]
    return [str(one.get("name", MATCH_RULE)) for one in listed]


def _compared(
    evidence: Evidence,
    passes: list[str],
    rows: Counter[tuple[str, str]],
    sums: Counter[tuple[str, str]],
) -> Iterator[Damage]:
    for side in Side:
        count, total = evidence.rows(UNMATCHED[side]), 0
        for batch in evidence.batches(UNMATCHED[side], columns=["record_key"]):
            total += _sum(_hashes(batch.column(0)))
        for name in passes:
            at = (side.word, name)
            what = f"{side.word} rows of the pass {name!r}"
            if rows[at] != count:
                yield Damage(ATTEMPTS, what, f"{count:,}, all that are unmatched", f"{rows[at]:,}")
            elif (sums[at] - total) & int(_WORD):
                yield Damage(ATTEMPTS, what, "the keys of all that are unmatched", "other keys")


def _hashes(keys: pa.Array) -> Hashes:
    return text_hashes(keys.fill_null("")).view(np.uint64)


def _places(encoded: pa.DictionaryArray) -> Ints:
    places: Ints = encoded.indices.to_numpy()
    return places


def _sum(hashes: Hashes) -> int:
    return int(hashes.sum(dtype=np.uint64))

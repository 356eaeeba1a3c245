"""What passes made of unmatched rows: of each row each pass, and of no other row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.verification.damage import Check, Damage
from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import ATTEMPTS, MATCH_RULE, UNMATCHED
from kalla_core.matching.query import Side

_WORD = np.iinfo(np.uint64).max


def check_attempts(evidence: Evidence) -> Check:
    """Compare the rows of each pass and side with the unmatched rows of that side.

    Keys are compared by the sum of their hashes, so that nothing is held, however many there are.
    """
    rows: Counter[tuple[str, str]] = Counter()
    sums: Counter[tuple[str, str]] = Counter()
    for batch in evidence.batches(ATTEMPTS, columns=["side", "rule_name", "record_key"]):
        names = batch.select(["side", "rule_name"])
        for which in (
            pa.Table.from_batches([names]).group_by(names.schema.names).aggregate([]).to_pylist()
        ):
            word, rule = str(which["side"]), str(which["rule_name"])
            mine = pc.and_(
                pc.equal(batch.column("side"), word), pc.equal(batch.column("rule_name"), rule)
            )
            keys = batch.column("record_key").filter(mine)
            rows[word, rule] += len(keys)
            sums[word, rule] += _sum(keys)
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
            total += _sum(batch.column(0))
        for name in passes:
            at = (side.word, name)
            what = f"{side.word} rows of the pass {name!r}"
            if rows[at] != count:
                yield Damage(ATTEMPTS, what, f"{count:,}, all that are unmatched", f"{rows[at]:,}")
            elif (sums[at] - total) & int(_WORD):
                yield Damage(ATTEMPTS, what, "the keys of all that are unmatched", "other keys")


def _sum(keys: pa.Array) -> int:
    return int(text_hashes(keys.fill_null("")).view(np.uint64).sum(dtype=np.uint64))

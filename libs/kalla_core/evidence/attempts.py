"""What each pass made of each row that none of them matched, one row of evidence for the two."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

RANK = pa.struct([("column", pa.string()), ("value", pa.string()), ("taken", pa.string())])
RANKS = pa.list_(RANK)
"""One entry for each column of a rank, in its order: of the best candidate, and of what took it."""

ATTEMPT_FIELDS = pa.schema(
    [
        ("side", pa.string()),
        ("record_key", pa.string()),
        ("rule_name", pa.string()),
        ("match_key", pa.string()),
        ("candidates", pa.int64()),
        ("rejection_reason", pa.string()),
        ("reason_detail", pa.string()),
        ("closest_candidate", pa.string()),
        ("taken_by", pa.string()),
        ("ranks", RANKS),
    ]
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one pass made of some rows of a side; arrays of one length.

    Attributes:
        match_key: what the rows have of what the pass joins by, as `a.ref = 'X'`; null where it
            joins by nothing.
        candidates: int64, pairs with rows that earlier passes had left.
        rejection_reason: string, the code; of this pass alone, as what follows.
        closest_candidate: string, key text of a row of the other side, or null.
        taken_by: string, key text of the row of this side that has it by this pass, or null.
        ranks: `RANKS`, null where nothing was ranked.
    """

    rule_name: str
    match_key: pa.Array
    candidates: pa.Array
    rejection_reason: pa.Array
    reason_detail: pa.Array
    closest_candidate: pa.Array
    taken_by: pa.Array
    ranks: pa.Array

    @property
    def columns(self) -> tuple[pa.Array, ...]:
        """The arrays, in the order of `ATTEMPT_FIELDS`."""
        return (
            self.match_key,
            self.candidates,
            self.rejection_reason,
            self.reason_detail,
            self.closest_candidate,
            self.taken_by,
            self.ranks,
        )

    def window(self, start: int, count: int) -> Attempt:
        """Return `count` rows from the one numbered `start`."""
        return Attempt(self.rule_name, *(one.slice(start, count) for one in self.columns))


def attempts_batch(side: str, keys: pa.Array, attempt: Attempt) -> pa.RecordBatch:
    """Return rows of the output; `keys` are those of the rows, as text."""
    count = len(keys)
    ours = [pa.repeat(side, count), keys, pa.repeat(attempt.rule_name, count)]
    return pa.record_batch([*ours, *attempt.columns], schema=ATTEMPT_FIELDS)

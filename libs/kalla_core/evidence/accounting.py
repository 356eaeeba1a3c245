"""The identity every run proves: each source row is matched or unmatched, none lost, none twice.

Three counters are kept apart on purpose, in three places: a figure got by subtraction would
agree with itself whatever went wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.errors import AccountingFailed
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class RowAccount:
    """What was counted of one side.

    Attributes:
        scanned: rows that the scans delivered, filters applied.
        joined: rows that entered joins; a replicated side counts once, not once per join.
        matched: distinct rows in a match.
        unmatched: rows in the footers of the unmatched files.
    """

    side: Side
    scanned: int
    joined: int
    matched: int
    unmatched: int


def prove(*ledgers: RowAccount) -> None:
    """Check that rows scanned = rows joined = rows matched + rows unmatched, on each side.

    Raises:
        AccountingFailed: they do not; the message gives each such side and its figures.
    """
    wrong = [ledger for ledger in ledgers if not _adds_up(ledger)]
    if wrong:
        raise AccountingFailed(
            "The result cannot be trusted, its rows do not add up: "
            + "; ".join(map(_sentence, wrong))
            + ".",
            sides=[ledger.side.word for ledger in wrong],
        )


def _adds_up(ledger: RowAccount) -> bool:
    return ledger.scanned == ledger.joined == ledger.matched + ledger.unmatched


def _sentence(ledger: RowAccount) -> str:
    return (
        f"{ledger.side.word}: {ledger.scanned} rows scanned, {ledger.joined} joined, "
        f"{ledger.matched} matched + {ledger.unmatched} unmatched = "
        f"{ledger.matched + ledger.unmatched}"
    )

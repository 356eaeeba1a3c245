"""How a memory limit is divided: arithmetic, nothing else.

The limit is for the whole process tree. What the processes need before they hold any row is
taken off first. The rest is for rows as Arrow batches, and each row that is held costs about as
much again while it is sorted, joined and written, which is what the divisors below stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kalla_core.errors import InvalidSetting

MIB = 1 << 20
GIB = 1 << 30

BASE_BYTES = 320 * MIB
"""Measured: the command line and one child with everything imported, before any row."""

SMALLEST_LIMIT = 512 * MIB

_NARROW_SHARE = 2
"""Measured: with all of it, joins of 57 bytes a row took 190 more for each."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What each use of memory may take.

    Attributes:
        whole_bytes: rows of both sides that are joined in one piece, without a spool.
        join_bytes: rows of both sides in one join fragment, when `threads` run at once.
        run_bytes: rows that one scan fragment holds before it sorts and spools them.
        pool_bytes: the pool of DataFusion's operators in one join fragment.
        extras_bytes: rows of all extras together.
    """

    limit_bytes: int
    threads: int
    whole_bytes: int
    join_bytes: int
    run_bytes: int
    pool_bytes: int
    extras_bytes: int

    def group_bytes(self, total_bytes: int) -> int:
        """Return how much of `total_bytes` goes into one of several joins side by side.

        No more than fits beside others, and no more than leaves every thread a share.
        """
        return min(self.join_bytes, -(-total_bytes // self.threads))

    def for_narrow_rows(self) -> Budget:
        """Return the same for joins of rows with few columns.

        More of them fit into as many bytes, and what a join holds of each beside these is no less.
        """
        return replace(self, join_bytes=self.join_bytes // _NARROW_SHARE)


def budget(limit_bytes: int, threads: int) -> Budget:
    """Divide `limit_bytes` among `threads` fragments that run at once.

    Raises:
        InvalidSetting: the limit is too small to hold the program itself.
    """
    if limit_bytes < SMALLEST_LIMIT:
        raise InvalidSetting(
            f"The memory limit of {limit_bytes // MIB} MiB is too small: "
            f"Kalla needs at least {SMALLEST_LIMIT // MIB} MiB."
        )
    free = limit_bytes - BASE_BYTES
    return Budget(
        limit_bytes=limit_bytes,
        threads=threads,
        whole_bytes=free // 4,
        join_bytes=free // (4 * threads),
        run_bytes=min(free // (8 * threads), 64 * MIB),
        pool_bytes=free // (2 * threads),
        extras_bytes=free // 8,
    )
